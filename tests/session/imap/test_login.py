"""Who talks, and what is possible before and after a login."""

from __future__ import annotations

import base64
import random
import zlib

from twisted.internet.task import deferLater

from mailserver.session.imap import compression, login, session
from tests.serving import reactor
from tests.session.imap.house import ImapCase, Peer


class LoginTests(ImapCase):
    async def test_dialogue(self) -> None:
        """What is offered, in which state; SASL in one step, in several, given up; and what may not come when."""
        server = await self.serve()
        await self.play_file(await self.connect(server, "imap"), "imap_login.txt")

    async def test_starttls(self) -> None:
        """Everything is new inside TLS."""
        server = await self.serve()
        await self.play_file(await self.connect(server, "imap"), "imap_starttls.txt")

    async def test_starttls_injection(self) -> None:
        """A command, a part of one, and a handshake in the same segment: the connection is dropped."""
        server = await self.serve()
        for rest in (b"b NOOP\r\n", b"b", b"\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
            line = await self.connect(server, "imap")
            await line.line()
            line.say(b"a STARTTLS\r\n" + rest)
            self.assertEqual(await line.line(), "a OK begin TLS")
            self.assertEqual(await line.line(), "(closed)")

    async def test_guessing(self) -> None:
        """Unknown names and wrong passwords hear the same, and the third is the last."""
        server = await self.serve()
        peer = await self.peer(server)
        wrong = base64.b64encode(b"\0nobody@example.org\0x").decode()
        other = base64.b64encode(b"bob@example.org\0alice@example.org\0secret").decode()
        for command in ("LOGIN nobody@example.org secret", f"AUTHENTICATE PLAIN {wrong}"):
            self.assertEqual((await peer.ask(command)).end, b"NO [AUTHENTICATIONFAILED] name or password is wrong")
        last = await peer.ask(f"AUTHENTICATE PLAIN {other}")        # nobody acts for another
        self.assertEqual(last.end, b"NO [AUTHENTICATIONFAILED] name or password is wrong")
        self.assertEqual(last.lines, [b"* BYE too many wrong logins"])
        self.assertEqual(await peer.line.line(), "(closed)")

    async def test_guessing_takes_time(self) -> None:
        """During which others are served."""
        self.patch(login, "FAILURE_WAIT", 0.5)
        server = await self.serve()
        guessing, other = await self.peer(server), await self.peer(server)
        began = reactor.seconds()
        tag = guessing.say("LOGIN a b")
        await other.ok("NOOP")
        self.assertLess(reactor.seconds() - began, 0.4)
        await guessing.until(tag)
        self.assertGreater(reactor.seconds() - began, 0.45)

    async def test_errors_without_end(self) -> None:
        """Whatever kind they are of."""
        server = await self.serve()
        for said in (b"a NONSENSE\r\n", b"a AUTHENTICATE NONSENSE\r\n", b"a AUTHENTICATE PLAIN\r\n*\r\n", b"\r\n"):
            peer = await self.peer(server)
            peer.line.say(said * (session.MOST_ERRORS + 20))
            lines = []
            while (text := await peer.line.line()) != "(closed)":
                lines.append(text)
            self.assertEqual(lines[-1], "* BYE too many errors", said)
            self.assertEqual(len([each for each in lines if not each.startswith("+")]), session.MOST_ERRORS + 2)

    async def test_errors_of_who_has_logged_in(self) -> None:
        server = await self.serve()
        peer = await self.log_in(server)
        peer.line.say(b"a NONSENSE\r\n" * (10 * session.MOST_ERRORS + 20))
        heard = 0
        while (await peer.line.line()) != "(closed)":
            heard += 1
        self.assertEqual(heard, 10 * session.MOST_ERRORS + 2)

    async def test_literals_before_login(self) -> None:
        """A password may be a literal; of 4 GiB, negative, or of another command it is not taken."""
        server = await self.serve()
        peer = await self.peer(server)
        tag = peer.say("LOGIN {17}")
        self.assertEqual(await peer.response(), b"+ go on")
        peer.line.say(b"alice@example.org {6+}\r\nsecret\r\n")
        self.assertTrue((await peer.until(tag)).is_ok)
        for command in ("LOGIN {4294967296}", "LOGIN {-1}", "LOGIN {99999999999999999999}", "NOOP {1}", "SELECT {5}"):
            peer = await self.peer(server)
            self.assertRegex((await peer.ask(command)).end, rb"^BAD ")
            await peer.ok("NOOP")

    async def test_small_literals(self) -> None:
        """LITERAL- (RFC 7888 5): what is larger than 4,096 octets has to be asked for; a client may trust in that."""
        server = await self.serve('[imap]\nliterals = "small"\n')
        peer = await self.log_in(server)
        words = (await peer.ok("CAPABILITY")).of(b"CAPABILITY")[0].split()
        self.assertIn(b"LITERAL-", words)
        self.assertNotIn(b"LITERAL+", words)
        for size, answer in ((4096, b"^OK "), (4097, rb"^BAD \[TOOBIG\]")):
            for command in (b"APPEND INBOX {%d+}\r\n%b", b'SETMETADATA INBOX (/private/x {%d+}\r\n%b)'):
                self.assertRegex((await peer.ask(command % (size, b"x" * size))).end, answer)
        peer.line.say(b"w APPEND INBOX {4097}\r\n")
        self.assertRegex(await peer.response(), rb"^\+ ")
        peer.line.say(b"x" * 4097 + b"\r\n")
        self.assertTrue((await peer.until(b"w")).is_ok)

    async def test_endless_line(self) -> None:
        server = await self.serve()
        peer = await self.peer(server)
        for _ in range(64):
            peer.line.say(b"x" * 8192)
        self.assertRegex(await peer.line.line(), r"^\* BAD that is too long")
        self.assertRegex(await peer.line.line(), r"^\* BYE ")
        self.assertEqual(await peer.line.line(), "(closed)")

    async def test_unauthenticate(self) -> None:
        """RFC 8437: another may log in, and nothing of the first is left."""
        server = await self.serve()
        await self.numbered(server, [1])
        peer = await self.log_in(server, "alice", "ENABLE QRESYNC IMAP4rev2", "SELECT INBOX")
        await peer.ok("UNAUTHENTICATE")
        self.assertRegex((await peer.ask("FETCH 1 FLAGS")).end, rb"^BAD log in first")
        await peer.ok("LOGIN bob@example.org secret")
        self.assertIn(b"* 0 EXISTS", await peer.ok("SELECT INBOX"))
        self.assertEqual((await peer.ok("ENABLE QRESYNC")).of(b"ENABLED"), [b"* ENABLED QRESYNC"])

    async def test_pipelined(self) -> None:
        """Commands that come at once are answered in order (RFC 9051 5.5)."""
        server = await self.serve()
        await self.numbered(server, range(3))
        peer = await self.peer(server)
        peer.line.say(
            b"a LOGIN alice@example.org secret\r\nb SELECT INBOX\r\nc STORE 1 +FLAGS (\\Deleted)\r\nd EXPUNGE\r\n"
            b"e FETCH 1 UID\r\nf LOGOUT\r\n"
        )
        said = []
        while (text := await peer.line.line()) != "(closed)":
            said.append(text)
        self.assertEqual([each[0] for each in said if not each.startswith("*")], list("abcdef"))
        self.assertEqual(said[-5:-2], ["d OK expunged", "* 1 FETCH (UID 2)", "e OK fetched"])
        self.assertEqual(said[-2:], ["* BYE until next time", "f OK logged out"])


class CompressionTests(ImapCase):
    """COMPRESS=DEFLATE (RFC 4978)."""

    async def compressed(self) -> Peer:
        server = await self.serve()
        await self.numbered(server, range(5))
        peer = await self.log_in(server)
        self.assertRegex((await peer.ask("COMPRESS LZMA")).end, rb"^BAD ")
        await peer.ok("COMPRESS DEFLATE")
        self.deflater, inflater = zlib.compressobj(wbits=-15), zlib.decompressobj(-15)
        line = peer.line
        say, received = line.say, line.dataReceived

        def deflated(octets: bytes) -> None:
            say(self.deflater.compress(octets) + self.deflater.flush(zlib.Z_SYNC_FLUSH))

        self.patch(line, "say", deflated)
        self.patch(line, "dataReceived", lambda data: received(inflater.decompress(data)))
        return peer

    async def test_conversation(self) -> None:
        """All goes on as before, streams and IDLE too."""
        peer = await self.compressed()
        self.assertNotIn(b"COMPRESS", (await peer.ok("CAPABILITY")).lines[0])
        self.assertRegex((await peer.ask("COMPRESS DEFLATE")).end, rb"^NO \[COMPRESSIONACTIVE\]")
        await peer.ok("SELECT INBOX")
        self.assertEqual(len((await peer.ok("FETCH 1:* (UID BODY.PEEK[])")).of(b"FETCH")), 5)
        self.assertEqual(len((await peer.ok("FETCH 1:* (UID FLAGS)")).of(b"FETCH")), 5)
        tag = peer.say("IDLE")
        self.assertEqual(await peer.response(), b"+ idling")
        peer.line.say(b"DONE\r\n")
        self.assertTrue((await peer.until(tag)).is_ok)

    async def test_every_size(self) -> None:
        """Commands arrive whole, wherever a step of the inflater ends."""
        self.patch(compression, "AT_ONCE", 64)
        peer = await self.compressed()
        for size in range(1, 140):
            heard = await peer.ok(f'ID ("name" "{"x" * size}")')
            self.assertEqual(len(heard.lines), 1)

    async def test_not_deflate(self) -> None:
        peer = await self.compressed()
        peer.line.transport.write(b"\xff\xff\xff\xffNOOP\r\n")
        self.assertEqual(await peer.response(), b"* BYE that is not DEFLATE")
        self.assertEqual(await peer.line.line(), "(closed)")

    async def test_bomb(self) -> None:
        """Of 256 MiB of commands that came in 256 KiB no more is in memory than of others that come at once."""
        peer = await self.compressed()
        deflated = self.deflater.compress(b"a NOOP\r\n" * (1 << 20)) + self.deflater.flush(zlib.Z_SYNC_FLUSH)
        self.assertLess(len(deflated), 100_000)
        [talker] = [each._talker for each in _conversations(self)]
        most = 0
        peer.line.transport.write(deflated)
        for _ in range(40):
            await deferLater(reactor, 0.01, lambda: None)
            most = max(most, talker.wire.buffered)
        self.assertGreater(most, 0)
        self.assertLess(most, 160 * 1024)

    async def test_bomb_without_lines(self) -> None:
        """One line of 64 MiB: it is refused, and its sender sent away."""
        peer = await self.compressed()
        peer.line.say(b"a LIST \"\" \"" + b"x" * (64 << 20))
        self.assertRegex((await peer.response()), rb"^a BAD that is too long")

    async def test_noise(self) -> None:
        """Random octets end it, and nothing breaks."""
        chance = random.Random(7)
        for _ in range(5):
            peer = await self.compressed()
            peer.line.transport.write(chance.randbytes(3000))
            while (await peer.line.line()) != "(closed)":
                pass


def _conversations(case: ImapCase) -> list:  # type: ignore[type-arg]
    import gc

    from mailserver.net.conversation import Conversation

    return [each for each in gc.get_objects() if isinstance(each, Conversation) and not each._closing]
