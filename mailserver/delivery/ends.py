"""The ends of attempts: delivered, reported, or waiting for the next time; in the queue and in the stories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from twisted.internet.task import deferLater
from twisted.logger import Logger

from mailserver.acceptance import Acceptance
from mailserver.content import LARGE, Content
from mailserver.delivery.attempt import Attempt
from mailserver.delivery.bounce import failure_report, is_reportable
from mailserver.delivery.result import DEFERRED, FAILED, Result
from mailserver.errors import PermanentFailure, TemporaryFailure
from mailserver.ident import spell
from mailserver.store import contents, spool, traces
from mailserver.store.database import Database
from mailserver.store.spool import Entry
from mailserver.story import event
from mailserver.world import World

log = Logger()

WRITE_AGAIN = 5.0       # seconds until a result that could not be written down is tried again
TRUSTED = 2.0           # seconds for which a lease on this machine's own database is ours without asking again

Pairs = Sequence[tuple[Entry, Result]]


@dataclass(frozen=True, slots=True)
class End:
    """What is written down at the end of an attempt: by whom, how, when it is tried again, and who was told."""

    folder: Path
    owner: str
    ended: Pairs
    now: float
    following: float
    told: str


class Ends:
    """Sees attempts to their end, once it is known how they went: written down, and who sent it told."""

    def __init__(
        self, database: Database, acceptance: Acceptance, world: World, hostname: str, instance: str
    ) -> None:
        self._database = database
        self._acceptance = acceptance
        self._world = world
        self._hostname = hostname
        self._instance = instance

    async def may_send(self, attempt: Attempt) -> bool:
        """Whether the final dot may be said: the server does not stop, and the lease is still ours (rules.md 21)."""
        if attempt.is_stopped:
            return False
        attempt.is_final = True
        if self._database.is_sqlite and 0 <= self._world.now() - attempt.claimed < TRUSTED:
            return True
        attempt.is_final = await self._owned([each.id for each in attempt.entries])
        return attempt.is_final

    async def _owned(self, ids: Sequence[int]) -> bool:
        return await self._database.read(spool.owned, ids, self._instance, self._world.now())

    async def conclude(self, attempt: Attempt, results: Sequence[Result]) -> None:
        """Write down how it ended; who sent what failed for good is told first."""
        following = attempt.following
        if attempt.is_stopped and all(each.kind == DEFERRED for each in results):
            results = [Result(DEFERRED, "the server was stopped while it was tried")] * len(results)
            if not attempt.is_final:
                following = self._world.now()
        attempt.is_final = True
        now = self._world.now()
        ended = [
            (entry, _given_up(entry, result, now)) for entry, result in zip(attempt.entries, results, strict=True)
        ]
        failed = [(entry, result) for entry, result in ended if result.kind == FAILED]
        told = ""
        if failed:
            try:
                told = await self._report(failed)
            except Exception as error:
                log.failure("{id}: nobody could be told of the failure yet", id=spell(failed[0][0].content_id))
                why = f"{error or type(error).__name__}"
                ended = [
                    (entry, replace(result, kind=DEFERRED, words=f"{result.words} (not reported yet: {why})"))
                    if result.kind == FAILED else (entry, result)
                    for entry, result in ended
                ]
        for entry, result in ended:
            log.info(
                "{id}: {kind} to {target}: {words}",
                id=spell(entry.content_id), kind=result.kind, target=str(entry.target), words=result.words,
            )
        # What was delivered and is not written down would be delivered again.
        end = End(self._database.contents, self._instance, ended, now, following, told)
        while True:
            try:
                await self._database.write_with(write_down, end)
                return
            except TemporaryFailure as failure:
                log.warn("{words}; the end of an attempt is written down later", words=str(failure))
                if attempt.is_stopped:
                    raise                   # our lease lapses, and the next server asks them again
                await deferLater(self._world.clock, WRITE_AGAIN)

    async def _report(self, failed: Pairs) -> str:
        """Send a DSN; returns in words who was told.  Raises when that is not possible now."""
        first = failed[0][0]
        if not is_reportable(first.sender):
            return "nobody: there is no sender"
        assert first.sender is not None
        if not await self._owned([entry.id for entry, _ in failed]):
            raise TemporaryFailure("it is not ours to send any more")
        beginning = await self._database.read(contents.beginning, self._database.contents, first.content_id, LARGE)
        boundary = f"{spell(self._world.new_id())}.{self._world.random.getrandbits(64):016x}"
        report = failure_report(
            failed, Content.of(beginning).header, self._hostname, self._world.now(), boundary
        )
        try:
            id = await self._acceptance.submit(None, [first.sender], Content.of(report))
        except PermanentFailure as failure:
            return f"nobody: {failure}"
        return f"{first.sender} by {spell(id)}"


def _given_up(entry: Entry, result: Result, now: float) -> Result:
    """Past its time an entry has failed; it was tried at least once, however the clock may have jumped."""
    if result.kind != DEFERRED or now < entry.expires:
        return result
    words = f"given up after {_period(now - entry.created)}: {result.words}"
    return replace(result, kind=FAILED, words=words, given_up=True)


def _period(seconds: float) -> str:
    """A time in words."""
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def write_down(connection: Connection, batch: Sequence[End]) -> list[None]:
    """The ends of attempts, in the queue and in the stories of their messages; a group for `Database.write_with`."""
    records: list[tuple[int, str]] = []
    done: list[tuple[int, str]] = []
    for end in batch:
        for entry, result in end.ended:
            if result.kind == DEFERRED:
                spool.postpone(connection, entry.id, end.owner, result.words, end.following)
            else:
                done.append((entry.id, end.owner))
            records.append((entry.content_id, event(end.now, "attempt", **_told(entry, result, end))))
    spool.finish_many(connection, batch[0].folder, done)
    traces.append_many(connection, records)
    return [None] * len(batch)


def _told(entry: Entry, result: Result, end: End) -> dict[str, Any]:
    """What the story of the message tells of one recipient."""
    fields: dict[str, Any] = {
        "recipient": str(entry.recipient),
        "target": str(entry.target),
        "attempt": entry.attempts,
        "result": result.kind,
        "said": result.words,
    }
    for name in ("host", "address", "source", "tls", "policy"):
        if getattr(result, name):
            fields[name] = getattr(result, name)
    if result.kind == DEFERRED:
        fields["next"] = round(end.following, 3)
    elif result.kind == FAILED:
        fields["reported_to"] = end.told
    return fields
