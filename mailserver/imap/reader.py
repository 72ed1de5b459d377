"""Reads one command from left to right (RFC 9051 9: the formal syntax's terminals)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import NoReturn, TypeVar

from mailserver.imap import dates, flags, names, numbers
from mailserver.imap.error import Hungry, ImapError
from mailserver.imap.literal import Marker
from mailserver.imap.numbers import SequenceSet

T = TypeVar("T")

MOST_ITEMS = 1024           # in one list
MOST_NUMBER = 0xFFFFFFFF    # RFC 9051 9: `number` has 32 bits
MOST_NUMBER64 = (1 << 63) - 1

_ATOM: re.Pattern[bytes] = re.compile(rb"[^\x00-\x20(){%*\"\\\]\x7f-\xff]+")
_ASTRING: re.Pattern[bytes] = re.compile(rb"[^\x00-\x20(){%*\"\\\x7f-\xff]+")
_PATTERN: re.Pattern[bytes] = re.compile(rb"[^\x00-\x20(){\"\\\x7f]+")        # list-mailbox, UTF-8 too
_FLAG: re.Pattern[bytes] = re.compile(rb"\\?[^\x00-\x20(){%*\"\\\]\x7f-\xff]+")
_WORD: re.Pattern[bytes] = re.compile(rb"[A-Za-z0-9.=+:/_-]+")
_QUOTED: re.Pattern[bytes] = re.compile(rb'"((?:[^\x00\r\n"\\]|\\["\\])*+)"')
_ESCAPED: re.Pattern[bytes] = re.compile(rb'\\(["\\])')
_LITERAL: re.Pattern[bytes] = re.compile(rb"\{([0-9]{1,20})\+?\}\r\n")
_MESSAGE: re.Pattern[bytes] = re.compile(rb"(~?)\{([0-9]{1,30})(\+?)\}\r\n\Z")
_NUMBER: re.Pattern[bytes] = re.compile(rb"[0-9]{1,20}")
_SET: re.Pattern[bytes] = re.compile(rb"[0-9:,*]+|\$")
_DATE: re.Pattern[bytes] = re.compile(rb"[0-9A-Za-z-]+")


class Reader:
    """A place in the octets of a command, its held literals among them, without its final CRLF.

    `utf8`: mailbox names are UTF-8.  `is_open`: more of the command is still to come, behind a literal that its
    octets end with; then what would be an error at their end is `Hungry`.  Everything else raises `ImapError`.
    """

    __slots__ = ("at", "charset", "given", "is_open", "octets", "utf8")

    def __init__(self, octets: bytes, utf8: bool = False, is_open: bool = False) -> None:
        self.octets = octets
        self.at = 0
        self.utf8 = utf8
        self.is_open = is_open
        self.charset = "utf-8"      # of the strings of a SEARCH
        self.given = ""             # the last mailbox as it was spelled, where that is not how it is called

    def fail(self, text: str) -> NoReturn:
        """This is not the language."""
        if self.is_open and self.at >= len(self.octets):
            raise Hungry
        raise ImapError(text)

    # -- single characters

    @property
    def ended(self) -> bool:
        """Whether nothing is left."""
        return self.at >= len(self.octets)

    def follows(self, octets: bytes) -> bool:
        """Whether these come next; they are not taken."""
        return self.octets.startswith(octets, self.at)

    def took(self, octets: bytes) -> bool:
        """Take these if they come next."""
        if self.octets.startswith(octets, self.at):
            self.at += len(octets)
            return True
        return False

    def expect(self, octets: bytes) -> None:
        """Take these, which have to come next."""
        if not self.took(octets):
            self.fail(f"there should be {octets.decode('ascii')!r}")

    def space(self) -> None:
        """Exactly one."""
        if not self.took(b" "):
            self.fail("there should be a space, and an argument")

    def end(self) -> None:
        """Nothing may follow; a space is forgiven."""
        self.took(b" ")
        if not self.ended:
            self.fail("there is an argument too many")

    def _match(self, pattern: re.Pattern[bytes], what: str) -> re.Match[bytes]:
        found = pattern.match(self.octets, self.at)
        if found is None:
            self.fail(what)
        self.at = found.end()
        return found

    # -- words

    def word(self, what: str = "a word") -> str:
        """A word of the language, in upper case."""
        return self._match(_WORD, f"{what} is missing")[0].decode("ascii").upper()

    def atom(self, what: str = "an atom") -> str:
        """As it was sent."""
        return self._match(_ATOM, f"{what} is missing")[0].decode("ascii")

    def flag(self) -> str:
        """With its backslash, not yet looked at."""
        return self._match(_FLAG, "a flag is missing")[0].decode("ascii")

    def astring(self) -> bytes:
        """An atom, which may have ``]``, or a string."""
        found = _ASTRING.match(self.octets, self.at)
        if found is None:
            return self.string()
        self.at = found.end()
        return found[0]

    def string(self) -> bytes:
        """Quoted, which may be 8-bit, or a literal."""
        if self.follows(b'"'):
            quoted = self._match(_QUOTED, "a quoted string is broken")[1]
            return _ESCAPED.sub(rb"\1", quoted) if b"\\" in quoted else quoted
        literal = self._literal()
        if b"\0" in literal:
            raise ImapError("there is a NUL in a literal")
        return literal

    def _literal(self) -> bytes:
        size = int(self._match(_LITERAL, "a string is missing")[1])
        if self.at + size > len(self.octets):
            self.fail("a literal is not all here")
        start, self.at = self.at, self.at + size
        return self.octets[start : self.at]

    def nstring(self) -> bytes | None:
        """A string or NIL."""
        if self.octets[self.at : self.at + 3].upper() == b"NIL":
            self.at += 3
            return None
        return self.string()

    def nstring8(self) -> bytes | None:
        """A string, NIL, or a literal8 of any octets (RFC 5464 5)."""
        return self._literal() if self.took(b"~") else self.nstring()

    def text(self) -> str:
        """An astring in the charset of this command."""
        try:
            return self.astring().decode(self.charset)
        except UnicodeDecodeError:
            raise ImapError("that is not in the charset that was named") from None

    def message(self) -> Marker:
        """The announcement of a message, with which what is here has to end."""
        found = self._match(_MESSAGE, "the message has to be a literal")
        return Marker(int(found[2]), not found[3], bool(found[1]))

    # -- values

    def number(self, most: int = MOST_NUMBER, least: int = 0) -> int:
        """Decimal digits."""
        number = int(self._match(_NUMBER, "a number is missing")[0])
        if not least <= number <= most:
            raise ImapError(f"a number has to be from {least} to {most}")
        return number

    def sequence_set(self) -> SequenceSet:
        """Message numbers."""
        return numbers.parse(self._match(_SET, "a set of message numbers is missing")[0])

    def mailbox(self) -> str:
        """A name, in the form in which it is looked for."""
        return self.called(names.decode(self.astring(), self.utf8))

    def called(self, given: str) -> str:
        """The form of a name in which it is looked for; the other one is remembered (RFC 9051 6.3.9.7)."""
        name = names.canonical(given)
        self.given = given if given != name != names.INBOX else ""
        return name

    def pattern(self) -> str:
        """A name with wildcards."""
        found = _PATTERN.match(self.octets, self.at)
        if found is None:
            return names.decode(self.string(), self.utf8)
        self.at = found.end()
        return names.decode(found[0], self.utf8)

    def date(self) -> date:
        """With or without quotes."""
        if self.took(b'"'):
            day = dates.read_date(self._match(_DATE, "a date is missing")[0])
            self.expect(b'"')
            return day
        return dates.read_date(self._match(_DATE, "a date is missing")[0])

    def date_time(self) -> int:
        """In quotes; seconds since the epoch."""
        return dates.read_date_time(self._match(_QUOTED, "a date and time are missing")[1])

    def flags(self) -> flags.Flags:
        """Flags in brackets, or without."""
        if self.follows(b"("):
            return flags.collect(self.list_of(self.flag, may_be_empty=True))
        words = [self.flag()]
        while self.took(b" "):
            words.append(self.flag())
        return flags.collect(words)

    # -- lists

    def list_of(self, item: Callable[[], T], may_be_empty: bool = False) -> tuple[T, ...]:
        """In brackets, with spaces between."""
        self.expect(b"(")
        items: list[T] = []
        if may_be_empty and self.took(b")"):
            return ()
        while True:
            items.append(item())
            if self.took(b")"):
                return tuple(items)
            if len(items) >= MOST_ITEMS:
                raise ImapError("too many items in one list")
            self.space()
