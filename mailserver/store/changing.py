"""What a session changes in mailboxes: flags, what is there, what is gone; each is part of one transaction.

Mailboxes are locked in order of their rows (on PostgreSQL; SQLite has one writer), and counts follow what is done.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection

from mailserver.errors import NotFound, OverQuota
from mailserver.imapstore import (
    KEYWORD,
    LARGEST_KEYWORD,
    MOST_KEYWORDS,
    SYSTEM,
    Appended,
    Copied,
    Flags,
    Ranges,
    Stored,
)
from mailserver.interfaces import DELETED, SEEN
from mailserver.store import contents
from mailserver.store.mailboxes import create, ensure_mailbox, find_mailbox, quota
from mailserver.store.news import news
from mailserver.store.ranges import within
from mailserver.store.schema import message
from mailserver.store.statements import fetch, fetch_one, insert_rows, run_with


class Box(NamedTuple):
    """The row of a mailbox, locked."""

    id: int
    account_id: int
    uidvalidity: int
    uidnext: int
    modseq: int
    keywords: str


def lock(connection: Connection, *ids: int) -> list[Box]:
    """The rows of mailboxes, in this order; raises `NotFound` when one has been deleted."""
    found: dict[int, Box] = {}
    text = f"SELECT {', '.join(Box._fields)} FROM mailbox WHERE id = ?"
    if connection.dialect.name != "sqlite":
        text += " FOR UPDATE"
    for id in sorted(set(ids)):
        row = fetch_one(connection, text, (id,))
        if row is None:
            raise NotFound("the mailbox has been deleted")
        found[id] = Box(*row)
    return [found[id] for id in ids]


# -- flags


def store(
    connection: Connection, mailbox_id: int, uids: Ranges, how: str, flags: Flags, unchanged_since: int | None
) -> Stored:
    """Add ("+"), remove ("-") or set ("=") flags of messages; those that have them so already do not change."""
    [box] = lock(connection, mailbox_id)
    names, mask = keyword_bits(box.keywords, flags.keywords, makes=how != "-")
    mask |= flags.system & SYSTEM
    where, parameters = within(connection, mailbox_id, uids)
    where, parameters = f"mailbox_id = ? AND {where}", [mailbox_id, *parameters]
    modified: list[int] = []
    if unchanged_since is not None:
        text = f"SELECT uid FROM message WHERE {where} AND modseq > ? ORDER BY uid"
        modified = [row[0] for row in fetch(connection, text, [*parameters, unchanged_since])]
        where, parameters = f"{where} AND modseq <= ?", [*parameters, unchanged_since]
    if how == "+":
        value, values, differs = "flags | ?", [mask], ("(flags & ?) <> ?", [mask, mask])
    elif how == "-":
        value, values, differs = "flags & ?", [~mask], ("(flags & ?) <> 0", [mask])
    else:
        value, values, differs = "?", [mask], ("flags <> ?", [mask])
    where, parameters = f"{where} AND {differs[0]}", [*parameters, *differs[1]]
    unseen = 0
    if how == "=" or mask & SEEN:
        turns = 0 if (how == "-" or (how == "=" and not mask & SEEN)) else 1     # what \\Seen will be
        text = f"SELECT COUNT(*) FROM message WHERE {where} AND (flags & {SEEN}) = ?"
        turned = fetch(connection, text, [*parameters, 1 - turns])[0][0]
        unseen = -turned if turns else turned
    modseq = box.modseq + 1
    run_with(
        connection, f"UPDATE message SET flags = {value}, modseq = ? WHERE {where}", [*values, modseq, *parameters]
    )
    # Asked for afterwards, by the index: what an UPDATE returns of 10,000 rows takes as long as the UPDATE.
    changed = fetch(
        connection, "SELECT uid, flags FROM message WHERE mailbox_id = ? AND modseq = ?", [mailbox_id, modseq]
    )
    if changed or names != box.keywords:
        advance(connection, box, modseq, keywords=names, unseen=unseen)
    else:
        modseq = box.modseq
    return Stored(sorted(map(tuple, changed)), modified, modseq, tuple(names.split()))


def keyword_bits(known: str, wanted: Collection[str], makes: bool) -> tuple[str, int]:
    """The keywords of a mailbox, with the new ones where there is room, and the bits of those that are wanted.

    They are compared without regard to case (RFC 9051 2.3.2), and keep the case in which they came first.
    """
    names = known.split()
    places = {name.casefold(): bit for bit, name in enumerate(names)}
    mask = 0
    for name in wanted:
        place = places.get(name.casefold())
        if place is None:
            is_one = name.split() == [name] and len(name.encode()) <= LARGEST_KEYWORD
            if not makes or not is_one or len(names) >= MOST_KEYWORDS:
                continue
            place = places[name.casefold()] = len(names)
            names.append(name)
        mask |= 1 << (KEYWORD + place)
    return " ".join(names), mask


# -- expunge


def expunge(
    connection: Connection, folder: Path, mailbox_id: int, uids: Ranges | None, now: float, only_deleted: bool = True
) -> tuple[list[int], int]:
    """Remove those that are \\Deleted, or all, of these or of the whole mailbox; their UIDs and the mod-sequence."""
    [box] = lock(connection, mailbox_id)
    where, parameters = within(connection, mailbox_id, uids) if uids is not None else ("uid > 0", [])
    if only_deleted:
        where += f" AND (flags & {DELETED}) <> 0"
    return _take_out(connection, folder, box, where, parameters, now)


def _take_out(
    connection: Connection, folder: Path | None, box: Box, where: str, parameters: Sequence[Any], now: float
) -> tuple[list[int], int]:
    """Messages go, and it is remembered; with a `folder` their contents are let go, too."""
    modseq = box.modseq + 1
    run_with(
        connection,
        "INSERT INTO expunged (mailbox_id, modseq, uid, at)"
        f" SELECT mailbox_id, CAST(? AS BIGINT), uid, CAST(? AS DOUBLE PRECISION) FROM message"
        f" WHERE mailbox_id = ? AND {where}",
        [modseq, now, box.id, *parameters],
    )
    gone = fetch(
        connection, f"DELETE FROM message WHERE mailbox_id = ? AND {where} RETURNING uid, content_id, size, flags",
        [box.id, *parameters],
    )
    if not gone:
        return [], box.modseq
    if folder is not None:
        contents.release_many(connection, folder, [row[1] for row in gone])
    advance(
        connection, box, modseq, messages=-len(gone), octets=-sum(row[2] for row in gone),
        unseen=-sum(not row[3] & SEEN for row in gone),
    )
    return sorted(row[0] for row in gone), modseq


def advance(
    connection: Connection, box: Box, modseq: int, messages: int = 0, octets: int = 0, unseen: int = 0,
    uidnext: int | None = None, keywords: str | None = None,
) -> None:
    """What a mailbox counts, after a change."""
    run_with(
        connection,
        "UPDATE mailbox SET modseq = ?, messages = messages + ?, octets = octets + ?, unseen = unseen + ?,"
        " uidnext = ?, keywords = ? WHERE id = ?",
        [
            modseq, messages, octets, unseen, box.uidnext if uidnext is None else uidnext,
            box.keywords if keywords is None else keywords, box.id,
        ],
    )
    news(connection).mailboxes.add(box.id)


# -- copy and move


def copy(
    connection: Connection, mailbox_id: int, uids: Ranges, target: tuple[int, str], now: float, move: bool = False,
    usual: tuple[int, int] = (0, 0),
) -> Copied:
    """To the mailbox of an account (`target`) with that name: all that is there of these messages, or nothing.

    Raises `NotFound` when there is none of that name, and `OverQuota`.
    """
    found = find_mailbox(connection, *target)
    if found is None:
        raise NotFound(f"there is no mailbox {target[1]}")
    source, to = lock(connection, mailbox_id, found[0])
    where, parameters = within(connection, source.id, uids)
    where, parameters = f"mailbox_id = ? AND {where}", [source.id, *parameters]
    rows = fetch(connection, f"SELECT uid, size, flags FROM message WHERE {where} ORDER BY uid", parameters)
    if not rows:
        return Copied(to.uidvalidity, [], [])
    octets, unseen = sum(row[1] for row in rows), sum(not row[2] & SEEN for row in rows)
    if not (move and source.account_id == to.account_id):
        _need_room(connection, to.account_id, octets, len(rows), usual)
    keywords, flags = _translated(source.keywords, to.keywords, {row[2] >> KEYWORD for row in rows})
    first, end = to.uidnext, to.uidnext + len(rows)
    if end > 0xFFFFFFFF:
        raise OverQuota("this mailbox has no more UIDs; make another")
    modseq = to.modseq + 1
    run_with(
        connection,
        "INSERT INTO message (mailbox_id, uid, content_id, size, received, flags, prefix, modseq, saved)"
        f" SELECT CAST(? AS BIGINT), ? + row_number() OVER (ORDER BY uid), content_id, size, received, {flags},"
        f" prefix, CAST(? AS BIGINT), CAST(? AS DOUBLE PRECISION) FROM message WHERE {where}",
        [to.id, first - 1, modseq, now, *parameters],
    )
    if not move:
        contents.share(connection, to.id, first)
    advance(connection, to, modseq, len(rows), octets, unseen, end, keywords)
    if move:
        if source.id == to.id:
            [source] = lock(connection, source.id)
            where, parameters = f"uid < ? AND {where}", [first, *parameters]
        _take_out(connection, None, source, where, parameters, now)
    return Copied(to.uidvalidity, [row[0] for row in rows], range(first, end))


def rename_inbox(connection: Connection, account_id: int, old: str, new: str, now: float) -> None:
    """All messages of INBOX go to a new mailbox, and it stays, empty (RFC 9051 6.3.6); raises `AlreadyExists`."""
    create(connection, account_id, new, "", now)
    copy(connection, ensure_mailbox(connection, account_id, old, now), [(1, 0xFFFFFFFF)], (account_id, new), now, True)


def _translated(source: str, target: str, used: Iterable[int]) -> tuple[str, str]:
    """The target's keywords with those of the source that are used, and an SQL expression for ``flags`` there."""
    every = 0
    for each in used:
        every |= each
    wanted = [(bit, name) for bit, name in enumerate(source.split()) if every >> bit & 1]
    keywords, _ = keyword_bits(target, [name for _, name in wanted], makes=True)
    places = {name.casefold(): bit for bit, name in enumerate(keywords.split())}
    pairs = [(bit, places[name.casefold()]) for bit, name in wanted if name.casefold() in places]
    if all(here == there for here, there in pairs) and len(pairs) == len(wanted):
        return keywords, "flags"
    terms = [f"(flags & {SYSTEM})"]
    terms += [
        f"CASE WHEN (flags & {1 << (KEYWORD + here)}) <> 0 THEN {1 << (KEYWORD + there)} ELSE 0 END"
        for here, there in pairs
    ]
    return keywords, f"({' | '.join(terms)})"


