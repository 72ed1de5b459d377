"""POP3 as its clients hear it, with a whole server behind."""

from __future__ import annotations

import base64
import os
import poplib
import ssl
from collections.abc import Callable
from typing import Any

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue

from mailserver.address import Address
from mailserver.content import LARGE
from mailserver.interfaces import INBOX, Account, Delivery
from mailserver.net.answer import Answer, Then
from mailserver.service import MailServer
from mailserver.session import authorization, pop3, pop3transaction
from mailserver.session.pop3 import Pop3Session
from mailserver.store import locks
from mailserver.store.contents import Incoming
from mailserver.testing import Line
from mailserver.testing.stores import octets
from tests.needs import program
from tests.serving import ServerCase, reactor

MESSAGES = (b"Subject: 1\r\n\r\none\r\n", b"Subject: 2\r\n\r\n.dot\r\n\0", b"Subject: 3\r\n")
SLOW = b"".join(b"%0100d\r\n" % number for number in range(10_000))

ENDLESS = '''
from mailserver.interfaces import INBOX, IMailbox, IMailboxStore, Message, NoOptions
from mailserver.plugin import MailboxOffer
from zope.interface import implementer

PIECE = b"x" * 254 + b"\\r\\n"


@implementer(IMailbox)
class Box:
    name, uidvalidity, given, ended = INBOX, 1, 0, False

    async def messages(self):
        return [Message(1, len(PIECE) * 1024 * 400, 0.0, 0), Message(2, 100_000, 0.0, 0), Message(3, 10, 0.0, 0)]

    async def read(self, uid):
        if uid == 2:
            yield b"Subject: 2\\r\\n\\r\\n" + PIECE * 10
            raise OSError("as asked")
        try:
            for self.given in range(400):
                yield PIECE * 1024
        finally:
            self.ended = True

    async def beginning(self, uid, count):
        return b""

    async def read_many(self, uids):
        return {}

    async def remove(self, uids):
        raise OSError("as asked")


@implementer(IMailboxStore)
class Endless:
    Options = NoOptions

    def __init__(self, options, server):
        self.box = Box()

    async def deliver(self, delivery):
        pass

    async def mailboxes(self, account):
        return [INBOX]

    async def open(self, account, name):
        return self.box


offer = MailboxOffer("endless", Endless, "Messages without end.")
'''


class Pop3Case(ServerCase):
    def setUp(self) -> None:
        self.patch(authorization, "FAILURE_WAIT", 0.05)

    async def alice(self, server: MailServer) -> Account:
        account = await server.directory.account(Address("alice", "example.org"))
        assert account is not None
        return account

    async def fill(self, server: MailServer, *messages: bytes) -> None:
        """Put messages into alice's INBOX."""
        account = await self.alice(server)
        assert server.rooms is not None
        store = next(iter(server.rooms.stores.values()))
        for each in messages:
            id = server.world.new_id()
            incoming = Incoming(server.database.contents, f"{id:x}", server.world.in_thread)
            await incoming.write(each)
            await store.deliver(Delivery(id, id, account, INBOX, b"", await incoming.finish(), 1_700_000_000.0))

    async def log_in(self, server: MailServer) -> Line:
        """A connection on which alice has logged in."""
        line = await self.connect(server, "pop3")
        line.say(b"USER alice@example.org\r\nPASS secret\r\n")
        for _ in range(3):
            self.assertRegex(await line.line(), r"^\+OK")
        return line

    async def say(self, line: Line, command: str) -> str:
        """A command and the first line of its response."""
        line.say(command.encode() + b"\r\n")
        return await line.line()

    async def multiline(self, line: Line) -> bytes:
        """The rest of a multi-line response, as a client reads it."""
        lines = []
        while (text := await line.line()) != ".":
            self.assertNotEqual(text, "(closed)")
            lines.append(text.removeprefix(".") + "\r\n")
        return "".join(lines).encode()

    async def left(self, server: MailServer) -> int:
        return len(await self.mailbox(server, "alice"))

    def port(self, server: MailServer) -> tuple[str, int]:
        [found] = [each.port.getHost() for each in server.listeners if each.service == "pop3"]
        return found.host, found.port


