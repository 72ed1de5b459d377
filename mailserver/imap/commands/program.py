"""Reads a search program into its tree of keys, without recursion: whatever comes, it is bounded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mailserver.imap import flags
from mailserver.imap.commands.keys import (
    Addressed,
    All,
    And,
    Dated,
    EmailId,
    Filter,
    HasFlag,
    HasKeyword,
    Header,
    InBody,
    InText,
    Key,
    Larger,
    ModSeq,
    Moment,
    Not,
    Numbers,
    Older,
    Or,
    Recent,
    SaveDateSupported,
    Smaller,
    ThreadId,
    Uids,
    When,
    Younger,
)
from mailserver.imap.error import ImapError
from mailserver.imap.numbers import HIGHEST, SequenceSet
from mailserver.imap.reader import MOST_NUMBER64, Reader

MOST_KEYS = 1000            # of one program, NOT and OR and brackets included
DEEPEST = 50                # keys within keys

_SEEN, _ANSWERED, _FLAGGED, _DELETED, _DRAFT = (HasFlag(bit) for bit in flags.SYSTEM.values())

PLAIN: dict[str, Key] = {
    "ALL": All(), "SAVEDATESUPPORTED": SaveDateSupported(),
    "ANSWERED": _ANSWERED, "UNANSWERED": Not(_ANSWERED), "DELETED": _DELETED, "UNDELETED": Not(_DELETED),
    "DRAFT": _DRAFT, "UNDRAFT": Not(_DRAFT), "FLAGGED": _FLAGGED, "UNFLAGGED": Not(_FLAGGED),
    "SEEN": _SEEN, "UNSEEN": Not(_SEEN),
    "RECENT": Recent(), "OLD": Not(Recent()), "NEW": And((Recent(), Not(_SEEN))),
}


def _dated(moment: Moment, when: When) -> Callable[[Reader], Key]:
    return lambda reader: Dated(moment, when, reader.date())


def _mod_seq(reader: Reader) -> Key:
    if reader.follows(b'"'):                # whose flags: RFC 7162 3.1.5 lets a server not tell them apart
        reader.string()
        reader.space()
        if reader.word("a kind of flags") not in ("ALL", "PRIV", "SHARED"):
            raise ImapError("there is no such kind of flags")
        reader.space()
    return ModSeq(reader.number(MOST_NUMBER64))


def _uids(low: int, high: int) -> Key:
    """RFC 9738 3.2: `UIDAFTER 7` does not mean the last message whatever it is, as `UID 8:*` would."""
    return Uids(SequenceSet(((low, high),) if low <= high else ()))


def _header(reader: Reader) -> Key:
    name = reader.text()
    reader.space()
    return Header(name, reader.text())


def _filter(reader: Reader) -> Key:
    """RFC 5466 3.1: filters are UTF-8, and so is all that stands beside them."""
    name = reader.atom("the name of a filter")
    if "/" in name:
        raise ImapError("a slash cannot be in the name of a filter")
    if reader.charset not in ("utf-8", "ascii"):
        raise ImapError("filters are in UTF-8", code="BADCHARSET (UTF-8 US-ASCII)")
    return Filter(name)


# Of what has an argument: how that is read, behind the space.
PARSERS: dict[str, Callable[[Reader], Key]] = {
    "BCC": lambda reader: Addressed("Bcc", reader.text()), "CC": lambda reader: Addressed("Cc", reader.text()),
    "FROM": lambda reader: Addressed("From", reader.text()), "TO": lambda reader: Addressed("To", reader.text()),
    "SUBJECT": lambda reader: Addressed("Subject", reader.text()), "HEADER": _header,
    "BODY": lambda reader: InBody(reader.text()), "TEXT": lambda reader: InText(reader.text()),
    "KEYWORD": lambda reader: HasKeyword(flags.keyword(reader.flag())),
    "UNKEYWORD": lambda reader: Not(HasKeyword(flags.keyword(reader.flag()))),
    "BEFORE": _dated(Moment.RECEIVED, When.BEFORE), "ON": _dated(Moment.RECEIVED, When.ON),
    "SINCE": _dated(Moment.RECEIVED, When.SINCE), "SENTBEFORE": _dated(Moment.SENT, When.BEFORE),
    "SENTON": _dated(Moment.SENT, When.ON), "SENTSINCE": _dated(Moment.SENT, When.SINCE),
    "SAVEDBEFORE": _dated(Moment.SAVED, When.BEFORE), "SAVEDON": _dated(Moment.SAVED, When.ON),
    "SAVEDSINCE": _dated(Moment.SAVED, When.SINCE),
    "OLDER": lambda reader: Older(reader.number(least=1)), "YOUNGER": lambda reader: Younger(reader.number(least=1)),
    "LARGER": lambda reader: Larger(reader.number(MOST_NUMBER64)),
    "SMALLER": lambda reader: Smaller(reader.number(MOST_NUMBER64)),
    "UID": lambda reader: Uids(reader.sequence_set()), "MODSEQ": _mod_seq,
    "UIDAFTER": lambda reader: _uids(reader.number(HIGHEST, 1) + 1, HIGHEST),
    "UIDBEFORE": lambda reader: _uids(1, reader.number(HIGHEST, 1) - 1),
    "EMAILID": lambda reader: EmailId(reader.atom()), "THREADID": lambda reader: ThreadId(reader.atom()),
    "FILTER": _filter,
}


@dataclass(slots=True)
class _Open:
    """A key that others belong to, each with its depth; `room`: how many more it takes, None: until its bracket."""

    word: str
    room: int | None
    keys: list[tuple[Key, int]] = field(default_factory=list)


def read_program(reader: Reader) -> Key:
    """All keys to the end of the command, which all have to hold; raises `ImapError`."""
    opened = [_Open("AND", None)]
    count = 0
    while True:
        count += 1
        if count > MOST_KEYS:
            raise ImapError("too many search keys")
        if reader.took(b"("):
            opened.append(_Open("AND", None))
            continue
        if not reader.ended and reader.octets[reader.at] in b"0123456789*$":
            _close(opened, Numbers(reader.sequence_set()), 1)
        else:
            word = reader.word("a search key")
            if word in ("OR", "NOT"):
                reader.space()
                opened.append(_Open(word, 2 if word == "OR" else 1))
                continue
            _close(opened, _leaf(reader, word), 1)
        while len(opened) > 1 and opened[-1].room is None and reader.took(b")"):
            _close(opened, *_built(opened.pop()))
        if len(opened) == 1 and (reader.ended or reader.octets[reader.at :] == b" "):
            return _built(opened[0])[0]
        reader.space()


def _leaf(reader: Reader, word: str) -> Key:
    plain = PLAIN.get(word)
    if plain is not None:
        return plain
    parse = PARSERS.get(word)
    if parse is None:
        raise ImapError("there is no such search key")
    reader.space()
    return parse(reader)


def _close(opened: list[_Open], key: Key, depth: int) -> None:
    """Give a key to the innermost open one, and what that fills to the next."""
    while True:
        if depth > DEEPEST:
            raise ImapError("search keys are nested too deeply")
        into = opened[-1]
        into.keys.append((key, depth))
        if into.room is None:
            return
        into.room -= 1
        if into.room:
            return
        key, depth = _built(opened.pop())


def _built(into: _Open) -> tuple[Key, int]:
    """A key and its depth; what is nested only in writing (OR OR OR ..., NOT NOT ...) is not deep."""
    keys = into.keys
    if into.word == "NOT":
        [(key, depth)] = keys
        return (key.key, depth - 1) if isinstance(key, Not) else (Not(key), depth + 1)
    if len(keys) == 1:
        return keys[0]
    kind = Or if into.word == "OR" else And
    flat: list[Key] = []
    deepest = 0
    for key, depth in keys:
        is_same = isinstance(key, kind)
        flat += key.keys if isinstance(key, kind) else (key,)
        deepest = max(deepest, depth - is_same)
    return kind(tuple(flat)), deepest + 1
