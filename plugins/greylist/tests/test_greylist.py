"""Strangers come back later, or they do not."""

from __future__ import annotations

from typing import Any

from mailserver_greylist import triples
from mailserver_greylist.greylist import PURGE, Greylist, GreylistOptions, general_sender
from sqlalchemy import func, select

from mailserver.address import Address
from mailserver.options import structure_all
from mailserver.testing import FilterContract, PluginCase, a_client, an_envelope, answer
from mailserver.verdict import Defer

DAY = 86400.0


class GreylistCase(PluginCase):
    """`ask` answers "pass", or the words of the reply."""

    plugin = Greylist

    def setUp(self) -> None:
        super().setUp()
        self.filter = self.build()

    async def ask(
        self, sender: str = "alice@example.net", recipient: str = "bob@example.org", ip: str = "192.0.2.1", **peer: Any
    ) -> str:
        client, envelope = a_client(ip, **peer), an_envelope(sender)
        said = await answer(self.filter.recipient(client, envelope, Address.parse(recipient)))
        if said is None:
            return "pass"
        self.assertIsInstance(said, Defer)
        self.assertEqual((said.reply.code, said.reply.status), (451, "4.7.1"))
        return said.reply.text.removeprefix("Greylisted, please try again in ")

    async def come_back(self, **who: Any) -> None:
        """Become known."""
        self.assertNotEqual(await self.ask(**who), "pass")
        self.server.clock.advance(301)
        self.assertEqual(await self.ask(**who), "pass")

    async def rows(self) -> int:
        return await self.server.database.read(
            lambda connection: connection.execute(select(func.count()).select_from(triples.greylist)).scalar_one()
        )


class ContractTests(FilterContract, PluginCase):
    plugin = Greylist


class WaitingTests(GreylistCase):
    """The first mail of a triple."""

    async def test_first_and_second(self) -> None:
        self.assertEqual(await self.ask(), "5 minutes")
        self.server.clock.advance(250)
        self.assertEqual(await self.ask(), "1 minute")
        self.server.clock.advance(50)
        self.assertEqual(await self.ask(), "pass")

    async def test_too_late(self) -> None:
        """Who comes back after the window is a stranger again."""
        await self.ask()
        self.server.clock.advance(2 * DAY)
        self.assertEqual(await self.ask(), "5 minutes")
        self.server.clock.advance(300)
        self.assertEqual(await self.ask(), "pass")

    async def test_triples(self) -> None:
        """Another sender, another recipient, another network: each waits for itself."""
        await self.come_back()
        self.assertEqual(await self.ask(sender="carol@example.net"), "5 minutes")
        self.assertEqual(await self.ask(recipient="alice@example.org"), "5 minutes")
        self.assertEqual(await self.ask(ip="198.51.100.1"), "5 minutes")
        self.assertEqual(await self.ask(sender=""), "5 minutes")

    async def test_same_network(self) -> None:
        """Big senders come back from the machine next door."""
        await self.ask(ip="192.0.2.1")
        await self.ask(ip="2001:db8:0:1::1")
        self.server.clock.advance(300)
        self.assertEqual(await self.ask(ip="192.0.2.254"), "pass")
        self.assertEqual(await self.ask(ip="::ffff:192.0.2.9"), "pass")
        self.assertEqual(await self.ask(ip="2001:db8:0:1:ffff::2"), "pass")
        self.assertEqual(await self.ask(ip="2001:db8:0:2::1"), "5 minutes")

    async def test_spelling(self) -> None:
        await self.ask(sender="Alice@Example.NET", recipient="BOB@example.org")
        self.server.clock.advance(300)
        self.assertEqual(await self.ask(), "pass")

    async def test_clock_set_back(self) -> None:
        await self.ask()
        self.server.clock.rightNow -= DAY
        self.assertEqual(await self.ask(), "5 minutes")

    async def test_no_delay(self) -> None:
        """Then it is enough to come twice."""
        self.filter = self.build(delay=0)
        self.assertEqual(await self.ask(), "1 minute")
        self.assertEqual(await self.ask(), "pass")


