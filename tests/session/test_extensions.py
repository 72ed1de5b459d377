"""The extensions of SMTP as a peer hears them, with a whole server behind."""

from __future__ import annotations

import base64
import re
import socket
from typing import Any

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from mailserver.address import Address
from mailserver.service import MailServer
from mailserver.session.offers import SENDING
from mailserver.store import directory, queue, spool
from mailserver.testing import Line
from mailserver.wishes import Wishes
from tests.serving import ServerCase, reactor

SINK = '[outbound.route]\n"example.net" = "tcp:127.0.0.1:9"\n'
LOOPBACK = '"127.0.0.0/8"'
TRUSTED = f"[relay]\nnetworks = [{LOOPBACK}]\n"


class Talking(ServerCase):
    """Conversations that come to their point quickly."""

    offered = ""

    async def greeted(self, server: MailServer, service: str = "smtp", hello: str = "EHLO client.example.net") -> Line:
        line = await self.connect(server, service)
        await line.reply()
        self.offered = await line.ask(hello)
        return line

    async def logged_in(self, server: MailServer, service: str = "submission") -> Line:
        line = await self.greeted(server, service)
        await line.ask("STARTTLS")
        await line.start_tls()
        await line.ask("EHLO client.example.net")
        secret = base64.b64encode(b"\0alice@example.org\0secret").decode()
        self.assertRegex(await line.ask(f"AUTH PLAIN {secret}"), "^235")
        self.offered = await line.ask("EHLO client.example.net")
        return line

    async def send(self, line: Line, *commands: str, content: bytes = b"Subject: x\r\n\r\nx\r\n") -> str:
        for command in commands:
            self.assertRegex(await line.ask(command), "^250", command)
        self.assertRegex(await line.ask("DATA"), "^354")
        line.say(content + b".\r\n")
        return await line.reply()


class OfferTests(Talking):
    """What is offered to whom: the column of the features, service by service."""

    EVERYBODY = {"PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING", "LIMITS", "DSN",
                 "BINARYMIME", "MT-PRIORITY", "DELIVERBY", "NO-SOLICITING", "HELP"}

    def keywords(self) -> set[str]:
        return set(re.findall(r"^250[ -]([A-Z0-9-]+)", self.offered, re.MULTILINE)) - {"MX"}

    async def test_each_listener(self) -> None:
        """In clear."""
        server = await self.serve()
        for name, hello, more in (
            ("smtp", "EHLO x", {"STARTTLS"}),
            ("submission", "EHLO x", {"STARTTLS", "FUTURERELEASE"}),
            ("lmtp", "LHLO x", set()),
        ):
            await self.greeted(server, name, hello)
            self.assertEqual(self.keywords(), self.EVERYBODY | more, name)
        await self.greeted(server, "smtp", "HELO x")
        self.assertEqual(self.offered, "250 mx.example.org")

    async def test_inside_tls(self) -> None:
        """AUTH until one is logged in, then what logins may."""
        server = await self.serve('[smtp]\nvrfy = "logins"\n')
        line = await self.greeted(server, "submission")
        await line.ask("STARTTLS")
        await line.start_tls()
        self.offered = await line.ask("EHLO x")
        self.assertEqual(self.keywords(), self.EVERYBODY | {"REQUIRETLS", "AUTH", "FUTURERELEASE"})
        await self.logged_in(server)
        self.assertEqual(self.keywords(), self.EVERYBODY | {
            "REQUIRETLS", "FUTURERELEASE", "ETRN", "VRFY", "EXPN", "BURL",
        })

    async def test_everything(self) -> None:
        """The whole column, to who is vouched for; REQUIRETLS inside TLS alone."""
        server = await self.serve(f"[smtp]\nxclient = [{LOOPBACK}]\nxforward = [{LOOPBACK}]\n")
        await self.greeted(server, "submission")
        everything = self.EVERYBODY | set(SENDING) | {"XCLIENT", "XFORWARD", "FUTURERELEASE"}
        self.assertEqual(self.keywords(), everything - {"REQUIRETLS"} | {"STARTTLS"})
        await self.logged_in(server)
        self.assertEqual(self.keywords(), everything | {"ETRN", "BURL"})

    async def test_not_offered(self) -> None:
        """Nobody is promised what is not kept."""
        server = await self.serve()
        await self.play_file(await self.connect(server), "parameters_not_offered.txt")


