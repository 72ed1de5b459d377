"""Attacks on mailboxes by POP3: lines, numbers and names of any kind, another's mail, secrets in clear."""

from __future__ import annotations

import base64
from typing import Any

from twisted.logger import formatEvent, globalLogPublisher

from mailserver.pop3.wire import LONGEST_AUTH, LONGEST_LINE, MOST_SWALLOWED
from mailserver.service import MailServer
from mailserver.session import authorization
from mailserver.store import credentials, directory
from mailserver.testing import Line
from tests.attacks.case import AttackCase

LOG_IN = b"USER alice@example.org\r\nPASS secret\r\n"
# Bytes that mean something to a shell, a formatter, a template, a terminal, a database.
ESCAPES = (
    "${run{/bin/id}}", "{log_time.__class__}", "{0.__class__}", "%n%s", ";id;", "\x1b]0;x\x07", "`id`", "$(id)",
    "' OR 1=1 --", "../../etc/passwd", "alice@example.org\u202e", "\u2028", "<script>",
)
PROXIED = '[[listen]]\nservice = "pop3"\nendpoint = "tcp:0:interface=127.0.0.1"\nproxy = ["127.0.0.0/8"]\n'


class Pop3Attacks(AttackCase):
    def setUp(self) -> None:
        self.patch(authorization, "FAILURE_WAIT", 0.01)

    async def greeted_pop3(self, server: MailServer, said: bytes = b"", lines: int = 0) -> Line:
        """A line on which these octets were said, and so many lines heard."""
        line = await self.connect(server, "pop3")
        await line.line()
        line.say(said)
        for _ in range(lines):
            self.assertRegex(await line.line(), r"^\+")
        return line

    async def told(self, line: Line, command: str) -> str:
        """The first line of what is heard."""
        line.say(command.encode() + b"\r\n")
        return await line.line()

    async def test_lines_over_the_limit(self) -> None:
        """In each state: an error, and then the next command; without an end: an end."""
        server = await self.serve()
        states = ((b"", 0, LONGEST_LINE), (b"AUTH PLAIN\r\n", 1, LONGEST_AUTH), (LOG_IN, 2, LONGEST_LINE))
        for said, lines, limit in states:
            line = await self.greeted_pop3(server, said, lines)
            line.say(b"x" * limit + b"\r\nCAPA\r\n")
            self.assertEqual(await line.line(), "-ERR that line is too long")
            self.assertEqual(await line.line(), "+OK", said)
            while await line.line() != ".":
                pass
            line.say(b"x" * (limit + MOST_SWALLOWED))
            self.assertEqual(await line.line(), "-ERR that line is too long")
            self.assertEqual(await self.to_the_end(line), b"-ERR that line does not end\r\n")
        await self.is_polite(server)

    async def test_eight_megabytes(self) -> None:
        """Without a line end: it is not kept, and the connection ends long before."""
        server = await self.serve()
        line = await self.greeted_pop3(server)
        for _ in range(128):
            line.say(b"x" * 65536)
        self.assertRegex(await self.to_the_end(line), rb"that line does not end\r\n$")
        await self.is_polite(server)

    async def test_other_languages(self) -> None:
        """HTTP, TLS, NUL, control octets and 8-bit octets: errors, as many as there may be, and nothing else."""
        server = await self.serve()
        for said in (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", b"\0\r\n",
            b"NOOP\0\r\n", b"US\rER x\r\n", b"USER \xc3\x28\r\n", b"LANG \xff\r\n", b"\xff\xfe\r\n",
            b"\x80" * 200 + b"\r\n",
        ):
            line = await self.greeted_pop3(server, said + b"QUIT\r\n")
            heard = await self.to_the_end(line)
            self.assertRegex(heard, rb"^(-ERR [ -~]+\r\n)+\+OK bye\r\n$", said)
        await self.is_polite(server)

    async def test_numbers(self) -> None:
        """Whatever is no number of a message is none, and nothing of it is repeated."""
        server = await self.serve()
        for number in (
            "0", "-1", "1", "+1", "4294967295", "4294967297", "18446744073709551617", "9" * 200, "1.5", "0x1", "１",
            "1 1 1", "1e3", "*", "1:*", "\t1",
        ):
            line = await self.greeted_pop3(server, LOG_IN, 2)
            for verb in ("RETR", "DELE", "LIST", "UIDL", "TOP"):
                heard = await self.told(line, f"{verb} {number}")
                self.assertRegex(heard, "^-ERR (there is no such message|a message number )", (verb, number))
            self.assertEqual(await self.told(line, "STAT"), "+OK 0 0")
            await self.told(line, "QUIT")
            await line.line()
        await self.is_polite(server)

    async def test_escapes(self) -> None:
        """In names, passwords, languages and mechanisms: no answer repeats them, and no log takes them for a format."""
        server = await self.serve()
        logged = self.logged()
        for escape in ESCAPES:
            for command in (f"USER {escape}", f"PASS {escape}", f"LANG {escape}", f"AUTH {escape}", f"XYZZY {escape}"):
                line = await self.greeted_pop3(server)
                if command.startswith("PASS"):
                    await self.told(line, f"USER {escape}")
                heard = await self.told(line, command)
                self.assertNotIn(escape, heard)
                self.assertTrue(heard.isascii() and heard.isprintable(), heard)
        self.assertEqual(self.flushLoggedErrors(), [])
        for event in logged:
            self.assertNotIn("\x1b", formatEvent(event))
            self.assertNotIn("Unable to format", formatEvent(event))
        await self.is_polite(server)

    async def test_anothers_mail(self) -> None:
        """By authorization identities, by the numbers of another, by a second USER: there is only one's own."""
        server = await self.serve()

        def known(connection: Any) -> None:
            [bob] = [each for each in directory.accounts(connection) if each.address.local == "bob"]
            directory.set_credentials(connection, bob.id, credentials.derive("other"))

        await server.database.write(known)
        line = await self.greeted(server)
        for command in ("MAIL FROM:<>", "RCPT TO:<alice@example.org>", "DATA"):
            await line.ask(command)
        self.assertRegex(await line.ask("Subject: for alice\r\n\r\nx\r\n."), "^250")
        for identity in ("alice@example.org", "ALICE@example.org", "bob@example.org\u200b", "../alice", "*"):
            message = base64.b64encode(f"{identity}\0bob@example.org\0other".encode()).decode()
            pop3 = await self.greeted_pop3(server)
            self.assertEqual(await self.told(pop3, f"AUTH PLAIN {message}"), "-ERR [AUTH] name or password is wrong")
            self.assertEqual(await self.told(pop3, "STAT"), "-ERR log in first")
        pop3 = await self.greeted_pop3(server, b"USER alice@example.org\r\nUSER bob@example.org\r\nPASS other\r\n", 3)
        self.assertEqual(await self.told(pop3, "STAT"), "+OK 0 0")
        self.assertRegex(await self.told(pop3, "RETR 1"), "^-ERR there is no such")
        self.assertRegex(await self.told(pop3, "USER alice@example.org"), "^-ERR you are logged in")
        pop3.say(b"USER alice@example.org\r\nPASS other\r\nRETR 1\r\nQUIT\r\n")
        self.assertNotIn(b"for alice", await self.to_the_end(pop3))
        self.assertEqual(len(await self.mailbox(server, "alice")), 1)

    async def test_secrets_in_clear(self) -> None:
        """From elsewhere: refused before they are asked for, by each way, in each language; never logged."""
        server = await self.serve(PROXIED, services="smtp")
        logged = self.logged()
        plain = base64.b64encode(b"\0alice@example.org\0secret").decode()
        for language in ("en", "ja"):
            line = await self.connect(server, "pop3")
            line.say(b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 110\r\n")
            await line.line()
            self.assertRegex(await self.told(line, f"LANG {language}"), "^.OK")
            for command in ("USER alice@example.org", "PASS secret", f"AUTH PLAIN {plain}", "AUTH PLAIN", "AUTH LOGIN"):
                self.assertRegex(await self.told(line, command), r"^-ERR \[AUTH\] .*TLS", command)
            self.assertRegex(await self.told(line, "STAT"), "^-ERR")
            await self.told(line, "CAPA")
            heard = []
            while (told := await line.line()) != ".":
                heard.append(told)
            self.assertIn("STLS", heard)
            self.assertFalse([each for each in heard if each.startswith(("USER", "SASL"))])
        for event in logged:
            said = repr(event)
            self.assertFalse("secret" in said or plain in said, said)

    def logged(self) -> list[Any]:
        """What is logged from now on."""
        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        return events

    async def test_guessing(self) -> None:
        """Whoever has no account and whoever has another password hear the same by each way, and then nothing."""
        server = await self.serve()
        heard = set()
        for name in ("alice@example.org", "nobody@example.org", "bob@example.org", "", "@", "x" * 200):
            plain = base64.b64encode(f"\0{name or ' '}\0wrong".encode()).decode()
            line = await self.greeted_pop3(server)
            for _ in range(authorization.MOST_FAILURES):
                self.assertEqual(line.heard, b"")
                heard.add(await self.told(line, f"AUTH PLAIN {plain}"))
            self.assertEqual(await line.line(), "(closed)")
        self.assertEqual(heard, {"-ERR [AUTH] name or password is wrong"})
