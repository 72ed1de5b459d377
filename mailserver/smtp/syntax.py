"""How a command line is read (RFC 5321 4.1)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping

from mailserver.address import Address
from mailserver.errors import BadAddress
from mailserver.reply import (
    BAD_ADDRESS,
    MECHANISM_UNKNOWN,
    NEEDS_SMTPUTF8,
    NOT_SMTP,
    SYNTAX,
    UNKNOWN_COMMAND,
    Reply,
)
from mailserver.smtp import parameters, xtext
from mailserver.smtp.commands import (
    Auth,
    AuthResponse,
    Bdat,
    Burl,
    Command,
    Data,
    Etrn,
    Expn,
    Hello,
    Help,
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

_PATH = re.compile(r"[ \t]*<(?P<path>(?:\"(?:[^\"\\]|\\.)*\"|[^<>\"])*)>(?P<rest>(?:[ \t].*)?)", re.DOTALL)
_BARE_PATH = re.compile(r"[ \t]*(?P<path>[^ \t<>]+)(?P<rest>.*)", re.DOTALL)
_ROUTE = re.compile(r"@[^:,@]+(?:,@[^:,@]+)*:")
_HELLO_NAME = re.compile(r"[!-~]{1,255}")
_BDAT = re.compile(r"([0-9]{1,20})(?: +(LAST))?", re.IGNORECASE)
_BURL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*:[!-~]+)(?: +(LAST))?", re.IGNORECASE)      # RFC 4468 4: absolute-URI

XCLIENT_ATTRIBUTES = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT")
XFORWARD_ATTRIBUTES = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE")
UNKNOWN = ("[UNAVAILABLE]", "[TEMPUNAVAIL]")

# Who says these speaks HTTP, or is a proxy that nobody named: whatever follows is not for us.
OTHER_PROTOCOLS = frozenset(
    {"GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "DELETE", "PATCH", "TRACE", "PRI", "PROXY"}
)


def parse_command(line: bytes) -> Command:
    """Read one command line, without its CRLF; raises `SmtpError` with the reply for what is wrong."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise SmtpError(SYNTAX) from None
    verb, _, argument = text.partition(" ")
    verb = verb.upper()
    read = _READERS.get(verb)
    if read is None:
        raise SmtpError(NOT_SMTP, fatal=True) if verb in OTHER_PROTOCOLS else SmtpError(UNKNOWN_COMMAND)
    if not text.isascii() and verb not in _BEYOND_ASCII:
        raise SmtpError(SYNTAX)
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
    path, rest = _path(argument, "FROM:")
    found = parameters.read(parameters.split(rest), parameters.OF_MAIL) if rest else {}
    if found.get("hold_for") and found.get("hold_until"):
        raise SmtpError(Reply(501, "5.4", "HOLDFOR and HOLDUNTIL exclude each other"))
    sender = _address(path) if path else None
    if sender is not None and not found.get("utf8") and not sender.is_ascii:
        raise SmtpError(NEEDS_SMTPUTF8)
    return Mail(sender, **found)


def _rcpt(argument: str) -> Command:
    path, rest = _path(argument, "TO:")
    if not path:
        raise SmtpError(BAD_ADDRESS)
    recipient = _address(path)
    return Rcpt(recipient, **parameters.read(parameters.split(rest), parameters.OF_RCPT)) if rest else Rcpt(recipient)


def _bdat(argument: str) -> Command:
    found = _BDAT.fullmatch(argument.strip(" "))
    if found is None:
        # Where the next command begins cannot be known, and an octet of content must never be taken for one.
        raise SmtpError(Reply(501, "5.4", "Syntax: BDAT size [LAST]"), fatal=True)
    return Bdat(int(found[1]), found[2] is not None)


def _burl(argument: str) -> Command:
    found = _BURL.fullmatch(argument.strip(" "))
    if found is None:
        raise SmtpError(Reply(501, "5.4", "Syntax: BURL url [LAST]"))
    return Burl(found[1], found[2] is not None)


def _path(argument: str, prefix: str) -> tuple[str, str]:
    """The path without its brackets and source route, and what stands behind it."""
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
    return path, found["rest"]


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


def _what(verb: str, make: Callable[[str], Command]) -> Callable[[str], Command]:
    def read(argument: str) -> Command:
        what = argument.strip(" \t")
        if not what or len(what) > 1000:
            raise SmtpError(Reply(501, "5.4", f"{verb} needs to be told what"))
        return make(what)

    return read


def _attributes(
    verb: str, known: tuple[str, ...], make: Callable[[Mapping[str, str | None]], Command]
) -> Callable[[str], Command]:
    def read(argument: str) -> Command:
        found: dict[str, str | None] = {}
        for name, value in parameters.split(argument):
            if name not in known or not value:
                raise SmtpError(Reply(501, "5.4", f"{verb} knows no {name}" if value else f"{name} needs a value"))
            try:
                found[name] = None if value.upper() in UNKNOWN else xtext.decode(value)
            except ValueError:
                raise SmtpError(Reply(501, "5.4", f"{name} is no xtext")) from None
        if not found:
            raise SmtpError(Reply(501, "5.4", f"Syntax: {verb} attribute=value ..."))
        return make(found)

    return read


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
    "BDAT": _bdat,
    "BURL": _burl,
    "RSET": _bare(Rset()),
    "NOOP": lambda argument: Noop(),
    "VRFY": _what("VRFY", Vrfy),
    "EXPN": _what("EXPN", Expn),
    "ETRN": _what("ETRN", Etrn),
    "HELP": lambda argument: Help(),
    "QUIT": _bare(Quit()),
    "STARTTLS": _bare(StartTls()),
    "AUTH": _auth,
    "XCLIENT": _attributes("XCLIENT", XCLIENT_ATTRIBUTES, XClient),
    "XFORWARD": _attributes("XFORWARD", XFORWARD_ATTRIBUTES, XForward),
}
_BEYOND_ASCII = frozenset({"MAIL", "RCPT", "VRFY", "EXPN", "NOOP", "HELP"})       # RFC 6531 3.4, 3.7.4.2

VERBS = tuple(_READERS)
