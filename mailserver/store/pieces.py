"""Pieces of the index of a mailbox: made of messages one by one, read again, and made one of several."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from mailserver.store.pages import Page, pages


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


@dataclass(slots=True)
class Growing:
    """A piece to which messages are added by ascending UID; `words` has places in it."""

    uids: array[int] = field(default_factory=lambda: array("I"))
    unsure: array[int] = field(default_factory=lambda: array("I"))
    words: dict[Kind, dict[bytes, list[int]]] = field(default_factory=dict)

    def add(self, uid: int, said: Said) -> None:
        """One message."""
        place = len(self.uids)
        self.uids.append(uid)
        if not said.is_all:
            self.unsure.append(uid)
        for kind, terms in said.terms.items():
            known = self.words.setdefault(kind, {})
            for word in "\n".join(terms).encode("utf-8", "replace").split(b"\n"):
                if word in known:
                    known[word].append(place)
                else:
                    known[word] = [place]

    def join(self, piece: Piece, alive: Collection[int] | None = None) -> None:
        """All messages of a piece that lies behind; with `alive`, only those."""
        moved: list[int] = []           # by place; -1 is gone
        for uid in piece.uids:
            if alive is not None and uid not in alive:
                moved.append(-1)
            else:
                moved.append(len(self.uids))
                self.uids.append(uid)
        self.unsure.extend(uid for uid in piece.unsure if alive is None or uid in alive)
        is_whole = -1 not in moved
        for kind, _, page in piece.pages:
            known = self.words.setdefault(kind, {})
            for word, places in page.all():
                here: Iterable[int] = map(moved.__getitem__, places)
                if not is_whole:
                    here = [place for place in here if place >= 0]
                    if not here:
                        continue
                if word in known:
                    known[word].extend(here)
                else:
                    known[word] = list(here)

    def piece(self, first: int, last: int) -> Piece:
        """The whole, which is about all messages between these UIDs."""
        size = len(self.uids)
        return Piece(first, last, self.uids, self.unsure, [
            (kind, number, page)
            for kind, words in self.words.items() if words
            for number, page in enumerate(pages(size, words))
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
