"""Who has an address, by the DNS."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from mailserver.envelope import Reverse
from mailserver.net.reverse import PATIENCE, reverse
from mailserver.testing.standin import Names


class ReverseTests(TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.names = Names()

    async def look(self, address: str = "192.0.2.7") -> Reverse:
        return await reverse(self.names, self.clock, address)

    async def test_confirmed(self) -> None:
        """A name that leads back, in both families; the first of several that does."""
        self.names.add("7.2.0.192.in-addr.arpa", "PTR", "liar.example.", "MX.example.net.")
        self.names.add("liar.example", "A", "192.0.2.1")
        self.names.add("mx.example.net", "A", "192.0.2.9", "192.0.2.7")
        self.assertEqual(await self.look(), Reverse("pass", "mx.example.net"))
        self.names.add("7." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa", "PTR", "mx.example.net.")
        self.assertEqual(await self.look("2001:db8::7"), Reverse("fail"))
        self.names.add("mx.example.net", "AAAA", "2001:DB8:0::7")
        self.assertEqual(await self.look("2001:db8::7"), Reverse("pass", "mx.example.net"))

    async def test_not_confirmed(self) -> None:
        """A name that leads elsewhere, or nowhere; no name; nobody who says."""
        self.assertEqual(await self.look(), Reverse("permerror"))
        self.names.add("7.2.0.192.in-addr.arpa", "PTR", "liar.example.")
        self.assertEqual(await self.look(), Reverse("fail"))
        self.names.add("liar.example", "A", "192.0.2.1")
        self.assertEqual(await self.look(), Reverse("fail"))
        self.names.fail("liar.example")
        self.assertEqual(await self.look(), Reverse("temperror"))
        self.names.fail("8.2.0.192.in-addr.arpa")
        self.assertEqual(await self.look("192.0.2.8"), Reverse("temperror"))
        self.assertEqual(await self.look("nonsense"), Reverse("permerror"))

    async def test_no_name_of_a_host(self) -> None:
        """Whoever owns a zone writes into it what it likes; what would stand in our header fields is a host's name."""
        for name in (
            "a\\)\\;x.example", "[192\\.0\\.2\\.1].example", "a\\032b.example", "\\013\\010x.example", "-.example-",
        ):
            self.names.add("7.2.0.192.in-addr.arpa", "PTR", f"{name}.")
            self.names.add(name, "A", "192.0.2.7")
            self.assertEqual(await self.look(), Reverse("fail"), name)

    async def test_loopback(self) -> None:
        """Known without asking."""
        self.assertEqual(await self.look("127.0.0.9"), Reverse("pass", "localhost"))
        self.assertEqual(await self.look("::1"), Reverse("pass", "localhost"))
        self.assertEqual(self.names.asked, [])

    async def test_many(self) -> None:
        """Ten names are enough."""
        self.names.add("7.2.0.192.in-addr.arpa", "PTR", *[f"n{number}.example." for number in range(500)])
        await self.look()
        self.assertEqual(len(self.names.asked), 11)

    def test_too_slow(self) -> None:
        """It may take so long and no longer."""
        self.names.query = lambda name, type: Deferred()        # type: ignore[method-assign,assignment,misc]
        looked = Deferred.fromCoroutine(reverse(self.names, self.clock, "192.0.2.7"))
        self.clock.advance(PATIENCE)
        self.assertEqual(self.successResultOf(looked), Reverse("temperror"))
