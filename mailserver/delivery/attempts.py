"""One attempt: the next one is written down, then it is tried, then it is written down how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from mailserver.acceptance import Acceptance
from mailserver.config import Outbound
from mailserver.content import LARGE, Content
from mailserver.delivery.backoff import Backoff
from mailserver.delivery.bounce import failure_report, is_reportable
from mailserver.delivery.happened import count, tell
from mailserver.delivery.local import Local
from mailserver.delivery.remote import Remote
from mailserver.delivery.result import DEFERRED, FAILED, Result
from mailserver.errors import MailserverError, PermanentFailure, TemporaryFailure
from mailserver.figures import Figures
from mailserver.ident import spell
from mailserver.interfaces import IDirectory, IMailboxStore
from mailserver.listeners import Events
from mailserver.store import contents, spool, traces
from mailserver.store.database import Database
from mailserver.store.spool import Entry
from mailserver.story import event
from mailserver.world import World

log = Logger()

WRITE_AGAIN = 5.0       # seconds until a result that could not be written down is tried again

Ended = Sequence[tuple[Entry, Result]]


@dataclass(eq=False, slots=True)
class Attempt:
    """Some recipients of one message that go to one place together, while this is tried."""

    entries: Sequence[Entry]
    lane: str
    is_final: bool = False          # the final dot is being said, or a store writes, or we write: let it end
    is_stopped: bool = False        # the server stops: say no final dot any more
    work: Deferred[None] = field(default_factory=Deferred)

    def stop(self) -> None:
        """End it now, unless it would be unknown whether they have it."""
        self.is_stopped = True
        if not self.is_final:
            self.work.cancel()


@dataclass(frozen=True, slots=True)
class End:
    """What is written down at the end of an attempt: by whom, how, when it is tried again, and who was told."""

    folder: Path
    owner: str
    ended: Ended
    now: float
    following: float
    told: str


class Attempts:
    """Makes them."""

    def __init__(
        self,
        database: Database,
        acceptance: Acceptance,
        stores: Mapping[str, IMailboxStore],
        directory: IDirectory,
        outbound: Outbound,
        world: World,
        hostname: str,
        instance: str,
        events: Events | None = None,
        figures: Figures | None = None,
    ) -> None:
        self._events = events
        self._figures = figures or Figures()
        self._database = database
        self._acceptance = acceptance
        self._world = world
        self._hostname = hostname
        self._instance = instance
        self._backoff = Backoff(outbound.retry_first, outbound.retry_longest, world.random)
        self._remote = Remote(database, outbound, world, hostname)
        self._local = Local(database, stores, directory, world)

    async def make(self, attempt: Attempt) -> None:
        """Try once what was claimed, and see it to its end: delivered, reported, or waiting for the next time."""
        claimed = attempt.entries
        following = self._world.now() + self._backoff.wait(claimed[0].attempts)
        note: tuple[Sequence[int], str, float] = [each.id for each in claimed], self._instance, following
        ids: list[int] = await self._database.write_with(spool.note_attempts, note)
        entries = [each for each in claimed if each.id in ids]
        if not entries:
            return
        try:
            results = await self._try_wanted(attempt, entries)
        except MailserverError as error:
            results = [Result(DEFERRED, str(error))] * len(entries)
        except Exception as error:
            if not attempt.is_stopped:
                log.failure("{id}: the attempt failed", id=spell(entries[0].content_id))
            results = [Result(DEFERRED, f"internal error: {type(error).__name__}")] * len(entries)
        if attempt.is_stopped and all(each.kind == DEFERRED for each in results):
            results = [Result(DEFERRED, "the server was stopped while it was tried")] * len(entries)
            if not attempt.is_final:
                following = self._world.now()
        attempt.is_final = True
        await self._conclude(attempt, list(zip(entries, results, strict=True)), following)

    async def _try_wanted(self, attempt: Attempt, entries: Sequence[Entry]) -> Sequence[Result]:
        """Try all but those that an operator has taken out: these have failed, and their senders hear of it."""
        wanted = [each for each in entries if each.expires > spool.CANCELLED]
        results = iter(await self._try(attempt, wanted) if wanted else ())
        return [
            next(results) if each.expires > spool.CANCELLED else Result(FAILED, each.reason) for each in entries
        ]

    async def _try(self, attempt: Attempt, entries: Sequence[Entry]) -> Sequence[Result]:
        if entries[0].kind == "mailbox":
            attempt.is_final = True
            return [await self._local.deliver(each) for each in entries]
        stored = await self._database.read(contents.load, entries[0].content_id)
        ids = [each.id for each in entries]

        async def may_send() -> bool:
            if attempt.is_stopped:
                return False
            attempt.is_final = True
            attempt.is_final = await self._owned(ids)
            return attempt.is_final

        return await self._remote.deliver(entries, stored, may_send)

    async def _owned(self, ids: Sequence[int]) -> bool:
        return await self._database.read(spool.owned, ids, self._instance, self._world.now())

    async def _conclude(self, attempt: Attempt, pairs: Ended, following: float) -> None:
        """Write down how it ended; who sent what failed for good is told first."""
        now = self._world.now()
        ended = [(entry, _given_up(entry, result, now)) for entry, result in pairs]
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
        while True:
            try:
                await self._database.write_with(
                    write_down, End(self._database.contents, self._instance, ended, now, following, told)
                )
                count(self._figures, attempt.lane, ended, now)
                if self._events is not None:
                    tell(self._events, ended, now, following)
                return
            except TemporaryFailure as failure:
                log.warn("{words}; the end of an attempt is written down later", words=str(failure))
                if attempt.is_stopped:
                    raise                   # our lease lapses, and the next server asks them again
                await deferLater(self._world.clock, WRITE_AGAIN)

    async def _report(self, failed: Ended) -> str:
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

    async def stop(self) -> None:
        """Close the connections that have said goodbye and linger."""
        await self._remote.stop()


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
        "attempt": entry.attempts + 1,
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
