"""Lines that are too long, too odd or too many; what is a command to a shell, a format, a template or a terminal."""

from __future__ import annotations

import io
import json

from twisted.internet import tcp
from twisted.internet.task import deferLater
from twisted.logger import globalLogPublisher

from mailserver.logs import LineObserver
from mailserver.service import MailServer
from mailserver.smtp.server import MOST_SWALLOWED
from tests.attacks.case import AttackCase
from tests.serving import reactor

MANY_ERRORS = "[limits]\nerrors = 10000\ntarpit = 0\n"
# What other programs would do something with.
SPELLS = (
    "${run{/bin/sh}}", "${lookup", "$(id)", "`id`", ";sh;", "|/bin/sh", "&&id", "%n%n%s%x", "{log_time.__class__}",
    "{0.__class__.__mro__}", "{{7*7}}", "<%=1%>", "#{1}", "${jndi:ldap://x/y}", "\\x1b]0;x\\x07", "x/..%2f..%2f",
    "';DROP--", "<script>", "=?utf-8?q?x?=", "%00", "!bang", "*", "()", "@",
)
CONTROLS = tuple(bytes([octet]) for octet in (*range(1, 10), 11, 12, *range(14, 32), 127, 128, 0x85, 0x9B, 0xA0, 0xFF))
BEYOND = ("\x85", "\x9b2J", "\u2028", "\u2029", "\u202e", "\ufeff", "\U000e0001", "\ud7ff", "é")

COMMANDS = (
    b"EHLO x%by", b"NOOP %b", b"VRFY %b", b"EXPN %b", b"HELP %b", b"ETRN %b", b"X%bY", b"%b",
    b"MAIL FROM:<a%b@example.net>", b"MAIL FROM:<a@exa%bmple.net>", b'MAIL FROM:<"a%b"@example.net> X=%b',
    b"MAIL FROM:<> SIZE=%b", b"MAIL FROM:<>%b", b"AUTH %b", b"AUTH PLAIN %b", b"STARTTLS%b", b"BDAT%b 1",
    b"XCLIENT ADDR=%b", b"XFORWARD NAME=%b", b"LHLO %b",
)
RECIPIENTS = (b"<bob%b@example.org>", b"<bob@exam%bple.org>", b'<"bob%b"@example.org>', b"%b<bob@example.org>")
OTHER_PROTOCOLS = (
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: 90\r\n\r\nEHLO x\r\nMAIL FROM:<>\r\n",
    b"CONNECT x:25 HTTP/1.0\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"OPTIONS / RTSP/1.0\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x11" * 200, b"\x03\x00\x00\x13\x0e\xe0\x00\x00",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\nEHLO x\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + b"\x01" * 12,
    b"\x05\x01\x00", b"\x80\x2e\x01\x00\x02",
)
ERRORS = (
    b"XYZZY\r\n", b"\r\n", b"MAIL FROM:<\r\n", b"DATA\r\n", b"BDAT 1\r\nx", b"x" * 3000 + b"\r\n", b"STARTTLS x\r\n",
)


def is_clean(octets: bytes) -> bool:
    """Lines of printable characters, each a reply."""
    return all(
        line[:3].isdigit() and line[3:4] in (b" ", b"-") and line.decode().isprintable()
        for line in octets.split(b"\r\n") if line
    )


