"""The client's side of SMTP and LMTP: replies in, octets out."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from mailserver.address import Address, domain_key
from mailserver.errors import MailserverError
from mailserver.reply import Reply
from mailserver.smtp import xtext
from mailserver.wishes import NONE, Wishes

LONGEST_LINE = 4096         # octets of a reply line; RFC 5321 4.5.3.1.5 allows 512, and servers say more
MOST_LINES = 100            # of one reply
LARGEST = 32 * 1024         # octets of one reply
OFTEN = 64                  # octets of a line that may be said again in the same words

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_STATUS = re.compile(r"([245])\.(\d{1,3}\.\d{1,3})(?: |$)")


class NotSmtp(MailserverError):
    """What the server said is no reply; nothing more can be understood on this connection."""


class ReplyReader:
    """Octets in, replies out; of what a server says no more than one reply's worth is kept."""

    __slots__ = ("_buffer", "_code", "_lines", "_size")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._code: int | None = None
        self._lines: list[str] = []
        self._size = 0              # octets of the lines

    @property
    def buffered(self) -> int:
        """Octets that were not used yet, those of an unfinished reply too."""
        return len(self._buffer) + self._size

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
            is_usual = self._code is None and len(line) <= OFTEN and line[3:4] == b" "
            if is_usual and (usual := _usual(line)) is not None:
                return usual
            found = _LINE.fullmatch(line)
            if found is None:
                raise NotSmtp(f"not a reply: {_printable(line[:80])}")
            code = int(found[1])
            if self._code not in (None, code):
                raise NotSmtp("the lines of one reply have several codes")
            self._code = code
            self._size += end + 1
            self._lines.append(_printable(found[3] or b""))
            if len(self._lines) > MOST_LINES or self._size > LARGEST:
                raise NotSmtp("a reply does not end")
            if found[2] != b"-":
                reply = _reply(code, self._lines)
                self._code, self._lines, self._size = None, [], 0
                return reply


@lru_cache(maxsize=512)
def _usual(line: bytes) -> Reply | None:
    """A reply of one line; a server says the same few again and again.  None: it is none."""
    found = _LINE.fullmatch(line)
    return _reply(int(found[1]), [_printable(found[3] or b"")]) if found is not None else None


def _reply(code: int, lines: Sequence[str]) -> Reply:
    """A reply with its enhanced status (RFC 2034) taken out of the text, where every line has the same."""
    found = _STATUS.match(lines[0])
    if found is not None and int(found[1]) == code // 100:
        head = found[0].rstrip()
        return Reply(code, found[2], "\n".join(line.removeprefix(head).lstrip() for line in lines))
    return Reply(code, "", "\n".join(lines))


def _printable(octets: bytes) -> str:
    text = octets.decode("utf-8", "replace")
    if text.isprintable():
        return text
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


def needs_utf8(addresses: Iterable[Address | None]) -> bool:
    """Whether these can only be told to a server with SMTPUTF8 (RFC 6531); domains alone have A-labels."""
    return any(each is not None and not each.local.isascii() for each in addresses)


def mail(
    sender: Address | None, size: int, body: str, offered: Mapping[str, str], utf8: bool = False,
    more: Iterable[str] = (),
) -> bytes:
    """MAIL FROM with what the server understands of SIZE (RFC 1870) and BODY (RFC 6152), and SMTPUTF8 if it must be.

    `more` are parameters as `wished` makes them.
    """
    parameters = ""
    if size and "SIZE" in offered:
        parameters += f" SIZE={size}"
    if body == "BINARYMIME" or (body == "8BITMIME" and "8BITMIME" in offered):
        parameters += f" BODY={body}"
    if utf8:
        parameters += " SMTPUTF8"
    parameters += "".join(f" {each}" for each in more)
    return f"MAIL FROM:<{_written(sender) if sender else ''}>{parameters}\r\n".encode()


def wished(wishes: Wishes, offered: Mapping[str, str], now: float) -> list[str]:
    """Parameters of MAIL by which a sender's wishes are passed on, as far as the server knows them.

    DSN (RFC 3461), REQUIRETLS (RFC 8689), MT-PRIORITY (RFC 6710), DELIVERBY (RFC 2852; `now` is in seconds since the
    epoch, as is the time in the wishes).
    """
    if wishes is NONE:
        return []
    parameters = []
    if "DSN" in offered:
        if wishes.ret:
            parameters.append(f"RET={wishes.ret}")
        if wishes.envid:
            parameters.append(f"ENVID={xtext.encode(wishes.envid)}")
    if wishes.require_tls and "REQUIRETLS" in offered:
        parameters.append("REQUIRETLS")
    if wishes.priority and "MT-PRIORITY" in offered:
        parameters.append(f"MT-PRIORITY={wishes.priority}")
    if wishes.deliver_by and "DELIVERBY" in offered:
        parameters.append(f"BY={max(-999_999_999, min(999_999_999, round(wishes.deliver_by - now)))};{wishes.by_mode}")
    return parameters


def rcpt(recipient: Address, notify: str = "", orcpt: str = "") -> bytes:
    """RCPT TO, with what a server with DSN is told: NOTIFY, and ORCPT, "type;address" (RFC 3461 4.1, 4.2)."""
    parameters = f" NOTIFY={notify}" if notify else ""
    kind, _, address = orcpt.partition(";")
    if address:
        # RFC 6533 3: what is beyond ASCII has a type of its own.
        written = xtext.encode(address) if address.isascii() else xtext.encode_utf8(address)
        parameters += f" ORCPT={kind if address.isascii() else 'utf-8'};{written}"
    return f"RCPT TO:<{_written(recipient)}>{parameters}\r\n".encode()


def _written(address: Address) -> Address:
    return address if address.domain.isascii() else Address(address.local, domain_key(address.domain))


def auth_plain(login: str, password: str) -> bytes:
    """AUTH PLAIN with its initial response (RFC 4616)."""
    return b"AUTH PLAIN " + base64.b64encode(f"\0{login}\0{password}".encode()) + b"\r\n"


def base64_line(text: str) -> bytes:
    """The answer to a challenge."""
    return base64.b64encode(text.encode()) + b"\r\n"
