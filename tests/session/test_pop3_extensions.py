"""POP3's extensions as clients hear them: languages, UTF-8, and what an operator says of logins and of how long."""

from __future__ import annotations

import base64
from dataclasses import replace

from twisted.internet.task import deferLater

from mailserver.content import LARGE
from mailserver.errors import NotFound
from mailserver.service import MailServer
from mailserver.session.pop3 import Pop3Session
from mailserver.store import credentials, directory
from mailserver.testing import Line
from tests.serving import reactor
from tests.session.test_pop3 import Pop3Case

UTF8 = "Subject: 一\r\n\r\none\r\n".encode()
OLD = b"Subject: \x93\xfa\x96\x7b\r\n\r\ntwo\r\n"          # Shift_JIS, as it was sent before MIME
BODY = "Subject: 3\r\n\r\n三\r\n".encode()


class LanguageTests(Pop3Case):
    async def test_dialogue(self) -> None:
        server = await self.serve(services="pop3")
        await self.fill(server, b"Subject: 1\r\n\r\none\r\n")
        await self.play_file(await self.connect(server, "pop3"), "pop3_lang.txt")

    async def test_preferred(self) -> None:
        """What the operator prefers is what "*" means, and nothing is told in it before it was asked for."""
        server = await self.serve('[pop3]\nlanguage = "ja"', services="pop3")
        line = await self.connect(server, "pop3")
        self.assertTrue((await line.line()).isascii())
        self.assertEqual(await self.say(line, "STAT"), "-ERR log in first")
        self.assertEqual(await self.say(line, "LANG *"), "+OK ja これからは日本語です")

    async def test_forgotten(self) -> None:
        """Whatever was chosen in clear is not chosen inside TLS (RFC 2595 4)."""
        server = await self.serve(services="pop3")
        await self.play(await self.connect(server, "pop3"), """
            S: +OK *
            C: LANG ja
            S: +OK ja *
            C: STLS
            S: +OK TLS を始めてください
            C: (tls)
            C: STAT
            S: -ERR log in first
        """)

    async def test_last_words(self) -> None:
        """What is said when nobody asked is said in the language, too."""
        server = await self.serve(services="pop3")
        line = await self.connect(server, "pop3")
        await line.line()
        await self.say(line, "LANG ja")
        await server.stopService()
        self.assertEqual(await line.line(), "-ERR [SYS/TEMP] サーバを止めます")


