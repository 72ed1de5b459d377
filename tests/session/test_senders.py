"""As whom somebody logged in may send, and who may relay: an address however it is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from mailserver.address import Address
from mailserver.service import MailServer
from mailserver.store import delegates, directory, postings, publics, queue
from mailserver.store.schema import trace
from mailserver.testing import Line
from tests.session.test_extensions import Talking

YES, NO = "250 2.1.0", "550 5.7.1"


class SenderTests(Talking):
    """alice is logged in; bob is somebody else; sales@ leads to alice."""

    async def alias(self, server: MailServer, name: str, *targets: str) -> None:
        await server.database.write(directory.add_alias, name, targets, 0.0, server.database.contents)

    async def heard(self, line: Line, senders: Sequence[str], parameters: str = "") -> dict[str, str]:
        """The first words of the reply to each sender."""
        found = {}
        for sender in senders:
            line.say(f"MAIL FROM:<{sender}>{parameters}\r\n".encode())
            found[sender] = (await line.reply())[:9]
            await line.ask("RSET")
        return found

    async def check(self, line: Line, parameters: str = "", **said: Any) -> None:
        """`yes` and `no` are who alice may send as, and may not."""
        wanted = dict.fromkeys(said.get("yes", ()), YES) | dict.fromkeys(said.get("no", ()), NO)
        self.assertEqual(await self.heard(line, list(wanted), parameters), wanted)

    async def test_spellings(self) -> None:
        """Case and quotes do not make another address of one's own, nor one's own of another's."""
        line = await self.logged_in(await self.serve())
        await self.check(
            line,
            yes=["", "alice@example.org", "ALICE@Example.ORG", '"alice"@example.org', r'"a\lice"@example.org'],
            no=[
                "bob@example.org", "BOB@EXAMPLE.ORG", '"bob"@example.org', '" alice"@example.org',
                '"alice@example.org"@example.com', "alice@sub.example.org", "alice@example.com", "postmaster",
                "postmaster@example.org", "alice@[127.0.0.1]", '""@example.org', "alice%example.org@example.com",
            ],
        )

    async def test_aliases(self) -> None:
        """Whoever an alias leads to, over however many others; not who shares a domain or a target with it."""
        server = await self.serve()
        await self.alias(server, "info@example.org", "SALES@example.org", "bob@example.org")
        await self.alias(server, "Press@example.org", "bob@example.org", "carol@example.net")
        await self.alias(server, "round@example.org", "about@example.org")
        await self.alias(server, "about@example.org", "round@example.org")
        line = await self.logged_in(server)
        await self.check(
            line,
            yes=["sales@example.org", "Sales@EXAMPLE.org", "info@example.org"],
            no=["press@example.org", "carol@example.net", "round@example.org", "nobody@example.org"],
        )

    async def test_domains(self) -> None:
        """One account may have its addresses in several domains; the same name in another domain is somebody else."""
        server = await self.serve()
        await server.database.write(directory.add_domain, "bücher.example", 0.0)
        await self.alias(server, "alice@bücher.example", "alice@example.org")
        await self.alias(server, "jörg@bücher.example", "alice@example.org")
        line = await self.logged_in(server)
        await self.check(line, yes=["alice@xn--bcher-kva.example", "alice@XN--BCHER-KVA.example"])
        await self.check(
            line, " SMTPUTF8",
            yes=["alice@bücher.example", "alice@BÜCHER.example", "jörg@bücher.example", "JO\u0308RG@bücher.example"],
            no=["bob@bücher.example", "jorg@bücher.example", "postmaster@bücher.example", "bücher@example.org"],
        )

    async def test_subaddresses(self) -> None:
        """user+tag is the user's, unless it is somebody's own."""
        server = await self.serve()
        await server.database.write(directory.add_account, Address("alice+bob", "example.org"), 0.0)
        await self.alias(server, "alice+team@example.org", "bob@example.org")
        line = await self.logged_in(server)
        await self.check(
            line,
            yes=["alice+shop@example.org", "Alice+a+b@example.org", "sales+x@example.org", "alice+@example.org"],
            no=[
                "alice+bob@example.org", "alice+team@example.org", "bob+alice@example.org", "+alice@example.org",
                "alice-x@example.org", "alice+shop@example.com",
            ],
        )

    async def test_without_subaddresses(self) -> None:
        """What leads nowhere is nobody's to send as."""
        server = await self.serve('[[forward]]\nuse = "aliases"\n[[forward]]\nuse = "accounts"\n')
        await self.alias(server, "@example.org", "alice@example.org")
        line = await self.logged_in(server)
        await self.check(
            line, yes=["sales@example.org"],
            no=["alice+shop@example.org", "nobody@example.org", '""@example.org'],
        )

    async def test_catch_all(self) -> None:
        """Who gets what is for nobody may send as nobody else; everybody else keeps his own."""
        server = await self.serve()
        await self.alias(server, "press@example.org", "bob@example.org")
        await self.alias(server, "@example.org", "alice@example.org")
        await server.database.write(directory.add_domain, "example.net", 0.0)
        await self.alias(server, "@example.net", "bob@example.org")
        line = await self.logged_in(server)
        await self.check(
            line,
            yes=["whoever@example.org"],
            no=[
                "bob@example.org", "bob+x@example.org", "press@example.org", "postmaster@example.org",
                "whoever@example.net", "whoever@example.com", "@example.org:bob@example.org",
            ],
        )

    async def test_just_made(self) -> None:
        """An alias that was made a moment ago."""
        server = await self.serve()
        line = await self.logged_in(server)
        await self.check(line, no=["new@example.org"])
        await self.alias(server, "new@example.org", "alice@example.org")
        await self.check(line, yes=["new@example.org"])

    async def test_delegates(self) -> None:
        """In the name of who allowed it, by all that leads to him, as long as it is allowed; the story tells of it."""
        server = await self.serve()
        await self.alias(server, "press@example.org", "bob@example.org")
        line = await self.logged_in(server)
        theirs = ["bob@example.org", "Bob+x@example.org", "press@example.org"]
        await self.check(line, no=theirs)
        [alice, bob] = [await server.directory.account(Address(each, "example.org")) for each in ("alice", "bob")]
        assert alice is not None and bob is not None
        await server.database.write(delegates.allow, bob.id, alice.id)
        await self.check(line, yes=[*theirs, "alice@example.org"], no=["postmaster@example.org", "carol@example.net"])
        for each in ("MAIL FROM:<press@example.org>", "RCPT TO:<bob@example.org>", "DATA"):
            await line.ask(each)
        await line.ask("Subject: x\r\n\r\nx\r\n.")
        await server.database.write(delegates.forbid, bob.id, alice.id)
        await server.directory.refreshed()
        await self.check(line, no=theirs)
        with server.database.reading() as connection:
            told = [row[0] for row in connection.execute(select(trace.c.record))]
        self.assertIn("alice@example.org sends in the name of bob@example.org", told[-1])

    async def test_public_delegates(self) -> None:
        """Whose mailbox it is, a domain, may let somebody send as the address of the mailbox."""
        server = await self.serve()

        def prepare(connection: Any) -> None:
            publics.create_public(connection, "example.org", "team", 0.0)
            owner = publics.public_account(connection, "example.org")
            alice = directory.find_account(connection, "alice@example.org")
            assert owner is not None and alice is not None
            postings.add(connection, Address("team", "example.org"), owner.id, "team")
            delegates.allow(connection, owner.id, alice.id)

        line = await self.logged_in(server)
        await self.check(line, no=["team@example.org"])
        await server.database.write(prepare)
        await self.check(line, yes=["team@example.org"], no=["bob@example.org"])

    async def test_disabled(self) -> None:
        """Who was logged in when the account was disabled sends nothing more; who was removed neither."""
        server = await self.serve()
        line = await self.logged_in(server)
        await self.check(line, yes=["alice@example.org"])
        alice = await server.directory.account(Address("alice", "example.org"))
        assert alice is not None
        await server.database.write(directory.set_enabled, alice.id, False)
        await server.directory.refreshed()
        self.assertEqual(set((await self.heard(line, ["", "alice@example.org"])).values()), {"525 5.7.1"})
        await server.database.write(directory.set_enabled, alice.id, True)
        await server.directory.refreshed()
        await self.check(line, yes=["alice@example.org"])
        await server.database.write(directory.remove_alias, "sales@example.org", 0.0)
        await server.database.write(directory.remove_account, alice.address, server.database.contents)
        await server.directory.refreshed()
        self.assertEqual(set((await self.heard(line, ["", "alice@example.org"])).values()), {"525 5.7.1"})

    async def test_on_the_port_of_the_world(self) -> None:
        """A login is held to its addresses wherever it logs in, and in a network that may relay, too."""
        server = await self.serve('[relay]\nnetworks = ["127.0.0.0/8"]\n')
        line = await self.greeted(server)
        await self.check(line, yes=["bob@example.org", "a@example.com"])
        line = await self.logged_in(server, "smtp")
        await self.check(line, yes=["alice@example.org"], no=["bob@example.org", "a@example.com"])

    async def test_after_starttls(self) -> None:
        """TLS ends what was said before it: a session without a login does not become one with."""
        server = await self.serve()
        line = await self.logged_in(server, "smtp")
        self.assertRegex(await line.ask("STARTTLS"), "^503")
        line = await self.greeted(server)
        await line.ask("MAIL FROM:<alice@example.org>")
        self.assertRegex(await line.ask("RCPT TO:<x@example.com>"), "^550 5.7.1 Relaying")


