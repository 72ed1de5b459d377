"""Whom we write to, and whom no more: what failed for good is booked, and who is suppressed is not tried."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from mailserver.address import Address, domain_key
from mailserver.content import Content
from mailserver.delivery.classify import classify
from mailserver.delivery.result import FAILED, Result
from mailserver.feedback import verp
from mailserver.feedback.told import Sort
from mailserver.received import mail_date
from mailserver.settings import Outbound
from mailserver.store import feedback, suppressions
from mailserver.store.database import Database
from mailserver.store.feedback import OWN
from mailserver.store.spool import Entry
from mailserver.store.suppressions import Suppression
from mailserver.world import World

MOST_REMEMBERED = 10_000    # addresses
REMEMBERED = 30.0           # seconds: an operator's word, or another process's, counts after that

SUPPRESSED = "suppressed: "     # how the words begin, by which `classify` knows that nobody said so but us
_BULK = re.compile(r"bulk|list|junk", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Known:
    until: float
    suppression: Suppression | None


class Booking:
    """One for a scheduler: it remembers, within bounds, whom it asked for."""

    def __init__(self, database: Database, outbound: Outbound, world: World, key: bytes) -> None:
        self._database = database
        self._rules = outbound.suppression
        self._senders = frozenset(outbound.verp)
        self._world = world
        self._key = key
        self._known: OrderedDict[str, _Known] = OrderedDict()

    # -- reverse-paths

    def sender_for(self, entry: Entry) -> Address | None:
        """The reverse-path that this entry leaves with: keyed, for the senders of ``[outbound] verp``, else as it is.

        Entries of one message then have different senders, and need transactions of their own.
        """
        sender = entry.sender
        if sender is None or not self._key or entry.kind != "remote" or not self.is_keyed(sender):
            return sender
        return verp.encode(sender, entry.target, entry.content_id, self._key)

    def is_apart(self, sender: str) -> bool:
        """Whether each recipient of a message of this sender needs a transaction of his own."""
        return bool(self._senders and self._key and sender) and self.is_keyed(Address.parse(sender))

    def is_keyed(self, sender: Address) -> bool:
        """Whether mail of this sender leaves with keyed reverse-paths."""
        return sender.key in self._senders or f"@{domain_key(sender.domain)}" in self._senders

    # -- who is not written to

    def looks(self, entry: Entry) -> bool:
        """Whether it has to be asked at all."""
        return self._rules.applies != "none" and entry.kind == "remote" and entry.sender is not None

    def applies(self, entry: Entry, header: bytes) -> bool:
        """Whether suppression counts for this mail: by default only for what is sent to many."""
        if self._rules.applies == "none" or entry.kind != "remote" or entry.sender is None:
            return False
        return self._rules.applies == "all" or self.is_keyed(entry.sender) or is_bulk(header)

    async def suppressed(self, address: Address) -> Suppression | None:
        """Why it is not written to; None: it is."""
        key, now = address.key, self._world.clock.seconds()
        known = self._known.get(key)
        if known is None or known.until < now:
            found = await self._database.read(suppressions.find, key, self._world.now())
            known = self._known[key] = _Known(now + REMEMBERED, found)
            self._known.move_to_end(key)
            if len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)
        return known.suppression

    # -- what failed

    def bookings(self, failed: Sequence[tuple[Entry, Result]]) -> list[feedback.Booking]:
        """What is written down of failures at other servers, in the transaction that ends them (`feedback.book`)."""
        found = bookings_of(failed, self._world.now())
        for each in found:
            self._known.pop(each.recipient.key, None)
        return found


def bookings_of(ended: Sequence[tuple[Entry, Result]], now: float) -> list[feedback.Booking]:
    """The failures among these, as they are booked."""
    return [
        feedback.Booking(
            now, Sort.BOUNCE, entry.target, classify(result), result.status, entry.content_id, OWN,
            result.host.rpartition(":")[0] or result.host, result.words,
        )
        for entry, result in ended
        if result.kind == FAILED and entry.kind == "remote" and not result.words.startswith(SUPPRESSED)
    ]


def refusal(suppression: Suppression) -> Result:
    """What becomes of an entry for such an address, in words that say who can change it (RFC 3463 3.8: 5.7.1)."""
    words = (
        f"{SUPPRESSED}{suppression.address} is not written to since {mail_date(suppression.created)},"
        f" {'by an operator' if suppression.by == 'operator' else 'by itself'}: {suppression.reason}"
        f" (mailserver suppression remove {suppression.address} lifts it)"
    )
    return Result(FAILED, words, detail="7.1")


def is_bulk(header: bytes) -> bool:
    """Whether a header is that of mail to many: List-Unsubscribe (RFC 2369), List-Id (RFC 2919), Precedence."""
    lower = header.lower()
    if b"list-unsubscribe" not in lower and b"list-id" not in lower and b"precedence" not in lower:
        return False
    content = Content.of(header)
    if any(True for name in ("List-Unsubscribe", "List-Id") for _ in content.fields(name)):
        return True
    return any(_BULK.search(each[:100].decode("ascii", "replace")) for each in content.fields("Precedence"))
