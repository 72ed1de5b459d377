"""The built-in forwarders, each by the public contract and by what it is for."""

from __future__ import annotations

from mailserver.address import Address
from mailserver.destination import Forward, Mailbox, Remote
from mailserver.forwarding.accounts import Accounts
from mailserver.forwarding.aliases import Aliases
from mailserver.forwarding.catchall import CatchAll
from mailserver.forwarding.smarthost import Smarthost
from mailserver.forwarding.subaddress import Subaddress
from mailserver.plugin import OptionError
from mailserver.testing import ForwarderContract, PluginCase

BOB = Address("bob", "example.org")


class Directory(PluginCase):
    """A house with bob, and sales who are bob and somebody elsewhere."""

    def setUp(self) -> None:
        super().setUp()
        self.server.add_domain("example.org")
        self.server.add_account("bob@example.org")
        self.server.add_alias("sales@example.org", "bob@example.org", "carol@example.net")


class AccountsTests(ForwarderContract, Directory):
    plugin = Accounts
    others = ("nobody@example.org", "bob@example.net", "bob+x@example.org", "sales@example.org")

    async def test_account(self) -> None:
        """To its INBOX, in whatever case it is written, in the store that is configured."""
        self.assertEqual(await self.build().forward(Address.parse("BOB@Example.ORG")), (Mailbox(BOB, "sql", "INBOX"),))
        self.assertEqual((await self.build(store="maildir").forward(BOB))[0].store, "maildir")


class AliasesTests(ForwarderContract, Directory):
    plugin = Aliases
    others = ("bob@example.org", "sales@example.net")

    async def test_alias(self) -> None:
        """To each target, in the order in which they were given."""
        self.assertEqual(
            await self.build().forward(Address("Sales", "example.org")),
            (Forward(BOB), Forward(Address("carol", "example.net"))),
        )


class CatchAllTests(ForwarderContract, Directory):
    plugin = CatchAll
    others = ("whoever@example.net",)

    async def test_nobody_catches(self) -> None:
        """Without ``@domain`` it knows nobody."""
        self.assertIsNone(await self.build().forward(Address("whoever", "example.org")))

    async def test_catches(self) -> None:
        """Whoever it is."""
        self.server.add_alias("@example.org", "bob@example.org")
        self.assertEqual(await self.build().forward(Address("whoever", "example.org")), (Forward(BOB),))


class SubaddressTests(ForwarderContract, Directory):
    plugin = Subaddress
    others = ("bob@example.org", "nobody+x@example.org", "+x@example.org", "bob-x@example.org")

    async def test_detail(self) -> None:
        """The first separator counts; aliases have details too."""
        self.assertEqual(await self.build().forward(Address("bob+a+b", "example.org")), (Forward(BOB),))
        self.assertEqual(
            await self.build().forward(Address("sales+x", "example.org")), (Forward(Address("sales", "example.org")),)
        )

    async def test_whole_address(self) -> None:
        """An account or an alias with the separator in its name is nobody's detail, wherever the tables stand."""
        self.server.add_account("bob+sons@example.org")
        self.server.add_alias("bob+wife@example.org", "carol@example.net")
        for whole in ("bob+sons", "BOB+Wife"):
            self.assertIsNone(await self.build().forward(Address(whole, "example.org")), whole)

    async def test_separator(self) -> None:
        """Another one, and never none."""
        self.assertEqual(await self.build(separator="--").forward(Address("bob--x", "example.org")), (Forward(BOB),))
        self.assertRaises(OptionError, self.build, separator="")


class SmarthostTests(ForwarderContract, Directory):
    plugin = Smarthost
    table = {"host": "tcp:relay.example.net:587"}
    others = ("bob@example.org", "whoever@example.org")

    async def test_everybody(self) -> None:
        """Whoever is not ours."""
        carol = Address("carol", "example.net")
        self.assertEqual(await self.build().forward(carol), (Remote(carol, "tcp:relay.example.net:587"),))

    async def test_some_domains(self) -> None:
        """Only those that are named."""
        some = self.build(domains=["Example.NET"])
        self.assertIsNotNone(await some.forward(Address("carol", "example.net")))
        self.assertIsNone(await some.forward(Address("carol", "example.com")))

    def test_options(self) -> None:
        """What nobody could send to, or no domain could be called, is a mistake of the configuration."""
        for wrong in ({"host": "relay"}, {"host": "tcp:a.example:99999"}, {"domains": ["a b"]}, {"domains": [""]}):
            with self.assertRaises(OptionError, msg=repr(wrong)) as caught:
                self.build(**wrong)
            self.assertEqual(caught.exception.key, next(iter(wrong)))
