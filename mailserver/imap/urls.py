"""IMAP URLs that name a message or a part of one (RFC 5092), and what URLAUTH adds to them (RFC 4467 3)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import unquote_to_bytes

from mailserver.imap import names
from mailserver.imap.commands.sections import Section, read_section
from mailserver.imap.error import ImapError
from mailserver.imap.numbers import HIGHEST
from mailserver.imap.reader import MOST_NUMBER64

LONGEST_URL = 4096          # octets: a name of 1,000, each of them encoded, and room for the rest
LONGEST_USER = 320          # characters, decoded: what an address may have

# RFC 5092 11: what stands for itself in a name or a section; all else is encoded.
_B = r"(?:[A-Za-z0-9\-._~!$'()*+,&=:@/]|%[0-9A-Fa-f]{2})"
_A = r"(?:[A-Za-z0-9\-._~!$'()*+,&=]|%[0-9A-Fa-f]{2})"
_MESSAGE = re.compile(
    rf"(?:(?P<scheme>imap)://(?:(?P<user>{_A}+)?(?P<auth>;AUTH=(?:\*|{_A}+))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.\-]{1,253})(?::(?P<port>[0-9]{1,5}))?)?"
    rf"/(?P<mailbox>{_B}+)(?:;UIDVALIDITY=(?P<uidvalidity>[0-9]{{1,10}}))?/;UID=(?P<uid>[0-9]{{1,10}})"
    rf"(?:/;SECTION=(?P<section>{_B}+))?(?:/;PARTIAL=(?P<first>[0-9]{{1,19}})(?:\.(?P<count>[0-9]{{1,19}}))?)?"
    r"(?P<authorized>(?:;EXPIRE=(?P<expire>[0-9T:.Zz+\-]{20,40}))?"
    rf";URLAUTH=(?P<access>submit\+{_A}+|user\+{_A}+|authuser|anonymous)"
    r"(?P<verifier>:(?P<mechanism>[A-Za-z0-9\-.]{1,32}):(?P<token>[0-9A-Fa-f]{32,256}))?)?",
    re.IGNORECASE | re.ASCII,
)


class BadUrl(ValueError):
    """It is no URL of a message; the words say why."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use a URL until when, and what proves that the mailbox's owner said so.

    `kind` is submit, user, authuser or anonymous; `user` whom the first two name; `expires` is seconds since the
    epoch, None: never.  `rump` is what the `token` is made of; both it and the `mechanism` are "" as long as nobody
    has authorized it.
    """

    kind: str
    user: str
    expires: float | None
    rump: str
    mechanism: str = ""
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ImapUrl:
    """A message or a part of one.  `host` is "" for a URL that is relative to the server that it is said to.

    `partial`: octets from the first, so many (0: to the end).
    """

    mailbox: str
    uid: int
    user: str = ""
    host: str = ""
    uidvalidity: int | None = None
    section: Section = field(default_factory=Section)
    partial: tuple[int, int] | None = None
    access: Access | None = None


def parse(octets: bytes) -> ImapUrl:
    """An absolute URL, or one that begins with "/" (RFC 5092 7); raises `BadUrl`."""
    if len(octets) > LONGEST_URL:
        raise BadUrl("a URL as long as that is none")
    found = _MESSAGE.fullmatch(octets.decode("latin-1"))
    if found is None:
        raise BadUrl("that is no URL of a message or of a part of one")
    try:
        mailbox = names.read(unquote_to_bytes(found["mailbox"]), utf8=True)
        section = read_section(unquote_to_bytes(found["section"] or ""))
    except ImapError as error:
        raise BadUrl(str(error)) from None
    first, count = int(found["first"] or 0), int(found["count"] or 0)
    uid, uidvalidity = int(found["uid"]), found["uidvalidity"]
    if not 0 < uid <= HIGHEST or max(first, count) > MOST_NUMBER64 or (found["count"] and not count):
        raise BadUrl("a number in it is out of range")
    if int(found["port"] or 1) > 65535:
        raise BadUrl("there is no such port")
    return ImapUrl(
        mailbox, uid, _user(found["user"]), (found["host"] or "").casefold(),
        None if uidvalidity is None else int(uidvalidity), section,
        None if found["first"] is None else (first, count),
        None if found["authorized"] is None else _access(found),
    )


def _access(found: re.Match[str]) -> Access:
    kind, _, user = found["access"].partition("+")
    text = found.string
    rump = text[: found.start("verifier")] if found["verifier"] is not None else text
    expires = None
    if found["expire"] is not None:
        try:
            moment = datetime.fromisoformat(found["expire"].upper())
            if moment.tzinfo is None or "T" not in found["expire"].upper():
                raise ValueError("RFC 3339 wants a zone")
            expires = moment.timestamp()
        except (ValueError, OverflowError):
            raise BadUrl("that is no time at which it could expire") from None
    return Access(
        kind.lower(), _user(user), expires, rump, (found["mechanism"] or "").upper(), (found["token"] or "").lower()
    )


def _user(encoded: str | None) -> str:
    try:
        user = unquote_to_bytes(encoded or "").decode("utf-8")
    except UnicodeDecodeError:
        raise BadUrl("the name of a user in it is not UTF-8") from None
    if len(user) > LONGEST_USER or not user.isprintable():
        raise BadUrl("nobody is called that")
    return user
