"""Answers of SEARCH, SORT and THREAD (RFC 9051 7.3.4, RFC 3501 7.2.5, RFC 4731, RFC 5256, RFC 9394)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mailserver.imap.numbers import spell
from mailserver.imap.strings import mailbox, string


class Node(NamedTuple):
    """A message of a thread and the answers to it; number 0: a message that is not here."""

    number: int
    answers: Sequence[Node] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search found, as far as it was asked for: None is not said.

    `all` and `partial` keep the order in which they are given; `partial` comes with the range that was asked for.
    `modseq`: the highest of those found, when the search was about MODSEQ (RFC 7162 3.1.10).
    """

    least: int | None = None
    most: int | None = None
    count: int | None = None
    all: Sequence[int] | None = None
    partial: tuple[tuple[int, int], Sequence[int]] | None = None
    modseq: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Which mailbox an answer is about, where that is not the one that is selected anyway (RFC 7377 2.1)."""

    name: str
    uidvalidity: int
    utf8: bool


def _head(tag: str, by_uid: bool, place: Place | None) -> bytes:
    words = b"TAG %b" % string(tag.encode("ascii"))
    if place is not None:
        words += b" MAILBOX %b UIDVALIDITY %d" % (mailbox(place.name, place.utf8), place.uidvalidity)
    return b"* ESEARCH (%b)%b" % (words, b" UID" * by_uid)


def esearch(tag: str, by_uid: bool, outcome: Outcome, place: Place | None = None) -> bytes:
    """RFC 9051 7.3.4; where nothing is found there is neither MIN nor MAX nor ALL."""
    words = [_head(tag, by_uid, place)]
    if outcome.least is not None:
        words.append(b"MIN %d" % outcome.least)
    if outcome.most is not None:
        words.append(b"MAX %d" % outcome.most)
    if outcome.count is not None:
        words.append(b"COUNT %d" % outcome.count)
    if outcome.all:
        words.append(b"ALL %b" % spell(outcome.all))
    if outcome.partial is not None:
        (first, last), numbers = outcome.partial
        words.append(b"PARTIAL (%d:%d %b)" % (first, last, spell(numbers) or b"NIL"))
    if outcome.modseq is not None:
        words.append(b"MODSEQ %d" % outcome.modseq)
    return b" ".join(words) + b"\r\n"


def updated(
    tag: str, by_uid: bool, removed: Iterable[tuple[int, Sequence[int]]], added: Iterable[tuple[int, Sequence[int]]],
    place: Place | None = None,
) -> bytes:
    """What comes to what a search has found, or goes from it, at its positions (RFC 5267 4.3.2); nothing for none."""
    words = [_head(tag, by_uid, place)]
    for verb, moves in ((b"REMOVEFROM", removed), (b"ADDTO", added)):
        if pairs := b" ".join(b"%d %b" % (position, spell(numbers)) for position, numbers in moves):
            words.append(b"%b (%b)" % (verb, pairs))
    return b" ".join(words) + b"\r\n" if len(words) > 1 else b""


def search(numbers: Iterable[int], modseq: int | None = None, verb: bytes = b"SEARCH") -> bytes:
    """The older answer, of SEARCH or SORT."""
    words = [b"* %b" % verb, *(b"%d" % number for number in numbers)]
    if modseq is not None:
        words.append(b"(MODSEQ %d)" % modseq)
    return b" ".join(words) + b"\r\n"


def thread(threads: Iterable[Node]) -> bytes:
    """``* THREAD (166)(167 168 (169)(170))``, however long a chain of answers is: no recursion."""
    written: list[bytes] = []
    todo: list[Node | bytes] = []
    for top in threads:
        todo.append(b")")
        todo.append(top)
        written.append(b"(")
        _write(todo, written)
    return b"* THREAD%b\r\n" % (b" " + b"".join(written) if written else b"")


def _write(todo: list[Node | bytes], written: list[bytes]) -> None:
    while todo:
        each = todo.pop()
        if isinstance(each, bytes):
            written.append(each)
            continue
        # The place of a parent that is not here is taken by what answers it, RFC 5256 4: ``((3)(5))``.
        if each.number:
            written.append(b"%d" % each.number)
        answers = each.answers
        if len(answers) == 1:
            if each.number:
                written.append(b" ")
            todo.append(answers[0])
        elif answers:
            if each.number:
                written.append(b" ")
            for answer in reversed(answers):
                todo.extend((b")", answer, b"("))
