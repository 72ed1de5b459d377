"""FETCH items that are octets of messages: sections of bodies, and parts without their encoding (RFC 9051 6.4.5)."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mailserver.errors import NotFound
from mailserver.imap import fetched
from mailserver.imap.commands.sections import Attribute, Binary, BinarySize, Body, Item, Section
from mailserver.imap.error import ImapError
from mailserver.imap.strings import NIL, literal, literal8
from mailserver.imapstore import Ranges, Wanted
from mailserver.mime import section, stored, transfer
from mailserver.mime.headers import fields
from mailserver.mime.part import Kind, Part
from mailserver.session.imap.columns import Columns, name_of
from mailserver.session.imap.selected import Selected

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

AT_HAND = 64 * 1024         # octets of messages, and of one answer, that are in memory at a time
ROWS = 100                  # of messages that are known at a time
PIECE = 32 * 1024           # octets of a message that are sent at a time, where there are more
SMALL = 256                 # octets of a value that is not worth another look at the message
OVER = 16 * 1024            # octets over what was meant to be at hand, behind which messages wait for another turn
STANDS_FOR = {
    Attribute.RFC822: Body(Section()), Attribute.RFC822_TEXT: Body(Section((), "TEXT")),
    Attribute.RFC822_HEADER: Body(Section((), "HEADER"), marks_seen=False),
}


class Interrupted(Exception):
    """In the middle of an answer, of which the peer knows the length: there is nothing to be said any more."""


@dataclass(frozen=True, slots=True)
class Span:
    """An item that is too long to be held: octets of the message, `size` of them, from the `ranges` given, in order.

    With an `encoding` they are decoded, and of what comes out `skip` are left out first.
    """

    name: bytes
    ranges: Sequence[tuple[int, int]]
    size: int
    encoding: str | None = None
    skip: int = 0
    is_binary: bool = False


def is_of_octets(item: Item) -> bool:
    """Whether it is made of a message's octets."""
    return isinstance(item, (Body, Binary, BinarySize)) or item in STANDS_FOR


async def with_octets(
    session: ImapSession, selected: Selected, places: Sequence[range], items: Sequence[Item]
) -> AsyncIterator[bytes]:
    """A line for each message; what is long is sent in pieces."""
    for each in places:
        for start in range(0, len(each), ROWS):
            async for piece in _some(session, selected, selected.ranges([each[start : start + ROWS]]), items):
                yield piece


async def _some(
    session: ImapSession, selected: Selected, ranges: Ranges, items: Sequence[Item]
) -> AsyncIterator[bytes]:
    plain = [each for each in items if not is_of_octets(each)]
    long = [each for each in items if is_of_octets(each)]
    columns = Columns(selected, plain, session.wire.utf8)
    parts = any(_needs_parts(each) for each in long)
    names = (*columns.names, "size", *["parts"] * parts)
    mailbox = selected.board.mailbox

    def render(rows: Sequence[tuple[Any, ...]]) -> list[tuple[int, int, bytes, bytes]]:
        """UID, size, what is answered of the plain items, and the stored structure."""
        count = len(columns.names)
        values = columns.values([row[:count] for row in rows]) if plain else []
        texts = [_written(plain, each) for each in zip(*values, strict=True)] if plain else [b""] * len(rows)
        return [
            (row[0], row[count], text, bytes(row[count + 1]) if parts else b"")
            for row, text in zip(rows, texts, strict=True)
        ]

    async for found in mailbox.rows(ranges, Wanted(names, render)):
        groups = deque(_grouped(found))
        while groups:
            group = groups.popleft()
            known = {uid: (text, structure) for uid, _, text, structure in group}
            room = [AT_HAND]                # for values of the whole group

            def work(
                uid: int, prefix: bytes, octets: Any, known: dict[int, Any] = known, room: list[int] = room
            ) -> list[bytes | Span] | None:
                if room[0] < -OVER:
                    return None             # not now
                structure = known[uid][1] if uid in known else b""
                root = stored.load(structure) if structure else None
                values = []
                for each in long:
                    value = _value(each, prefix, octets, root, max(room[0], SMALL))
                    room[0] -= len(value) if isinstance(value, bytes) else SMALL
                    values.append(value)
                return values

            waiting = []
            async for made in mailbox.scan(_ranges(selected, [row[0] for row in group]), work, AT_HAND):
                joined: list[bytes] = []
                for uid, values in made:
                    number = selected.number(uid)
                    if not number or uid not in known:
                        continue
                    if values is None:
                        waiting.append(uid)
                        continue
                    by_uid = selected.uid_only
                    head = fetched.opening(uid if by_uid else number, by_uid) + known[uid][0]
                    joined.append(head)
                    for place, value in enumerate(values):
                        space = b" " * bool(place or known[uid][0])
                        if isinstance(value, bytes):
                            joined.append(space + value)
                            continue
                        joined.append(space + fetched.begun(value.name, value.size, value.is_binary))
                        yield _taken(joined)
                        async for piece in _pieces(mailbox, uid, value):
                            yield piece
                    joined.append(fetched.CLOSING)
                if joined:
                    yield _taken(joined)
            if waiting:
                groups.appendleft([row for row in group if row[0] >= waiting[0]])


