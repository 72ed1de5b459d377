"""The server's wire of SMTP and LMTP: a session that refuses whom it likes, and a peer that says what it likes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mailserver.reply import BARE_LINE_END, TOO_BIG
from mailserver.smtp.commands import Auth, AuthResponse, Chunk, Data, EndOfContent, Quit, StartTls
from mailserver.smtp.lines import AUTH_LINE, SmtpError
from mailserver.smtp.phases import FOLLOWS, Phase
from mailserver.smtp.server import ServerWire
from tests.fuzz import dots
from tests.fuzz.choices import Choices, split

WORDS = (
    b"EHLO x\r\n", b"HELO x\r\n", b"LHLO x\r\n", b"MAIL FROM:<a@b.org>\r\n", b"MAIL FROM:<>",
    b"RCPT TO:<c@d.org>\r\n", b"DATA\r\n", b"\r\n.\r\n", b".\r\n", b"RSET\r\n", b"NOOP\r\n", b"QUIT\r\n",
    b"STARTTLS\r\n", b"AUTH PLAIN AGEAYg==\r\n", b"AUTH LOGIN\r\n", b"*\r\n", b"VRFY x\r\n", b"HELP\r\n", b" SIZE=",
    b" BODY=8BITMIME", b" AUTH=<>", b"<@a,@b:", b'"a b"@c.org', b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"\r", b"\n",
    b"\0", b"\xff", b"x" * 300,
)
MOST_CONTENT = (1000, 20, 1)


class Session:
    """Plays a session: says of each command whether it succeeds, as the choices have it."""

    def __init__(self, choose: Choices) -> None:
        self.choose = choose
        self.lmtp = choose.below(2) == 1
        self.most = MOST_CONTENT[choose.below(len(MOST_CONTENT))]
        self.wire = ServerWire(self.most, self.lmtp)
        self.heard: list[Any] = []
        self.content = b""
        self.over = False
        self.expected: tuple[bytes, int, Any] | None = None     # content, size, fault, where it can be known before

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
            assert len(self.content) <= self.most
            return
        if isinstance(command, EndOfContent):
            content, self.content = self.content + command.octets, b""
            assert len(content) <= self.most and command.fault in (None, TOO_BIG, BARE_LINE_END)
            if self.expected is not None:
                assert (command.size, command.fault) == self.expected[1:], (command, self.expected)
                assert command.fault is not None or content == self.expected[0], (content, self.expected)
            self.heard.append((content if command.fault is None else b"", command.size, command.fault))
            wire.advance(command)
            assert wire.phase is Phase.GREETED
            return
        self.heard.append(command)
        if isinstance(command, StartTls | Quit):
            self.over = True
        elif isinstance(command, Auth | AuthResponse):
            what = self.choose.below(3)
            if what == 0:
                wire.advance(command)
            elif what == 1:
                wire.advance(command, challenged=True)
            else:
                wire.refuse(command)
        elif self.choose.below(8) == 7:
            before = wire.phase
            wire.refuse(command)
            assert wire.phase is before
        else:
            wire.advance(command)
            if isinstance(command, Data):
                self.foretell(whole[len(whole) - wire.buffered:] if whole else None)

    def foretell(self, rest: bytes | None) -> None:
        """What the content will be, by the letter of the RFC, where all of it has come."""
        found = dots.oracle(rest) if rest is not None else None
        if found is None:
            self.expected = None
            return
        content, _, is_strict = found
        fault = TOO_BIG if len(content) > self.most else None if is_strict else BARE_LINE_END
        self.expected = content, len(content), fault


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
    session.wire.restart()
    assert session.wire.buffered == 0 and session.wire.phase is Phase.NEW
    session.over = False
    session.heard = []
    name = "LHLO" if session.lmtp else "EHLO"
    assert [type(each).__name__ for each in session.hear([b"NOOP\r\n", f"{name} x\r\n".encode()])] == ["Noop", "Hello"]
