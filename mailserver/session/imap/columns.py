"""FETCH items that stand in rows, and how each is written (RFC 9051 7.5.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mailserver.imap import fetched
from mailserver.imap.commands.sections import Attribute, Item, Preview
from mailserver.imap.dates import spell_date_time
from mailserver.imap.strings import string
from mailserver.imapstore import Wanted
from mailserver.mime.strings import with_utf_8
from mailserver.session.imap.selected import Selected

Written = Callable[[Iterable[Any]], Iterable[Any]]


def _as_it_is(values: Iterable[Any]) -> Iterable[Any]:
    return values


def _dates(values: Iterable[Any]) -> Iterable[bytes]:
    return map(spell_date_time, values)


def email_id(content_id: int) -> bytes:
    """The EMAILID (RFC 8474 5.1) of what has this content."""
    return b"M%x" % content_id


def thread_id(thread: int, content_id: int) -> bytes:
    """The THREADID (RFC 8474 5.2); a message that names no other is a thread of its own."""
    return b"T%x" % (thread or content_id)


class Columns:
    """Which columns of `mailserver.imapstore.IImapMailbox.rows` the items want, and the lines that they make."""

    def __init__(self, selected: Selected, items: Sequence[Item], utf8: bool) -> None:
        self._selected = selected
        self._items = items
        self._utf8 = utf8
        self._shape = fetched.Rows([name_of(each) for each in items], selected.uid_only)
        names = ["uid"]
        for each in items:
            for name in _COLUMNS[key_of(each)]:
                if name not in names:
                    names.append(name)
        self.names = tuple(names)

    def wanted(self) -> Wanted:
        """For the store."""
        return Wanted(self.names, self.lines)

    def lines(self, rows: Sequence[tuple[Any, ...]]) -> bytes:
        """The lines of some messages, those of which the session knows; runs in a thread."""
        numbers = self._selected.numbers_of([row[0] for row in rows])
        if 0 in numbers:
            rows = [row for row, number in zip(rows, numbers, strict=True) if number]
            numbers = [each for each in numbers if each]
        if not rows:
            return b""
        if self._selected.uid_only:
            numbers = [row[0] for row in rows]
        return self._shape.lines(numbers, *self.values(rows))

    def values(self, rows: Sequence[tuple[Any, ...]]) -> list[Iterable[Any]]:
        """A column for each item, as it is written."""
        columns = dict(zip(self.names, zip(*rows, strict=True), strict=True))
        return [self._written(each, columns) for each in self._items]

    def _written(self, item: Item, columns: dict[str, tuple[Any, ...]]) -> Iterable[Any]:
        key = key_of(item)
        values = columns[_COLUMNS[key][0]]
        if key is Attribute.FLAGS:
            return self._selected.spelled_many(values, columns["uid"])
        if key is Attribute.SAVEDATE:
            dates = zip(values, columns["received"], strict=True)
            return (spell_date_time(saved or received) for saved, received in dates)
        if key is Attribute.THREADID:
            return map(thread_id, values, columns["content_id"])
        if key is Attribute.EMAILID:
            return map(email_id, values)
        if key is Preview:
            return (string(each.encode(), self._utf8) for each in values)
        if self._utf8 and key in (Attribute.ENVELOPE, Attribute.BODY, Attribute.BODYSTRUCTURE):
            return (with_utf_8(bytes(each)) for each in values)
        return _WRITTEN.get(key, _as_it_is)(values)


_COLUMNS: dict[object, tuple[str, ...]] = {
    Attribute.UID: ("uid",), Attribute.FLAGS: ("flags",), Attribute.MODSEQ: ("modseq",),
    Attribute.INTERNALDATE: ("received",), Attribute.SIZE: ("size",), Attribute.ENVELOPE: ("envelope",),
    Attribute.BODY: ("body",), Attribute.BODYSTRUCTURE: ("structure",), Attribute.SAVEDATE: ("saved", "received"),
    Attribute.EMAILID: ("content_id",), Attribute.THREADID: ("thread", "content_id"), Preview: ("preview",),
}
_WRITTEN: dict[object, Written] = {
    Attribute.INTERNALDATE: _dates,
}


def key_of(item: Item) -> object:
    """What `_COLUMNS` knows an item by."""
    return Preview if isinstance(item, Preview) else item


def name_of(item: Item) -> bytes:
    """What the answer calls it."""
    return str(item).encode("ascii") if isinstance(item, Attribute) else item.spelled()
