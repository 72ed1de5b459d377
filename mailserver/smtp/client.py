"""The client's side of SMTP and LMTP: replies in, octets out."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

from mailserver.address import Address
from mailserver.errors import MailserverError
from mailserver.reply import Reply

LONGEST_LINE = 4096         # octets of a reply line; RFC 5321 4.5.3.1.5 allows 512, and servers say more
MOST_LINES = 100            # of one reply

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_STATUS = re.compile(r"([245])\.(\d{1,3}\.\d{1,3})(?: |$)")


class NotSmtp(MailserverError):
    """What the server said is no reply; nothing more can be understood on this connection."""


class ReplyReader:
    """Octets in, replies out; nothing of a server's is kept beyond `MOST_LINES` lines."""

    __slots__ = ("_buffer", "_code", "_lines")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._code: int | None = None
        self._lines: list[str] = []

    @property
    def buffered(self) -> int:
        """Octets, and lines of an unfinished reply, that were not used yet."""
        return len(self._buffer) + len(self._lines)

    def receive(self, octets: bytes) -> None:
        """Keep octets of the server."""
        self._buffer += octets

    def next(self) -> Reply | None:
        """The next whole reply; None when more octets are needed.  Raises `NotSmtp`."""
        while True:
            end = self._buffer.find(b"\n", 0, LONGEST_LINE)
            if end < 0:
                if len(self._buffer) >= LONGEST_LINE:
                    raise NotSmtp("a reply line is too long")
                return None
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            found = _LINE.fullmatch(line)
            if found is None:
                raise NotSmtp(f"not a reply: {_printable(line[:80])}")
            code = int(found[1])
            if self._code not in (None, code):
                raise NotSmtp("the lines of one reply have several codes")
            self._code = code
            self._lines.append(_printable(found[3] or b""))
            if len(self._lines) > MOST_LINES:
                raise NotSmtp("a reply does not end")
            if found[2] != b"-":
                reply = _reply(code, self._lines)
                self._code, self._lines = None, []
                return reply


def _reply(code: int, lines: list[str]) -> Reply:
    """A reply with its enhanced status taken out of the text, where every line has the same."""
    found = _STATUS.match(lines[0])
    if found is not None and int(found[1]) == code // 100:
        head = found[0]
        texts = [line.removeprefix(head.rstrip()).lstrip() for line in lines]
        return Reply(code, found[2], "\n".join(texts))
    return Reply(code, "", "\n".join(lines))


def _printable(octets: bytes) -> str:
    text = octets.decode("utf-8", "replace")
    return "".join(each if each.isprintable() else "?" for each in text)


def extensions(reply: Reply) -> Mapping[str, str]:
    """The keywords of an EHLO or LHLO reply, in upper case, with their parameters."""
    found = {}
    for line in reply.text.split("\n")[1:]:
        keyword, _, parameters = line.strip().partition(" ")
        if keyword:
            found[keyword.upper()] = parameters.strip()
    return found


def hello(verb: str, hostname: str) -> bytes:
    """EHLO, HELO or LHLO."""
    return f"{verb} {hostname}\r\n".encode("ascii")


def mail(sender: Address | None, size: int, body: str, offered: Mapping[str, str]) -> bytes:
    """MAIL FROM with what the server understands of SIZE (RFC 1870) and BODY (RFC 6152)."""
    parameters = ""
    if size and "SIZE" in offered:
        parameters += f" SIZE={size}"
    if body == "8BITMIME" and "8BITMIME" in offered:
        parameters += " BODY=8BITMIME"
    return f"MAIL FROM:<{sender or ''}>{parameters}\r\n".encode()


def rcpt(recipient: Address) -> bytes:
    """RCPT TO."""
    return f"RCPT TO:<{recipient}>\r\n".encode()


def auth_plain(login: str, password: str) -> bytes:
    """AUTH PLAIN with its initial response (RFC 4616)."""
    return b"AUTH PLAIN " + base64.b64encode(f"\0{login}\0{password}".encode()) + b"\r\n"


def base64_line(text: str) -> bytes:
    """The answer to a challenge."""
    return base64.b64encode(text.encode()) + b"\r\n"
