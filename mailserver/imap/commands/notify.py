"""NOTIFY: of which mailboxes a client wants to hear what, whether or not it has asked (RFC 5465)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mailserver.imap.commands.sections import Item, read_item
from mailserver.imap.error import ImapError
from mailserver.imap.names import SEPARATOR
from mailserver.imap.reader import Reader

SELECTED = ("SELECTED", "SELECTED-DELAYED")
NAMED = ("SUBTREE", "MAILBOXES")
FILTERS = (*SELECTED, "INBOXES", "PERSONAL", "SUBSCRIBED", *NAMED)
ABOUT_MESSAGES = frozenset({"MESSAGENEW", "MESSAGEEXPUNGE", "FLAGCHANGE", "ANNOTATIONCHANGE"})
ABOUT_METADATA = frozenset({"MAILBOXMETADATACHANGE", "SERVERMETADATACHANGE"})
MOST_GROUPS = 100
MOST_ITEMS = 100            # of one fetch-att list


@dataclass(frozen=True, slots=True)
class Scope:
    """Mailboxes, by a word of `FILTERS` (or SUBTREE-ONE, RFC 7377 2.2), and the names behind it."""

    kind: str
    names: tuple[str, ...] = ()

    @property
    def is_selected(self) -> bool:
        """Whether it is the mailbox that is selected, whichever that is."""
        return self.kind in SELECTED

    def takes(self, name: str, subscribed: frozenset[str]) -> bool:
        """Whether a mailbox of the account is meant; the one that is selected is never known here."""
        if self.kind in ("PERSONAL", "INBOXES"):        # any may be delivered to (RFC 5465 6.3)
            return True
        if self.kind == "SUBSCRIBED":
            return name in subscribed
        if self.kind == "SUBTREE":
            return any(f"{name}{SEPARATOR}".startswith(f"{each}{SEPARATOR}") for each in self.names)
        if self.kind == "SUBTREE-ONE":
            return name in self.names or name.rpartition(SEPARATOR)[0] in self.names
        return name in self.names


@dataclass(frozen=True, slots=True)
class Group:
    """What to tell of some mailboxes: events in capitals, and what to fetch of new messages."""

    scope: Scope
    events: frozenset[str] = frozenset()
    items: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class Notify:
    """No groups: nothing at all (NONE).  `status`: first how the mailboxes are now."""

    groups: tuple[Group, ...] = ()
    status: bool = False


def read_scope(reader: Reader, words: tuple[str, ...] = FILTERS) -> Scope:
    """A `filter-mailboxes`; raises `ImapError` for one that is not among these words."""
    word = reader.word("which mailboxes")
    if word not in words:
        raise ImapError("there are no such mailboxes to be named")
    if word not in (*NAMED, "SUBTREE-ONE"):
        return Scope(word)
    reader.space()
    if reader.follows(b"("):
        return Scope(word, tuple(dict.fromkeys(reader.list_of(reader.mailbox))))
    return Scope(word, (reader.mailbox(),))


def read_items(reader: Reader) -> tuple[Item, ...]:
    """A list of `fetch-att`, each once."""
    items = reader.list_of(lambda: read_item(reader))
    if len(items) > MOST_ITEMS:
        raise ImapError("too many things to fetch")
    return tuple(dict.fromkeys(items))


def _group(reader: Reader) -> Group:
    reader.expect(b"(")
    scope = read_scope(reader)
    reader.space()
    items: tuple[Item, ...] = ()

    def event() -> str:
        nonlocal items
        word = reader.word("an event")
        if word == "MESSAGENEW" and reader.took(b" ("):
            reader.at -= 1
            items = read_items(reader)
            if not scope.is_selected:
                raise ImapError("messages are fetched of the selected mailbox")
        return word

    if reader.follows(b"("):
        events = frozenset(reader.list_of(event))
    elif reader.word("events") == "NONE":
        events = frozenset()
    else:
        raise ImapError("events stand in brackets")
    reader.expect(b")")
    if scope.is_selected and events - ABOUT_MESSAGES:
        raise ImapError("the selected mailbox has events of messages only")             # RFC 5465 6.1
    if events & ABOUT_MESSAGES and not {"MESSAGENEW", "MESSAGEEXPUNGE"} <= events:
        raise ImapError("MessageNew and MessageExpunge come together")                  # RFC 5465 5
    return Group(scope, events, items)


def _notify(reader: Reader) -> Notify:
    reader.space()
    word = reader.word("SET or NONE")
    if word == "NONE":
        return Notify()
    if word != "SET":
        raise ImapError("there should be SET or NONE")
    reader.space()
    status = False
    if not reader.follows(b"("):
        if reader.word("STATUS") != "STATUS":
            raise ImapError("there should be STATUS, or mailboxes and events")
        status = True
        reader.space()
    groups = [_group(reader)]
    while reader.took(b" ("):
        reader.at -= 1
        groups.append(_group(reader))
        if len(groups) > MOST_GROUPS:
            raise ImapError("too many groups of events")
    if sum(each.scope.is_selected for each in groups) > 1:
        raise ImapError("the selected mailbox is named once")                           # RFC 5465 6.1
    return Notify(tuple(groups), status)


PARSERS: Mapping[str, Callable[[Reader], object]] = {"NOTIFY": _notify}
