"""Search keys that are answered by a message's row, for many messages at once (RFC 9051 6.4.4, 5032, 8474, 8514)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from mailserver.imap.commands.keys import (
    Addressed,
    Dated,
    EmailId,
    Header,
    Key,
    Larger,
    Moment,
    Older,
    Smaller,
    ThreadId,
    When,
    Younger,
)
from mailserver.mime import dates
from mailserver.mime.envelope import date_of
from mailserver.mime.folding import fold
from mailserver.session.imap.columns import email_id, thread_id

KEPT = {"from", "to", "cc", "bcc", "subject"}       # fields that are kept as they are searched
OF_ROW = frozenset({"size", "received", "saved", "content_id"})
DAY = 86400                 # seconds
EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Fact:
    """What of `mailserver.imapstore.IImapMailbox.rows` says it; `test` is given these columns."""

    columns: tuple[str, ...]
    test: Callable[..., Iterable[bool]]

    @property
    def is_understood(self) -> bool:
        """Whether it is about what was understood of a message, not about its row alone."""
        return not OF_ROW.issuperset(self.columns)


def fact(key: Key, now: float) -> Fact | None:
    """None: a row does not say that.  `now` is in seconds since the epoch."""
    if isinstance(key, Larger):
        return Fact(("size",), _each(lambda size: size > key.size))
    if isinstance(key, Smaller):
        return Fact(("size",), _each(lambda size: size < key.size))
    if isinstance(key, Older):
        return Fact(("received",), _each(lambda received: received <= now - key.seconds))
    if isinstance(key, Younger):
        return Fact(("received",), _each(lambda received: received >= now - key.seconds))
    if isinstance(key, EmailId):
        return Fact(("content_id",), _each(lambda id: email_id(id) == key.id.encode("ascii")))
    if isinstance(key, ThreadId):
        wanted = key.id.encode("ascii")
        return Fact(
            ("thread", "content_id"),
            lambda threads, ids: (thread_id(*each) == wanted for each in zip(threads, ids, strict=True)),
        )
    if isinstance(key, Dated):
        return _dated(key)
    if isinstance(key, (Addressed, Header)) and key.text and key.field.lower() in KEPT:
        text = fold(key.text)
        return Fact((f"find_{key.field.lower()}",), lambda values: (text in each for each in values))
    return None


def _each(test: Callable[[Any], bool]) -> Callable[..., Iterable[bool]]:
    return lambda values: map(test, values)


def _dated(key: Dated) -> Fact:
    """By the days as the client is told them: of INTERNALDATE and SAVEDATE in UTC, of the Date field its own."""
    day = key.day.toordinal() - EPOCH
    is_wanted: Callable[[int], bool] = {
        When.BEFORE: day.__gt__, When.ON: day.__eq__, When.SINCE: day.__le__
    }[key.when]
    if key.moment is Moment.RECEIVED:
        return Fact(("received",), lambda values: (is_wanted(int(each // DAY)) for each in values))
    if key.moment is Moment.SAVED:
        return Fact(
            ("saved", "received"),
            lambda saved, received: (
                is_wanted(int((each or came) // DAY)) for each, came in zip(saved, received, strict=True)
            ),
        )

    def is_sent(sent: float | None, envelope: Any) -> bool:
        """A message without a date was sent on no day.  No zone is more than a day away from UTC."""
        if sent is None:
            return False
        if sent < (day - 1) * DAY:
            return is_wanted(day - 1)
        if sent >= (day + 2) * DAY:
            return is_wanted(day + 1)
        own = dates.day(date_of(bytes(envelope)))
        return own is not None and is_wanted(own)

    return Fact(("sent", "envelope"), lambda sent, envelopes: map(is_sent, sent, envelopes))
