"""The commands of SMTP, LMTP and SUBMISSION, and how they are read (RFC 5321 4.1)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from mailserver.address import Address
from mailserver.errors import BadAddress
from mailserver.reply import (
    BAD_ADDRESS,
    MECHANISM_UNKNOWN,
    PARAMETER_UNKNOWN,
    SYNTAX,
    UNKNOWN_COMMAND,
    Reply,
)
from mailserver.smtp.lines import SmtpError


@dataclass(frozen=True, slots=True)
class Command:
    """Something that a client said."""


@dataclass(frozen=True, slots=True)
class Hello(Command):
    """EHLO, HELO or LHLO, with the name that the client gives itself."""

    verb: str
    name: str


@dataclass(frozen=True, slots=True)
class Mail(Command):
    """MAIL FROM; None is the null reverse-path.  SIZE by RFC 1870 (0: not said), BODY by RFC 6152."""

    sender: Address | None
    size: int = 0
    body: str = "7BIT"


@dataclass(frozen=True, slots=True)
class Rcpt(Command):
    """RCPT TO."""

    recipient: Address


@dataclass(frozen=True, slots=True)
class Data(Command):
    """DATA: the content follows."""


@dataclass(frozen=True, slots=True)
class Rset(Command):
    """RSET: forget the transaction."""


@dataclass(frozen=True, slots=True)
class Noop(Command):
    """NOOP."""


@dataclass(frozen=True, slots=True)
class Vrfy(Command):
    """VRFY, with what it asks for, unread."""

    what: str


@dataclass(frozen=True, slots=True)
class Help(Command):
    """HELP."""


@dataclass(frozen=True, slots=True)
class Quit(Command):
    """QUIT."""


@dataclass(frozen=True, slots=True)
class StartTls(Command):
    """STARTTLS (RFC 3207)."""


@dataclass(frozen=True, slots=True)
class Auth(Command):
    """AUTH (RFC 4954): `initial` is the decoded initial response, None when there is none."""

    mechanism: str
    initial: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AuthResponse(Command):
    """A line of an authentication; None: the client gave up with ``*``."""

    response: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Chunk(Command):
    """Octets of the content, without the dots of RFC 5321 4.5.2."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class EndOfContent(Command):
    """The last octets of the content.  `fault` is the reply if it must not be taken: too big, or with bare line ends.

    `size` counts all of its octets.
    """

    octets: bytes = field(repr=False)
    size: int
    fault: Reply | None = None


_PATH = re.compile(r"[ \t]*<(?P<path>(?:\"(?:[^\"\\]|\\.)*\"|[^<>\"])*)>(?P<rest>(?:[ \t].*)?)", re.DOTALL)
_BARE_PATH = re.compile(r"[ \t]*(?P<path>[^ \t<>]+)(?P<rest>.*)", re.DOTALL)
_ROUTE = re.compile(r"@[^:,@]+(?:,@[^:,@]+)*:")
_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-]*")
_HELLO_NAME = re.compile(r"[^\x00-\x20\x7f]{1,255}")

LARGEST_SIZE = 10**20       # RFC 1870 3: at most 20 digits


def parse_command(line: bytes) -> Command:
    """Read one command line, without its CRLF; raises `SmtpError` with the reply for what is wrong."""
    try:
        text = line.decode("ascii")
    except UnicodeDecodeError:
        # RFC 6531 is not offered, so nothing in a command may be beyond ASCII.
        if line[:4].upper() in (b"MAIL", b"RCPT"):
            raise SmtpError(Reply(553, "6.7", "Addresses beyond ASCII need SMTPUTF8, which is not offered")) from None
        raise SmtpError(SYNTAX) from None
    verb, _, argument = text.partition(" ")
    read = _READERS.get(verb.upper())
    if read is None:
        raise SmtpError(UNKNOWN_COMMAND)
    return read(argument)


def parse_auth_response(line: bytes) -> AuthResponse:
    """Read a line that answers a challenge; raises `SmtpError` when it is not base64."""
    if line == b"*":
        return AuthResponse(None)
    return AuthResponse(_decode(line))


def _hello(verb: str) -> Callable[[str], Command]:
    def read(argument: str) -> Command:
        name = argument.strip(" \t")
        if _HELLO_NAME.fullmatch(name) is None:
            raise SmtpError(Reply(501, "5.2", f"{verb} needs the name of your host"))
        return Hello(verb, name)

    return read


