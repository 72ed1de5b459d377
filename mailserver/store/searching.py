"""The index of what messages say: which of a mailbox may have a text, and which have it for certain.

Each mailbox has an index of its own, in pieces that are about its messages from one UID to another, so that a search
costs what its mailbox has, whatever else the database holds.  Messages behind the last piece are not in it yet.  A
piece never changes; several become one, and that of a mailbox with much that is gone is made anew.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Sequence
from itertools import compress
from typing import Any

from sqlalchemy import Connection

from mailserver.imapstore import Clue, Clues, Seek
from mailserver.mime.looking import SIGNATURES
from mailserver.mime.terms import Sought, sought
from mailserver.store.pages import Page
from mailserver.store.pieces import HEADER, Kind, Piece, octets_of, uids_of
from mailserver.store.statements import fetch, fetch_one, run_many, run_with

VERSION = 1                 # of the rules: `mailserver.mime.folding`, `terms`, and what of a message is read
MOST_PARTS = 12             # of one text that are looked up; what has more is verified anyway
COMMON = 4                  # pages of a piece, with the words that most messages have, that are read before the others
FEW = 16                    # of so many messages no more than one is wanted: each is looked for
_KINDS = {"from": Kind.FROM, "to": Kind.TO, "cc": Kind.CC, "subject": Kind.SUBJECT}
_PIECE = "mailbox_id, first, last, version, size, octets, uids, unsure"


# -- searching

def clues(connection: Connection, mailbox_id: int, seeks: Sequence[Seek]) -> Clues:
    """What the index says of each of these."""
    rows = fetch(
        connection,
        "SELECT first, last, uids, unsure FROM search_piece WHERE mailbox_id = ? AND version = ? ORDER BY first",
        (mailbox_id, VERSION),
    )
    search = _Search(connection, mailbox_id, {row[0]: uids_of(bytes(row[2])) for row in rows})
    unsure = [uid for row in rows for uid in uids_of(bytes(row[3]))]
    return Clues(rows[-1][1] if rows else 0, tuple(search.clue(each, unsure) for each in seeks))


class _Search:
    """One look at the index; `uids` are those of its pieces."""

    def __init__(self, connection: Connection, mailbox_id: int, uids: dict[int, array[int]]) -> None:
        self._connection = connection
        self._mailbox_id = mailbox_id
        self._uids = uids
        self._every = {first: int.from_bytes(b"\1" * len(each), "little") for first, each in uids.items()}

    def clue(self, seek: Seek, unsure: Iterable[int]) -> Clue | None:
        parts, is_sure = sought(seek.text)
        named = [Sought(each.text, True, True) for each in sought(seek.field)[0]] if seek.where == "header" else []
        if seek.where == "header":
            kind = _KINDS.get(seek.field.lower())
            kinds = HEADER if kind is None else frozenset({kind})
            if kind is None:
                is_signature = seek.field.lower().encode("utf-8", "replace") in SIGNATURES
                parts, is_sure = named if is_signature else named + parts, False
        else:
            kinds = frozenset(Kind) if seek.where == "text" else frozenset({Kind.BODY})
        if not parts:
            return None
        if is_sure:
            sure = self._told(self._having(kinds, parts[0]))
            return Clue(sure, sorted({*unsure}.difference(sure)))
        places: Iterable[Collection[Kind]] = (HEADER, {Kind.BODY}) if seek.where == "text" else (kinds,)
        found: dict[int, int] = {}
        for some in places:
            for first, marks in self._having_all(some, parts).items():
                found[first] = found.get(first, 0) | marks
        return Clue([], sorted({*unsure, *self._told(found)}))

    def _told(self, found: dict[int, int]) -> list[int]:
        told: list[int] = []
        for first, uids in self._uids.items():
            marks = found.get(first)
            if marks:
                told += _compressed(uids, marks.to_bytes(len(uids), "little"))
        return told

    def _having_all(self, kinds: Collection[Kind], parts: Sequence[Sought]) -> dict[int, int]:
        """Those that have all parts; the longest are asked for first."""
        found = self._every
        for part in sorted(parts, key=lambda part: (-len(part.text), not part.at_start))[:MOST_PARTS]:
            having = self._having(kinds, part, [first for first, marks in found.items() if marks])
            found = {first: marks & having.get(first, 0) for first, marks in found.items()}
            if not any(found.values()):
                break
        return found

    def _having(
        self, kinds: Collection[Kind], part: Sought, firsts: Collection[int] | None = None
    ) -> dict[int, int]:
        """The messages that have a part, by piece; where the words that most have are enough, no others are read."""
        text = part.text.encode("utf-8", "replace")
        pattern = b"\n" * part.at_start + text + b"\n" * part.at_end
        found: dict[int, int] = {}
        if firsts is None:
            firsts = self._uids
        for pages in (f"number < {COMMON}", f"number >= {COMMON}"):
            left = [first for first in firsts if found.get(first) != self._every[first]]
            self._look(kinds, pattern, left, pages, found)
        return found

    def _look(
        self, kinds: Collection[Kind], pattern: bytes, firsts: Collection[int], pages: str, found: dict[int, int]
    ) -> None:
        has = "instr(words, ?) > 0" if self._connection.dialect.name == "sqlite" else "position(? in words) > 0"
        wanted = set(firsts)
        if not wanted:
            return
        text = (
            f"SELECT first, words, lists FROM search_page WHERE mailbox_id = ? AND {pages}"
            f" AND kind IN ({', '.join(str(int(kind)) for kind in sorted(kinds))}) AND {has}"
        )
        for first, words, lists in fetch(self._connection, text, (self._mailbox_id, pattern)):
            if first in wanted:
                every = self._every[first]
                page = Page(len(self._uids[first]), bytes(words), bytes(lists))
                found[first] = found.get(first, 0) | page.having(pattern, every & ~found.get(first, 0))


def _compressed(uids: array[int], marks: bytes) -> Iterable[int]:
    """Those with an octet of 1."""
    if FEW * marks.count(1) > len(uids):
        return compress(uids, marks)
    found = []
    place = marks.find(1)
    while place >= 0:
        found.append(uids[place])
        place = marks.find(1, place + 1)
    return found


# -- making it

def waiting(connection: Connection, after: int, limit: int) -> tuple[list[int], int | None]:
    """Of so many mailboxes behind a row, those that have messages that are not in the index; and where to go on.

    That is None at the end.
    """
    rows = fetch(
        connection,
        "SELECT id, messages, uidnext - 1, (SELECT MAX(last) FROM search_piece"
        f" WHERE mailbox_id = mailbox.id AND version = {VERSION}) FROM mailbox WHERE id > ? ORDER BY id LIMIT ?",
        (after, limit),
    )
    found = [row[0] for row in rows if row[1] and row[2] > (row[3] or 0)]
    return found, rows[-1][0] if len(rows) == limit else None


def last(connection: Connection, mailbox_id: int) -> int:
    """The last UID that is in the index; 0 when none is."""
    row = fetch_one(
        connection, "SELECT MAX(last) FROM search_piece WHERE mailbox_id = ? AND version = ?", (mailbox_id, VERSION)
    )
    return row[0] or 0


def behind(connection: Connection, mailbox_id: int, uid: int, limit: int) -> tuple[list[int], int]:
    """UIDs of messages behind this one, and how many octets these have."""
    rows: Sequence[Any] = fetch(
        connection, "SELECT uid, size FROM message WHERE mailbox_id = ? AND uid > ? ORDER BY uid LIMIT ?",
        (mailbox_id, uid, limit),
    )
    return [row[0] for row in rows], sum(row[1] for row in rows)


def put(connection: Connection, mailbox_id: int, after: int, piece: Piece) -> bool:
    """Write a piece about messages behind the UID `after`; False when that is not the last any more."""
    if not _is_there(connection, mailbox_id) or last(connection, mailbox_id) != after:
        return False
    # What was made by other rules goes when the first is made by these.
    _forget(connection, mailbox_id, "version <> ?", [VERSION])
    _write(connection, mailbox_id, piece)
    return True


def _is_there(connection: Connection, mailbox_id: int) -> bool:
    """Whether the mailbox is; on PostgreSQL nobody else writes its index until the transaction ends."""
    lock = "" if connection.dialect.name == "sqlite" else " FOR UPDATE"
    return fetch_one(connection, f"SELECT id FROM mailbox WHERE id = ?{lock}", (mailbox_id,)) is not None


def pieces(connection: Connection, mailbox_id: int) -> list[tuple[int, int, int]]:
    """First and last UID and number of messages of each piece."""
    rows = fetch(
        connection, "SELECT first, last, size FROM search_piece WHERE mailbox_id = ? AND version = ? ORDER BY first",
        (mailbox_id, VERSION),
    )
    return [(row[0], row[1], row[2]) for row in rows]


def load(connection: Connection, mailbox_id: int, firsts: Collection[int]) -> list[Piece]:
    """Whole pieces; those that are gone are left out."""
    found = []
    for first in sorted(firsts):
        row = fetch_one(
            connection, "SELECT last, uids, unsure FROM search_piece WHERE mailbox_id = ? AND first = ?",
            (mailbox_id, first),
        )
        if row is None:
            continue
        uids = uids_of(bytes(row[1]))
        kinds = ", ".join(str(int(kind)) for kind in Kind)
        some = fetch(
            connection,
            f"SELECT kind, number, words, lists FROM search_page WHERE mailbox_id = ? AND kind IN ({kinds})"
            " AND first = ? ORDER BY kind, number", (mailbox_id, first),
        )
        found.append(Piece(first, row[0], uids, uids_of(bytes(row[2])), [
            (Kind(kind), number, Page(len(uids), bytes(words), bytes(lists))) for kind, number, words, lists in some
        ]))
    return found


def alive(connection: Connection, mailbox_id: int, first: int, last: int) -> list[int]:
    """UIDs of the messages that are still there."""
    rows = fetch(
        connection, "SELECT uid FROM message WHERE mailbox_id = ? AND uid BETWEEN ? AND ?", (mailbox_id, first, last)
    )
    return [row[0] for row in rows]


def replace(connection: Connection, mailbox_id: int, firsts: Collection[int], piece: Piece | None) -> bool:
    """One piece instead of several, which is written where the first of them was; False when they are not all there."""
    there = {first for first, _, _ in pieces(connection, mailbox_id)} if _is_there(connection, mailbox_id) else set()
    if not there.issuperset(firsts):
        return False
    for first in firsts:
        _forget(connection, mailbox_id, "first = ?", [first])
    if piece is not None:
        _write(connection, mailbox_id, piece)
    return True


def _write(connection: Connection, mailbox_id: int, piece: Piece) -> None:
    run_with(
        connection, f"INSERT INTO search_piece ({_PIECE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            mailbox_id, piece.first, piece.last, VERSION, len(piece.uids), piece.octets, octets_of(piece.uids),
            octets_of(piece.unsure),
        ],
    )
    run_many(
        connection, "INSERT INTO search_page (mailbox_id, kind, first, number, words, lists) VALUES (?, ?, ?, ?, ?, ?)",
        [(mailbox_id, int(kind), piece.first, number, page.words, page.lists) for kind, number, page in piece.pages],
    )


def _forget(connection: Connection, mailbox_id: int, which: str, values: Sequence[Any]) -> None:
    run_with(
        connection,
        "DELETE FROM search_page WHERE mailbox_id = ? AND first IN"
        f" (SELECT first FROM search_piece WHERE mailbox_id = ? AND {which})", [mailbox_id, mailbox_id, *values],
    )
    run_with(connection, f"DELETE FROM search_piece WHERE mailbox_id = ? AND {which}", [mailbox_id, *values])


# -- keeping it

def forget(connection: Connection, mailbox_id: int) -> None:
    """Nothing of a mailbox is in the index any more."""
    for table in ("search_page", "search_piece"):
        run_with(connection, f"DELETE FROM {table} WHERE mailbox_id = ?", [mailbox_id])


def orphans(connection: Connection) -> list[int]:
    """Mailboxes that are gone, and of which something is in the index."""
    rows = fetch(
        connection,
        "SELECT DISTINCT mailbox_id FROM search_piece WHERE NOT EXISTS"
        " (SELECT 1 FROM mailbox WHERE mailbox.id = search_piece.mailbox_id)",
    )
    return [row[0] for row in rows]


def worn(connection: Connection, share: float) -> list[int]:
    """Mailboxes of whose messages in the index more than this share must be gone."""
    rows = fetch(
        connection,
        "SELECT known.mailbox_id FROM (SELECT mailbox_id, SUM(size) AS size FROM search_piece GROUP BY mailbox_id)"
        " AS known JOIN mailbox ON mailbox.id = known.mailbox_id WHERE mailbox.messages < known.size * ?",
        [1.0 - share],
    )
    return [row[0] for row in rows]


def mailboxes(connection: Connection, account_id: int | None = None) -> list[int]:
    """All that have messages, or those of one account."""
    which, values = ("", []) if account_id is None else (" AND account_id = ?", [account_id])
    rows = fetch(connection, f"SELECT id FROM mailbox WHERE messages > 0{which} ORDER BY id", values)
    return [row[0] for row in rows]


def state(connection: Connection, account_id: int | None = None) -> list[dict[str, Any]]:
    """Of each mailbox that has messages: how many, how many of them are in the index, its octets and its pieces."""
    which, values = ("", []) if account_id is None else (" AND mailbox.account_id = ?", [account_id])
    rows = fetch(
        connection,
        "SELECT account.address, mailbox.name, mailbox.id, mailbox.messages, COALESCE(MAX(search_piece.last), 0),"
        " COALESCE(SUM(search_piece.octets), 0), COUNT(search_piece.first) FROM mailbox"
        " JOIN account ON account.id = mailbox.account_id"
        f" LEFT JOIN search_piece ON search_piece.mailbox_id = mailbox.id AND search_piece.version = {VERSION}"
        f" WHERE mailbox.messages > 0{which} GROUP BY account.address, mailbox.name, mailbox.id, mailbox.messages"
        " ORDER BY account.address, mailbox.name", values,
    )
    found = []
    for address, name, id, messages, until, octets, count in rows:
        left = fetch(connection, "SELECT COUNT(*) FROM message WHERE mailbox_id = ? AND uid > ?", (id, until))[0][0]
        found.append({
            "account": address, "mailbox": name, "messages": messages, "indexed": messages - left,
            "octets": int(octets), "pieces": count,
        })
    return found