class ContentTests(Talking):
    async def test_chunking(self) -> None:
        """Two messages of BDAT."""
        server = await self.serve()
        await self.play_file(await self.connect(server), "chunking.txt")
        first, second = await self.mailbox(server)
        self.assertTrue(first.endswith(b"\r\nSubject: hi\r\n\r\n.\r\n.\r\nX\r\n"), first)
        self.assertTrue(second.endswith(b"+0000\r\n"), second)

    async def test_bare_line_ends_in_chunks(self) -> None:
        """The end, as in DATA."""
        server = await self.serve()
        await self.play_file(await self.connect(server), "bare_line_ends_in_chunks.txt")
        self.assertEqual(await self.mailbox(server), [])

    async def test_large_chunks(self) -> None:
        """Megabytes, in chunks that have nothing to do with how they travel."""
        server = await self.serve()
        line = await self.greeted(server, "lmtp", "LHLO x")
        for command in ("MAIL FROM:<>", "RCPT TO:<bob@example.org>", "RCPT TO:<alice@example.org>"):
            await line.ask(command)
        content = b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 200_000
        for start in range(0, len(content), 1_000_003):
            chunk = content[start : start + 1_000_003]
            last = " LAST" if start + len(chunk) == len(content) else ""
            line.say(b"BDAT %d%s\r\n" % (len(chunk), last.encode()) + chunk)
            self.assertRegex(await line.reply(), "^250")
        self.assertRegex(await line.reply(), "^250")            # one for each recipient
        for local in ("bob", "alice"):
            [message] = await self.mailbox(server, local)
            self.assertTrue(message.endswith(content))

    async def test_smtputf8(self) -> None:
        """All the way to the mailbox."""
        path = self.configure()
        server = self.start(path)
        await server.database.write(directory.add_account, Address("太郎", "example.org"), 0.0)
        await self.play_file(await self.connect(server), "smtputf8.txt")
        [message] = await self.mailbox(server, "太郎")
        above = "Return-Path: <jörg@xn--bcher-kva.example>\r\nDelivered-To: 太郎@example.org\r\n"
        self.assertTrue(message.startswith(above.encode()), message)
        self.assertIn(b" with UTF8SMTP id ", message)
        self.assertIn("\tfor <太郎@example.org>;".encode(), message)
        self.assertTrue(message.endswith("\r\nSubject: こんにちは\r\n\r\nx\r\n".encode()))

    async def test_composed_alike(self) -> None:
        """An é is an é, however it is composed (RFC 6532 3.1)."""
        server = await self.serve()
        await server.database.write(directory.add_account, Address("ren\u00e9", "example.org"), 0.0)
        line = await self.greeted(server)
        await line.ask("MAIL FROM:<> SMTPUTF8")
        line.say("RCPT TO:<Rene\u0301@example.org>\r\n".encode())
        self.assertRegex(await line.reply(), "^250")

    async def test_next_hop_without_smtputf8(self) -> None:
        """Its sender hears 5.6.7 for an address and 5.6.9 for a header field, and the others get their mail."""
        plain = await self.serve()
        where = next(each for each in plain.listeners if each.service == "lmtp").port.getHost()
        route = f'[outbound.route]\n"example.com" = "lmtp:{where.host}:{where.port}"\n'
        relay = await self.serve(TRUSTED + route)
        await plain.database.write(directory.add_domain, "example.com", 0.0)
        [talk] = [factory.talk for factory, listen in plain._factories if listen.service == "lmtp"]
        _without_utf8(talk("127.0.0.1", 1))
        line = await self.greeted(relay)
        line.say("MAIL FROM:<alice@example.org> SMTPUTF8\r\nRCPT TO:<jörg@example.com>\r\n".encode())
        line.say(b"RCPT TO:<postmaster@example.com>\r\nDATA\r\n")
        for code in ("250", "250", "250", "354"):
            self.assertEqual((await line.reply())[:3], code)
        line.say(b"Subject: x\r\n\r\nx\r\n.\r\n")
        await line.reply()
        [bounce] = await self.until(lambda: self.mailbox(relay, "alice"))
        self.assertIn("jörg@example.com".encode(), bounce)
        self.assertIn(b"Status: 5.6.7\r\n", bounce)
        line.say(b"MAIL FROM:<bob@example.org> SMTPUTF8\r\nRCPT TO:<postmaster@example.com>\r\nDATA\r\n")
        for code in ("250", "250", "354"):
            self.assertEqual((await line.reply())[:3], code)
        line.say("Subject: ü\r\n\r\nx\r\n.\r\n".encode())
        await line.reply()
        [bounce] = await self.until(lambda: self.mailbox(relay, "bob"))
        self.assertIn(b"Status: 5.6.9\r\n", bounce)

    async def test_normalised(self) -> None:
        """A login's bare line ends become right ones, if the configuration says so; a stranger's are refused."""
        server = await self.serve('[smtp]\nbare_line_ends = "normalise"\n')
        line = await self.logged_in(server)
        said = await self.send(
            line, "MAIL FROM:<alice@example.org>", "RCPT TO:<bob@example.org>", content=b"Subject: x\n\na\n.\nb\r\n"
        )
        self.assertRegex(said, "^250")
        [message] = await self.mailbox(server)
        self.assertTrue(message.endswith(b"Subject: x\r\n\r\na\r\n.\r\nb\r\n"), message)
        line = await self.greeted(server)
        said = await self.send(line, "MAIL FROM:<>", "RCPT TO:<bob@example.org>", content=b"a\nb\r\n")
        self.assertRegex(said, "^550 5.6.11")


