"""A message's text, as far as people read it: to be searched, and its beginning to be shown in a list."""

from __future__ import annotations

from collections.abc import Iterator

from mailserver.mime import charsets, html, words
from mailserver.mime.headers import LONGEST_VALUE, collect, fields, unfolded
from mailserver.mime.octets import Octets
from mailserver.mime.part import Kind, Part
from mailserver.mime.transfer import decoded

MOST_TEXT = 1 << 20         # characters that are searched
LONGEST_PREVIEW = 200       # characters (RFC 8970 3.2)
_MOST_OCTETS = 2 << 20      # of one part, decoded
_FOR_PREVIEW = 16 * 1024    # octets of a part that are looked at for a preview
_FOR_LATE_PREVIEW = 256 * 1024      # where those show nothing: styles
_LONG_ENOUGH = 2000         # characters, white space and all
_READ = frozenset((b"from", b"to", b"cc", b"subject"))
_MOST_HEADER = 4096
_MOST_HEADERS = 256 * 1024  # characters


def texts(octets: Octets, root: Part, most: int = MOST_TEXT) -> Iterator[str]:
    """The text parts in order, decoded, HTML without its tags; the names of attached files; whom messages that are
    attached were from and to, and their subjects.  Together no more than `most` characters.
    """
    for part in root.walk():
        pieces = [part.file_name or ""]
        if part.kind is Kind.LEAF and part.type == "text":
            pieces.append(_text(octets, part, _MOST_OCTETS))
        elif part.kind is Kind.MESSAGE:
            inner = part.parts[0]
            pieces += map(words.decode, collect(octets, inner.start, inner.body, _READ, _MOST_HEADER).values())
        for piece in pieces:
            if piece:
                yield piece[:most]
                most -= len(piece)
                if most <= 0:
                    return


def header(octets: Octets, root: Part, most: int = _MOST_HEADERS) -> Iterator[tuple[str, str]]:
    """The fields of the message's header in order, names in lower case, values decoded; `most` characters in all."""
    for each in fields(octets, root.start, root.body):
        value = words.decode(unfolded(octets[each.value : min(each.end, each.value + LONGEST_VALUE)]))[:most]
        yield each.name.decode("ascii", "replace"), value
        most -= len(value) + 1
        if most <= 0:
            return


def preview(octets: Octets, root: Part) -> str:
    """Up to 200 characters of what a reader sees first, on one line; "" when there is no text."""
    part = _first_text(root)
    if part is None:
        return ""
    shown = _text(octets, part, _FOR_PREVIEW)
    short = " ".join(shown[:_LONG_ENOUGH].split())
    if len(short) < LONGEST_PREVIEW and len(shown) > _LONG_ENOUGH:
        short = " ".join(shown.split())
    if not short and part.size > _FOR_PREVIEW:
        short = " ".join(_text(octets, part, _FOR_LATE_PREVIEW).split())
    short = short[:LONGEST_PREVIEW]
    if not short.isprintable():
        short = "".join(each if each.isprintable() else " " for each in short)
    return short.rstrip()


def _first_text(root: Part) -> Part | None:
    """The first that is not attached: plain, or else any."""
    some = None
    for part in root.walk():
        if part.kind is Kind.LEAF and part.type == "text" and part.disposition != "attachment" and part.size:
            if part.subtype == "plain":
                return part
            some = some or part
    return some


def _text(octets: Octets, part: Part, most: int) -> str:
    """Decoded; of a long one the beginning."""
    pieces = decoded(octets, part.body, min(part.end, part.body + 2 * most), part.encoding)
    if pieces is None:
        return ""
    shown = charsets.decode(b"".join(pieces)[:most], part.charset)
    return html.text(shown) if part.subtype == "html" else shown