class LongTests(AttackCase):
    async def test_eight_megabytes_without_an_end(self) -> None:
        """In each phase: given up after little, and what came is not kept."""
        server = await self.serve()
        commands = ("EHLO x", "MAIL FROM:<>", "RCPT TO:<bob@example.org>")
        for count in range(4):
            line = await self.connect(server)
            await line.reply()
            for command in commands[:count]:
                self.assertRegex(await line.ask(command), "^250")
            sent = 0
            while not line.is_closed and sent < 8 << 20:
                line.say(b"x" * 65536)
                sent += 65536
                await deferLater(reactor, 0, lambda: None)
            heard = await self.to_the_end(line)
            self.assertRegex(heard, rb"^(500 5\.5\.2 Line too long [^\r\n]*\r\n){1,2}$")
            await self.is_polite(server)

    async def test_too_long_in_each_phase(self) -> None:
        """One error, and the next line is read."""
        server = await self.serve()
        line = await self.connect(server)
        await line.reply()
        for command in ("EHLO x", "MAIL FROM:<>", "RCPT TO:<bob@example.org>", "RSET"):
            for length in (2047, 2048, 4096, MOST_SWALLOWED // 2):
                self.assertRegex(await line.ask("NOOP " + "x" * length), r"^500 5\.5\.2 Line too long ")
            self.assertRegex(await line.ask(command), "^250")

    async def test_too_long_for_auth(self) -> None:
        """An exchange takes longer lines, and no endless ones; it is over then."""
        server = await self.serve()
        line = await self.greeted(server)
        await line.ask("STARTTLS")
        await line.start_tls()
        await line.ask("EHLO x")
        self.assertRegex(await line.ask("AUTH PLAIN " + "A" * 8000), "^5")
        self.assertRegex(await line.ask("AUTH PLAIN " + "A" * 13000), r"^500 5\.5\.2 ")
        self.assertRegex(await line.ask("AUTH LOGIN"), "^334 ")
        self.assertRegex(await line.ask("A" * 13000), r"^500 5\.5\.2 ")
        self.assertEqual(await line.ask("NOOP"), "250 2.0.0 Ok")

    async def test_absurd_parameters(self) -> None:
        server = await self.serve(MANY_ERRORS)
        await self.play_file(await self.connect(server), "absurd.txt")
        await self.assert_nothing_came_of_it(server)

    async def test_many_parameters(self) -> None:
        """As many as a line holds."""
        server = await self.serve(MANY_ERRORS)
        line = await self.greeted(server)
        for parameter in ("A=", "SIZE=1 ", "X ", "= ", "BODY=8BITMIME ", "\t "):
            said = "MAIL FROM:<a@example.net> " + parameter * (2000 // len(parameter))
            self.assertRegex(await line.ask(said[:2040]), "^(5|250)", parameter)
        self.assertRegex(await line.ask("RSET"), "^250")


class OctetTests(AttackCase):
    async def test_control_characters(self) -> None:
        """In every command: an answer of printable characters, and the next is read."""
        server = await self.serve(MANY_ERRORS)
        line = await self.greeted(server)
        for octet in CONTROLS + tuple(each.encode() for each in BEYOND):
            for command in COMMANDS:
                line.say(command.replace(b"%b", octet) + b"\r\n")
                heard = await line.reply()
                self.assertTrue(is_clean(heard.replace("\n", "\r\n").encode()), (command, octet, heard))
                await line.ask("RSET")
        await self.is_polite(server)

    async def test_recipients_of_odd_octets(self) -> None:
        server = await self.serve(MANY_ERRORS)
        line = await self.greeted(server)
        await line.ask("MAIL FROM:<a@example.net>")
        for octet in CONTROLS + tuple(each.encode() for each in BEYOND):
            for form in RECIPIENTS:
                line.say(b"RCPT TO:" + form.replace(b"%b", octet) + b"\r\n")
                heard = await line.reply()
                self.assertTrue(is_clean(heard.replace("\n", "\r\n").encode()), (form, octet, heard))
        await self.assert_nothing_came_of_it(server)

    async def test_other_protocols(self) -> None:
        """HTTP, TLS, SSH, RDP and a proxy that nobody named: closed at once."""
        server = await self.serve()
        for service in ("smtp", "submission", "lmtp"):
            for octets in OTHER_PROTOCOLS:
                line = await self.connect(server, service)
                await line.reply()
                line.say(octets)
                heard = await self.to_the_end(line)
                self.assertTrue(is_clean(heard), heard)
                self.assertNotIn(b"\r\n250", b"\r\n" + heard, octets)
        await self.is_polite(server)


class LiteralTests(AttackCase):
    """Spells in every field are letters: in the store, in the trace, in the log, in what is answered."""

    async def cast(self, server: MailServer) -> list[str]:
        """Each spell wherever it fits; the addresses that were taken as senders."""
        senders: list[str] = []
        for spell in SPELLS:
            local = '"' + spell.replace("\\", "\\\\") + '"'
            line = await self.connect(server)
            await line.reply()
            hello = spell.replace(" ", "")
            self.assertRegex(await line.ask(f"EHLO {hello}"), "^250")
            await line.ask(f"NOOP {spell}")
            await line.ask(f"{spell} x")
            await line.ask(f"VRFY {spell}")
            self.assertRegex(await line.ask(f"MAIL FROM:<{local}@example.net>"), "^250")
            self.assertRegex(await line.ask(f"RCPT TO:<{local}@example.org>"), "^550 5.1.1 ")
            self.assertRegex(await line.ask("RCPT TO:<bob@example.org>"), "^250")
            await line.ask("DATA")
            line.say(f"Subject: {spell}\r\nX: {spell}\r\n {spell}\r\n\r\n{spell}\r\n.\r\n".encode())
            reply = await line.reply()
            self.assertRegex(reply, "^250 ")
            [story] = await self.story(server, reply)
            self.assertEqual(story["client"]["hello"], hello)
            senders.append(story["sender"])
            line.close()
        return senders

    async def test_stored_and_logged_as_letters(self) -> None:
        written = io.StringIO()
        observer = LineObserver(written)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        server = await self.serve(MANY_ERRORS)
        senders = await self.cast(server)
        self.assertEqual(len(set(senders)), len(SPELLS))
        messages = await self.mailbox(server)
        self.assertEqual(len(messages), len(SPELLS))
        for spell, sender, message in zip(SPELLS, senders, messages, strict=True):
            self.assertTrue(message.startswith(f"Return-Path: <{sender}>\r\n".encode()))
            self.assertTrue(message.endswith(f"Subject: {spell}\r\nX: {spell}\r\n {spell}\r\n\r\n{spell}\r\n".encode()))
            self.assertEqual(message.count(b"\r\nReceived: "), 1)
        for line in written.getvalue().split("\n"):
            self.assertTrue(line.isprintable(), line)
            self.assertNotIn("Traceback", line)
        self.assertNotIn("class '", written.getvalue())

    async def test_terminal_escapes(self) -> None:
        """What a terminal would obey is in no log and no reply as it came."""
        written = io.StringIO()
        observer = LineObserver(written)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        server = await self.serve(MANY_ERRORS)
        line = await self.greeted(server)
        for octets in (b"\x1b]0;x\x07", b"\x1b[2J", b"\x9b2J", "\x9b2J".encode(), "\u202e".encode()):
            for command in (b"EHLO %b", b"MAIL FROM:<%b@x.org>", b'MAIL FROM:<"%b"@x.org> SMTPUTF8', b"%b", b"VRFY %b"):
                line.say(command.replace(b"%b", octets) + b"\r\n")
                self.assertTrue((await line.reply()).replace("\n", "").isprintable())
                line.say(b"RCPT TO:<nobody" + octets + b"@example.org>\r\n")
                self.assertTrue((await line.reply()).replace("\n", "").isprintable())
                await line.ask("RSET")
        line.close()
        self.assertTrue(written.getvalue().replace("\n", "").isprintable())
        self.assertTrue(json.dumps(written.getvalue()).isascii())


class ManyTests(AttackCase):
    async def test_twenty_thousand_recipients(self) -> None:
        """A thousand are taken, the others are not now; the message is the thousand's, once for each mailbox."""
        server = await self.serve()
        line = await self.greeted(server)
        await line.ask("MAIL FROM:<a@example.net>")
        for _ in range(20):
            line.say(b"RCPT TO:<bob@example.org>\r\n" * 1000)
            await self.is_polite(server)
        replies = [await line.reply() for _ in range(20_000)]
        self.assertEqual([reply[:3] for reply in replies], ["250"] * 1000 + ["452"] * 19_000)
        await line.ask("DATA")
        line.say(b"x\r\n.\r\n")
        self.assertRegex(await line.reply(), "^250 ")
        self.assertEqual(len(await self.mailbox(server)), 1)

    async def test_twenty_thousand_refused(self) -> None:
        """It has an end long before, and the story of it is short."""
        server = await self.serve()
        line = await self.greeted(server)
        await line.ask("MAIL FROM:<a@example.net>")
        line.say(b"".join(b"RCPT TO:<nobody%d@example.org>\r\n" % number for number in range(20_000)))
        heard = await self.to_the_end(line)
        self.assertLess(heard.count(b"\r\n550 "), 30)
        self.assertRegex(heard, rb"421 4\.7\.0 Too many errors\r\n$")
        await self.is_polite(server)

    async def test_errors_without_end(self) -> None:
        """Of each kind, on each service."""
        server = await self.serve()
        for service in ("smtp", "submission", "lmtp"):
            for command in ERRORS:
                line = await self.greeted(server, service)
                line.say(command * 1000)
                heard = await self.to_the_end(line)
                self.assertLess(heard.count(b"\r\n"), 40, command)
                self.assertRegex(heard, rb"421 4\.7\.0 Too many errors\r\n$")
        await self.is_polite(server)

    async def test_replies_never_read(self) -> None:
        """A peer that asks and asks and never listens: what waits for it is bounded, and it is hung up on."""
        server = await self.serve("[limits]\ntarpit = 0\nidle = 2\n")
        line = await self.greeted(server)
        port = line.transport.getHost().port
        line.transport.pauseProducing()
        asked = b"HELP\r\n" * 10_000
        most = 0
        for _ in range(200):
            if line.is_closed:
                break
            if len(line.transport.dataBuffer) + line.transport._tempDataLen < 1 << 20:
                line.transport.write(asked)
            await deferLater(reactor, 0.01, lambda: None)
            most = max([most, *(len(each.dataBuffer) + each._tempDataLen for each in self.peers(port))])
        self.assertGreater(most, 0)
        self.assertLess(most, 256 * 1024)
        await self.is_polite(server)

        async def gone() -> bool:
            return not self.peers(port)

        await self.until(gone, 10.0)

    def peers(self, port: int) -> list[tcp.Server]:
        """The server's transport for a line from this port."""
        everybody = {*reactor.getReaders(), *reactor.getWriters()}
        return [each for each in everybody if isinstance(each, tcp.Server) and each.getPeer().port == port]

    async def test_deferred_without_end(self) -> None:
        """A peer that is told "not now" as often as it asks: the story does not grow with it."""
        path = self.configure('[[filter]]\nuse = "later"\n[plugins]\nfolders = ["plugins"]\n')
        (path.parent / "plugins").mkdir()
        (path.parent / "plugins" / "later.py").write_text(LATER)
        server = self.start(path)
        line = await self.greeted(server)
        await line.ask("MAIL FROM:<a@example.net>")
        for start in range(0, 20_000, 1000):
            line.say(b"".join(b"RCPT TO:<bob+%d@example.org>\r\n" % number for number in range(start, start + 1000)))
            replies = [await line.reply() for _ in range(1000)]
            self.assertTrue(all(reply.startswith("451 4.7.1 ") for reply in replies))
        await self.is_polite(server)
        await line.ask("RSET")
        [story] = await self.story(server, replies[-1])
        self.assertLess(len(json.dumps(story)), 64 * 1024)
        self.assertIn("bob+0@example.org", json.dumps(story))

    async def test_hello_without_end(self) -> None:
        """Only the last one counts, in the story too."""
        path = self.configure('[[filter]]\nuse = "later"\n[plugins]\nfolders = ["plugins"]\n')
        (path.parent / "plugins").mkdir()
        (path.parent / "plugins" / "later.py").write_text(LATER)
        server = self.start(path)
        line = await self.greeted(server)
        for _ in range(20):
            line.say(b"HELO x\r\n" * 1000)
            for _ in range(1000):
                self.assertEqual(await line.reply(), "250 mx.example.org")
        await self.is_polite(server)
        await line.ask("MAIL FROM:<a@example.net>")
        refused = await line.ask("RCPT TO:<nobody@example.org>")
        await line.ask("RSET")
        [story] = await self.story(server, refused)
        self.assertEqual([each[0] for each in story["verdicts"]], ["hello", "recipient"])


LATER = '''
from mailserver.envelope import Origin
from mailserver.interfaces import IFilter, NoOptions
from mailserver.plugin import FilterOffer
from mailserver.verdict import defer
from zope.interface import implementer


@implementer(IFilter)
class Later:
    Options = NoOptions
    origins = frozenset(Origin)

    def __init__(self, options, server):
        """Nothing is needed."""

    def hello(self, client, name):
        return None

    def recipient(self, client, envelope, address):
        return defer("come back later")


offer = FilterOffer("later", Later, "Never now.")
'''