def _without_utf8(session: Any) -> None:
    """SMTPUTF8 is not offered by this listener any more."""
    offers = session._policy.offers
    offer = offers.to(session._client, "")
    keywords = {key: value for key, value in offer.keywords.items() if key != "SMTPUTF8"}
    for kind in offers._made:
        offers._made[kind] = type(offer).of("mx.example.org", keywords)


class WishTests(Talking):
    """What is kept with the entry of the spool."""

    async def entries(self, server: MailServer) -> list[spool.Entry]:
        return await server.database.read(queue.listing)

    async def test_kept(self) -> None:
        """Each parameter, as a value, with the entry and in the trace."""
        server = await self.serve(f"{SINK}")
        line = await self.logged_in(server)
        before = server.world.now()
        said = await self.send(
            line,
            "MAIL FROM:<alice@example.org> SMTPUTF8 RET=HDRS ENVID=a+2Bb REQUIRETLS MT-PRIORITY=4 BY=3600;R",
            "RCPT TO:<dave@example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;dave+40example.com",
            "RCPT TO:<erin@example.net>",
        )
        self.assertRegex(said, "^250")
        dave, erin = sorted(await self.entries(server), key=lambda each: str(each.recipient))
        self.assertLess(abs(dave.wishes.deliver_by - before - 3600), 20)
        wanted = Wishes(
            utf8=True, ret="HDRS", envid="a+b", require_tls=True, priority=4, by_mode="R",
            deliver_by=dave.wishes.deliver_by,
        )
        self.assertEqual(erin.wishes, wanted)
        self.assertEqual(dave.wishes, wanted.of_recipient("SUCCESS,DELAY", "rfc822;dave@example.com"))
        [story, *_] = await self.story(server, said)
        self.assertEqual(story["wishes"]["envid"], "a+b")

    async def test_tls_required(self) -> None:
        """The header field TLS-Required: No (RFC 8689 3), unless REQUIRETLS says otherwise."""
        server = await self.serve(f"{SINK}{TRUSTED}")
        line = await self.greeted(server)
        for field, optional in (
            (b"TLS-Required: No", True), (b"tls-required:  no ", True), (b"TLS-Required: yes", False)
        ):
            await self.send(
                line, "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.net>", content=field + b"\r\n\r\nx\r\n"
            )
            *_, newest = await self.entries(server)
            self.assertEqual(newest.wishes.tls_optional, optional, field)

    async def test_future_release(self) -> None:
        """It waits for its time, for a mailbox here as for one elsewhere, and then it is there."""
        server = await self.serve()
        line = await self.logged_in(server)
        self.assertRegex(self.offered, "FUTURERELEASE 604800")
        said = await self.send(line, "MAIL FROM:<alice@example.org> HOLDFOR=2", "RCPT TO:<bob@example.org>")
        self.assertRegex(said, "^250")
        self.assertEqual(await self.mailbox(server), [])
        [entry] = await self.entries(server)
        self.assertEqual((entry.kind, entry.attempts), ("mailbox", 0))
        self.assertLess(abs(entry.next_attempt - entry.created - 2), 0.5)
        await self.until(lambda: self.mailbox(server))

        async def is_done() -> bool:
            return not await self.entries(server)

        await self.until(is_done)               # the end of an attempt is a transaction of its own
        self.assertEqual(len(await self.mailbox(server)), 1)
        for wrong in ("HOLDFOR=604801", "HOLDUNTIL=2099-01-01T00:00:00Z"):
            self.assertRegex(await line.ask(f"MAIL FROM:<alice@example.org> {wrong}"), "^501 5.5.4")
        # What is over is now (RFC 4865 4.2).
        said = await self.send(
            line, "MAIL FROM:<alice@example.org> HOLDUNTIL=2020-01-01T00:00:00Z", "RCPT TO:<bob@example.org>"
        )
        self.assertEqual(len(await self.mailbox(server)), 2)

    async def test_no_soliciting(self) -> None:
        """What nobody wants to be offered (RFC 3865): by the parameter and by the field."""
        server = await self.serve('[smtp]\nno_soliciting = ["org.example:ADV"]\n')
        line = await self.greeted(server)
        self.assertIn("250-NO-SOLICITING org.example:ADV", self.offered)
        self.assertRegex(await line.ask("MAIL FROM:<> SOLICIT=net.example:X,org.example:ADV"), "^550 5.7.1")
        content = b"Solicitation: net.example:X,\r\n org.example:ADV\r\n\r\nbuy\r\n"
        said = await self.send(line, "MAIL FROM:<>", "RCPT TO:<bob@example.org>", content=content)
        self.assertRegex(said, "^550 5.7.1 Not wanted here: org.example:ADV")
        said = await self.send(
            line, "MAIL FROM:<> SOLICIT=net.example:X", "RCPT TO:<bob@example.org>",
            content=b"Solicitation: net.example:X\r\n\r\nbuy\r\n",
        )
        self.assertRegex(said, "^250")


