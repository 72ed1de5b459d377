"""SEARCH, SORT and THREAD (RFC 9051 6.4.4, RFC 4731, RFC 5182, RFC 5256, RFC 5267, RFC 9394)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mailserver.imap.commands.fetch import partial_range
from mailserver.imap.commands.keys import Key
from mailserver.imap.commands.program import read_program
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
    """RETURN of RFC 4731: words of `RESULTS`, none of them only when there is a `partial` range (RFC 9394 3.1)."""

    words: frozenset[str]
    partial: tuple[int, int] | None = None


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
class Thread:
    """RFC 5256."""

    threading: str
    key: Key
    by_uid: bool = False


def _search(reader: Reader, by_uid: bool) -> Search:
    results = _results(reader)
    reader.space()
    if reader.octets[reader.at : reader.at + 8].upper() == b"CHARSET ":
        reader.at += 8
        _charset(reader, results)
        reader.space()
    return Search(read_program(reader), by_uid, results)


def _sort(reader: Reader, by_uid: bool) -> Sort:
    results = _results(reader)
    reader.space()
    order = reader.list_of(lambda: _criterion(reader))
    if len(order) > 2 * len(SORT_KEYS):
        raise ImapError("too many sort keys")
    reader.space()
    _charset(reader, results)
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


def _thread(reader: Reader, by_uid: bool) -> Thread:
    reader.space()
    threading = reader.word("a way to thread")
    if threading not in THREADINGS:
        raise ImapError("there is no such way to thread")
    reader.space()
    _charset(reader)
    reader.space()
    return Thread(threading, read_program(reader), by_uid)


def _charset(reader: Reader, results: Results | None = None) -> None:
    name = reader.astring().upper().decode("latin-1")
    codec = CHARSETS.get(name)
    if codec is None:
        error = ImapError("that charset is not known here", "NO", f"BADCHARSET ({' '.join(CHARSETS)})")
        # RFC 5182 2.1: after a NO, what was sent behind it must not be done to what an earlier search has found.
        error.unsaves = results is not None and "SAVE" in results.words
        raise error
    reader.charset = codec


def _results(reader: Reader) -> Results | None:
    if reader.octets[reader.at : reader.at + 8].upper() != b" RETURN ":
        return None
    reader.at += 8
    words: set[str] = set()
    partial: tuple[int, int] | None = None

    def option() -> None:
        nonlocal partial
        word = reader.word("an option")
        if word == "PARTIAL" and partial is None:
            reader.space()
            partial = partial_range(reader)
        elif word in RESULTS:
            words.add(word)
        else:
            raise ImapError("there is no such option")

    reader.list_of(option, may_be_empty=True)
    if partial is not None and "ALL" in words:
        raise ImapError("PARTIAL and ALL are two answers")          # RFC 9394 3.1
    return Results(frozenset(words or ({"ALL"} if partial is None else ())), partial)


PARSERS: Mapping[str, Callable[[Reader], object]] = {
    "SEARCH": lambda reader: _search(reader, False), "UID SEARCH": lambda reader: _search(reader, True),
    "SORT": lambda reader: _sort(reader, False), "UID SORT": lambda reader: _sort(reader, True),
    "THREAD": lambda reader: _thread(reader, False), "UID THREAD": lambda reader: _thread(reader, True),
}