def _taken(joined: list[bytes]) -> bytes:
    """All in one, of which nothing else is kept."""
    octets = b"".join(joined)
    joined.clear()
    return octets


def _written(items: Sequence[Item], values: Sequence[Any]) -> bytes:
    """Items with their values, as they stand in a line."""
    shape = fetched.Rows([name_of(each) for each in items])
    return shape.line(0, *values).removeprefix(fetched.opening(0)).removesuffix(fetched.CLOSING)


def _grouped(rows: Sequence[tuple[int, int, bytes, bytes]]) -> Iterator[list[tuple[int, int, bytes, bytes]]]:
    """So many at a time as may be in memory."""
    group: list[tuple[int, int, bytes, bytes]] = []
    octets = 0
    for row in rows:
        octets += row[1]
        if group and octets > AT_HAND:
            yield group
            group, octets = [], row[1]
        group.append(row)
    if group:
        yield group


def _ranges(selected: Selected, uids: Sequence[int]) -> list[tuple[int, int]]:
    """Ranges that hold these messages, and none of the others that the session knows of."""
    ranges: list[tuple[int, int]] = []
    before = -1
    for uid, number in zip(uids, selected.numbers_of(uids), strict=True):
        if ranges and number == before + 1:
            ranges[-1] = (ranges[-1][0], uid)
        else:
            ranges.append((uid, uid))
        before = number
    return ranges


def _needs_parts(item: Item) -> bool:
    return isinstance(item, (Binary, BinarySize)) or (isinstance(item, Body) and bool(item.section.part))


# -- in a thread


def _value(item: Item, prefix: bytes, octets: Any, root: Part | None, room: int) -> bytes | Span:
    """An item's name and value, or where its value lies when there is no room for it."""
    if isinstance(item, (Binary, BinarySize)):
        assert root is not None
        return _decoded(item, prefix, octets, root, room)
    name = str(item).encode("ascii") if isinstance(item, Attribute) else item.spelled()
    body = STANDS_FOR[item] if isinstance(item, Attribute) else item
    assert isinstance(body, Body)
    spans = _spans(body.section, prefix, octets, root)
    if spans is None:
        return fetched.item(name, NIL)
    if body.partial is not None:
        spans = _cut(spans, *body.partial)
    size = sum(end - start for start, end in spans)
    if size > room:
        return Span(name, merged(spans), size)
    found = b"".join(_slice(prefix, octets, *each) for each in spans)
    return fetched.item(name, literal(found.replace(b"\0", b"\x80")))      # a NUL is for BINARY; sizes stay


def _spans(asked: Section, prefix: bytes, octets: Any, root: Part | None) -> list[tuple[int, int]] | None:
    """Where it lies in the message, whose first octets are the `prefix`; None: there is no such part."""
    above = len(prefix)
    if asked.part:
        assert root is not None
        names = frozenset(each.lower().encode() for each in asked.fields)
        found = section.ranges(octets, root, section.Section(asked.part, section.What(asked.text), names))
        return None if found is None else [(start + above, end + above) for start, end in found]
    every = above + len(octets)
    if not asked.text:
        return [(0, every)]
    body = above + _header_size(octets)
    if asked.text == "TEXT":
        return [(body, every)]
    if asked.text == "HEADER":
        return [(0, body)]
    names = frozenset(each.lower().encode() for each in asked.fields)
    wanted = asked.text == "HEADER.FIELDS"
    end = _fields_end(octets, body - above)
    spans = [
        (each.start + before, each.end + before)
        for where, before, until in ((prefix, 0, above), (octets, above, end))
        for each in fields(where, 0, until, most=1 << 62) if (each.name in names) is wanted
    ]
    return [*spans, (end + above, body)] if end + above < body else spans


def _header_size(octets: Any) -> int:
    """Octets of the header, with the empty line (RFC 5322 2.1)."""
    if octets[:2] == b"\r\n":
        return 2
    end = octets.find(b"\r\n\r\n")
    return end + 4 if end >= 0 else len(octets)


def _fields_end(octets: Any, size: int) -> int:
    """Where the fields end and the empty line begins."""
    return size - 2 if size >= 2 and octets[size - 2 : size] == b"\r\n" and octets[max(0, size - 4) : size - 2] in (
        b"\r\n", b""
    ) else size


def _cut(spans: Sequence[tuple[int, int]], first: int, count: int) -> list[tuple[int, int]]:
    """So many octets of spans from the `first` on."""
    left, skip = [], first
    for start, end in spans:
        begin = min(end, start + skip)
        skip -= begin - start
        stop = min(end, begin + count)
        count -= stop - begin
        if begin < stop:
            left.append((begin, stop))
    return left


