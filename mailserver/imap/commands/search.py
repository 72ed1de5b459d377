"""SEARCH, SORT and THREAD (RFC 9051 6.4.4, RFC 4731, RFC 5182, RFC 5256, RFC 5267, RFC 9394)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mailserver.imap.commands.fetch import partial_range
from mailserver.imap.commands.keys import Key
from mailserver.imap.commands.notify import read_items
from mailserver.imap.commands.program import read_program
from mailserver.imap.commands.sections import Item
from mailserver.imap.error import ImapError
from mailserver.imap.reader import Reader

RESULTS = ("MIN", "MAX", "ALL", "COUNT", "SAVE")
SORT_KEYS = ("ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO")
THREADINGS = ("ORDEREDSUBJECT", "REFERENCES", "REFS")
# What a client may write in, by the name of the codec that is to be trusted with it.
CHARSETS: dict[str, str] = {
    "US-ASCII": "ascii", "UTF-8": "utf-8", "ISO-8859-1": "latin-1", "ISO-8859-15": "iso8859-15",
    "WINDOWS-1252": "cp1252", "ISO-2022-JP": "iso2022_jp", "SHIFT_JIS": "cp932", "EUC-JP": "euc_jp",
}


@dataclass(frozen=True, slots=True)
class Results:
    """RETURN of RFC 4731: words of `RESULTS`, none of them only when there is something else.

    `partial` is a range (RFC 9394 3.1).  `update`: what comes and goes is told from then on, and these items are
    fetched of new messages (RFC 5267 4.3, RFC 5465 7); None: it is not.
    """

    words: frozenset[str]
    partial: tuple[int, int] | None = None
    update: tuple[Item, ...] | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """`results` is None for a SEARCH without RETURN, which is answered in the older way."""

    key: Key
    by_uid: bool = False
    results: Results | None = None


@dataclass(frozen=True, slots=True)
class Sort:
    """`order`: what is compared first, second ..., each with whether it is reversed."""

    order: tuple[tuple[str, bool], ...]
    key: Key
    by_uid: bool = False
    results: Results | None = None


@dataclass(frozen=True, slots=True)
class UnknownCharset:
    """A search whose words cannot be read; it fails, and `results` say whether "$" is to be nothing then."""

    results: Results | None = None


@dataclass(frozen=True, slots=True)
class Thread:
    """RFC 5256."""

    threading: str
    key: Key
    by_uid: bool = False


def _search(reader: Reader, by_uid: bool) -> Search | UnknownCharset:
    results = read_results(reader)
    reader.space()
    if (unknown := read_charset(reader, results)) is not None:
        return unknown
    return Search(read_program(reader), by_uid, results)


def read_charset(reader: Reader, results: Results | None) -> UnknownCharset | None:
    """``CHARSET UTF-8``, if that comes next; None: the program follows, and can be read."""
    if reader.octets[reader.at : reader.at + 8].upper() == b"CHARSET ":
        reader.at += 8
        if not _charset(reader):
            return _given_up(reader, results)
        reader.space()
    return None


def _given_up(reader: Reader, results: Results | None) -> UnknownCharset:
    reader.at = len(reader.octets)
    return UnknownCharset(results)


def _sort(reader: Reader, by_uid: bool) -> Sort | UnknownCharset:
    results = read_results(reader)
    reader.space()
    order = reader.list_of(lambda: _criterion(reader))
    if len(order) > 2 * len(SORT_KEYS):
        raise ImapError("too many sort keys")
    reader.space()
    if not _charset(reader):
        return _given_up(reader, results)
    reader.space()
    return Sort(order, read_program(reader), by_uid, results)


def _criterion(reader: Reader) -> tuple[str, bool]:
    word = reader.word("a sort key")
    is_reversed = word == "REVERSE"
    if is_reversed:
        reader.space()
        word = reader.word("a sort key")
    if word not in SORT_KEYS:
        raise ImapError("there is no such sort key")
    return word, is_reversed


def _thread(reader: Reader, by_uid: bool) -> Thread | UnknownCharset:
    reader.space()
    threading = reader.word("a way to thread")
    if threading not in THREADINGS:
        raise ImapError("there is no such way to thread")
    reader.space()
    if not _charset(reader):
        return _given_up(reader, None)
    reader.space()
    return Thread(threading, read_program(reader), by_uid)


def _charset(reader: Reader) -> bool:
    """Whether it is known."""
    codec = CHARSETS.get(reader.astring().upper().decode("latin-1"))
    if codec is not None:
        reader.charset = codec
    return codec is not None


def read_results(reader: Reader) -> Results | None:
    """``RETURN (...)``, if that comes next."""
    if reader.octets[reader.at : reader.at + 8].upper() != b" RETURN ":
        return None
    reader.at += 8
    words: set[str] = set()
    partial: tuple[int, int] | None = None
    update: tuple[Item, ...] | None = None
    has_hint = False

    def option() -> None:
        nonlocal partial, update, has_hint
        word = reader.word("an option")
        if word == "PARTIAL" and partial is None:
            reader.space()
            partial = partial_range(reader)
        elif word == "UPDATE" and update is None:
            if reader.follows(b" ("):          # the grammar has no space, and the example has one
                reader.space()
            update = read_items(reader) if reader.follows(b"(") else ()
        elif word == "CONTEXT":
            has_hint = True             # RFC 5267 4.2: a hint, and nothing more
        elif word in RESULTS:
            words.add(word)
        else:
            raise ImapError("there is no such option")

    reader.list_of(option, may_be_empty=True)
    if partial is not None and "ALL" in words:
        raise ImapError("PARTIAL and ALL are two answers")          # RFC 9394 3.1
    is_empty = partial is None and update is None and not has_hint
    return Results(frozenset(words or ({"ALL"} if is_empty else ())), partial, update)


PARSERS: Mapping[str, Callable[[Reader], object]] = {
    "SEARCH": lambda reader: _search(reader, False), "UID SEARCH": lambda reader: _search(reader, True),
    "SORT": lambda reader: _sort(reader, False), "UID SORT": lambda reader: _sort(reader, True),
    "THREAD": lambda reader: _thread(reader, False), "UID THREAD": lambda reader: _thread(reader, True),
}