class RelayTests(Talking):
    """Mail for domains that are not ours."""

    async def refused(self, line: Line, *recipients: str) -> None:
        line.say(b"MAIL FROM:<a@example.net> SMTPUTF8\r\n")
        self.assertRegex(await line.reply(), "^250")
        for recipient in recipients:
            line.say(f"RCPT TO:<{recipient}>\r\n".encode())
            self.assertRegex(await line.reply(), "^5", recipient)
        await line.ask("RSET")

    async def test_strangers(self) -> None:
        """However a domain is written that is not ours, and through whatever of ours."""
        server = await self.serve()
        catch_all = "@example.org", ["alice@example.org"], 0.0, server.database.contents
        await server.database.write(directory.add_alias, *catch_all)
        line = await self.greeted(server)
        await self.refused(
            line, "x@example.com", "x@EXAMPLE.com", "x@sub.example.org", "x@org", "x@example.org.example.com",
            "x@[127.0.0.1]", "x@[IPv6:::1]", "x@bücher.example", "x@例え.jp", "x@example。com", "x@example.org。",
            "@example.org:x@example.com", "@example.org,@example.net:x@example.com", "x@example.org@example.com",
        )

    async def test_relay_domains(self) -> None:
        """A relay domain is one domain in U-labels and in A-labels; the others stay closed."""
        line = await self.greeted(await self.serve('[relay]\ndomains = ["bücher.example", "Example.COM"]\n'))
        line.say(b"MAIL FROM:<a@example.net> SMTPUTF8\r\n")
        await line.reply()
        for recipient in (
            "x@bücher.example", "x@BÜCHER.example", "x@xn--bcher-kva.example", "x@example.com", "x@EXAMPLE.com",
            "x@example。com",
        ):
            line.say(f"RCPT TO:<{recipient}>\r\n".encode())
            self.assertRegex(await line.reply(), "^250", recipient)
        for recipient in ("x@sub.example.com", "x@bucher.example", "x@example"):
            line.say(f"RCPT TO:<{recipient}>\r\n".encode())
            self.assertRegex(await line.reply(), "^550 5.7.1 Relaying", recipient)

    async def test_networks(self) -> None:
        """Only who is inside, and LMTP never sends mail on."""
        server = await self.serve('[relay]\nnetworks = ["127.0.0.200/32", "10.0.0.0/8"]\n')
        await self.refused(await self.greeted(server), "x@example.com")
        server = await self.serve('[relay]\nnetworks = ["127.0.0.0/8"]\n')
        await self.refused(await self.greeted(server, "lmtp", "LHLO x"), "x@example.com")

    async def test_routes(self) -> None:
        """A route is one for U-labels and A-labels, and what waits for such a domain waits for one domain."""
        server = await self.serve(
            '[relay]\nnetworks = ["127.0.0.0/8"]\n'
            '[outbound.route]\n"bücher.example" = "none"\n"例え.jp" = "tcp:127.0.0.1:9"\n'
        )
        line = await self.greeted(server)
        line.say("MAIL FROM:<> SMTPUTF8\r\nRCPT TO:<x@bücher.example>\r\nRCPT TO:<x@例え.jp>\r\n".encode())
        self.assertEqual([(await line.reply())[:3] for _ in range(3)], ["250", "556", "250"])
        self.assertRegex(await line.ask("RCPT TO:<x@xn--bcher-kva.example>"), "^556")
        self.assertRegex(await self.send(line), "^250")
        [entry] = await server.database.read(queue.listing, None, "xn--r8jz45g.jp")
        self.assertEqual(str(entry.recipient), "x@例え.jp")
