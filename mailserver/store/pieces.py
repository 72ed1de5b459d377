"""Pieces of the index of a mailbox: made of messages one by one, read again, and made one of several."""

from __future__ import annotations

import sys
from array import array
from collections import defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import repeat

from mailserver.store.pages import Page, array_of, pages
from mailserver.store.pages import octets_of as places_of


class Kind(IntEnum):
    """Where words stand.  A field that has a kind of its own is that of the content, without its name."""

    BODY = 0
    HEADER = 1
    FROM = 2
    TO = 3
    CC = 4
    SUBJECT = 5


HEADER = frozenset(Kind) - {Kind.BODY}


@dataclass(frozen=True, slots=True)
class Said:
    """The words of one message, by kind; `is_all` is False where there are more, so that it must be looked at."""

    terms: Mapping[Kind, Collection[str]]
    is_all: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """Messages from one UID to another, all that were there: those `unsure` must be looked at in any case."""

    first: int
    last: int
    uids: array[int]            # typecode I
    unsure: array[int]
    pages: Sequence[tuple[Kind, int, Page]]

    @property
    def octets(self) -> int:
        return sum(len(page.words) + len(page.lists) for _, _, page in self.pages)


class Growing:
    """A piece to which messages are added; quickest by ascending UID."""

    def __init__(self) -> None:
        self.uids = array("I")
        self.unsure = array("I")
        self.size = 0               # words of all messages together
        self._words: dict[Kind, defaultdict[str, list[int]]] = {kind: defaultdict(list) for kind in Kind}

    def add(self, uid: int, said: Said) -> None:
        """One message."""
        place = len(self.uids)
        self.uids.append(uid)
        if not said.is_all:
            self.unsure.append(uid)
        for kind, terms in said.terms.items():
            self.size += len(terms)
            every = map(self._words[kind].__getitem__, terms)
            deque(map(list.append, every, repeat(place)), maxlen=0)     # no loop is quicker

    def piece(self, first: int, last: int) -> Piece:
        """The whole, which is about all messages between these UIDs."""
        self._sort()
        return _piece(first, last, self.uids, self.unsure, {
            kind: {
                word.encode("utf-8", "replace"): places_of(array("H", places)) for word, places in known.items()
            } for kind, known in self._words.items()
        })

    def _sort(self) -> None:
        ordered = sorted(self.uids)
        if ordered == self.uids.tolist():
            return
        places = {uid: place for place, uid in enumerate(ordered)}
        moved = list(map(places.__getitem__, self.uids))
        for known in self._words.values():
            for each in known.values():
                each[:] = sorted(map(moved.__getitem__, each))
        self.uids, self.unsure = array("I", ordered), array("I", sorted(self.unsure))


def joined(pieces: Sequence[Piece], alive: Collection[int] | None = None) -> Piece:
    """All messages of pieces, each behind the one before; with `alive`, only those."""
    uids, unsure = array("I"), array("I")
    words: dict[Kind, dict[bytes, bytes]] = {kind: {} for kind in Kind}
    for piece in pieces:
        after = len(uids)
        left = piece.uids if alive is None else array("I", filter(alive.__contains__, piece.uids))
        moved: list[int] = []           # by place; -1 is gone
        if len(left) < len(piece.uids):
            places = {uid: place for place, uid in enumerate(left, after)}
            moved = [places.get(uid, -1) for uid in piece.uids]
        uids.extend(left)
        unsure.extend(piece.unsure if alive is None else filter(alive.__contains__, piece.unsure))
        for kind, _, page in piece.pages:
            known = words[kind]
            if not moved:
                for word, octets in page.all(after):
                    known[word] = known[word] + octets if word in known else octets
                continue
            for word, octets in page.all():
                here = array("H", filter((-1).__lt__, map(moved.__getitem__, array_of(octets))))
                if here:
                    known[word] = known.get(word, b"") + places_of(here)
    return _piece(pieces[0].first, pieces[-1].last, uids, unsure, words)


def _piece(
    first: int, last: int, uids: array[int], unsure: array[int], words: Mapping[Kind, Mapping[bytes, bytes]]
) -> Piece:
    return Piece(first, last, uids, unsure, [
        (kind, number, page)
        for kind, known in words.items() if known
        for number, page in enumerate(pages(len(uids), known))
    ])


def uids_of(octets: bytes) -> array[int]:
    """UIDs as they are written in a row."""
    found = array("I", octets)
    if sys.byteorder != "little":
        found.byteswap()
    return found


def octets_of(uids: array[int]) -> bytes:
    """The same, to be written."""
    if sys.byteorder != "little":
        uids = uids[:]
        uids.byteswap()
    return uids.tobytes()
