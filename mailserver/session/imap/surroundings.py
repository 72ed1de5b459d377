"""The mailboxes around the selected one, as a session was told of them, and what is new there (RFC 5465 5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from mailserver.imap import listings
from mailserver.imap.commands.notify import ABOUT_MESSAGES, Group
from mailserver.imap.names import SEPARATOR
from mailserver.imapstore import Status

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

Boxes = Mapping[str, Status]        # by MAILBOXID, for names change
Names = frozenset[str]


class Surroundings:
    """What the groups of a NOTIFY ask for, of one account."""

    __slots__ = ("_asks_subscriptions", "_groups", "_known", "_session", "_subscribed")

    def __init__(self, session: ImapSession, groups: tuple[Group, ...]) -> None:
        self._session = session
        self._groups = groups
        self._asks_subscriptions = any(
            each.scope.kind == "SUBSCRIBED" or each.events & {"MAILBOXNAME", "SUBSCRIPTIONCHANGE"} for each in groups
        )
        self._known: dict[str, Status] = {}
        self._subscribed: Names = frozenset()

    async def read(self) -> None:
        """Learn how things are: what is new is new since then."""
        boxes, self._subscribed = await self._look()
        self._known = dict(boxes)

    @property
    def count(self) -> int:
        """How many mailboxes there are of which anything is told."""
        return sum(bool(self._events(each.name, self._subscribed)) for each in self._known.values())

    async def _look(self) -> tuple[Boxes, Names]:
        store, account = self._session.policy.store, self._session.account
        assert account is not None
        boxes = {each.id: each for each in await store.status(account)}
        subscribed = await store.subscriptions(account) if self._asks_subscriptions else ()
        return boxes, frozenset(subscribed)

    def _events(self, name: str, subscribed: Names) -> frozenset[str]:
        return frozenset().union(*(each.events for each in self._groups if each.scope.takes(name, subscribed)))

    # -- how things are

    def statuses(self) -> list[bytes]:
        """Lines for those of whose messages is told, as NOTIFY SET STATUS asks for (RFC 5465 3.1)."""
        selected = self._selected
        lines = []
        for id, box in self._known.items():
            events = self._events(box.name, self._subscribed) & ABOUT_MESSAGES
            if events and id != selected:
                lines.append(self._status(box, events, is_first=True))
        return lines

    @property
    def _selected(self) -> str:
        selected = self._session.selected
        return selected.board.mailbox.id if selected is not None else ""

    def _status(self, box: Status, events: frozenset[str], is_first: bool = False) -> bytes:
        tells_flags = "FLAGCHANGE" in events
        items: dict[str, int | str] = {"MESSAGES": box.messages, "UIDNEXT": box.uidnext}
        if is_first or tells_flags:
            items["UIDVALIDITY"] = box.uidvalidity
        if tells_flags:
            items["UNSEEN"] = box.unseen
        if "CONDSTORE" in self._session.enabled or (is_first and tells_flags):
            items["HIGHESTMODSEQ"] = box.modseq
        return listings.counted(box.name, items, self._session.wire.utf8)

    def tells_metadata(self, mailbox: str | None) -> bool:
        """Whether it is to be told that an annotation of a mailbox has changed; None: one of the server."""
        if mailbox is None:
            return any("SERVERMETADATACHANGE" in each.events for each in self._groups)
        return "MAILBOXMETADATACHANGE" in self._events(mailbox, self._subscribed)

    # -- what is new

    async def news(self) -> list[bytes]:
        """Lines; what they say is known from then on."""
        boxes, subscribed = await self._look()
        known, before = self._known, self._subscribed
        self._known, self._subscribed = dict(boxes), subscribed
        names = _Names(known, boxes)
        listed: dict[str, bytes] = {}
        for name in names.affected():
            if "MAILBOXNAME" in self._events(name, subscribed):
                listed[name] = self._listed(name, None, names, subscribed)
        told: dict[str, str] = {}
        for old, name in names.moved.items():
            events = self._events(name, subscribed) | self._events(old, before)
            # What lies below it has been renamed as well, which goes without saying (RFC 5465 5.4).
            if "MAILBOXNAME" in events and not _goes_with(old, name, told):
                told[old] = name
                listed[name] = self._listed(name, old, names, subscribed)
        for name in sorted(before ^ subscribed):
            events = self._events(name, subscribed) | self._events(name, before)
            if "SUBSCRIPTIONCHANGE" in events and name not in listed:
                listed[name] = self._listed(name, None, names, subscribed)
        return [*listed.values(), *self._counted(known, boxes, subscribed)]

    def _counted(self, known: Boxes, boxes: Boxes, subscribed: Names) -> Iterator[bytes]:
        selected, with_modseq = self._selected, "CONDSTORE" in self._session.enabled
        for id, box in boxes.items():
            old = known.get(id)
            if id == selected:
                # What comes to pass in it is told of messages; once it is left, of it as a whole.
                if old is not None:
                    self._known[id] = replace(old, name=box.name)
                continue
            if box == old:
                continue
            events = self._events(box.name, subscribed) & ABOUT_MESSAGES
            if not events:
                continue
            if old is None:
                if box.messages or any(each.name == box.name for each in known.values()):
                    yield self._status(box, events, is_first=True)
                continue
            is_moved = (box.messages, box.uidnext) != (old.messages, old.uidnext)
            is_marked = "FLAGCHANGE" in events and box.modseq != old.modseq and (
                with_modseq or box.unseen != old.unseen
            )
            if is_moved or is_marked:
                yield self._status(box, events)

    def _listed(self, name: str, old: str | None, names: _Names, subscribed: Names) -> bytes:
        box = names.by_name.get(name)
        words = ["\\HasChildren" if name in names.parents else "\\HasNoChildren"]
        if box is None:
            words.insert(0, "\\NonExistent")
        elif box.special_use:
            words.append(box.special_use)
        if name in subscribed:
            words.append("\\Subscribed")
        return listings.listed(name, words, self._session.wire.utf8, old_name=old)

    # -- what the session itself does is not told to it (RFC 5465 5)

    def made(self, box: Status) -> None:
        """By CREATE."""
        self._known[box.id] = box

    def dropped(self, name: str) -> None:
        """By DELETE."""
        self._known = {id: each for id, each in self._known.items() if each.name != name}

    def renamed(self, old: str, new: str) -> None:
        """By RENAME."""
        for id, each in self._known.items():
            if f"{each.name}{SEPARATOR}".startswith(f"{old}{SEPARATOR}"):
                self._known[id] = replace(each, name=new + each.name[len(old):])

    def subscribed(self, name: str, wanted: bool) -> None:
        """By SUBSCRIBE or UNSUBSCRIBE."""
        self._subscribed = self._subscribed | {name} if wanted else self._subscribed - {name}


class _Names:
    """The names of mailboxes, before and now."""

    def __init__(self, known: Boxes, boxes: Boxes) -> None:
        self.by_name = {each.name: each for each in boxes.values()}
        self.parents = set(_above(self.by_name))
        self._made = [each.name for id, each in boxes.items() if id not in known]
        self._gone = [each.name for id, each in known.items() if id not in boxes and each.name not in self.by_name]
        # From old to new, and what lies above others before them.
        self.moved = dict(sorted(
            (old.name, boxes[id].name) for id, old in known.items() if id in boxes and boxes[id].name != old.name
        ))

    def affected(self) -> Iterator[str]:
        """Those that were made or deleted, and their parents, which may be no mailboxes (RFC 5465 5.4)."""
        names = [*self._made, *self._gone]
        yield from names
        yield from (above for each in names if (above := each.rpartition(SEPARATOR)[0]))


def _goes_with(old: str, new: str, told: Mapping[str, str]) -> bool:
    for above in _above([old]):
        below = old[len(above):]
        if new.endswith(below) and told.get(above) == new.removesuffix(below):
            return True
    return False


def _above(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        above = name.rpartition(SEPARATOR)[0]
        while above:
            yield above
            above = above.rpartition(SEPARATOR)[0]