class InquiryTests(Talking):
    async def test_vrfy_and_expn(self) -> None:
        """For those whom the configuration names."""
        server = await self.serve('[smtp]\nvrfy = "everybody"\n')
        line = await self.greeted(server)
        for command, said in (
            ("VRFY bob@example.org", "250 2.1.5 <bob@example.org>"),
            ("VRFY <sales@example.org> SMTPUTF8", "250 2.1.5 <sales@example.org>"),
            ("VRFY nobody@example.org", "550 5.1.1"),
            ("VRFY x@example.net", "550 5.7.1"),
            ("VRFY ;rm -rf", "501 5.1.3"),
            ("EXPN sales@example.org", "250 2.1.5 <alice@example.org>"),
            ("EXPN bob@example.org", "550 5.1.1"),
        ):
            self.assertTrue((await line.ask(command)).startswith(said), command)

    async def test_etrn(self) -> None:
        """What waits for a domain is tried at once, for who may relay (RFC 1985)."""
        server = await self.serve(f'{SINK}"mail.example.net" = "tcp:127.0.0.1:9"\n{TRUSTED}')
        line = await self.greeted(server)
        await self.send(line, "MAIL FROM:<>", "RCPT TO:<b@example.net>", "RCPT TO:<b@mail.example.net>")

        async def tried() -> bool:
            return all(each.attempts for each in await server.database.read(queue.listing))

        await self.until(tried)
        self.assertRegex(await line.ask("ETRN example.com"), "^251 2.0.0")
        self.assertRegex(await line.ask("ETRN example.net"), "^253 2.0.0 1 pending")
        self.assertRegex(await line.ask("ETRN @example.net"), "^253 2.0.0 2 pending")
        self.assertRegex(await line.ask("ETRN #fast"), "^459")
        self.assertRegex(await line.ask("ETRN not a domain"), "^501")

        async def again() -> bool:
            return (await server.database.read(queue.listing, None, "example.net"))[0].attempts > 1

        await self.until(again)


