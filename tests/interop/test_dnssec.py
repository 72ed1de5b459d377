"""What our resolver believes when unbound validates and knotd signs."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.trial.unittest import TestCase

from mailserver.errors import TemporaryFailure
from mailserver.net.resolver import Resolver
from tests.interop.zones import EXPIRED, FOREIGN, GOOD, Zones

reactor: Any = installed_reactor
ZONES = {
    "good.example": "@ MX 10 mx\nmx A 127.0.0.2\n_25._tcp.mx TLSA 3 1 1 " + "ab" * 32
    + "\nmail CNAME mx\naway CNAME mx.plain.example.\n",
    "plain.example": "@ MX 10 mx\nmx A 127.0.0.3\n_25._tcp.mx TLSA 3 1 1 " + "cd" * 32 + "\n",
    "old.example": "@ MX 10 mx\n",
    "foreign.example": "@ MX 10 mx\n",
}
SIGNED = {"good.example": GOOD, "old.example": EXPIRED, "foreign.example": FOREIGN}


class DnssecTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        zones = Zones(ZONES, SIGNED)
        self.addCleanup(zones.stop)
        zones.start()
        self.resolver = Resolver(reactor, [zones.resolver])
        self.disbeliever = Resolver(reactor, [zones.resolver], "never")

    async def test_signed(self) -> None:
        """Records, the absence of records, and the absence of a name."""
        for name, type, count, exists in (
            ("good.example", "MX", 1, True), ("mx.good.example", "A", 1, True), ("mx.good.example", "AAAA", 0, True),
            ("_25._tcp.mx.good.example", "TLSA", 1, True), ("nobody.good.example", "A", 0, False),
        ):
            answer = await self.resolver.ask(name, type)
            self.assertEqual((len(answer.records), answer.exists, answer.validated), (count, exists, True), name)
            self.assertFalse((await self.disbeliever.ask(name, type)).validated)

    async def test_unsigned(self) -> None:
        for name, count in (("plain.example", 1), ("nobody.plain.example", 0)):
            answer = await self.resolver.ask(name, "MX")
            self.assertEqual((len(answer.records), answer.validated), (count, False))

    async def test_aliases(self) -> None:
        """A chain is as good as its weakest part; its first part can be asked for by itself."""
        inside = await self.resolver.ask("mail.good.example", "A")
        outside = await self.resolver.ask("away.good.example", "A")
        self.assertEqual((inside.validated, inside.alias), (True, "mx.good.example"))
        self.assertEqual((outside.validated, outside.alias), (False, "mx.plain.example"))
        self.assertTrue((await self.resolver.ask("away.good.example", "CNAME")).validated)

    async def test_bogus(self) -> None:
        """Old signatures, and those of a stranger: nobody can say now."""
        for name in ("old.example", "foreign.example"):
            for resolver in (self.resolver, self.disbeliever):
                with self.assertRaisesRegex(TemporaryFailure, "SERVFAIL"):
                    await resolver.ask(name, "MX")
                with self.assertRaises(TemporaryFailure):
                    await resolver.query(name, "MX")