def _mail(argument: str) -> Command:
    path, parameters = _path(argument, "FROM:")
    sender = _address(path) if path else None
    size, body = 0, "7BIT"
    seen = set()
    for keyword, value in parameters:
        if keyword in seen:
            raise SmtpError(Reply(501, "5.4", f"Parameter {keyword} stands twice"))
        seen.add(keyword)
        if keyword == "SIZE":
            if value is None or not value.isdecimal() or int(value[:21]) >= LARGEST_SIZE:
                raise SmtpError(Reply(501, "5.4", "SIZE needs a number of octets"))
            size = int(value)
        elif keyword == "BODY":
            body = (value or "").upper()
            if body not in ("7BIT", "8BITMIME"):
                raise SmtpError(Reply(501, "5.4", "BODY is 7BIT or 8BITMIME"))
        elif keyword != "AUTH" or value is None:     # RFC 4954 5: taken, and not believed
            raise SmtpError(PARAMETER_UNKNOWN)
    return Mail(sender, size, body)


def _rcpt(argument: str) -> Command:
    path, parameters = _path(argument, "TO:")
    if not path:
        raise SmtpError(BAD_ADDRESS)
    if parameters:
        raise SmtpError(PARAMETER_UNKNOWN)
    return Rcpt(_address(path))


def _path(argument: str, prefix: str) -> tuple[str, list[tuple[str, str | None]]]:
    """The path without its brackets and source route, and the parameters behind it."""
    start = argument.lstrip(" ")
    if start[: len(prefix)].upper() != prefix:
        raise SmtpError(Reply(501, "5.2", f"Syntax: {prefix}<address>"))
    found = _PATH.fullmatch(start, len(prefix)) or _BARE_PATH.fullmatch(start, len(prefix))
    if found is None:
        raise SmtpError(BAD_ADDRESS)
    path = found["path"]
    route = _ROUTE.match(path)              # RFC 5321 4.1.1.3: accepted, and ignored
    if route is not None:
        path = path[route.end():]
    parameters: list[tuple[str, str | None]] = []
    for parameter in found["rest"].split():
        keyword, equals, value = parameter.partition("=")
        if _KEYWORD.fullmatch(keyword) is None:
            raise SmtpError(SYNTAX)
        parameters.append((keyword.upper(), value if equals else None))
    return path, parameters


def _address(path: str) -> Address:
    try:
        return Address.parse(path)
    except BadAddress as error:
        raise SmtpError(Reply(BAD_ADDRESS.code, BAD_ADDRESS.detail, f"{BAD_ADDRESS.text}: {error}")) from None


def _auth(argument: str) -> Command:
    words = argument.split()
    if not words or len(words) > 2:
        raise SmtpError(Reply(501, "5.2", "Syntax: AUTH mechanism [initial-response]"))
    if re.fullmatch(r"[A-Za-z0-9_\-]{1,20}", words[0]) is None:
        raise SmtpError(MECHANISM_UNKNOWN)
    initial = None
    if len(words) == 2:
        initial = b"" if words[1] == "=" else _decode(words[1].encode("ascii"))
    return Auth(words[0].upper(), initial)


def _decode(line: bytes) -> bytes:
    try:
        return base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raise SmtpError(Reply(501, "5.2", "That is not base64")) from None


def _bare(command: Command) -> Callable[[str], Command]:
    def read(argument: str) -> Command:
        if argument.strip(" \t"):
            raise SmtpError(Reply(501, "5.4", "No argument is allowed here"))
        return command

    return read


_READERS: dict[str, Callable[[str], Command]] = {
    "EHLO": _hello("EHLO"),
    "HELO": _hello("HELO"),
    "LHLO": _hello("LHLO"),
    "MAIL": _mail,
    "RCPT": _rcpt,
    "DATA": _bare(Data()),
    "RSET": _bare(Rset()),
    "NOOP": lambda argument: Noop(),
    "VRFY": lambda argument: Vrfy(argument.strip()),
    "HELP": lambda argument: Help(),
    "QUIT": _bare(Quit()),
    "STARTTLS": _bare(StartTls()),
    "AUTH": _auth,
}

VERBS = tuple(_READERS)
