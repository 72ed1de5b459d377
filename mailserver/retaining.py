"""Mailboxes lose what they have kept for long enough, and what was removed long ago is let go: in small steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.logger import Logger

from mailserver.imap.patterns import Pattern
from mailserver.keeping import Keeping, Retention
from mailserver.store import removed, retention
from mailserver.store.database import Database
from mailserver.store.retention import Held

log = Logger()


def rule_of(held: Held, rules: Iterable[tuple[Retention, Pattern | None]]) -> tuple[float, int]:
    """For how many seconds a mailbox keeps its messages, and how many; 0 is for ever."""
    if held.older_than is not None and held.at_most is not None:
        return held.older_than, held.at_most
    for rule, pattern in rules:
        if pattern is not None and not pattern.matches(held.name):
            continue
        if rule.special_use and rule.special_use != held.special_use:
            continue
        return rule.older_than, rule.at_most
    return 0.0, 0


async def retain(
    database: Database, keeping: Keeping, usual: tuple[int, int], now: Callable[[], float]
) -> dict[str, int]:
    """One round over all mailboxes; how many messages went, by account and mailbox."""
    rules = [(rule, Pattern(rule.mailbox) if rule.mailbox else None) for rule in keeping.retention]
    gone: dict[str, int] = {}
    after = 0
    while some := await database.read(retention.held, after, not rules):
        after = some[-1].id
        for held in some:
            older_than, at_most = rule_of(held, rules)
            if not older_than and not at_most:
                continue
            says, count = (held.id, older_than, at_most), 0
            # Looked at first where nobody waits for the writer: in most hours there is nothing.
            while await database.read(retention.due, *says, now()):
                step = await database.write(
                    retention.expire, database.contents, *says, now(), keeping.undelete > 0, usual
                )
                count += step
                if not step:
                    break
            if count:
                log.info(
                    "retention: {count} messages expunged from {mailbox} of {account}",
                    count=count, mailbox=held.name, account=held.address,
                )
                gone[f"{held.address}/{held.name}"] = count
    return gone


async def let_go(database: Database, keeping: Keeping, now: float) -> int:
    """What was removed before the period of undelete goes for good; how many messages."""
    before = now - keeping.undelete if keeping.undelete else now + 1.0
    count = 0
    while step := await database.write(removed.purge, database.contents, before):
        count += step
    if count:
        log.info("undelete: {count} messages are gone for good", count=count)
    return count