class KnownTests(GreylistCase):
    """Those who came back."""

    async def test_at_once(self) -> None:
        """They do not even cost a look into the database."""
        await self.come_back()
        self.assertIsNone(self.filter.recipient(
            a_client(), an_envelope("alice@example.net"), Address.parse("bob@example.org")
        ))

    async def test_for_a_lifetime(self) -> None:
        await self.come_back()
        for _ in range(4):
            self.server.clock.advance(35 * DAY)
            self.assertEqual(await self.ask(), "pass")
        self.server.clock.advance(36 * DAY)
        self.assertEqual(await self.ask(), "5 minutes")

    async def test_after_a_restart(self) -> None:
        await self.come_back()
        await self.ask(sender="carol@example.net")
        self.filter = self.build()
        self.assertEqual(await self.ask(), "pass")
        self.server.clock.advance(300)
        self.assertEqual(await self.ask(sender="carol@example.net"), "pass")

    async def test_trusted_network(self) -> None:
        """After five triples the network has shown what it is."""
        for number in range(5):
            self.assertEqual(await self.ask(sender=f"{'abcde'[number]}@example.net"), "5 minutes")
        self.server.clock.advance(300)
        for number in range(5):
            self.assertEqual(await self.ask(sender=f"{'abcde'[number]}@example.net"), "pass")
        self.assertEqual(await self.ask(sender="new@example.net", ip="192.0.2.77"), "pass")
        self.assertEqual(await self.ask(sender="new@example.net", ip="192.0.3.77"), "5 minutes")

    async def test_no_network_is_trusted(self) -> None:
        self.filter = self.build(trust_after=0)
        await self.come_back()
        self.assertEqual(await self.ask(sender="new@example.net"), "5 minutes")

    async def test_forgotten(self) -> None:
        """The table does not keep everybody who ever tried."""
        for number in range(20):
            await self.ask(recipient=f"{'abcdefghijklmnopqrst'[number]}@example.org")
        self.assertEqual(await self.rows(), 20)
        self.server.clock.advance(2 * DAY + PURGE)
        await self.ask()
        self.assertEqual(await self.rows(), 1)


class ExemptTests(GreylistCase):
    """Who never waits."""

    async def test_ours(self) -> None:
        self.assertEqual(await self.ask(login="alice@example.org"), "pass")
        self.assertEqual(await self.ask(trusted=True), "pass")
        self.assertEqual(await self.ask(service="lmtp"), "pass")
        self.assertEqual(await self.ask(ip="127.0.0.1"), "pass")
        self.assertEqual(await self.ask(ip="::1"), "pass")
        self.assertEqual(await self.ask(ip=""), "pass")

    async def test_postmaster(self) -> None:
        """Whoever has trouble with us can say so."""
        self.assertEqual(await self.ask(recipient="postmaster"), "pass")
        self.assertEqual(await self.ask(recipient="Postmaster@example.org"), "pass")

    async def test_as_configured(self) -> None:
        self.filter = self.build(
            exempt=["198.51.100.0/24", "2001:db8::/32"], recipients=["bob@example.org"], loopback=True
        )
        self.assertEqual(await self.ask(recipient="alice@example.org", ip="198.51.100.9"), "pass")
        self.assertEqual(await self.ask(recipient="alice@example.org", ip="2001:db8::9"), "pass")
        self.assertEqual(await self.ask(recipient="bob@example.org"), "pass")
        self.assertEqual(await self.ask(recipient="alice@example.org", ip="127.0.0.1"), "5 minutes")
        self.assertEqual(await self.ask(recipient="postmaster@example.org"), "5 minutes")


class OptionsTests(PluginCase):
    def test_mistakes(self) -> None:
        for table, key, sentence in (
            ({"exempt": ["192.0.2.300"]}, "exempt", "'exempt': '192.0.2.300' is no network"),
            ({"delay": 600, "window": 600}, "window", "'window' must be longer than the delay of 600 seconds"),
            ({"prefix4": 33}, "prefix4", "'prefix4' must be <= 32: 33"),
            ({"recipients": "bob"}, "recipients", '"recipients" needs a list, of texts'),
        ):
            [mistake] = structure_all(GreylistOptions, table)[1]
            self.assertEqual((mistake.key, mistake.sentence), (key, sentence))

    def test_general_sender(self) -> None:
        for sender, general in (
            ("Alice@Example.Net", "alice@example.net"),
            ("list-bounces+bob=example.org@example.net", "list-bounces@example.net"),
            ("bounce-1234-56@example.net", "bounce-#-#@example.net"),
        ):
            self.assertEqual(general_sender(Address.parse(sender)), general)
        self.assertEqual(general_sender(None), "")
