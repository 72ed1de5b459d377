"""The server's wire: octets in, commands out."""

from dataclasses import replace
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
    EndOfChunk,
    EndOfContent,
    Hello,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
    XClient,
    XForward,
)
from mailserver.smtp.lines import SmtpError
from mailserver.smtp.phases import Phase
from mailserver.smtp.server import MOST_SWALLOWED, ServerWire
from mailserver.smtp.syntax import parse_command
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
            if isinstance(command, EndOfChunk):
                content += command.octets
                said.append(command.size if command.fault is None else command.fault)
                if command.fault is not None:
                    wire.refuse(command)
                    content = b""
                    continue
            elif isinstance(command, EndOfContent):
                # How much came of it before its fault was seen hangs on the cuts, and means nothing.
                said.append((content + command.octets if command.fault is None else b"", command.fault))
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
            (b"mail from: <a@b.org> size=12 BODY=8bitmime AUTH=<>", Mail(
                Address("a", "b.org"), 12, "8BITMIME", uses=frozenset({"SIZE", "8BITMIME", "AUTH"})
            )),
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
            (b"RCPT TO:<>", 501), (b"RCPT TO:<a@b> FOO", 555), (b"RCPT TO:<a@b><c@d>", 501),
            ("MAIL FROM:<é@b.org>".encode(), 553), ("EHLO é".encode(), 501), (b"VRFY", 501), (b"VRFY ", 501),
            (b"DATA now", 501), (b"STARTTLS now", 501), (b"AUTH", 501),
            (b"AUTH PLAIN !!!", 501), (b"AUTH ${run{x}}", 504), (b"QUIT %n{log_time.__class__}", 501),
        ):
            with self.assertRaises(SmtpError, msg=repr(line)) as raised:
                self.read(line)
            self.assertEqual(raised.exception.reply.code, code, line)
            self.assertFalse(raised.exception.fatal)

    def test_parameters(self) -> None:
        """What the RFCs let a client ask for."""
        ann = Address("a", "b.org")
        for line, wanted in (
            ("SMTPUTF8", {"utf8": True}),
            ("BODY=BINARYMIME", {"body": "BINARYMIME"}),
            ("RET=hdrs ENVID=QQ+2B314159", {"ret": "HDRS", "envid": "QQ+314159"}),
            ("REQUIRETLS", {"require_tls": True}),
            ("HOLDFOR=600", {"hold_for": 600}),
            ("HOLDUNTIL=2026-11-24T12:00:00Z", {"hold_until": 1795521600.0}),
            ("HOLDUNTIL=2026-11-24T13:00:00+01:00", {"hold_until": 1795521600.0}),
            ("MT-PRIORITY=-9", {"priority": -9}),
            ("BY=+120;rt", {"by": 120, "by_mode": "RT"}),
            ("BY=-5;N", {"by": -5, "by_mode": "N"}),
            ("SOLICIT=org.example:ADV,net.example:ADV:ADLT", {"solicit": ("org.example:ADV", "net.example:ADV:ADLT")}),
        ):
            mail = self.read(f"MAIL FROM:<a@b.org> {line}".encode())
            self.assertEqual(replace(mail, uses=frozenset()), Mail(ann, **wanted), line)
        for line, wanted in (
            ("NOTIFY=NEVER", {"notify": "NEVER"}),
            ("NOTIFY=delay,Success", {"notify": "SUCCESS,DELAY"}),
            ("ORCPT=rfc822;Bob+40example.org", {"orcpt": "rfc822;Bob@example.org"}),
            (r"ORCPT=utf-8;j\x{F6}rg@b.org", {"orcpt": "utf-8;jörg@b.org"}),
            ("ORCPT=utf-8;jörg@b.org", {"orcpt": "utf-8;jörg@b.org"}),
        ):
            self.assertEqual(
                self.read(f"RCPT TO:<a@b.org> {line}".encode()), Rcpt(ann, **wanted, uses=frozenset({"DSN"})), line
            )

    def test_absurd_parameters(self) -> None:
        """None of them is taken, and none of them harms."""
        for parameter in (
            "SMTPUTF8=yes", "BODY=", "RET=ALL", "RET", "ENVID=", "ENVID=a+0D+0Ab", "ENVID=a+zz", "ENVID=" + "x" * 101,
            "REQUIRETLS=1", "HOLDFOR=-1", "HOLDFOR=0", "HOLDFOR=9999999999", "HOLDUNTIL=tomorrow",
            "HOLDUNTIL=2026-11-24T12:00:00", "HOLDUNTIL=2026-11-24", "HOLDUNTIL=9999-99-99T00:00:00Z",
            "HOLDFOR=1 HOLDUNTIL=2026-11-24T12:00:00Z", "MT-PRIORITY=10", "MT-PRIORITY=-0", "MT-PRIORITY=${x}",
            "BY=0;R", "BY=-1;RT", "BY=9999999999;N", "BY=1;X", "BY=1", "SOLICIT=", "SOLICIT=;rm", "AUTH=",
            "AUTH=+0D+0A", "SIZE=\uff11\uff12", "SIZE=1 SIZE=1",
        ):
            with self.assertRaises(SmtpError, msg=parameter) as raised:
                self.read(f"MAIL FROM:<a@b.org> {parameter}".encode())
            self.assertEqual((raised.exception.reply.code, raised.exception.fatal), (501, False), parameter)
        for parameter in (
            "NOTIFY=", "NOTIFY=NEVER,DELAY", "NOTIFY=DELAY,DELAY", "NOTIFY=ALWAYS", "ORCPT=", "ORCPT=rfc822",
            "ORCPT=rfc822;",
            "ORCPT=rfc822;a+0D+0ARCPT", r"ORCPT=utf-8;a\x{0D}", r"ORCPT=utf-8;\x{D800}", r"ORCPT=utf-8;\x{FFFFFF}",
            "ORCPT=rfc822;" + "x" * 500, "ORCPT=rfc822;jörg",
        ):
            with self.assertRaises(SmtpError, msg=parameter) as raised:
                self.read(f"RCPT TO:<a@b.org> {parameter}".encode())
            self.assertEqual(raised.exception.reply.code, 501, parameter)

    def test_who_speaks_for_others(self) -> None:
        """XCLIENT and XFORWARD, in xtext."""
        self.assertEqual(
            self.read(b"XCLIENT ADDR=192.0.2.1 HELO=a+20b name=[UNAVAILABLE]"),
            XClient({"ADDR": "192.0.2.1", "HELO": "a b", "NAME": None}),
        )
        self.assertEqual(self.read(b"XFORWARD IDENT=1234"), XForward({"IDENT": "1234"}))
        for line in (b"XCLIENT", b"XCLIENT FOO=1", b"XCLIENT ADDR", b"XCLIENT ADDR=", b"XFORWARD ADDR=+0D+0A"):
            with self.assertRaises(SmtpError) as raised:
                self.read(line)
            self.assertEqual(raised.exception.reply.code, 501)

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


