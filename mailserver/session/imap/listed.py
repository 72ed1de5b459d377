"""LIST, LSUB and STATUS: which mailboxes there are, and what is said of them (RFC 9051 6.3.9, 6.3.11, RFC 5258)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mailserver.imap import listings
from mailserver.imap.commands import listing, mailboxes
from mailserver.imap.error import ImapError
from mailserver.imap.names import SEPARATOR
from mailserver.imap.patterns import Pattern
from mailserver.imap.rights import spelled
from mailserver.imapstore import Status, Wanted
from mailserver.interfaces import DELETED
from mailserver.session.imap import annotating, places
from mailserver.session.imap.folders import account
from mailserver.session.imap.places import Place
from mailserver.session.imap.reply import Reply

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

MOST_ABOVE = 4 * 1024 * 1024    # characters of all names that only have others below them
MOST_INLINE = 200_000           # characters of names, times patterns, that are looked at in the reactor's thread


async def list_them(session: ImapSession, command: listing.List) -> Reply:
    """Mailboxes, and names that only have others below them, or are subscribed to."""
    if command.asks_for_separator:
        return Reply("listed", [listings.separator()])
    store, utf8 = session.policy.store, session.wire.utf8
    of_others = {each.name: (place, each) for place, each in await places.others(session)}
    there = {name: box for name, (_, box) in of_others.items()}
    own = {each.name: each for each in await store.status(account(session))}
    there.update(own)
    subscribed = set(await store.subscriptions(account(session)))
    selects = command.selections
    meant = subscribed if "SUBSCRIBED" in selects else there.keys()
    names = {*meant, *_parents(meant)}
    parents = _parents(there)
    matching = await _matching(session, names, command.patterns)
    holders = _parents(
        name for name in names if name not in matching and _is_meant(name, there.get(name), subscribed, selects)
    ) if "RECURSIVEMATCH" in selects else set()
    annotations = await annotating.of_all(session, command.metadata)
    lines: list[bytes] = []
    for name in sorted(names, key=_order):
        box = there.get(name)
        is_meant = _is_meant(name, box, subscribed, selects)
        child_info = sorted(selects & {"SUBSCRIBED", "SPECIAL-USE"}) if name in holders else []
        if name not in matching or not (is_meant or child_info):
            continue
        if box is None and not is_meant and not child_info and name not in subscribed:
            continue
        lines.append(listings.listed(
            name, _attributes(command, name, box, parents, subscribed), utf8, child_info,
        ))
        if box is None:
            continue
        place = Place(name, account(session), name) if name in own else of_others[name][0]
        if "MYRIGHTS" in command.returns:
            lines.append(listings.my_rights(name, spelled(place.rights), utf8))        # RFC 8440
        if command.status and "r" in place.rights:
            lines.append(listings.counted(name, await _items(session, place, box, command.status), utf8))
        if command.metadata and not place.is_shared:
            found = annotations.get(name, {})
            lines.append(listings.annotated(name, {each: found.get(each.lower()) for each in command.metadata}, utf8))
    return Reply("listed", lines)


def _order(name: str) -> tuple[bool, str]:
    return name != "INBOX", name


def _parents(names: Iterable[str]) -> set[str]:
    """All names that have one of these below them; raises `ImapError` when they are far too many."""
    found: set[str] = set()
    room = MOST_ABOVE
    for name in names:
        parent = name.rpartition(SEPARATOR)[0]
        while parent and parent not in found:
            found.add(parent)
            room -= len(parent)
            if room < 0:
                raise ImapError("there are too many levels in those names", "NO", "LIMIT")
            parent = parent.rpartition(SEPARATOR)[0]
    return found


async def _matching(session: ImapSession, names: Collection[str], patterns: Sequence[Pattern]) -> set[str]:
    """The names that one of the patterns is that of; many of them are looked at in a thread."""

    def work() -> set[str]:
        return {name for name in names if any(each.matches(name) for each in patterns)}

    if sum(map(len, names)) * len(patterns) <= MOST_INLINE:
        return work()
    return await session.policy.world.in_thread(work)


def _is_meant(name: str, box: Status | None, subscribed: set[str], selects: frozenset[str]) -> bool:
    if "SUBSCRIBED" in selects and name not in subscribed:
        return False
    return not ("SPECIAL-USE" in selects and (box is None or not box.special_use))


def _attributes(
    command: listing.List, name: str, box: Status | None, parents: set[str], subscribed: set[str]
) -> list[str]:
    words = []
    if box is None:
        words.append("\\NonExistent" if command.is_extended else "\\Noselect")
    words.append("\\HasChildren" if name in parents else "\\HasNoChildren")
    if name in subscribed and ("SUBSCRIBED" in command.returns or "SUBSCRIBED" in command.selections):
        words.append("\\Subscribed")
    if box is not None and box.special_use:
        words.append(box.special_use)
    return words


async def lsub(session: ImapSession, command: listing.Lsub) -> Reply:
    """Subscriptions (RFC 3501 6.3.9): with "%", a name whose children alone are subscribed to is \\Noselect."""
    names = set(await session.policy.store.subscriptions(account(session)))
    matching = await _matching(session, {*names, *_parents(names)}, [command.pattern])
    holders = _parents(names - matching)
    lines = []
    for name in sorted(matching & {*names, *holders}, key=_order):
        if name in names:
            lines.append(listings.listed(name, (), session.wire.utf8, verb=b"LSUB"))
        else:
            lines.append(listings.listed(name, ("\\Noselect",), session.wire.utf8, verb=b"LSUB"))
    return Reply("listed", lines)


async def status(session: ImapSession, command: mailboxes.Status) -> Reply:
    """Counts of a mailbox."""
    place = await places.place(session, command.mailbox, "r")
    found = await session.policy.store.status(place.owner, {place.own_name})
    if not found:
        raise places.missing(command.mailbox)
    if "HIGHESTMODSEQ" in command.items:
        session.enable(frozenset({"CONDSTORE"}))
    items = await _items(session, place, found[0], command.items)
    return Reply("counted", [listings.counted(command.mailbox, items, session.wire.utf8)])


async def _items(session: ImapSession, place: Place, box: Status, items: Iterable[str]) -> dict[str, int | str]:
    found: dict[str, int | str] = {
        "MESSAGES": box.messages, "RECENT": box.recent, "UIDNEXT": box.uidnext, "UIDVALIDITY": box.uidvalidity,
        "UNSEEN": box.unseen, "SIZE": box.size, "HIGHESTMODSEQ": box.modseq, "MAILBOXID": box.id,
        "APPENDLIMIT": session.policy.size,
    }
    if place.viewer is not None:
        found["RECENT"] = 0
        if "UNSEEN" in items:
            found["UNSEEN"] = await session.policy.store.unseen(place.viewer, place.owner, place.own_name)
    if {"DELETED", "DELETED-STORAGE"} & set(items):
        board = await places.board(session, place)
        try:
            uids = [board.uids[at] for at, flags in enumerate(board.flags) if flags & DELETED]
            found["DELETED"] = len(uids)
            found["DELETED-STORAGE"] = 0
            if "DELETED-STORAGE" in items and uids:
                found["DELETED-STORAGE"] = await _octets(board.mailbox, uids)
        finally:
            session.policy.boards.give_back(board)
    return {each: found[each] for each in items}


async def _octets(mailbox: Any, uids: list[int]) -> int:
    wanted = Wanted(("size",), lambda rows: sum(row[0] for row in rows))
    ranges = [(uid, uid) for uid in uids]
    return sum([each async for each in mailbox.rows(ranges, wanted)])