def _slice(prefix: bytes, octets: Any, start: int, end: int) -> bytes:
    """Octets of a message."""
    above = len(prefix)
    if start >= above:
        return bytes(octets[start - above : end - above])
    return prefix[start:end] + bytes(octets[: max(0, end - above)])


def merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ascending spans, of which none begins where another ends."""
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and joined[-1][1] == start:
            start = joined.pop()[0]
        joined.append((start, end))
    return joined


def _decoded(item: Binary | BinarySize, prefix: bytes, octets: Any, root: Part, room: int) -> bytes | Span:
    """A part without its transfer encoding; raises `ImapError` for one that is not known (RFC 9051 6.4.5.2)."""
    part = section.find(root, item.part)
    if part is None:
        return fetched.item(item.spelled(), NIL)
    above = len(prefix)
    start, end = (part.body + above, part.end + above) if item.part else (0, above + len(octets))
    encoding = part.encoding if item.part and part.kind is Kind.LEAF else ""
    decoder = transfer.decoder(encoding)
    if decoder is None:
        raise ImapError("the encoding of that part is not known here", "NO", "UNKNOWN-CTE")
    size, held, has_nul = 0, [], False
    for place in range(start, end, AT_HAND):
        piece = decoder.feed(_slice(prefix, octets, place, min(end, place + AT_HAND)))
        size, has_nul = size + len(piece), has_nul or b"\0" in piece
        if size <= room:
            held.append(piece)
    piece = decoder.end()
    size, has_nul = size + len(piece), has_nul or b"\0" in piece
    held.append(piece)
    if isinstance(item, BinarySize):
        return fetched.item(item.spelled(), b"%d" % size)
    first, count = item.partial or (0, size)
    wanted = max(0, min(count, size - first))
    if size > room:
        return Span(item.spelled(), [(start, end)], wanted, encoding, first, has_nul)
    found = b"".join(held)[first : first + count]
    return fetched.item(item.spelled(), literal8(found) if b"\0" in found else literal(found))


# -- in pieces


async def _pieces(mailbox: Any, uid: int, span: Span, as_they_lie: bool = False) -> AsyncIterator[bytes]:
    """Exactly as many octets as were promised; a NUL is for BINARY, unless they are wanted `as_they_lie`."""
    left, skip = span.size, span.skip
    decoder = transfer.decoder(span.encoding) if span.encoding is not None else None
    try:
        async for octets in _octets(mailbox, uid, span.ranges):
            piece = octets if decoder is None else decoder.feed(octets)
            if decoder is None and b"\0" in piece and not as_they_lie:
                piece = piece.replace(b"\0", b"\x80")
            piece, skip = piece[skip:], max(0, skip - len(piece))
            piece = piece[:left]
            left -= len(piece)
            if piece:
                yield piece
            if not left:
                return
        if decoder is not None and left:
            piece = decoder.end()[skip:][:left]
            left -= len(piece)
            yield piece
    except Exception as error:
        raise Interrupted(f"a message went while it was sent: {error}") from error
    if left:
        raise Interrupted("a message became shorter while it was sent")


async def _octets(mailbox: Any, uid: int, ranges: Sequence[tuple[int, int]]) -> AsyncIterator[bytes]:
    """The octets of ascending ranges, in one walk through the message."""
    at, place = 0, ranges[0][0]
    async for octets in mailbox.octets(uid, place, ranges[-1][1], PIECE):
        end = place + len(octets)
        while at < len(ranges) and ranges[at][0] < end:
            yield octets[max(0, ranges[at][0] - place) : ranges[at][1] - place]
            if ranges[at][1] > end:
                break
            at += 1
        place = end


# -- of one message, outside of FETCH


async def located(mailbox: Any, uid: int, item: Body | Binary) -> Span | None:
    """Where an item of one message lies; None: there is no such part.  Raises `NotFound`, and as `_decoded` does."""
    structure: list[bytes] = []
    if _needs_parts(item):
        async for rows in mailbox.rows([(uid, uid)], Wanted(("uid", "parts"), list)):
            structure += [bytes(parts) for _, parts in rows]

    def work(uid: int, prefix: bytes, octets: Any) -> bytes | Span:
        return _value(item, prefix, octets, stored.load(structure[0]) if structure else None, -1)

    if structure or not _needs_parts(item):
        async for made in mailbox.scan([(uid, uid)], work, AT_HAND):
            for _, value in made:
                return value if isinstance(value, Span) else None
    raise NotFound("there is no such message")


async def verbatim(mailbox: Any, uid: int, span: Span) -> AsyncIterator[bytes]:
    """Its octets as they lie, whatever they are; raises `Interrupted`."""
    if span.size:
        async for piece in _pieces(mailbox, uid, span, as_they_lie=True):
            yield piece