BEGIN = b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\n"


class ChunkTests(SynchronousTestCase):
    """BDAT (RFC 3030): octets are counted, not looked for."""

    def after(self, *octets: bytes, most: int = 10_000, begin: bytes = BEGIN) -> list[Any]:
        return play(begin, *octets, most=most)[begin.count(b"\n"):]

    def test_chunks(self) -> None:
        """In one piece or several; what looks like an end is none, and the last may be empty."""
        self.assertEqual(self.after(b"BDAT 5 LAST\r\na\r\n.\r"), [(b"", BARE_LINE_END)])
        self.assertEqual(self.after(b"BDAT 6 last\r\n.\r\n.\r\nQUIT\r\n"), [(b".\r\n.\r\n", None), Quit()])
        self.assertEqual(
            self.after(b"BDAT 3\r\na\r\nBDAT 3\r\nb\r\nBDAT 0 LAST\r\nNOOP\r\n"),
            [3, 3, (b"a\r\nb\r\n", None), Noop()],
        )

    def test_line_end_across_chunks(self) -> None:
        """A CR and its LF may lie in two chunks; a CR without one may not."""
        self.assertEqual(self.after(b"BDAT 2\r\na\rBDAT 1 LAST\r\n\n"), [2, (b"a\r\n", None)])
        self.assertEqual(self.after(b"BDAT 2\r\na\rBDAT 1 LAST\r\nb"), [2, (b"", BARE_LINE_END)])
        self.assertEqual(self.after(b"BDAT 2\r\na\rBDAT 0 LAST\r\n"), [2, (b"", BARE_LINE_END)])

    def test_binary(self) -> None:
        """BODY=BINARYMIME has no lines."""
        begin = b"EHLO x\r\nMAIL FROM:<a@b> BODY=BINARYMIME\r\nRCPT TO:<a@b>\r\n"
        self.assertEqual(self.after(b"BDAT 4 LAST\r\n\0\n\r.", begin=begin), [(b"\0\n\r.", None)])

    def test_swallowed_when_refused(self) -> None:
        """Octets of a chunk are never commands, whoever refuses it."""
        self.assertEqual(play(b"EHLO x\r\nBDAT 6\r\nQUIT\r\nNOOP\r\n")[1:], [BAD_SEQUENCE, Noop()])
        self.assertEqual(play(b"BDAT 6 LAST\r\nQUIT", b"\r\nBDAT 0\r\n"), [BAD_SEQUENCE, BAD_SEQUENCE])
        self.assertEqual(
            self.after(b"BDAT 2\r\n\n\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"), [BARE_LINE_END, BAD_SEQUENCE, Noop()]
        )

    def test_not_together_with_data(self) -> None:
        """The one or the other."""
        said = self.after(b"BDAT 3\r\na\r\nDATA\r\nMAIL FROM:<>\r\nRSET\r\n")
        self.assertEqual(said, [3, BAD_SEQUENCE, BAD_SEQUENCE, Rset()])

    def test_absurd(self) -> None:
        """Where the size cannot be known nothing more can be read; a huge one is not waited for."""
        for size in (b"", b"x", b"-1", b"1 MORE", b"1 LAST LAST", b"0x10", b"9" * 30):
            said = self.after(b"BDAT " + size + b"\r\nQUIT\r\n")
            self.assertEqual([each.code for each in said], [501], size)
        self.assertEqual(self.after(b"BDAT 99999999999999999999 LAST\r\nQUIT\r\n"), [TOO_BIG])
        said = self.after(b"BDAT 12\r\n" + b"x" * 12 + b"BDAT 0 LAST\r\n", most=10)
        self.assertEqual(said, [TOO_BIG, BAD_SEQUENCE])

    @given(
        st.lists(st.sampled_from([*phrases, b"BDAT 9\r\n", b"BDAT 2 LAST\r\n", b"BDAT 0\r\n", b"x"]), max_size=20),
        st.lists(st.integers(0, 1000), max_size=10),
    )
    @settings(max_examples=300, deadline=None)
    def test_cuts_do_not_matter(self, said: list[bytes], places: list[int]) -> None:
        """However the octets come, they say the same."""
        octets = b"".join(said)
        self.assertEqual(self.after(*cut(octets, places)), self.after(octets))


