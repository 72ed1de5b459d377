"""Commands about who may do what in a mailbox (RFC 4314 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mailserver.imap.error import ImapError
from mailserver.imap.reader import Reader
from mailserver.imap.rights import parse_change

LONGEST_IDENTIFIER = 512        # octets; an address has 320 at the most


@dataclass(frozen=True, slots=True)
class SetAcl:
    """RFC 4314 3.1: `how` is "+", "-" or "="."""

    mailbox: str
    who: str
    how: str
    rights: str


@dataclass(frozen=True, slots=True)
class DeleteAcl:
    """RFC 4314 3.2."""

    mailbox: str
    who: str


@dataclass(frozen=True, slots=True)
class GetAcl:
    """RFC 4314 3.3."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class ListRights:
    """RFC 4314 3.4."""

    mailbox: str
    who: str


@dataclass(frozen=True, slots=True)
class MyRights:
    """RFC 4314 3.5."""

    mailbox: str


def _identifier(reader: Reader) -> str:
    octets = reader.astring()
    try:
        who = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise ImapError("that identifier is not UTF-8") from None
    if not who.removeprefix("-") or len(octets) > LONGEST_IDENTIFIER or not who.isprintable():
        raise ImapError("that is no identifier")
    return who


def _set(reader: Reader) -> SetAcl:
    reader.space()
    mailbox = reader.mailbox()
    reader.space()
    who = _identifier(reader)
    reader.space()
    try:
        how, rights = parse_change(reader.astring().decode("ascii"))
    except UnicodeDecodeError:
        raise ImapError("there is no such right") from None
    return SetAcl(mailbox, who, how, rights)


def _of_one(make: Callable[[str], object]) -> Callable[[Reader], object]:
    def parse(reader: Reader) -> object:
        reader.space()
        return make(reader.mailbox())

    return parse


def _of_two(make: Callable[[str, str], object]) -> Callable[[Reader], object]:
    def parse(reader: Reader) -> object:
        reader.space()
        mailbox = reader.mailbox()
        reader.space()
        return make(mailbox, _identifier(reader))

    return parse


PARSERS: Mapping[str, Callable[[Reader], object]] = {
    "SETACL": _set, "DELETEACL": _of_two(DeleteAcl), "GETACL": _of_one(GetAcl), "LISTRIGHTS": _of_two(ListRights),
    "MYRIGHTS": _of_one(MyRights),
}
