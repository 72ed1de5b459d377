"""Nobody who is not known sends mail to other places, judged by what lies in the spool and not by words."""

from __future__ import annotations

from pathlib import Path

from mailserver.service import MailServer
from mailserver.testing import Line
from tests.attacks.case import AttackCase

SPELLINGS = tuple(
    line for line in (Path(__file__).parent / "relay_spellings.txt").read_text("utf-8").split("\n")
    if line and not line.startswith("#")
)
AT_ONCE = 10        # spellings of one connection, which ends at too many errors
SENDERS = (
    "<evil@example.net>", "<>", "<alice@example.org>", "<postmaster@example.org>", "<@example.org:evil@example.net>",
)
NAMES = ("mx.example.org", "localhost", "[127.0.0.1]", "example.org")
RELAY = """
    [relay]
    domains = ["example.net"]
    [outbound.route]
    "example.net" = "tcp:127.0.0.1:9"
"""
LOGIN = "AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA=="
# Who alice, logged in, may not be.
NOT_HERS = (
    "bob@example.org", "BOB@example.org", '"bob"@example.org', "alice@example.com", "alice@sub.example.org",
    '"alice@example.org"@example.com', "alice%example.org@example.org", "@example.org:bob@example.org",
    "alice@[127.0.0.1]", "postmaster", "postmaster@example.org", "alice@xn--exmple-cua.org", "alice.@example.org",
    '"alice "@example.org', '" alice"@example.org', "bob+alice@example.org", "bob@example.org,alice@example.org",
)


class RelayTests(AttackCase):
    def test_how_many(self) -> None:
        """The list is long, and says nothing twice."""
        self.assertGreater(len(SPELLINGS), 60)
        self.assertEqual(len(set(SPELLINGS)), len(SPELLINGS))

    async def try_all(self, server: MailServer, service: str, sender: str, hello: str = "x") -> list[str]:
        """Each spelling as a recipient, and content for whatever was taken; the spellings that were."""
        taken: list[str] = []
        for start in range(0, len(SPELLINGS), AT_ONCE):
            line = await self.connect(server, service)
            await line.reply()
            await line.ask(f"{'LHLO' if service == 'lmtp' else 'EHLO'} {hello}")
            await line.ask(f"MAIL FROM:{sender}")
            before = len(taken)
            for spelling in SPELLINGS[start : start + AT_ONCE]:
                if (await line.ask(f"RCPT TO:{spelling}")).startswith("2"):
                    taken.append(spelling)
            await self.send(line, len(taken) - before if service == "lmtp" else 1)
        return taken

    async def send(self, line: Line, replies: int) -> None:
        if (await line.ask("DATA")).startswith("354"):
            line.say(b"Subject: relayed\r\n\r\nx\r\n.\r\n")
            for _ in range(replies):
                await line.reply()
        line.close()

    async def test_strangers(self) -> None:
        """By each door, as anybody, under our own name: nothing is taken, and nothing leaves."""
        server = await self.serve()
        for service in ("smtp", "submission", "lmtp"):
            self.assertEqual(await self.try_all(server, service, "<evil@example.net>"), [], service)
        for sender in SENDERS:
            self.assertEqual(await self.try_all(server, "smtp", sender), [], sender)
        for name in NAMES:
            self.assertEqual(await self.try_all(server, "smtp", "<evil@example.net>", name), [], name)
        await self.assert_nothing_came_of_it(server)
        await self.is_polite(server)

    async def test_where_everybody_is_welcome(self) -> None:
        """With a catch-all, what ends in our domain is ours: it lies in a mailbox here, and nothing leaves."""
        path = self.configure("".join(f'[[forward]]\nuse = "{each}"\n' for each in ("accounts", "aliases", "catchall")))
        self.with_alias(path, "@example.org", "bob@example.org")
        server = self.start(path)
        taken = await self.try_all(server, "smtp", "<evil@example.net>")
        self.assertIn("<victim%example.com@example.org>", taken)
        self.assertIn('<"victim@example.com"@example.org>', taken)
        self.assertNotIn("<victim@example.com>", taken)
        self.assertEqual(await self.queue(server), [])
        self.assertNotEqual(await self.mailbox(server), [])
        self.assertEqual(await self.mailbox(server, "alice"), [])

    async def test_relay_domains(self) -> None:
        """A backup MX carries mail for its domains, and for nothing that only looks like them."""
        server = await self.serve(RELAY)
        self.assertEqual(await self.try_all(server, "smtp", "<evil@example.com>"), [])
        line = await self.greeted(server)
        await line.ask("MAIL FROM:<a@example.com>")
        for domain in ("sub.example.net", "example.net.", "[example.net]", "example.net@example.com", "xexample.net"):
            other = f"x@{domain}"
            self.assertRegex(await line.ask(f"RCPT TO:<{other}>"), "^5", other)
        self.assertEqual(await self.queue(server), [])

    async def test_whose_sender(self) -> None:
        """Somebody logged in sends as nobody else, however that is written."""
        server = await self.serve()
        for start in range(0, len(NOT_HERS), AT_ONCE):
            line = await self.greeted(server, "submission")
            await line.ask("STARTTLS")
            await line.start_tls()
            await line.ask("EHLO x")
            self.assertRegex(await line.ask(LOGIN), "^235")
            for sender in NOT_HERS[start : start + AT_ONCE]:
                self.assertRegex(await line.ask(f"MAIL FROM:<{sender}>"), "^5", sender)
                self.assertRegex(await line.ask("RCPT TO:<victim@example.com>"), "^503", sender)
            line.close()
        self.assertEqual(await self.queue(server), [])

    async def test_a_login_ends_with_its_connection(self) -> None:
        """The next connection from the same address is a stranger's; so is this one inside a new TLS."""
        server = await self.serve()
        line = await self.greeted(server, "submission")
        await line.ask("STARTTLS")
        await line.start_tls()
        await line.ask("EHLO x")
        self.assertRegex(await line.ask(LOGIN), "^235")
        other = await self.greeted(server)
        await other.ask("MAIL FROM:<alice@example.org>")
        self.assertRegex(await other.ask("RCPT TO:<victim@example.com>"), "^550 5.7.1 Relaying denied")

    async def test_guessing(self) -> None:
        """Unknown users are refused at RCPT, so that nothing has to be sent back to a sender who may be forged."""
        server = await self.serve()
        line = await self.greeted(server)
        await line.ask("MAIL FROM:<victim@example.com>")
        for local in ("nobody", "bob2", "b", "root", "admin"):
            self.assertRegex(await line.ask(f"RCPT TO:<{local}@example.org>"), "^550 5.1.1 ")
        self.assertRegex(await line.ask("DATA"), "^503")
        await self.assert_nothing_came_of_it(server)