class Utf8Tests(Pop3Case):
    async def test_refused(self) -> None:
        """Where the operator says so, who has not said UTF8 hears why it does not get a message; others pass."""
        server = await self.serve('[pop3]\nutf8_messages = "refuse"', services="pop3")
        await self.fill(server, UTF8, OLD, BODY)
        await self.play_file(await self.connect(server, "pop3"), "pop3_utf8.txt")
        self.assertEqual(await self.mailbox(server, "alice"), [UTF8, BODY])

    async def test_said(self) -> None:
        server = await self.serve(services="pop3")
        await self.fill(server, UTF8)
        await self.play_file(await self.connect(server, "pop3"), "pop3_utf8_on.txt")

    async def test_large(self) -> None:
        """A message that is streamed is refused before anything of it is promised."""
        server = await self.serve('[pop3]\nutf8_messages = "refuse"', services="pop3")
        long = b"X-Filler: " + b"x" * 900 + b"\r\n"
        body = b"\r\n" + b"x" * 70 * 1024 + b"\r\n"
        # The second has its UTF-8 behind what is read of a message at once.
        messages = (UTF8 + body, long * (LARGE // 900) + UTF8 + body, long * 20 + OLD + body, BODY + body)
        await self.fill(server, *messages)
        line = await self.log_in(server)
        for number, heard in enumerate(("-ERR [UTF8]", "-ERR [UTF8]", "+OK", "+OK"), 1):
            for command in (f"RETR {number}", f"TOP {number} 0"):
                self.assertEqual((await self.say(line, command))[:len(heard)], heard, command)
                if heard == "+OK":
                    await self.multiline_octets(line)
        self.assertRegex(await self.say(line, "STAT"), r"^\+OK 4 ")

    async def test_downgraded(self) -> None:
        """Else it gets a surrogate of the same text, small or large, and the octets that are announced."""
        server = await self.serve(services="pop3")
        body = b"\r\n" + b"x" * 70 + b"\r\n"
        for more in (body, body * 1000):
            await self.fill(server, UTF8 + more, OLD + more)
            line = await self.log_in(server)
            head = await self.say(line, "RETR 1")
            heard = await self.multiline(line)
            self.assertEqual(heard, UTF8.replace("一".encode(), b"=?utf-8?B?5LiA?=") + more)
            self.assertEqual(head, f"+OK {len(heard)} octets")
            await self.say(line, "TOP 1 0")
            self.assertEqual(await self.multiline(line), b"Subject: =?utf-8?B?5LiA?=\r\n\r\n")
            line.say(b"RETR 2\r\nDELE 1\r\nDELE 2\r\nQUIT\r\n")
            await line.closed
            self.assertIn(OLD + more, line.heard)
            self.assertEqual(await self.left(server), 0)

    async def multiline_octets(self, line: Line) -> None:
        while await line.line() != ".":
            pass

    async def test_sent(self) -> None:
        """Where the operator says so, everybody gets everything."""
        server = await self.serve('[pop3]\nutf8_messages = "send"', services="pop3")
        await self.fill(server, UTF8)
        line = await self.log_in(server)
        self.assertRegex(await self.say(line, "RETR 1"), r"^\+OK")
        self.assertEqual(await self.multiline(line), UTF8)

    async def test_names(self) -> None:
        """UTF8 USER: a name and a password beyond ASCII, in whatever composition, by each way."""
        server = await self.serve(services="pop3")
        bob = await server.database.read(directory.accounts)

        def known(connection: object) -> None:
            [account] = [each for each in bob if each.address.local == "bob"]
            directory.set_credentials(connection, account.id, credentials.derive("ひみつ\u00e9"))  # type: ignore[arg-type]

        await server.database.write(known)
        decomposed = "ひみつe\u0301"
        plain = base64.b64encode(f"\0bob@example.org\0{decomposed}".encode()).decode()
        for commands in (("USER bob@example.org", f"PASS {decomposed}"), (f"AUTH PLAIN {plain}",)):
            line = await self.connect(server, "pop3")
            await line.line()
            for command in commands:
                self.assertRegex(await self.say(line, command), r"^\+OK")
            await self.say(line, "QUIT")
        line = await self.connect(server, "pop3")
        await line.line()
        line.say(b"USER \xff\xfe\r\n")
        self.assertEqual(await line.line(), "-ERR that is not UTF-8")


class OperatorTests(Pop3Case):
    async def capabilities(self, line: Line) -> list[str]:
        self.assertEqual(await self.say(line, "CAPA"), "+OK")
        return (await self.multiline(line)).decode().split("\r\n")

    async def test_capabilities(self) -> None:
        """What is configured is announced, before a login and after it."""
        server = await self.serve('[pop3]\nexpire = 30\nlogin_delay = "1.5 s"', services="pop3")
        line = await self.connect(server, "pop3")
        await line.line()
        for _ in range(2):
            self.assertLessEqual({"EXPIRE 30", "LOGIN-DELAY 2"}, set(await self.capabilities(line)))
            line.say(b"USER alice@example.org\r\nPASS secret\r\n")
            for _ in range(2):
                await line.line()

    async def test_login_delay(self) -> None:
        """An account that has just been there waits; a wrong password, and a mailbox in use, are no visits."""
        server = await self.serve("[pop3]\nlogin_delay = 1", services="pop3")
        line = await self.connect(server, "pop3")
        await line.line()
        await self.say(line, "USER alice@example.org")
        self.assertRegex(await self.say(line, "PASS wrong"), r"^-ERR \[AUTH\]")
        first = await self.log_in(server)
        await self.say(line, "USER alice@example.org")
        self.assertEqual(await self.say(line, "PASS secret"), "-ERR [LOGIN-DELAY] log in once in 1 seconds at the most")
        await deferLater(reactor, 1.1, lambda: None)
        await self.say(line, "USER alice@example.org")
        self.assertRegex(await self.say(line, "PASS secret"), r"^-ERR \[IN-USE\]")
        await self.say(first, "QUIT")
        await self.say(line, "USER alice@example.org")
        self.assertRegex(await self.say(line, "PASS secret"), r"^\+OK")

    async def test_no_tls(self) -> None:
        """Where nobody can ever log in from elsewhere, it is not the client's fault."""
        server = await self.serve(services="pop3")
        talker = self.talker(server, "192.0.2.1")
        talker.receive(b"USER alice@example.org\r\n")
        answer = await talker.next()
        assert answer is not None
        self.assertRegex(answer.data, rb"^-ERR \[AUTH\] ")
        talker = Pop3Session(replace(talker._policy, tls=False), "192.0.2.1", 1)
        talker.receive(b"AUTH PLAIN\r\n")
        answer = await talker.next()
        assert answer is not None
        self.assertRegex(answer.data, rb"^-ERR \[SYS/PERM\] ")

    def talker(self, server: MailServer, address: str) -> Pop3Session:
        [factory] = [factory for factory, listen in server._factories if listen.service == "pop3"]
        talker = factory.talk(address, 1)
        assert isinstance(talker, Pop3Session)
        return talker

    async def test_no_mailbox(self) -> None:
        """An account without an inbox is a matter for the operator, and its lock is given back."""
        server = await self.serve(services="pop3")
        assert server.rooms is not None
        store = next(iter(server.rooms.stores.values()))

        async def none(account: object, name: str) -> None:
            raise NotFound("no such mailbox")

        line = await self.connect(server, "pop3")
        await line.line()
        original = store.open
        self.patch(store, "open", none)
        await self.say(line, "USER alice@example.org")
        self.assertRegex(await self.say(line, "PASS secret"), r"^-ERR \[SYS/PERM\] there is no mailbox for you \(\w+\)")
        self.patch(store, "open", original)
        await self.say(line, "USER alice@example.org")
        self.assertRegex(await self.say(line, "PASS secret"), r"^\+OK")

    async def test_figures(self) -> None:
        """Logins are counted by how they were made."""
        server = await self.serve(services="pop3")
        plain = base64.b64encode(b"\0alice@example.org\0secret").decode()
        for commands in (("USER alice@example.org", "PASS secret"), (f"AUTH PLAIN {plain}",), ("AUTH PLAIN", plain)):
            line = await self.connect(server, "pop3")
            await line.line()
            for command in commands:
                await self.say(line, command)
            await self.say(line, "QUIT")
        auth = self.talker(server, "127.0.0.1")._policy.figures.auth
        self.assertEqual((auth["pop3", "USER", "right"], auth["pop3", "SASL", "right"]), (1, 2))
