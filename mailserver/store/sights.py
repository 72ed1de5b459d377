"""A mailbox as somebody who is not its owner sees it: with his own \\Seen, and all else as it is.

What he sees or has not is a row of ``sight``; where there is none, he has not.  A change of it moves the mailbox's
mod-sequence, so that his other sessions are told as of any change; for others nothing has changed.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from mailserver.errors import NotFound
from mailserver.imapstore import SYSTEM, Changes, Flags, Ranges, State, Stored
from mailserver.interfaces import SEEN
from mailserver.store import viewing
from mailserver.store.changing import Box, change, keyword_bits, lock
from mailserver.store.mailboxes import find_mailbox
from mailserver.store.ranges import within
from mailserver.store.statements import fetch, fetch_one, run_with

# A row of ``message`` is seen by somebody: each costs a step in the index, however much he has seen.
_SEEN = (
    "EXISTS (SELECT 1 FROM sight WHERE sight.mailbox_id = message.mailbox_id AND sight.account_id = ?"
    " AND sight.uid = message.uid AND sight.seen = 1)"
)


def load(connection: Connection, mailbox_id: int, viewer: int) -> State:
    """As `mailserver.store.viewing.load`; what is there already is recent for nobody but its owner."""
    state = viewing.load(connection, mailbox_id)
    known = _sights(connection, mailbox_id, viewer, 0, 0)
    flags, modseqs = array("Q"), array("Q")
    for uid, flag, modseq in zip(state.uids, state.flags, state.modseqs, strict=True):
        seen, when = known.get(uid, (0, 0))
        flags.append(flag & ~SEEN | seen)
        modseqs.append(max(modseq, when))
    return State(state.uids, flags, modseqs, state.uidnext, state.modseq, state.uidnext, state.keywords)


def changes(connection: Connection, mailbox_id: int, viewer: int, since: int) -> Changes:
    """As `mailserver.store.viewing.changes`."""
    common = viewing.changes(connection, mailbox_id, since)
    if common.modseq <= since:
        return common
    text = (
        "SELECT message.uid, message.flags, message.modseq FROM sight JOIN message"
        " ON message.mailbox_id = sight.mailbox_id AND message.uid = sight.uid"
        " WHERE sight.mailbox_id = ? AND sight.account_id = ? AND sight.modseq > ?"
    )
    rows = {uid: (flags, modseq) for uid, flags, modseq in common.changed}
    own = fetch(connection, text, (mailbox_id, viewer, since))
    rows.update((uid, (flags, modseq)) for uid, flags, modseq in own)
    if not rows:
        return common
    known = _sights(connection, mailbox_id, viewer, min(rows), max(rows))
    changed = []
    for uid in sorted(rows):
        flags, modseq = rows[uid]
        seen, when = known.get(uid, (0, 0))
        changed.append((uid, flags & ~SEEN | seen, max(modseq, when)))
    return Changes(changed, common.gone, common.uidnext, common.modseq, common.keywords)


def _sights(connection: Connection, mailbox_id: int, viewer: int, low: int, high: int) -> dict[int, tuple[int, int]]:
    """Whether messages are seen, and when that was last changed, by UID; with a `high` of 0 all of them."""
    where, values = ("", []) if not high else (" AND uid BETWEEN ? AND ?", [low, high])
    text = f"SELECT uid, seen, modseq FROM sight WHERE mailbox_id = ? AND account_id = ?{where}"
    return {uid: (seen, modseq) for uid, seen, modseq in fetch(connection, text, (mailbox_id, viewer, *values))}


def seen_rows(
    connection: Connection, mailbox_id: int, viewer: int, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> list[tuple[Any, ...]]:
    """Rows of `mailserver.store.viewing.rows` with these columns, as the viewer sees them."""
    known = _sights(connection, mailbox_id, viewer, rows[0][0], rows[-1][0])
    found = []
    for row in rows:
        seen, when = known.get(row[0], (0, 0))
        values = list(row)
        for place, name in enumerate(columns, 3):
            if name == "flags":
                values[place] = values[place] & ~SEEN | seen
            elif name == "modseq":
                values[place] = max(values[place], when)
        found.append(tuple(values))
    return found


def unseen(connection: Connection, viewer: int, owner: int, name: str) -> int:
    """How many messages of a mailbox a viewer has not seen; raises `NotFound`."""
    found = find_mailbox(connection, owner, name)
    if found is None:
        raise NotFound(f"there is no mailbox {name}")
    text = (
        "SELECT messages - (SELECT COUNT(*) FROM sight JOIN message"
        " ON message.mailbox_id = sight.mailbox_id AND message.uid = sight.uid"
        " WHERE sight.mailbox_id = ? AND sight.account_id = ? AND sight.seen = 1) FROM mailbox WHERE id = ?"
    )
    return int(fetch_one(connection, text, (found[0], viewer, found[0]))[0])


# -- what is changed


def store(
    connection: Connection, mailbox_id: int, viewer: int | None, uids: Ranges, how: str, flags: Flags, may_set: int,
    unchanged_since: int | None = None,
) -> Stored:
    """Change those bits of flags that may be; with a viewer, \\Seen is his alone."""
    [box] = lock(connection, mailbox_id)
    names, mask = keyword_bits(box.keywords, flags.keywords, makes=how != "-" and bool(may_set & ~0xFF))
    mask |= flags.system & SYSTEM
    where, parameters = within(connection, mailbox_id, uids)
    where, parameters = f"mailbox_id = ? AND {where}", [mailbox_id, *parameters]
    modified: list[int] = []
    if unchanged_since is not None:
        newer, more = "modseq > ?", [unchanged_since]
        if viewer is not None:
            newer += " OR uid IN (SELECT uid FROM sight WHERE mailbox_id = ? AND account_id = ? AND modseq > ?)"
            more += [mailbox_id, viewer, unchanged_since]
        text = f"SELECT uid FROM message WHERE {where} AND ({newer}) ORDER BY uid"
        modified = [row[0] for row in fetch(connection, text, [*parameters, *more])]
        where, parameters = f"{where} AND NOT ({newer})", [*parameters, *more]
    modseq = box.modseq + 1
    own: list[int] = []
    if viewer is not None and may_set & SEEN and (how == "=" or mask & SEEN):
        own = _see(connection, box, viewer, where, parameters, how != "-" and bool(mask & SEEN), modseq)
    common = may_set if viewer is None else may_set & ~SEEN
    unseen = _set(connection, where, parameters, how, mask, common, modseq)
    changed = {
        row[0]: row[1] for row in fetch(
            connection, "SELECT uid, flags FROM message WHERE mailbox_id = ? AND modseq = ?", [mailbox_id, modseq]
        )
    }
    if own:
        marked, values = within(connection, mailbox_id, [(uid, uid) for uid in own])
        text = f"SELECT uid, flags FROM message WHERE mailbox_id = ? AND {marked}"
        changed.update((row[0], row[1]) for row in fetch(connection, text, [mailbox_id, *values]))
    if changed or names != box.keywords:
        change(connection, box, modseq, keywords=names, unseen=unseen)
    else:
        modseq = box.modseq
    if viewer is not None and changed:
        known = _sights(connection, mailbox_id, viewer, min(changed), max(changed))
        changed = {uid: flags & ~SEEN | known.get(uid, (0, 0))[0] for uid, flags in changed.items()}
    return Stored(sorted(changed.items()), modified, modseq, tuple(names.split()))


def _see(
    connection: Connection, box: Box, viewer: int, where: str, parameters: Sequence[Any], seen: bool, modseq: int
) -> list[int]:
    """Messages are seen by somebody, or are not; those for whom that is new."""
    where = f"{where} AND {'NOT ' * seen}{_SEEN}"
    text = f"SELECT uid FROM message WHERE {where} ORDER BY uid"
    uids = [row[0] for row in fetch(connection, text, [*parameters, viewer])]
    if uids:
        run_with(
            connection,
            "INSERT INTO sight (mailbox_id, account_id, uid, seen, modseq) SELECT CAST(? AS BIGINT), CAST(? AS BIGINT),"
            " uid, CAST(? AS INTEGER), CAST(? AS BIGINT) FROM message"
            f" WHERE {where}"
            " ON CONFLICT (mailbox_id, account_id, uid) DO UPDATE SET seen = excluded.seen, modseq = excluded.modseq",
            [box.id, viewer, int(seen), modseq, *parameters, viewer],
        )
    return uids


def _set(
    connection: Connection, where: str, parameters: Sequence[Any], how: str, mask: int, may_set: int, modseq: int
) -> int:
    """Change the flags that all have in common; how many more are not \\Seen."""
    bits = mask & may_set
    if how == "=":
        value, values, differs = "(flags & ?) | ?", [~may_set, bits], ("(flags & ?) <> ?", [may_set, bits])
        touched = may_set
    elif how == "+":
        value, values, differs = "flags | ?", [bits], ("(flags & ?) <> ?", [bits, bits])
        touched = bits
    else:
        value, values, differs = "flags & ?", [~bits], ("(flags & ?) <> 0", [bits])
        touched = bits
    if not touched:
        return 0
    where, parameters = f"{where} AND {differs[0]}", [*parameters, *differs[1]]
    unseen = 0
    if touched & SEEN:
        turns = int(how != "-" and bool(bits & SEEN))       # what \\Seen will be
        text = f"SELECT COUNT(*) FROM message WHERE {where} AND (flags & {SEEN}) = ?"
        turned = fetch(connection, text, [*parameters, 1 - turns])[0][0]
        unseen = -turned if turns else turned
    run_with(
        connection, f"UPDATE message SET flags = {value}, modseq = ? WHERE {where}", [*values, modseq, *parameters]
    )
    return unseen


def settle(
    connection: Connection, mailbox_id: int, first: int, end: int, seen: Sequence[int], may_set: int, viewer: int | None
) -> None:
    """Messages that somebody has just put into a mailbox lose the flags that he may not set there (RFC 4314 4).

    They are those from UID `first` to before `end`; `seen` are those that he had seen, wherever they come from.
    """
    [box] = lock(connection, mailbox_id)
    where, parameters = "mailbox_id = ? AND uid >= ? AND uid < ?", [mailbox_id, first, end]
    text = f"SELECT COUNT(*) FROM message WHERE {where} AND (flags & {SEEN}) = 0"
    before = fetch(connection, text, parameters)[0][0]
    run_with(connection, f"UPDATE message SET flags = flags & ? WHERE {where}", [may_set & ~SEEN, *parameters])
    if may_set & SEEN and seen:
        marked, values = within(connection, mailbox_id, [(uid, uid) for uid in sorted(seen)])
        if viewer is None:
            run_with(
                connection, f"UPDATE message SET flags = flags | {SEEN} WHERE mailbox_id = ? AND {marked}",
                [mailbox_id, *values],
            )
        else:
            _see(connection, box, viewer, f"mailbox_id = ? AND {marked}", [mailbox_id, *values], True, box.modseq)
    after = fetch(connection, text, parameters)[0][0]
    change(connection, box, box.modseq, unseen=after - before)


def seen_of(connection: Connection, mailbox_id: int, viewer: int | None, uids: Ranges) -> set[int]:
    """Which of these messages are seen: by the viewer, or without one by the owner."""
    where, parameters = within(connection, mailbox_id, uids)
    text, values = f"SELECT uid FROM message WHERE mailbox_id = ? AND {where}", [mailbox_id, *parameters]
    if viewer is None:
        text += f" AND (flags & {SEEN}) <> 0"
    else:
        text, values = f"{text} AND {_SEEN}", [*values, viewer]
    return {row[0] for row in fetch(connection, text, values)}


def forget(connection: Connection) -> None:
    """What was seen of messages that are gone: as long as it is remembered that they are."""
    text = (
        "SELECT DISTINCT mailbox_id FROM expunged"
        " WHERE EXISTS (SELECT 1 FROM sight WHERE sight.mailbox_id = expunged.mailbox_id)"
    )
    for row in fetch(connection, text):
        run_with(
            connection, "DELETE FROM sight WHERE mailbox_id = ?"
            " AND uid IN (SELECT uid FROM expunged WHERE expunged.mailbox_id = ?)", [row[0], row[0]],
        )
