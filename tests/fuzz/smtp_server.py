"""The server's wire of SMTP and LMTP: a session that refuses whom it likes, and a peer that says what it likes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from mailserver.reply import BARE_LINE_END, TOO_BIG, Reply
from mailserver.smtp.commands import (
    Auth,
    AuthResponse,
    Chunk,
    Data,
    EndOfChunk,
    EndOfContent,
    Mail,
    Quit,
    Rcpt,
    StartTls,
    XClient,
    XForward,
)
from mailserver.smtp.lines import AUTH_LINE, SmtpError
from mailserver.smtp.phases import FOLLOWS, Phase
from mailserver.smtp.server import ServerWire
from tests.fuzz import dots
from tests.fuzz.choices import Choices, split

WORDS = (
    b"EHLO x\r\n", b"HELO x\r\n", b"LHLO x\r\n", b"MAIL FROM:<a@b.org>\r\n", b"MAIL FROM:<>",
    b"RCPT TO:<c@d.org>\r\n", b"DATA\r\n", b"\r\n.\r\n", b".\r\n", b"RSET\r\n", b"NOOP\r\n", b"QUIT\r\n",
    b"STARTTLS\r\n", b"AUTH PLAIN AGEAYg==\r\n", b"AUTH LOGIN\r\n", b"*\r\n", b"VRFY x\r\n", b"EXPN x\r\n",
    b"ETRN x.org\r\n", b"HELP\r\n", b"BDAT 3\r\na\r\n", b"BDAT 0 LAST\r\n", b"BDAT 5 LAST\r\nabc\r\n", b"BDAT ",
    b" LAST\r\n", b" BODY=BINARYMIME", b" SIZE=", b" BODY=8BITMIME", b" AUTH=<>", b" SMTPUTF8", b" RET=HDRS",
    b" ENVID=a+2Bb", b" NOTIFY=SUCCESS,DELAY", b" ORCPT=rfc822;a+40b", b" ORCPT=utf-8;a\\x{E9}@b", b" HOLDFOR=60",
    b" HOLDUNTIL=2027-01-01T00:00:00Z", b" MT-PRIORITY=-9", b" BY=60;RT", b" REQUIRETLS", b" SOLICIT=org.example:ADV",
    b"XCLIENT ADDR=192.0.2.1 NAME=[UNAVAILABLE]\r\n", b"XFORWARD HELO=x+20y\r\n", b"<@a,@b:", b'"a b"@c.org',
    b"GET / HTTP/1.1\r\n", b"PROXY TCP4 ", b"\x16\x03\x01", b"\r", b"\n", b"\0", b"\xff", b"\xc3\xa9", b"x" * 300,
)
MOST_CONTENT = (1000, 20, 1)


class Session:
    """Plays a session: says of each command whether it succeeds, as the choices have it."""

    def __init__(self, choose: Choices) -> None:
        self.choose = choose
        self.lmtp = choose.below(2) == 1
        self.most = MOST_CONTENT[choose.below(len(MOST_CONTENT))]
        self.wire = ServerWire(self.most, self.lmtp)
        self.wire.normalises = choose.below(4) == 3
        self.heard: list[Any] = []
        self.content = b""
        self.binary = False
        self.chunks: bytes | None = None            # as they came; None: this content comes by DATA
        self.rest: bytes | None = None              # all that stands behind DATA
        self.over = False

    def hear(self, said: Iterable[bytes], whole: bytes = b"") -> list[Any]:
        """All that is heard of what is said; `whole` is all of it where it comes in one piece."""
        wire = self.wire
        for piece in said:
            wire.receive(piece)
            while not self.over:
                try:
                    command = wire.next()
                except SmtpError as error:
                    assert error.reply.severity in (4, 5) and error.reply.encode().endswith(b"\r\n")
                    self.heard.append(error.reply)
                    self.over = error.fatal
                    continue
                if command is None:
                    assert wire.buffered < AUTH_LINE, wire.buffered
                    break
                self.answer(command, whole)
            if self.over:
                break
        return self.heard

    def answer(self, command: Any, whole: bytes) -> None:
        """As `mailserver.session.smtp` does."""
        wire = self.wire
        assert (wire.phase, type(command)) in FOLLOWS, (wire.phase, command)
        if isinstance(command, Chunk):
            self.content += command.octets
            wire.advance(command)
        elif isinstance(command, EndOfChunk | EndOfContent):
            self.content += command.octets
            self.end(command, whole)
        else:
            self.heard.append(command)
            self.decide(command, whole)
        assert len(self.content) <= 2 * self.most       # normalised, each octet may have become two

    def decide(self, command: Any, whole: bytes) -> None:
        """Whether a command succeeds."""
        wire, choose = self.wire, self.choose
        if isinstance(command, StartTls | Quit):
            self.over = True
        elif isinstance(command, Auth | AuthResponse):
            what = choose.below(3)
            if what == 2:
                wire.refuse(command)
            else:
                wire.advance(command, challenged=what == 1)
        elif choose.below(8) == 7 or (isinstance(command, Data) and self.binary):
            before = wire.phase
            wire.refuse(command)
            assert wire.phase is before
        else:
            wire.advance(command)
            if isinstance(command, Mail):
                self.binary = command.body == "BINARYMIME"
                self.content, self.chunks, self.rest = b"", None, None
                check_mail(command)
            elif isinstance(command, Rcpt):
                check_rcpt(command)
            elif isinstance(command, XClient | XForward):
                assert all(value is None or value.isprintable() for value in command.attributes.values())
            elif isinstance(command, Data):
                self.content = b""
                self.rest = whole[len(whole) - wire.buffered:] if whole else None

    def end(self, command: Any, whole: bytes) -> None:
        """A piece of the content is whole, or all of it."""
        wire = self.wire
        by_data = wire.phase is Phase.CONTENT
        last = isinstance(command, EndOfContent)
        assert command.fault in (None, TOO_BIG, BARE_LINE_END)
        self.heard.append((self.content if command.fault is None else b"", command.size, command.fault))
        if whole and by_data:
            self.compare(command, dots.oracle(self.rest or b""))
        elif whole:
            before = self.chunks or b""
            size = command.size - len(before) if last else command.size
            position = len(whole) - wire.buffered
            self.chunks = raw = before + whole[position - size : position]
            if last:
                self.compare(command, (raw, b"", self.binary or dots.BARE.search(raw) is None))
            elif command.fault is TOO_BIG:
                assert len(raw) > self.most
        if command.fault is not None or (not last and self.choose.below(8) == 7):
            if last:
                wire.advance(command)
            else:
                wire.refuse(command)
            assert wire.phase is Phase.GREETED
        else:
            wire.advance(command)
            assert wire.phase is (Phase.GREETED if last else Phase.CHUNKING)
        if wire.phase is Phase.GREETED:
            self.content, self.chunks = b"", None

    def compare(self, command: EndOfContent, expected: tuple[bytes, bytes, bool] | None) -> None:
        """The content and its fault are those of the letter."""
        assert expected is not None
        content, _, is_strict = expected
        if self.wire.normalises and not self.binary and not is_strict:
            content = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
            is_strict = b"\0" not in content
            if command.fault is TOO_BIG:
                return                  # by DATA what it has become is counted, by BDAT what has come
        fault = TOO_BIG if len(content) > self.most else None if is_strict else BARE_LINE_END
        if not (self.wire.normalises and fault is TOO_BIG):
            assert command.fault == fault, (command, fault)
        assert command.fault is not None or self.content == content, (self.content, content)


def check_mail(command: Mail) -> None:
    """What its parameters have become is within what their RFCs allow."""
    assert command.sender is None or command.utf8 or command.sender.is_ascii
    assert 0 <= command.size < 10**20 and command.body in ("7BIT", "8BITMIME", "BINARYMIME")
    assert command.envid.isprintable() and len(command.envid) <= 100
    assert command.ret in ("", "FULL", "HDRS") and -9 <= command.priority <= 9
    assert 0 <= command.hold_for < 10**9 and not (command.hold_for and command.hold_until)
    assert command.by_mode in ("", "R", "RT", "N", "NT") and (command.by_mode[:1] != "R" or command.by > 0)
    assert all(each.isprintable() for each in command.solicit)


def check_rcpt(command: Rcpt) -> None:
    """The same."""
    assert command.orcpt.isprintable() and len(command.orcpt) <= 500
    assert command.notify in (
        "", "NEVER", "SUCCESS", "FAILURE", "DELAY", "SUCCESS,FAILURE", "SUCCESS,DELAY", "FAILURE,DELAY",
        "SUCCESS,FAILURE,DELAY",
    )


def run(octets: bytes) -> None:
    """The same is heard whatever the cuts, little is kept, content is the RFC's, and TLS begins with nothing."""
    choices, said = split(octets)
    session = Session(Choices(choices))
    whole = session.hear([said], said)
    other = Session(Choices(choices))
    cut = other.hear(Choices(choices).cut(said))
    if cut and cut[-1] is TOO_BIG:          # given up in the middle, before the end could be seen
        whole = [*whole[: len(cut) - 1], TOO_BIG]
    assert whole == cut, (whole, cut)
    for each in whole:
        assert not isinstance(each, Reply) or str(each).isprintable()
    session.wire.restart()
    assert session.wire.buffered == 0 and session.wire.phase is Phase.NEW
    session.over = False
    session.heard = []
    name = "LHLO" if session.lmtp else "EHLO"
    assert [type(each).__name__ for each in session.hear([b"NOOP\r\n", f"{name} x\r\n".encode()])] == ["Noop", "Hello"]