class VouchedTests(Talking):
    """Named peers that speak for others."""

    async def test_xclient(self) -> None:
        """The client is who the peer says it is: for policy, for the Received field, for the trace."""
        server = await self.serve(f'[smtp]\nxclient = [{LOOPBACK}]\n[relay]\nnetworks = ["192.0.2.7"]\n')
        line = await self.greeted(server)
        self.assertIn("XCLIENT NAME ADDR PORT PROTO HELO LOGIN", self.offered)
        self.assertRegex(await line.ask("XCLIENT ADDR=IPV6:2001:db8::7 PORT=77 HELO=spike.example.com"), "^220 mx")
        self.assertRegex(await line.ask("MAIL FROM:<a@example.net>"), "^503")
        await line.ask("EHLO spike.example.com")
        await line.ask("MAIL FROM:<a@example.net>")
        self.assertRegex(await line.ask("RCPT TO:<b@example.com>"), "^550 5.7.1 Relaying")
        said = await self.send(line, "RCPT TO:<bob@example.org>")
        [message] = await self.mailbox(server)
        self.assertIn(b"Received: from spike.example.com ([IPv6:2001:db8::7])", message)
        [story] = await self.story(server, said)
        self.assertEqual((story["client"]["address"], story["client"]["port"]), ("2001:db8::7", 77))
        # A trusted address, a login, and nonsense.
        self.assertRegex(await line.ask("XCLIENT ADDR=192.0.2.7"), "^220")
        await line.ask("EHLO x")
        await line.ask("MAIL FROM:<a@example.net>")
        self.assertRegex(await line.ask("RCPT TO:<b@example.com>"), "^250")
        await line.ask("RSET")
        self.assertRegex(await line.ask("XCLIENT ADDR=[UNAVAILABLE] LOGIN=alice@example.org"), "^220")
        await line.ask("EHLO x")
        self.assertRegex(await line.ask("MAIL FROM:<bob@example.org>"), "^550 5.7.1 This sender")
        self.assertRegex(await line.ask("MAIL FROM:<alice@example.org>"), "^250")
        await line.ask("RSET")
        for wrong in (
            "ADDR=300.1.1.1", "ADDR=fe80::1%x", "PORT=000000000099999", "PORT=70000", "LOGIN=nobody@example.org",
            "PROTO=HTTP", "HELO=a+20b",
        ):
            self.assertRegex(await line.ask(f"XCLIENT {wrong}"), "^501", wrong)

    async def test_xforward(self) -> None:
        """For the trace of the next message alone."""
        server = await self.serve(f"[smtp]\nxforward = [{LOOPBACK}]\n")
        line = await self.greeted(server)
        self.assertRegex(await line.ask("XFORWARD NAME=spike.example.com ADDR=192.0.2.9 SOURCE=REMOTE"), "^250")
        self.assertRegex(await line.ask("XFORWARD IDENT=1234"), "^250")
        self.assertRegex(await line.ask("XFORWARD ADDR=x"), "^501")
        said = await self.send(line, "MAIL FROM:<>", "RCPT TO:<bob@example.org>")
        [story] = await self.story(server, said)
        self.assertEqual(
            story["forwarded"],
            {"name": "spike.example.com", "addr": "192.0.2.9", "source": "REMOTE", "ident": "1234"},
        )
        self.assertEqual(story["client"]["address"], line.transport.getHost().host)
        said = await self.send(line, "MAIL FROM:<>", "RCPT TO:<bob@example.org>")
        [story] = await self.story(server, said)
        self.assertNotIn("forwarded", story)


class ReverseTests(Talking):
    async def test_known_whatever_becomes_of_hello(self) -> None:
        """An EHLO that is refused does not make the DNS's name of a client unknown for the next."""
        path = self.configure(
            '[outbound]\nresolvers = ["127.0.0.1:9"]\n[smtp]\nxclient = ["127.0.0.0/8"]\n'
            '[[filter]]\nuse = "nosy"\n[plugins]\nfolders = ["plugins"]\n'
        )
        (path.parent / "plugins").mkdir()
        (path.parent / "plugins" / "nosy.py").write_text(NOSY, "utf-8")
        server = self.start(path)
        line = await self.greeted(server)
        self.assertRegex(await line.ask("XCLIENT ADDR=192.0.2.7"), "^220")
        self.assertRegex(await line.ask("EHLO first"), "^550 5.7.1 temperror")
        self.assertRegex(await line.ask("EHLO first"), "^550 5.7.1 temperror")


