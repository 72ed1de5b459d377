"""What FETCH asks of a message: the attributes, and the sections of its body (RFC 9051 6.4.5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mailserver.imap.error import ImapError
from mailserver.imap.reader import MOST_NUMBER64, Reader

MOST_PART = 1_000_000       # the number of a part
DEEPEST_PART = 100          # numbers of one part
MOST_FIELDS = 256           # header fields of one section


class Attribute(StrEnum):
    """Those that have no parameter; the value is the name in the answer."""

    FLAGS = "FLAGS"
    UID = "UID"
    INTERNALDATE = "INTERNALDATE"
    SIZE = "RFC822.SIZE"
    ENVELOPE = "ENVELOPE"
    BODY = "BODY"                       # the structure without extension data
    BODYSTRUCTURE = "BODYSTRUCTURE"
    MODSEQ = "MODSEQ"                   # RFC 7162
    EMAILID = "EMAILID"                 # RFC 8474
    THREADID = "THREADID"
    SAVEDATE = "SAVEDATE"               # RFC 8514
    RFC822 = "RFC822"                   # these three: RFC 3501 6.4.5
    RFC822_HEADER = "RFC822.HEADER"
    RFC822_TEXT = "RFC822.TEXT"


MACROS: dict[str, tuple[Attribute, ...]] = {
    "FAST": (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE),
    "ALL": (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE, Attribute.ENVELOPE),
    "FULL": (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE, Attribute.ENVELOPE, Attribute.BODY),
}


@dataclass(frozen=True, slots=True)
class Section:
    """``1.2.HEADER.FIELDS (From)``: a part by its numbers, and which text of it.

    `text` is HEADER, TEXT, MIME, HEADER.FIELDS, HEADER.FIELDS.NOT, or nothing: the part itself.
    """

    part: tuple[int, ...] = ()
    text: str = ""
    fields: tuple[str, ...] = ()

    def spelled(self) -> bytes:
        """As it stands in an answer."""
        words = ".".join([*map(str, self.part), *[self.text] * bool(self.text)])
        if self.fields:
            # What is no atom is quoted; no name with a quote or a backslash was let in.
            names = " ".join(name if _is_atom(name) else f'"{name}"' for name in self.fields)
            words = f"{words} ({names})"
        return words.encode("ascii")


@dataclass(frozen=True, slots=True)
class Body:
    """``BODY[section]<first.count>``; `marks_seen` unless it is BODY.PEEK.  `partial`: octets from `first`."""

    section: Section
    partial: tuple[int, int] | None = None
    marks_seen: bool = True

    def spelled(self) -> bytes:
        """The name in the answer."""
        return b"BODY[%b]%b" % (self.section.spelled(), _origin(self.partial))


@dataclass(frozen=True, slots=True)
class Binary:
    """``BINARY[1.2]<first.count>``: a part without its transfer encoding."""

    part: tuple[int, ...]
    partial: tuple[int, int] | None = None
    marks_seen: bool = True

    def spelled(self) -> bytes:
        """The name in the answer."""
        return b"BINARY[%b]%b" % (Section(self.part).spelled(), _origin(self.partial))


@dataclass(frozen=True, slots=True)
class BinarySize:
    """``BINARY.SIZE[1.2]``."""

    part: tuple[int, ...]

    def spelled(self) -> bytes:
        """The name in the answer."""
        return b"BINARY.SIZE[%b]" % Section(self.part).spelled()


@dataclass(frozen=True, slots=True)
class Preview:
    """RFC 8970; `lazy`: only if it costs nothing."""

    lazy: bool = False

    def spelled(self) -> bytes:
        """The name in the answer."""
        return b"PREVIEW"


Item = Attribute | Body | Binary | BinarySize | Preview


def read_item(reader: Reader) -> Item:
    """One thing that FETCH asks for; raises `ImapError`."""
    word = reader.word("an attribute")
    if word in ("BODY", "BODY.PEEK") and reader.took(b"["):
        section = _section(reader)
        return Body(section, _partial(reader), word == "BODY")
    if word in ("BINARY", "BINARY.PEEK"):
        part = _bracketed_part(reader)
        return Binary(part, _partial(reader), word == "BINARY")
    if word == "BINARY.SIZE":
        return BinarySize(_bracketed_part(reader))
    if word == "PREVIEW":
        if not reader.follows(b" ("):
            return Preview()
        reader.space()
        reader.list_of(lambda: _lazy(reader))
        return Preview(lazy=True)
    try:
        return Attribute(word)
    except ValueError:
        raise ImapError("there is no such attribute") from None


def read_section(octets: bytes) -> Section:
    """What stands between the brackets; raises `ImapError`."""
    reader = Reader(octets + b"]")
    section = _section(reader)
    reader.end()
    return section


def _lazy(reader: Reader) -> None:
    if reader.word("LAZY") != "LAZY":
        raise ImapError("there is no such way to preview")


def _section(reader: Reader) -> Section:
    """Behind the opening bracket, with the closing one."""
    part, text = _part(reader)
    fields: tuple[str, ...] = ()
    if text in ("HEADER.FIELDS", "HEADER.FIELDS.NOT"):
        reader.space()
        fields = reader.list_of(lambda: _field(reader))
        if len(fields) > MOST_FIELDS:
            raise ImapError("too many header fields")
    elif text not in ("", "HEADER", "TEXT", "MIME") or (text == "MIME" and not part):
        raise ImapError("there is no such section")
    reader.expect(b"]")
    return Section(part, text, fields)


def _part(reader: Reader) -> tuple[tuple[int, ...], str]:
    """The numbers of ``1.2.HEADER``, and what follows them."""
    if reader.follows(b"]"):
        return (), ""
    words = reader.word("a section").split(".", DEEPEST_PART)
    part: list[int] = []
    for place, word in enumerate(words):
        if not word.isdigit():
            return tuple(part), ".".join(words[place:]) or "."      # a dot that nothing follows is no section
        if len(word) > 7 or not 0 < int(word) <= MOST_PART:
            raise ImapError("there is no such part")
        part.append(int(word))
    return tuple(part), ""


def _bracketed_part(reader: Reader) -> tuple[int, ...]:
    reader.expect(b"[")
    part, text = _part(reader)
    if text:
        raise ImapError("BINARY has only numbers of parts")
    reader.expect(b"]")
    return part


def _field(reader: Reader) -> str:
    name = reader.astring()
    if not name or any(not 0x20 < octet < 0x7F or octet in b':"\\' for octet in name):
        raise ImapError("that is no name of a header field")
    return name.decode("ascii")


def _partial(reader: Reader) -> tuple[int, int] | None:
    if not reader.took(b"<"):
        return None
    first = reader.number(MOST_NUMBER64)
    reader.expect(b".")
    count = reader.number(MOST_NUMBER64, 1)
    reader.expect(b">")
    return first, count


def _origin(partial: tuple[int, int] | None) -> bytes:
    return b"" if partial is None else b"<%d>" % partial[0]


def _is_atom(name: str) -> bool:
    return not any(character in '(){%*]' for character in name)
