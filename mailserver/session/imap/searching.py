"""SEARCH, and what all searches answer: how many, which, and what "$" is (RFC 9051 6.4.4, 4731, 5182, 9394)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailserver.imap import found
from mailserver.imap.commands.keys import And, Key, ModSeq, Not, Or
from mailserver.imap.commands.multisearch import ESearch
from mailserver.imap.commands.search import CHARSETS, Results, Search, Sort, UnknownCharset
from mailserver.imap.error import ImapError
from mailserver.session.imap import filtering
from mailserver.session.imap.changing import chosen
from mailserver.session.imap.limited import searched, told
from mailserver.session.imap.matching import Sight, matching
from mailserver.session.imap.reply import Reply
from mailserver.session.imap.updating import followed, refuse_reuse

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

ALL = Results(frozenset({"ALL"}))


async def search(session: ImapSession, command: Search) -> Reply:
    """A session of IMAP4rev2 is answered in the new way, whatever it asks for (RFC 9051 6.4.4)."""
    results = command.results
    if results is None and "IMAP4REV2" in session.enabled:
        results = ALL
    refuse_reuse(session, results)
    try:
        command = await filtering.meant(session, command)
        key, lowest = searched(session, chosen(session), command.key)
        sight, places = await matched(session, key)
    except Exception:
        forget(session, results)
        raise
    reply = followed(session, command, sight, places, answered(session, command, results, sight, places))
    return told(session, reply, lowest)


async def refuse(session: ImapSession, command: UnknownCharset) -> Reply:
    """A search in a charset that is not known fails as any other does (RFC 5182 2.1)."""
    forget(session, command.results)
    raise ImapError("that charset is not known here", "NO", f"BADCHARSET ({' '.join(CHARSETS)})")


async def matched(session: ImapSession, key: Key) -> tuple[Sight, list[int]]:
    """What was seen, and where the messages stand that a program is about."""
    if asks_modseq(key):
        session.enable(frozenset({"CONDSTORE"}))        # RFC 7162 3.1
    return await matching(session, chosen(session), key)


def asks_modseq(key: Key) -> bool:
    """Whether it is about MODSEQ anywhere, so that the answer has one (RFC 7162 3.1.5)."""
    if isinstance(key, (And, Or)):
        return any(map(asks_modseq, key.keys))
    return isinstance(key, ModSeq) or (isinstance(key, Not) and asks_modseq(key.key))


def forget(session: ImapSession, results: Results | None) -> None:
    """A search that was to be saved and fails leaves nothing saved (RFC 5182 2.1)."""
    if results is not None and "SAVE" in results.words and session.selected is not None:
        session.selected.saved = ()


def answered(
    session: ImapSession, command: Search | Sort | ESearch, results: Results | None, sight: Sight,
    places: Sequence[int], place: found.Place | None = None,
) -> Reply:
    """The answer, with the messages in the order in which they are given; `place`: it names the mailbox."""
    modseq = max(map(sight.modseqs.__getitem__, places), default=None) if asks_modseq(command.key) else None
    if results is None:
        verb = b"SORT" if isinstance(command, Sort) else b"SEARCH"
        line = found.search(numbers(sight, places, command.by_uid), modseq, verb)
        return Reply("that is all", [line], may_expunge=command.by_uid)
    told = _told(results, places)
    if "SAVE" in results.words and session.selected is not None:
        session.selected.saved = sight.ranges(sorted(told))
    if results.words == {"SAVE"} and results.partial is None:
        return Reply("that is all, and kept", may_expunge=command.by_uid)
    if modseq is not None:
        modseq = max(map(sight.modseqs.__getitem__, told), default=None)
    outcome = _outcome(results, sight, places, command.by_uid, modseq)
    line = found.esearch(session.tag, command.by_uid, outcome, place)
    return Reply("that is all", [line], may_expunge=command.by_uid)


def numbers(sight: Sight, places: Sequence[int], by_uid: bool) -> list[int]:
    """UIDs or sequence numbers."""
    return list(map(sight.uids.__getitem__, places)) if by_uid else [place + 1 for place in places]


def _part(places: Sequence[int], partial: tuple[int, int]) -> Sequence[int]:
    """Of what was found, from the one to the other; negative ones count from the end (RFC 9394 3.1)."""
    first, last = partial
    if first > 0:
        return places[first - 1 : last]
    return places[max(0, len(places) + last) : max(0, len(places) + first + 1)]


def _told(results: Results, places: Sequence[int]) -> Sequence[int]:
    """What is saved, and what MODSEQ is about (RFC 5182 2.4, RFC 9394 3.2, RFC 7162 3.1.10).

    All that was found, unless only ends or a part of it were asked for.
    """
    some = {"MIN", "MAX"} & results.words
    if not places or {"ALL", "COUNT"} & results.words or not (some or results.partial):
        return places
    told = set(_part(places, results.partial)) if results.partial is not None else set()
    if "MIN" in some:
        told.add(places[0])
    if "MAX" in some:
        told.add(places[-1])
    return list(told)


def _outcome(
    results: Results, sight: Sight, places: Sequence[int], by_uid: bool, modseq: int | None
) -> found.Outcome:
    words, partial = results.words, results.partial
    return found.Outcome(
        numbers(sight, places[:1], by_uid)[0] if "MIN" in words and places else None,
        numbers(sight, places[-1:], by_uid)[0] if "MAX" in words and places else None,
        len(places) if "COUNT" in words else None,
        numbers(sight, places, by_uid) if "ALL" in words else None,
        None if partial is None else (partial, numbers(sight, _part(places, partial), by_uid)),
        modseq,
    )
