"""Who may have how much."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailserver.net.limits import Allowance, Limits, network_key, peer_key
from mailserver.net.tally import Private


class LimitsTests(SynchronousTestCase):
    def limits(self, **allowance: Any) -> Limits:
        self.clock = Clock()
        self.tally = Private(self.clock.seconds)
        return Limits(Allowance(**allowance), self.tally)

    def test_per_address(self) -> None:
        """One address has its share; another is not its business; who leaves makes room."""
        limits = self.limits(connections_per_address=2)
        entered = [limits.enter("192.0.2.1") for _ in range(3)]
        self.assertEqual(list(map(bool, entered)), [True, True, False])
        self.assertTrue(limits.enter("192.0.2.2"))
        limits.leave(entered[0])
        self.assertTrue(limits.enter("192.0.2.1"))

    def test_per_network(self) -> None:
        """All of a /24, or of a /48, together."""
        for address in ("192.0.2.{}", "2001:db8:0:{}::1"):
            limits = self.limits(connections_per_address=2, network=2)
            entered = [limits.enter(address.format(n)) for n in range(1, 6)]
            self.assertEqual(list(map(bool, entered)), [True] * 4 + [False])
            limits.leave(entered[0])
            self.assertTrue(limits.enter(address.format(5)))

    def test_total(self) -> None:
        """All together have theirs, loopback included."""
        limits = self.limits(connections=3)
        self.assertEqual([bool(limits.enter("127.0.0.1")) for _ in range(4)], [True, True, True, False])

    def test_loopback(self) -> None:
        """Loopback is exempt from the share of an address, unless it is named."""
        self.assertTrue(all(self.limits(connections_per_address=1).enter("::1") for _ in range(5)))
        strict = self.limits(connections_per_address=1, loopback=True)
        self.assertEqual([bool(strict.enter("127.0.0.1")) for _ in range(2)], [True, False])

    def test_names(self) -> None:
        """IPv6 counts by /64, and an IPv4 address is one however it is written."""
        self.assertEqual(peer_key("2001:db8::1"), peer_key("2001:db8::ffff:1"))
        self.assertNotEqual(peer_key("2001:db8::1"), peer_key("2001:db8:0:1::1"))
        self.assertEqual(peer_key("::ffff:192.0.2.1"), "192.0.2.1")
        self.assertEqual(peer_key("fe80::1%eth0"), peer_key("fe80::2"))
        self.assertEqual(network_key("192.0.2.77"), "192.0.2.0/24")
        self.assertEqual(network_key("2001:db8:1:2::/64"), "2001:db8:1::/48")
        self.assertEqual(network_key("nonsense"), "")

    def test_memory(self) -> None:
        """Nothing open is kept of who is gone."""
        limits = self.limits(connections_per_address=5)
        for number in range(1000):
            address = f"192.{number >> 8}.{number & 255}.1"
            entered = limits.enter(address)
            self.assertTrue(entered)
            limits.leave(entered)
        self.assertEqual(self.tally._open, {})

    def test_another_configuration(self) -> None:
        """Who came under the old one leaves as he came."""
        limits = self.limits(loopback=True)
        one = limits.enter("127.0.0.1")
        limits.allowance = Allowance(loopback=False)
        two = limits.enter("127.0.0.1")
        limits.allowance = Allowance(loopback=True)
        limits.leave(one)
        limits.leave(two)
        self.assertEqual(self.tally._open, {})

    def test_rates(self) -> None:
        """So many in a minute, which come back with time; a login has its own, wherever it is."""
        limits = self.limits(messages_per_minute=2, recipients_per_minute=1, network=0)
        self.assertEqual([limits.message("192.0.2.1") for _ in range(3)], [True, True, False])
        self.assertTrue(limits.message("192.0.2.1", "bob@example.org"))
        self.assertTrue(limits.recipient("192.0.2.1"))
        self.assertFalse(limits.recipient("192.0.2.1"))
        self.clock.advance(30)
        self.assertEqual([limits.message("192.0.2.1") for _ in range(2)], [True, False])
        self.assertTrue(all(limits.message("127.0.0.1") for _ in range(9)))
        self.assertTrue(all(self.limits(messages_per_minute=0).message("192.0.2.1") for _ in range(9)))

    def test_storms(self) -> None:
        """Who connects and goes, again and again, is refused at the door, and so is his network."""
        limits = self.limits(connections_per_minute=3, network=2)

        def storm(address: str) -> bool:
            entered = limits.enter(address)
            limits.leave(entered)
            return bool(entered)

        self.assertEqual([storm("192.0.2.1") for _ in range(4)], [True] * 3 + [False])
        self.assertEqual([storm("192.0.2.2") for _ in range(4)], [True] * 3 + [False])
        self.assertFalse(storm("192.0.2.3"))
        self.assertTrue(storm("198.51.100.1"))
        self.assertEqual(self.tally._open, {})

    def test_guesses(self) -> None:
        """So many wrong passwords of a peer, which are forgiven one by one; looking costs nothing."""
        limits = self.limits(failed_logins=2)
        for _ in range(2):
            self.assertTrue(all(limits.may_log_in("2001:db8::1") for _ in range(9)))
            limits.failed_login("2001:db8::1")
        self.assertFalse(limits.may_log_in("2001:db8::2"))
        self.assertTrue(limits.may_log_in("2001:db8:0:1::1"))
        self.clock.advance(301)
        self.assertTrue(limits.may_log_in("2001:db8::1"))
        limits.failed_login("2001:db8::1")
        self.assertFalse(limits.may_log_in("2001:db8::1"))

    def test_guesses_of_a_network(self) -> None:
        """Who has many addresses has not as many guesses."""
        for address in ("192.0.2.{}", "2001:db8:0:{}::1"):
            limits = self.limits(failed_logins=2, network=3)
            for number in range(1, 7):
                self.assertTrue(limits.may_log_in(address.format(number)))
                limits.failed_login(address.format(number))
            self.assertFalse(limits.may_log_in(address.format(99)), address)
            self.assertTrue(limits.may_log_in("198.51.100.1"))
        everybody = self.limits(failed_logins=1, network=0)
        for number in range(1, 100):
            everybody.failed_login(f"192.0.2.{number}")
        self.assertTrue(everybody.may_log_in("192.0.2.200"))

    def test_guesses_from_here(self) -> None:
        """Loopback guesses as often as it likes, unless it is named; no limit is no limit."""
        for limits in (self.limits(failed_logins=1), self.limits(failed_logins=0, loopback=True)):
            for _ in range(9):
                limits.failed_login("127.0.0.1")
            self.assertTrue(limits.may_log_in("127.0.0.1"))
        strict = self.limits(failed_logins=1, loopback=True)
        strict.failed_login("127.0.0.1")
        self.assertFalse(strict.may_log_in("127.0.0.1"))
