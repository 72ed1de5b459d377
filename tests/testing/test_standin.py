"""The stand-in of a server, which lends what a server lends."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from mailserver.address import Address
from mailserver.errors import TemporaryFailure
from mailserver.interfaces import IDirectory, IResolver, IServer
from mailserver.net.resolver import NoSuchName
from mailserver.testing import PluginCase, StandIn, a_client, an_envelope, answer


class StandInTests(PluginCase):
    def test_interfaces(self) -> None:
        verifyObject(IServer, self.server)
        verifyObject(IDirectory, self.server.directory)
        verifyObject(IResolver, self.server.resolver)

    async def test_directory(self) -> None:
        """Domains, accounts, passwords and aliases are there as soon as they are added."""
        directory = self.server.directory
        self.assertFalse(await directory.is_local("example.org"))
        bob = self.server.add_account("bob@example.org", "secret")
        self.server.add_alias("sales@example.org", "bob@example.org")
        self.server.add_domain("example.net")
        self.assertTrue(await directory.is_local("example.org"))
        self.assertEqual(await directory.domains(), ["example.net", "example.org"])
        self.assertEqual(await directory.account(Address("Bob", "example.org")), bob)
        self.assertEqual(await directory.alias(Address("sales", "example.org")), (Address("bob", "example.org"),))
        self.assertEqual(len(await directory.credentials(bob, "argon2id")), 1)

    async def test_threads_and_database(self) -> None:
        self.assertEqual(await answer(self.server.in_thread(sum, [1, 2])), 3)
        self.assertEqual(await self.server.database.write(lambda connection, number: number + 1, 1), 2)

    def test_clock(self) -> None:
        """Only the test moves it."""
        began = self.server.now()
        self.server.clock.advance(60)
        self.assertEqual(self.server.now(), began + 60)

    async def test_names(self) -> None:
        names = self.server.resolver
        names.add("Example.Net.", "MX", "10 mx.example.net.", "20 mx2.example.net.")
        names.fail("example.com")
        self.assertEqual([each.preference for each in await names.query("example.net", "MX")], [10, 20])
        self.assertEqual(await names.query("example.net", "A"), ())
        with self.assertRaises(NoSuchName):
            await names.query("example.org", "A")
        with self.assertRaises(TemporaryFailure):
            await names.query("example.com", "A")
        self.assertEqual(names.asked[0], ("example.net", "MX"))
        names.sign("example.net")
        self.assertTrue((await names.ask("EXAMPLE.net.", "MX")).validated)
        self.assertTrue((await names.ask("www.example.net", "A")).validated)
        self.assertFalse((await names.ask("an.example.org", "A")).validated)
        names.add("www.example.net", "CNAME", "www.example.org.")
        names.add("www.example.org", "A", "192.0.2.1")
        answer = await names.ask("www.example.net", "A")
        self.assertEqual((len(answer.records), answer.validated, answer.alias), (1, False, "www.example.org"))

    def test_values(self) -> None:
        client, envelope = a_client("2001:db8::1", login="bob@example.org"), an_envelope("", ["bob@example.org"])
        self.assertTrue(client.may_relay)
        self.assertEqual((envelope.sender, envelope.recipients), (None, (Address("bob", "example.org"),)))
        self.assertNotEqual(an_envelope().id, an_envelope().id)


class UnusedTests(TestCase):
    async def test_costs_nothing(self) -> None:
        """Without a question there is no database, no file and no thread."""
        folder = Path(self.mktemp())
        await StandIn(folder).stop()
        self.assertFalse(folder.exists())
