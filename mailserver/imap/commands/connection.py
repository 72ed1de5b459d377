"""Commands about the conversation itself: who talks, how, and what it can do."""

from __future__ import annotations

from binascii import Error, a2b_base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mailserver.imap.error import ImapError
from mailserver.imap.reader import Reader

MOST_FIELDS = 30            # of ID, RFC 2971 3.3
LONGEST_FIELD = 30          # octets of a field's name
LONGEST_VALUE = 1024        # octets of its value
MOST_CAPABILITIES = 64      # of one ENABLE


@dataclass(frozen=True, slots=True)
class Capability:
    """RFC 9051 6.1.1."""


@dataclass(frozen=True, slots=True)
class Noop:
    """RFC 9051 6.1.2."""


@dataclass(frozen=True, slots=True)
class Logout:
    """RFC 9051 6.1.3."""


@dataclass(frozen=True, slots=True)
class Id:
    """Which program the peer is (RFC 2971); none: it does not say."""

    fields: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class StartTls:
    """RFC 9051 6.2.1."""


@dataclass(frozen=True, slots=True)
class Authenticate:
    """RFC 9051 6.2.2; `initial` is the octets of SASL-IR (RFC 4959), None when there were none."""

    mechanism: str
    initial: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Login:
    """RFC 9051 6.2.3."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Enable:
    """RFC 9051 6.3.1; in upper case, those that nobody knows too."""

    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unauthenticate:
    """RFC 8437."""


@dataclass(frozen=True, slots=True)
class Compress:
    """RFC 4978."""

    algorithm: str


@dataclass(frozen=True, slots=True)
class Idle:
    """RFC 2177."""


def base64(octets: bytes) -> bytes:
    """Decoded; raises `ImapError`."""
    try:
        return a2b_base64(octets, strict_mode=True)
    except Error:
        raise ImapError("that is not base64") from None


def _utf8(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise ImapError("that is not UTF-8") from None


def _id(reader: Reader) -> Id:
    reader.space()
    if reader.octets[reader.at : reader.at + 3].upper() == b"NIL":
        reader.at += 3
        return Id()
    fields: list[tuple[str, str | None]] = []

    def pair() -> None:
        name = _utf8(reader.string())
        reader.space()
        value = reader.nstring()
        if len(fields) == MOST_FIELDS or len(name) > LONGEST_FIELD or len(value or b"") > LONGEST_VALUE:
            raise ImapError("that is too much to say of oneself")
        fields.append((name, None if value is None else _utf8(value)))

    reader.list_of(pair, may_be_empty=True)
    return Id(tuple(fields))


def _authenticate(reader: Reader) -> Authenticate:
    reader.space()
    mechanism = reader.word("a mechanism")
    if not reader.took(b" "):
        return Authenticate(mechanism)
    initial = reader.octets[reader.at :]
    reader.at = len(reader.octets)
    return Authenticate(mechanism, b"" if initial == b"=" else base64(initial))


def _login(reader: Reader) -> Login:
    reader.space()
    name = _utf8(reader.astring())
    reader.space()
    return Login(name, _utf8(reader.astring()))


def _enable(reader: Reader) -> Enable:
    words: list[str] = []
    while len(words) < MOST_CAPABILITIES and reader.took(b" "):
        words.append(reader.word("a capability"))
    if not words:
        reader.fail("a capability is missing")
    return Enable(tuple(words))


def _compress(reader: Reader) -> Compress:
    reader.space()
    return Compress(reader.word("an algorithm"))


PARSERS: Mapping[str, Callable[[Reader], object]] = {
    "CAPABILITY": lambda _: Capability(), "NOOP": lambda _: Noop(), "LOGOUT": lambda _: Logout(), "ID": _id,
    "STARTTLS": lambda _: StartTls(), "AUTHENTICATE": _authenticate, "LOGIN": _login, "ENABLE": _enable,
    "UNAUTHENTICATE": lambda _: Unauthenticate(), "COMPRESS": _compress, "IDLE": lambda _: Idle(),
}