class DialogueTests(Pop3Case):
    async def test_session(self) -> None:
        """All commands, in order."""
        server = await self.serve(services="pop3")
        await self.fill(server, MESSAGES[0], b"Subject: 2\r\n\r\n.dot\r\nx", MESSAGES[2])
        await self.play_file(await self.connect(server, "pop3"), "pop3.txt")
        self.assertEqual(await self.mailbox(server, "alice"), [MESSAGES[0], MESSAGES[2]])

    async def test_stls(self) -> None:
        server = await self.serve(services="pop3")
        await self.fill(server, *MESSAGES)
        await self.play_file(await self.connect(server, "pop3"), "pop3_stls.txt")

    async def test_stls_injection(self) -> None:
        """A command, a part of one, and a handshake in the same segment."""
        server = await self.serve(services="pop3")
        await self.play_file(await self.connect(server, "pop3"), "pop3_stls_injection.txt")
        for rest in (b"U", b"\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
            line = await self.connect(server, "pop3")
            line.say(b"STLS\r\n" + rest)
            self.assertRegex(await line.line(), r"^\+OK")
            self.assertEqual(await line.line(), "(closed)")

    async def test_sasl(self) -> None:
        server = await self.serve(services="pop3")
        await self.fill(server, *MESSAGES)
        await self.play_file(await self.connect(server, "pop3"), "pop3_sasl.txt")


class LoginTests(Pop3Case):
    async def test_guessing(self) -> None:
        """An unknown name and a wrong password hear the same words, and who guesses three times is sent away."""
        server = await self.serve(services="pop3")
        line = await self.connect(server, "pop3")
        await line.line()
        heard = set()
        for name in ("alice@example.org", "nobody@example.org", "bob@example.org"):
            await self.say(line, f"USER {name}")
            heard.add(await self.say(line, "PASS wrong"))
        self.assertEqual(heard, {"-ERR [AUTH] name or password is wrong"})
        self.assertEqual(await line.line(), "(closed)")

    async def test_guessing_takes_time(self) -> None:
        """A second each, during which others are served."""
        self.patch(authorization, "FAILURE_WAIT", 0.5)
        server = await self.serve(services="pop3")
        guessing, other = await self.connect(server, "pop3"), await self.connect(server, "pop3")
        await guessing.line()
        guessing.say(b"USER x\r\nPASS y\r\n" * 20)
        await guessing.line()
        began = reactor.seconds()
        await other.line()
        await self.say(other, "CAPA")
        self.assertLess(reactor.seconds() - began, 0.4)
        while await guessing.line() != "(closed)":
            pass
        self.assertGreater(reactor.seconds() - began, 1.2)

    async def test_another_name(self) -> None:
        """Nobody acts for another."""
        server = await self.serve(services="pop3")
        line = await self.connect(server, "pop3")
        await line.line()
        message = base64.b64encode(b"bob@example.org\0alice@example.org\0secret").decode()
        self.assertRegex(await self.say(line, f"AUTH PLAIN {message}"), r"^-ERR \[AUTH\]")

    async def test_clear_text(self) -> None:
        """From elsewhere passwords are taken inside TLS only, unless the operator allows it."""
        server = await self.serve(services="pop3")
        for address, allowed in (("192.0.2.1", False), ("2001:db8::1", False), ("127.0.0.9", True), ("::1", True)):
            for command in (b"USER alice@example.org", b"PASS x", b"AUTH PLAIN"):
                answer = await self.session(server, address, command)
                self.assertEqual(answer.data.startswith(b"-ERR [AUTH] passwords are taken inside TLS"), not allowed)
            self.assertEqual(b"\r\nUSER\r\n" in (await self.session(server, address, b"CAPA")).data, allowed)
        server = await self.serve("clear_passwords = true", services="pop3")
        self.assertRegex((await self.session(server, "192.0.2.1", b"USER alice@example.org")).data, rb"^\+OK")

    async def session(self, server: MailServer, address: str, command: bytes) -> Answer:
        """What a peer at this address hears to one command."""
        [factory] = [factory for factory, listen in server._factories if listen.service == "pop3"]
        talker = factory.talk(address, 1)
        assert isinstance(talker, Pop3Session)
        talker.receive(command + b"\r\n")
        answer = await talker.next()
        assert answer is not None
        return answer

    async def test_errors(self) -> None:
        """Errors without end have an end."""
        server = await self.serve(services="pop3")
        line = await self.connect(server, "pop3")
        line.say(b"GET / HTTP/1.1\r\n" * 200)
        heard = 0
        while (await line.line()) != "(closed)":
            heard += 1
        self.assertEqual(heard, 1 + pop3.MOST_ERRORS + 1)

    async def test_endless_line(self) -> None:
        server = await self.serve(services="pop3")
        line = await self.connect(server, "pop3")
        await line.line()
        for _ in range(20):
            line.say(b"x" * 8192)
        self.assertEqual(await line.line(), "-ERR that line is too long")
        self.assertEqual(await line.line(), "-ERR that line does not end")
        self.assertEqual(await line.line(), "(closed)")


class LockTests(Pop3Case):
    async def test_in_use(self) -> None:
        """Two sessions in one mailbox: the second waits for the end of the first, however that ends."""
        server = await self.serve(services="pop3")
        endings: tuple[Callable[[Line], Any], ...] = (
            lambda line: line.say(b"QUIT\r\n"), lambda line: line.transport.abortConnection(),
        )
        for end in endings:
            first = await self.log_in(server)
            second = await self.connect(server, "pop3")
            await second.line()
            await self.say(second, "USER alice@example.org")
            self.assertEqual(
                await self.say(second, "PASS secret"), "-ERR [IN-USE] another session has this mailbox open"
            )
            self.assertEqual(await self.say(second, "STAT"), "-ERR log in first")
            end(first)

            async def opened(line: Line = second) -> bool:
                await self.say(line, "USER alice@example.org")
                return (await self.say(line, "PASS secret")).startswith("+OK")

            await self.until(opened)
            await self.say(second, "QUIT")
            await self.until(lambda: self.free(server))

    async def free(self, server: MailServer) -> bool:
        """Whether nobody holds alice's mailbox."""
        name = f"pop3/{(await self.alice(server)).id}"
        taken = await server.database.write(locks.take, name, "test", 1.0, 2.0)
        await server.database.write(locks.release, name, "test")
        return taken

    async def test_dead_server(self) -> None:
        """What another server holds is in use while it lives, and free when its lease has ended."""
        server = await self.serve(services="pop3")
        alice = await self.alice(server)
        now = server.world.now()
        await server.database.write(locks.take, f"pop3/{alice.id}", "other", now, now + 60)
        line = await self.connect(server, "pop3")
        await line.line()
        await self.say(line, "USER alice@example.org")
        self.assertRegex(await self.say(line, "PASS secret"), r"^-ERR \[IN-USE\]")
        await server.database.write(locks.renew, "other", now - 1)
        await self.say(line, "USER alice@example.org")
        self.assertRegex(await self.say(line, "PASS secret"), r"^\+OK")

    async def test_hung_up(self) -> None:
        """Whoever hangs up while the login is being checked leaves no lock behind."""
        server = await self.serve(services="pop3")
        for wait in (0, 0.001, 0.005, 0.02, 0.05, 0.1):
            line = await self.connect(server, "pop3")
            line.say(b"USER alice@example.org\r\nPASS secret\r\n")
            await deferLater(reactor, wait, lambda: None)
            line.transport.abortConnection()
            await line.closed
        await deferLater(reactor, 0.3, lambda: None)
        await self.until(lambda: self.free(server))
        await self.log_in(server)


class MailTests(Pop3Case):
    async def test_lost_connection(self) -> None:
        """Who hangs up without QUIT has deleted nothing."""
        server = await self.serve(services="pop3")
        await self.fill(server, *MESSAGES)
        line = await self.log_in(server)
        await self.say(line, "DELE 1")
        line.transport.loseConnection()
        await line.closed
        self.assertEqual(await self.left(server), 3)

    async def test_uidl(self) -> None:
        """Identifiers stay when other messages go."""
        server = await self.serve(services="pop3")
        await self.fill(server, *MESSAGES)
        found: list[list[str]] = []
        for last in ("DELE 2", "NOOP"):
            line = await self.log_in(server)
            await self.say(line, "UIDL")
            found.append([each.split()[1] for each in (await self.multiline(line)).decode().splitlines()])
            await self.say(line, last)
            await self.say(line, "QUIT")
            await line.closed
        first, _, third = found[0]
        self.assertEqual(found[1], [first, third])
        self.assertEqual(len(set(found[0])), 3)

    async def test_large(self) -> None:
        """Five megabytes, octet for octet; their top without the rest."""
        server = await self.serve(services="pop3")
        message = b"Subject: large\r\n\r\n" + b".\r\n..\r\n\r\n" + SLOW * 5
        await self.fill(server, message)
        line = await self.log_in(server)
        self.assertEqual(await self.say(line, "RETR 1"), f"+OK {len(message)} octets")
        self.assertTrue(await self.multiline(line) == message)
        self.assertEqual(await self.say(line, "TOP 1 2"), "+OK")
        self.assertEqual(await self.multiline(line), b"Subject: large\r\n\r\n.\r\n..\r\n")
        self.assertEqual(await self.say(line, "TOP 1 4000000000"), "+OK")
        self.assertTrue(await self.multiline(line) == message)
        self.assertEqual(await self.say(line, "NOOP"), "+OK")

    async def test_octets(self) -> None:
        """Any octets; a message without an end gets one."""
        server = await self.serve(services="pop3")
        await self.fill(server, b"nul \0 8-bit \xff no end")
        line = await self.log_in(server)
        line.say(b"RETR 1\r\nQUIT\r\n")
        await line.closed
        self.assertEqual(line.heard, b"+OK 20 octets\r\nnul \0 8-bit \xff no end\r\n.\r\n+OK bye\r\n")

    async def test_pipelining(self) -> None:
        """A thousand commands in one segment are answered in their order."""
        server = await self.serve(services="pop3")
        messages = [b"Subject: %d\r\n\r\n" % number + b"x" * (number * 40) + b"\r\n" for number in range(300)]
        messages[100] += octets(2 * LARGE).replace(b"\n", b"").replace(b"\r", b"").replace(b".", b"") + b"\r\n"
        await self.fill(server, *messages)
        line = await self.log_in(server)
        commands = []
        for number in range(300):
            commands += [f"RETR {number + 1}", f"DELE {number + 1}", "STAT"]
        line.say(("\r\n".join([*commands, "RETR 1", "QUIT"]) + "\r\n").encode())
        expected = b""
        total = sum(map(len, messages))
        for number, message in enumerate(messages, 1):
            total -= len(message)
            expected += b"+OK %d octets\r\n" % len(message) + message + b".\r\n"
            expected += b"+OK message %d will be deleted at QUIT\r\n+OK %d %d\r\n" % (number, 300 - number, total)
        expected += b"-ERR there is no such message\r\n+OK bye\r\n"
        await line.closed
        self.assertTrue(line.heard == expected)
        self.assertEqual(await self.left(server), 0)

    async def test_order(self) -> None:
        """Forth, back, and the same again; what is read ahead is never somebody else's."""
        server = await self.serve(services="pop3")
        messages = [b"%d\r\n" % number for number in range(1, 31)]
        await self.fill(server, *messages)
        line = await self.log_in(server)
        for number in (1, 2, 3, 3, 2, 30, 1, 2, 29, 30, 15, 16, 17):
            self.assertEqual(await self.say(line, f"RETR {number}"), f"+OK {len(messages[number - 1])} octets")
            self.assertEqual(await self.multiline(line), messages[number - 1])

    async def test_gone(self) -> None:
        """A message that went behind the session's back is an error before anything is promised."""
        server = await self.serve(services="pop3")
        await self.fill(server, b"small\r\n", octets(2 * LARGE), b"last\r\n")
        line = await self.log_in(server)
        assert server.rooms is not None
        box = await next(iter(server.rooms.stores.values())).open(await self.alice(server), INBOX)
        await box.remove([each.uid for each in await box.messages()][:2])
        for command in ("RETR 1", "RETR 2", "TOP 1 0", "TOP 2 0"):
            self.assertEqual(await self.say(line, command), "-ERR that message is gone")
        self.assertEqual(await self.say(line, "RETR 3"), "+OK 6 octets")

    async def test_maildir(self) -> None:
        """The same over Maildir, where another program delivers too."""
        server = await self.serve('[[mailbox]]\nuse = "maildir"\n', services="pop3")
        await self.fill(server, *MESSAGES[:1])
        folder = server.config.data / "maildir" / "example.org" / "alice"
        (folder / "new" / "1.x.host").write_bytes(b"Subject: LF\n\n.\nx\n")
        line = await self.log_in(server)
        self.assertEqual(await self.say(line, "RETR 2"), "+OK 21 octets")
        self.assertEqual(await self.multiline(line), b"Subject: LF\r\n\r\n.\r\nx\r\n")
        self.assertEqual(await self.say(line, "STAT"), f"+OK 2 {len(MESSAGES[0]) + 21}")
        await self.say(line, "DELE 2")
        self.assertEqual(await self.say(line, "QUIT"), "+OK bye")
        self.assertEqual(await self.mailbox(server, "alice"), [MESSAGES[0]])


class HostileTests(Pop3Case):
    async def endless(self) -> tuple[MailServer, Any]:
        path = self.configure('[[mailbox]]\nuse = "endless"\n[plugins]\nfolders = ["plugins"]\n', "pop3")
        (path.parent / "plugins").mkdir()
        (path.parent / "plugins" / "endless.py").write_text(ENDLESS)
        server = self.start(path)
        assert server.rooms is not None
        return server, server.rooms.stores["endless"].box  # type: ignore[attr-defined]

    async def test_who_does_not_read(self) -> None:
        """A hundred megabytes for somebody who does not read them stay where they are, and others are served."""
        server, box = await self.endless()
        line = await self.log_in(server)
        line.transport.pauseProducing()
        line.say(b"RETR 1\r\nRETR 1\r\n")
        await deferLater(reactor, 0.5, lambda: None)
        given = box.given
        self.assertLess(given, 100)             # of 400 pieces of 256 KiB: what the sockets hold
        other = await self.connect(server, "pop3")
        began = reactor.seconds()
        await other.line()
        await self.say(other, "CAPA")
        self.assertLess(reactor.seconds() - began, 1.0)
        self.assertEqual(box.given, given)
        line.transport.abortConnection()
        await line.closed

        async def ended() -> bool:
            return bool(box.ended)

        await self.until(ended)

    async def test_broken_in_the_middle(self) -> None:
        """A message that cannot be read to its end does not look like one that was; nothing is said inside it."""
        server, _ = await self.endless()
        line = await self.log_in(server)
        line.say(b"RETR 2\r\nNOOP\r\n")
        await line.closed
        self.assertEqual(line.heard, b"+OK 100000 octets\r\nSubject: 2\r\n\r\n" + (b"x" * 254 + b"\r\n") * 10)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    async def test_deleting_fails(self) -> None:
        """QUIT says so, with an id, and the mailbox is free again."""
        server, _ = await self.endless()
        line = await self.log_in(server)
        self.assertEqual(await self.say(line, "RETR 3"), "-ERR that message is gone")
        await self.say(line, "DELE 3")
        self.assertRegex(await self.say(line, "QUIT"), r"^-ERR \[SYS/TEMP\] nothing was deleted \(\w{13}\)$")
        self.assertEqual(await line.line(), "(closed)")
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        await self.log_in(server)

    async def test_long_answers(self) -> None:
        """Thousands of long answers asked for at once are made as they are read, not all before."""
        server = await self.serve(services="pop3")
        await self.fill(server, b"Subject: x\r\n\r\n" + b"y" * 60_000 + b"\r\n")
        [factory] = [factory for factory, listen in server._factories if listen.service == "pop3"]
        talker = factory.talk("127.0.0.1", 1)
        talker.receive(b"USER alice@example.org\r\nPASS secret\r\n" + b"RETR 1\r\n" * 100)
        joined = longest = 0
        while talker.buffered:
            answer = await talker.next()
            assert answer is not None and answer.then is Then.GO_ON
            joined = joined + len(answer.data) if answer.stream is None else 0
            longest = max(longest, joined)
        self.assertGreater(longest, 0)
        self.assertLess(longest, 2 * pop3transaction.MOST_JOINED)
        talker.lost()

    async def test_listing_again_and_again(self) -> None:
        """Ten thousand STAT and LIST over a thousand messages do not keep others waiting."""
        server = await self.serve(services="pop3")
        await self.fill(server, *[b"x"] * 1000)
        line, other = await self.log_in(server), await self.connect(server, "pop3")
        await other.line()
        line.transport.pauseProducing()
        line.say(b"STAT\r\nLIST\r\n" * 10_000)
        worst = 0.0
        for _ in range(20):
            began = reactor.seconds()
            await self.say(other, "CAPA")
            while await other.line() != ".":
                pass
            worst = max(worst, reactor.seconds() - began)
        self.assertLess(worst, 1.0)


class ClientTests(Pop3Case):
    """Clients that others wrote."""

    async def test_poplib(self) -> None:
        server = await self.serve(services="pop3")
        await self.fill(server, *MESSAGES)
        host, port = self.port(server)

        def talk() -> None:
            client = poplib.POP3(host, port, timeout=20)
            self.assertIn("STLS", client.capa())
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            client.stls(context)
            client.user("alice@example.org")
            client.pass_("secret")
            self.assertEqual(client.stat(), (3, sum(map(len, MESSAGES))))
            self.assertEqual(client.list()[1], [b"%d %d" % (n, len(text)) for n, text in enumerate(MESSAGES, 1)])
            self.assertEqual(len(set(client.uidl()[1])), 3)
            self.assertEqual(client.retr(2)[1], [b"Subject: 2", b"", b".dot", b"\0"])
            self.assertEqual(client.top(1, 0)[1], [b"Subject: 1", b""])
            client.dele(1)
            client.quit()

        await deferToThread(talk)
        self.assertEqual(await self.left(server), 2)

    async def test_implicit_tls(self) -> None:
        server = await self.serve(
            '[[listen]]\nservice = "pop3"\nendpoint = "tcp:0:interface=127.0.0.1"\ntls = "implicit"\n', services=""
        )
        await self.fill(server, *MESSAGES)
        host, port = self.port(server)

        def talk() -> None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            client = poplib.POP3_SSL(host, port, timeout=20, context=context)
            self.assertNotIn("STLS", client.capa())
            client.user("alice@example.org")
            client.pass_("secret")
            self.assertEqual(client.retr(1)[1], [b"Subject: 1", b"", b"one"])
            client.quit()

        await deferToThread(talk)

    async def test_curl(self) -> None:
        """curl lists, fetches, looks at tops and deletes, in clear on loopback and inside TLS."""
        server = await self.serve(services="pop3")
        large = b"Subject: large\r\n\r\n" + SLOW
        await self.fill(server, *MESSAGES, large)
        for tls in ([], ["--ssl-reqd", "--insecure"]):
            self.assertEqual(await self.curl(server, "", *tls), b"1 19\r\n2 21\r\n3 12\r\n4 %d\r\n" % len(large))
            self.assertEqual(await self.curl(server, "1", *tls), MESSAGES[0])
            self.assertTrue(await self.curl(server, "4", *tls) == large)
            self.assertEqual(await self.curl(server, "", "-X", "TOP 2 1", *tls), b"Subject: 2\r\n\r\n.dot\r\n")
            self.assertRegex(await self.curl(server, "", "-X", "UIDL", *tls), rb"^1 \d+\.1\r\n2 ")
        await self.curl(server, "1", "-X", "DELE", "--list-only")
        self.assertEqual(await self.left(server), 3)

    async def test_curl_mechanisms(self) -> None:
        """Every way to log in that curl knows of ours."""
        server = await self.serve(services="pop3")
        await self.fill(server, *MESSAGES)
        for options in ("AUTH=PLAIN", "AUTH=LOGIN", "AUTH=*"):
            for more in ([], ["--sasl-ir"]):
                self.assertEqual(await self.curl(server, "1", "--login-options", options, *more), MESSAGES[0])

    async def curl(self, server: MailServer, path: str, *options: str) -> bytes:
        host, port = self.port(server)
        out, err, code = await getProcessOutputAndValue(
            program("curl"),
            ["--silent", "--show-error", "--max-time", "30", "--user", "alice@example.org:secret", *options,
             f"pop3://{host}:{port}/{path}"],
            env=os.environ,
        )
        self.assertEqual((code, err), (0, b""))
        return out