class ImpatientTests(Talking):
    """Who speaks first, who errs without end, and who is in the wrong place."""

    async def test_early_talker(self) -> None:
        """Octets that are there before the greeting could be heard."""
        server = await self.serve()
        line = await self.early(server)
        self.assertRegex(await line.line(), "^554 5.5.1 You spoke before the greeting")
        self.assertEqual(await line.line(), "(closed)")
        for extra in ('[smtp]\nearly_talkers = "allow"\n', TRUSTED):
            server = await self.serve(extra)
            line = await self.early(server)
            self.assertRegex(await line.line(), "^220 ")
            self.assertRegex(await line.reply(), "^250")

    async def early(self, server: MailServer) -> _Blocking:
        """Octets that lie in the socket when the server accepts: it does not run while they are sent."""
        where = next(each for each in server.listeners if each.service == "smtp").port.getHost()
        ours = socket.create_connection((where.host, where.port))
        ours.sendall(b"EHLO x\r\n")
        self.addCleanup(ours.close)
        return _Blocking(ours)

    async def test_pause(self) -> None:
        """A filter may let somebody wait for the greeting; who speaks meanwhile is sent away."""
        path = self.configure('[[filter]]\nuse = "sleepy"\n[plugins]\nfolders = ["plugins"]\n')
        (path.parent / "plugins").mkdir()
        (path.parent / "plugins" / "sleepy.py").write_text(SLEEPY, "utf-8")
        server = self.start(path)
        line = await self.connect(server)
        await deferLater(reactor, 0.1, lambda: None)
        self.assertEqual(line.heard, b"")
        self.assertRegex(await line.reply(), "^220")
        line = await self.connect(server)
        await deferLater(reactor, 0.1, lambda: None)
        line.say(b"EHLO x\r\n")
        self.assertRegex(await line.reply(), "^554 5.5.1 You spoke")

    async def test_tarpit(self) -> None:
        """After some errors each takes its time, but not for who is known."""
        for extra, slow in (("", True), (TRUSTED, False)):
            server = await self.serve(f"[limits]\ntarpit = 0.4\ntarpit_after = 2\n{extra}")
            line = await self.greeted(server)
            began = reactor.seconds()
            for _ in range(2):
                await line.ask("XYZZY")
            self.assertLess(reactor.seconds() - began, 0.4)
            await line.ask("XYZZY")
            self.assertEqual(reactor.seconds() - began >= 0.4, slow)

    async def test_other_protocols(self) -> None:
        """HTTP, TLS, a proxy's header: closed at once, whenever they come."""
        server = await self.serve()
        for octets in (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /x HTTP/1.1\r\n", b"CONNECT mx:25 HTTP/1.0\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x03\x00\x00\x13", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
            b"EHLO x\r\nGET / HTTP/1.1\r\n",
        ):
            line = await self.connect(server)
            await line.reply()
            line.say(octets)
            if octets.startswith(b"EHLO"):
                await line.reply()
            self.assertRegex(await line.line(), "^500 5.5.2 This is a mail server")
            self.assertEqual(await line.line(), "(closed)")

    async def test_no_mail(self) -> None:
        """A host that takes none (RFC 7504), and a domain that takes none."""
        server = await self.serve(TRUSTED + '[outbound.route]\n"null.example" = "none"\n', "no-mail smtp")
        line = await self.connect(server, "no-mail")
        self.assertRegex(await line.line(), "^521 5.3.2")
        self.assertEqual(await line.line(), "(closed)")
        line = await self.greeted(server)
        await line.ask("MAIL FROM:<>")
        self.assertRegex(await line.ask("RCPT TO:<x@null.example>"), "^556 5.1.10")


class _Blocking:
    """A socket that is read in a thread."""

    def __init__(self, ours: socket.socket) -> None:
        self.file = ours.makefile("rb")

    async def line(self) -> str:
        return (await deferToThread(self.file.readline)).decode().rstrip("\r\n") or "(closed)"

    async def reply(self) -> str:
        text = await self.line()
        while text[3:4] == "-":
            text = await self.line()
        return text


SLEEPY = '''
from mailserver.envelope import Origin
from mailserver.interfaces import IFilter, NoOptions
from mailserver.plugin import FilterOffer
from mailserver.verdict import pause
from zope.interface import implementer


@implementer(IFilter)
class Sleepy:
    Options = NoOptions
    origins = frozenset(Origin)

    def __init__(self, options, server):
        pass

    def connected(self, client):
        return pause(0.5, "as asked")


offer = FilterOffer("sleepy", Sleepy, "Greets late.")
'''


NOSY = '''
from mailserver.envelope import Origin
from mailserver.interfaces import IFilter, NoOptions
from mailserver.plugin import FilterOffer
from mailserver.verdict import reject
from zope.interface import implementer


@implementer(IFilter)
class Nosy:
    Options = NoOptions
    origins = frozenset(Origin)

    def __init__(self, options, server):
        pass

    def hello(self, client, name):
        if name == "first":
            return reject(client.reverse.result if client.reverse else "unknown")


offer = FilterOffer("nosy", Nosy, "Tells what it knows.")
'''
