"""The server's wire: octets in, commands out."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailserver.address import Address
from mailserver.reply import BAD_SEQUENCE, BARE_LINE_END, LINE_TOO_LONG, TOO_BIG, UNKNOWN_COMMAND
from mailserver.smtp.commands import (
    Auth,
    AuthResponse,
    Chunk,
    Command,
    Data,
    EndOfContent,
    Hello,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
    parse_command,
)
from mailserver.smtp.lines import SmtpError
from mailserver.smtp.phases import Phase
from mailserver.smtp.server import MOST_SWALLOWED, ServerWire
from tests.smtp.test_dots import cut

phrases = [b"EHLO x\r\n", b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<a@b>\r\n", b"DATA\r\n", b"\r\n.\r\n", b"\r", b"\n"]


def play(*chunks: bytes, most: int = 10_000, lmtp: bool = False) -> list[Any]:
    """What a wire makes of these octets when every command succeeds; an error is its reply.

    The octets of a content are joined, since in which pieces they come means nothing.
    """
    wire = ServerWire(most, lmtp)
    said: list[Any] = []
    content = b""
    for chunk in chunks:
        wire.receive(chunk)
        while True:
            try:
                command = wire.next()
            except SmtpError as error:
                said.append(error.reply)
                if error.fatal:
                    return said
                continue
            if command is None:
                break
            if isinstance(command, Chunk):
                content += command.octets
                continue
            if isinstance(command, EndOfContent):
                said.append((content + command.octets, command.fault))
                content = b""
            else:
                said.append(command)
            wire.advance(command)
            if isinstance(command, Quit):
                return said
    return said


class CommandTests(SynchronousTestCase):
    def read(self, line: bytes) -> Command:
        return parse_command(line)

    def test_verbs(self) -> None:
        """In any case, with the arguments that each has."""
        for line, command in (
            (b"ehlo mx.example.net", Hello("EHLO", "mx.example.net")),
            (b"HELO [192.0.2.1]", Hello("HELO", "[192.0.2.1]")),
            (b"MAIL FROM:<>", Mail(None)),
            (b"mail from: <a@b.org> size=12 BODY=8bitmime AUTH=<>", Mail(Address("a", "b.org"), 12, "8BITMIME")),
            (b"MAIL FROM:a@b.org", Mail(Address("a", "b.org"))),
            (b"RCPT TO:<@x.org,@y.org:a@b.org>", Rcpt(Address("a", "b.org"))),
            (b"RCPT TO:<Postmaster>", Rcpt(Address("Postmaster", ""))),
            (b'RCPT TO:<"a> b"@c.org>', Rcpt(Address("a> b", "c.org"))),
            (b"DATA", Data()),
            (b"RSET ", Rset()),
            (b"NOOP whatever", Noop()),
            (b"VRFY alice", Vrfy("alice")),
            (b"STARTTLS", StartTls()),
            (b"AUTH plain", Auth("PLAIN")),
            (b"AUTH PLAIN =", Auth("PLAIN", b"")),
            (b"AUTH PLAIN AGEAYg==", Auth("PLAIN", b"\0a\0b")),
            (b"QUIT", Quit()),
        ):
            self.assertEqual(self.read(line), command)

    def test_what_is_none(self) -> None:
        """Each of these has its code, and harms nothing."""
        for line, code in (
            (b"", 500), (b"MAILFROM:<a@b>", 500), (b"XYZZY", 500), (b"\xff\xfe", 501), (b"EHLO", 501),
            (b"EHLO a b", 501),
            (b"MAIL", 501), (b"MAIL FROM:", 501), (b"MAIL FROM:<a@b> FOO=1", 555), (b"MAIL FROM:<a@b> SIZE=-1", 501),
            (b"MAIL FROM:<a@b> SIZE=", 501), (b"MAIL FROM:<a@b> SIZE=" + b"9" * 30, 501),
            (b"MAIL FROM:<a@b> BODY=", 501),
            (b"MAIL FROM:<a@b> SIZE=1 SIZE=2", 501), (b"MAIL FROM:<a@b", 501), (b"MAIL FROM:<a@b>SIZE=1", 501),
            (b"RCPT TO:<>", 501), (b"RCPT TO:<a@b> NOTIFY=NEVER", 555), (b"RCPT TO:<a@b><c@d>", 501),
            ("RCPT TO:<é@b.org>".encode(), 553), (b"DATA now", 501), (b"STARTTLS now", 501), (b"AUTH", 501),
            (b"AUTH PLAIN !!!", 501), (b"AUTH ${run{x}}", 504), (b"QUIT %n{log_time.__class__}", 501),
        ):
            with self.assertRaises(SmtpError, msg=repr(line)) as raised:
                self.read(line)
            self.assertEqual(raised.exception.reply.code, code, line)
            self.assertFalse(raised.exception.fatal)

    def test_passwords_are_not_shown(self) -> None:
        """Whoever logs a command logs no secret."""
        self.assertNotIn("secret", repr(Auth("PLAIN", b"secret")) + repr(AuthResponse(b"secret")))


class WireTests(SynchronousTestCase):
    message = (
        b"EHLO x\r\nMAIL FROM:<a@b.org>\r\nRCPT TO:<c@d.org>\r\nDATA\r\nSubject: hi\r\n\r\n..dot\r\n.\r\nQUIT\r\n"
    )
    understood = (
        Hello("EHLO", "x"),
        Mail(Address("a", "b.org")),
        Rcpt(Address("c", "d.org")),
        Data(),
        (b"Subject: hi\r\n\r\n.dot\r\n", None),
        Quit(),
    )

    def test_message(self) -> None:
        """A whole conversation in one piece."""
        self.assertEqual(play(self.message), list(self.understood))

    def test_octet_by_octet(self) -> None:
        """The same, one octet at a time."""
        self.assertEqual(play(*(self.message[i : i + 1] for i in range(len(self.message)))), list(self.understood))

    def test_sequence(self) -> None:
        """What may not come now is 503, and what follows is read."""
        self.assertEqual(
            play(b"MAIL FROM:<a@b>\r\nEHLO x\r\nRCPT TO:<c@d>\r\nDATA\r\nNOOP\r\n"),
            [BAD_SEQUENCE, Hello("EHLO", "x"), BAD_SEQUENCE, BAD_SEQUENCE, Noop()],
        )

    def test_data_without_recipient(self) -> None:
        """After a MAIL whose recipients were all refused there is nobody to send content to."""
        wire = ServerWire(100)
        wire.receive(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n")
        for _ in range(2):
            command = wire.next()
            assert command is not None
            wire.advance(command)
        command = wire.next()
        assert command is not None
        wire.refuse(command)
        self.assertRaises(SmtpError, wire.next)
        self.assertIs(wire.phase, Phase.SENDER)

    def test_lmtp(self) -> None:
        """LHLO is LMTP's, EHLO and HELO are not (RFC 2033 4.1)."""
        self.assertEqual(play(b"EHLO x\r\nLHLO x\r\n", lmtp=True), [UNKNOWN_COMMAND, Hello("LHLO", "x")])
        self.assertEqual(play(b"LHLO x\r\n"), [UNKNOWN_COMMAND])

    def test_long_line(self) -> None:
        """A line that is too long is one error; the line behind it is read."""
        for length in (2046, 2047, 2048, 2049, 5000, 60_000):
            said = play(b"NOOP " + b"x" * (length - 5) + b"\r\nNOOP\r\n")
            self.assertEqual(said, [Noop() if length <= 2046 else LINE_TOO_LONG, Noop()], length)

    def test_endless_line(self) -> None:
        """8 MiB without a line end: given up early, and not kept."""
        wire = ServerWire(100)
        said: list[SmtpError] = []
        for _ in range(8 * 1024):
            wire.receive(b"x" * 1024)
            try:
                while wire.next() is not None:
                    pass
            except SmtpError as error:
                said.append(error)
                if error.fatal:
                    break
            self.assertLess(wire.buffered, MOST_SWALLOWED)
        self.assertEqual([error.fatal for error in said], [False, True])

    def test_bare_line_ends(self) -> None:
        """A command that ends with less than CRLF is no command."""
        for line in (b"EHLO x\nNOOP\n", b"EHLO x\rNOOP\r\n", b"EHLO\0x\r\n", b"NOOP\n\r\n"):
            self.assertEqual(play(line), [BARE_LINE_END], line)

    def test_bare_line_ends_in_content(self) -> None:
        """The content is swallowed to its real end and is not taken."""
        said = play(self.message.replace(b"..dot", b"x\n.\nMAIL FROM:<evil@x>"))
        self.assertEqual(said[4][1], BARE_LINE_END)
        self.assertEqual(said[5], Quit())

    def test_too_big(self) -> None:
        """Content beyond the limit is swallowed, not kept, and reported at its end."""
        said = play(self.message, most=5)
        self.assertEqual(said[4], (b"", TOO_BIG))
        self.assertEqual(said[5], Quit())

    def test_far_too_big(self) -> None:
        """Whoever goes on and on is given up."""
        self.assertEqual(play(self.message.replace(b"..dot", b"x" * 100), b"", most=5)[-1], Quit())
        self.assertEqual(play(self.message.partition(b"Subject")[0] + b"x" * 100, most=5)[-1], TOO_BIG)

    def test_other_protocols(self) -> None:
        """HTTP and TLS are closed at once."""
        for first in (b"GET / HTTP/1.1\r\n", b"POST /x HTTP/1.0\r\n", b"\x16\x03\x01\x02\x00\x01\x00"):
            wire = ServerWire(100)
            wire.receive(first)
            with self.assertRaises(SmtpError) as raised:
                wire.next()
            self.assertTrue(raised.exception.fatal)

    def test_authentication(self) -> None:
        """After a challenge, the next line is its response; a star gives up."""
        wire = ServerWire(100)
        wire.receive(b"EHLO x\r\n")
        wire.advance(wire.next() or Noop())
        for line, response in ((b"AGEAYg==\r\n", b"\0a\0b"), (b"*\r\n", None), (b"\r\n", b"")):
            wire.receive(b"AUTH PLAIN\r\n")
            command = wire.next()
            assert isinstance(command, Auth)
            wire.advance(command, challenged=True)
            wire.receive(line)
            self.assertEqual(wire.next(), AuthResponse(response))
            wire.advance(AuthResponse(None))
        wire.receive(b"AUTH PLAIN\r\n")
        wire.advance(wire.next() or Noop(), challenged=True)
        wire.receive(b"NOOP\xff\r\n")
        self.assertRaises(SmtpError, wire.next)
        self.assertIs(wire.phase, Phase.GREETED)

    @settings(deadline=None)
    @given(st.lists(st.integers(0, 400), max_size=8))
    def test_chunking(self, places: list[int]) -> None:
        """Any chunking of the input gives the same commands."""
        self.assertEqual(play(*cut(self.message, places)), list(self.understood))

    @settings(deadline=None)
    @given(
        st.lists(
            st.one_of(
                st.binary(max_size=60),
                st.sampled_from(phrases),
            ),
            max_size=20,
        ),
        st.lists(st.integers(0, 1000), max_size=6),
    )
    def test_anything(self, parts: list[bytes], places: list[int]) -> None:
        """Whatever comes raises nothing but `SmtpError`, and means the same in any pieces."""
        octets = b"".join(parts)
        self.assertEqual(play(*cut(octets, places)), play(octets))
