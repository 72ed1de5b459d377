"""Who may have how many connections."""

from twisted.trial.unittest import SynchronousTestCase

from mailserver.net.limits import ConnectionLimits, peer_key


class LimitsTests(SynchronousTestCase):
    def test_per_address(self) -> None:
        """One address has its share; another is not its business; who leaves makes room."""
        limits = ConnectionLimits(per_address=2, total=10)
        self.assertEqual([limits.enter("192.0.2.1") for _ in range(3)], [True, True, False])
        self.assertTrue(limits.enter("192.0.2.2"))
        limits.leave("192.0.2.1")
        self.assertTrue(limits.enter("192.0.2.1"))

    def test_total(self) -> None:
        """All together have theirs, loopback included."""
        limits = ConnectionLimits(per_address=2, total=3)
        self.assertEqual([limits.enter("127.0.0.1") for _ in range(4)], [True, True, True, False])

    def test_loopback(self) -> None:
        """Loopback is exempt from the share of an address, unless it is named."""
        self.assertTrue(all(ConnectionLimits(1, 100).enter("::1") for _ in range(5)))
        strict = ConnectionLimits(1, 100, count_loopback=True)
        self.assertEqual([strict.enter("127.0.0.1") for _ in range(2)], [True, False])

    def test_networks(self) -> None:
        """IPv6 counts by /64, and an IPv4 address is one however it is written."""
        self.assertEqual(peer_key("2001:db8::1"), peer_key("2001:db8::ffff:1"))
        self.assertNotEqual(peer_key("2001:db8::1"), peer_key("2001:db8:0:1::1"))
        self.assertEqual(peer_key("::ffff:192.0.2.1"), "192.0.2.1")
        self.assertEqual(peer_key("fe80::1%eth0"), peer_key("fe80::2"))

    def test_memory(self) -> None:
        """Nothing is kept of who is gone."""
        limits = ConnectionLimits(5, 100)
        for number in range(1000):
            address = f"192.0.{number >> 8}.{number & 255}"
            limits.enter(address)
            limits.leave(address)
        self.assertEqual((limits.open, len(limits._by_peer)), (0, 0))