def _need_room(
    connection: Connection, account_id: int, octets: int, messages: int, usual: tuple[int, int]
) -> None:
    if not quota(connection, account_id, *usual, is_only_for_room=True).has_room(octets, messages):
        raise OverQuota("there is no room for it: the quota is used up")


# -- append


def append(
    connection: Connection, folder: Path, target: tuple[int, str], messages: Sequence[Appended], now: float,
    replaces: tuple[int, int] | None = None, usual: tuple[int, int] = (0, 0),
) -> Copied:
    """New messages, all or none; `replaces` is a mailbox's row and a UID that goes.

    Raises `NotFound` (the mailbox, or what was to be replaced) and `OverQuota`.
    """
    found = find_mailbox(connection, *target)
    if found is None:
        raise NotFound(f"there is no mailbox {target[1]}")
    if replaces is None:
        [box], source = lock(connection, found[0]), None
    else:
        box, source = lock(connection, found[0], replaces[0])
    octets = sum(each.content.size for each in messages)
    first, modseq = box.uidnext, box.modseq + 1
    if first + len(messages) > 0xFFFFFFFF:
        raise OverQuota("this mailbox has no more UIDs; make another")
    freed = (0, 0)
    if replaces is not None:
        row = fetch_one(connection, "SELECT size FROM message WHERE mailbox_id = ? AND uid = ?", list(replaces))
        if row is None:
            raise NotFound("what was to be replaced is gone")
        if source is not None and source.account_id == box.account_id:
            freed = (row[0], 1)
    _need_room(connection, box.account_id, octets - freed[0], len(messages) - freed[1], usual)
    contents.insert_many(connection, [(each.id, each.content, 1) for each in messages])
    keywords, rows, unseen = box.keywords, [], 0
    for uid, each in enumerate(messages, first):
        keywords, mask = keyword_bits(keywords, each.flags.keywords, makes=True)
        mask |= each.flags.system & SYSTEM
        unseen += not mask & SEEN
        rows.append((box.id, uid, each.id, each.content.size, each.received, mask, b"", modseq, now))
    insert_rows(connection, message, rows)
    advance(connection, box, modseq, len(rows), octets, unseen, first + len(rows), keywords)
    news(connection).contents.extend(each.id for each in messages)
    if replaces is not None:
        [source] = lock(connection, replaces[0])        # anew: it may be the same mailbox, which has just changed
        _take_out(connection, folder, source, "uid = ?", [replaces[1]], now)
    return Copied(box.uidvalidity, [], range(first, first + len(rows)))