class NormalisingTests(SynchronousTestCase):
    """Who is logged in may be forgiven its line ends."""

    def finish(self, *octets: bytes) -> list[Any]:
        wire = ServerWire(1000)
        wire.normalises = True
        found: list[Any] = []
        content = b""
        for chunk in (BEGIN, *octets):
            wire.receive(chunk)
            while (command := wire.next()) is not None:
                content += getattr(command, "octets", b"")
                if isinstance(command, EndOfContent):
                    found.append((content, command.fault))
                    content = b""
                wire.advance(command)
        return found

    def test_data(self) -> None:
        """A bare LF or CR becomes a line end, but neither an end of the content nor a line whose dot is taken."""
        self.assertEqual(self.finish(b"DATA\r\na\nb\rc\r\n.\r\n"), [(b"a\r\nb\r\nc\r\n", None)])
        self.assertEqual(
            self.finish(b"DATA\r\na\n.\n..b\n.\r\n\r\n.\r\n"), [(b"a\r\n.\r\n..b\r\n.\r\n\r\n", None)]
        )
        self.assertEqual(self.finish(b"DATA\r\na\r", b"\nb\r\n.\r\n"), [(b"a\r\nb\r\n", None)])

    def test_bdat(self) -> None:
        """The same, across chunks."""
        self.assertEqual(self.finish(b"BDAT 4\r\na\nb\rBDAT 2 LAST\r\n\nc"), [(b"a\r\nb\r\nc", None)])

    def test_nul(self) -> None:
        """A NUL is nothing that could be meant."""
        self.assertEqual(self.finish(b"DATA\r\na\0\r\n.\r\n"), [(b"", BARE_LINE_END)])
