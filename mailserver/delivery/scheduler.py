"""The scheduler: takes what is due, writes down when it would be tried next, then lets it be tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from mailserver.acceptance import Acceptance
from mailserver.config import Outbound
from mailserver.content import Content
from mailserver.delivery.backoff import Backoff
from mailserver.delivery.bounce import failure_report, is_reportable
from mailserver.delivery.local import Local
from mailserver.delivery.remote import Remote
from mailserver.delivery.result import Result
from mailserver.errors import MailserverError, PermanentFailure
from mailserver.ident import spell
from mailserver.interfaces import IDirectory, IMailboxStore
from mailserver.store import contents, spool, traces
from mailserver.store.database import Database
from mailserver.store.spool import Entry
from mailserver.story import event
from mailserver.world import World

log = Logger()

LOOK = 5.0              # seconds between two looks at the spool: another process may have put something there
LEASE = 90.0            # seconds; the service's heartbeat renews it
PATIENCE = 10.0         # seconds for what is being sent when the server stops
MOST_GROUPED = 100      # recipients of one transaction


class Scheduler:
    """Works the spool off, `outbound.connections` attempts at a time, so many of them for one domain."""

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
    ) -> None:
        self._database = database
        self._acceptance = acceptance
        self._outbound = outbound
        self._world = world
        self._hostname = hostname
        self._instance = instance
        self._backoff = Backoff(outbound.retry_first, outbound.retry_longest, world.random)
        self._remote = Remote(database, outbound, world, hostname)
        self._local = Local(database, stores, directory, world)
        self._attempts: set[Deferred[None]] = set()
        self._at_work: Counter[str] = Counter()         # attempts by domain
        self._timer: Any = None
        self._looking = False
        self._look_again = False
        self._running = False
        acceptance.on_spooled(self.wake)

    def start(self) -> None:
        """Begin to work."""
        self._running = True
        self.wake()

    async def stop(self) -> None:
        """Claim nothing more, let what is being sent end, and give back what is left."""
        self._running = False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._attempts:
            waiting: Deferred[Any] = DeferredList(list(self._attempts))
            timer = self._world.clock.callLater(PATIENCE, self._give_up)
            await waiting
            if timer.active():
                timer.cancel()
        try:
            await self._database.write(spool.free, self._instance)
        except Exception:
            log.failure("the leases were not given back; they will lapse")

    def wake(self) -> None:
        """Something new lies in the spool."""
        if not self._running:
            return
        if self._looking:
            self._look_again = True
            return
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        self._looking = True
        looking = Deferred.fromCoroutine(self._look())
        looking.addErrback(lambda failure: log.failure("looking at the spool failed", failure))
        looking.addBoth(self._looked)

    def _looked(self, result: Any) -> None:
        self._looking = False
        if not self._running:
            return
        if self._look_again:
            self._look_again = False
            self.wake()
            return
        wait = result if isinstance(result, float) else LOOK
        self._timer = self._world.clock.callLater(wait, self.wake)

    def _give_up(self) -> None:
        for attempt in list(self._attempts):
            attempt.cancel()

    async def _look(self) -> float:
        """Claim and start what is due; how long to wait before the next look, in seconds."""
        free = self._outbound.connections - len(self._attempts)
        now = self._world.now()
        due = await self._database.read(spool.next_due, now)
        if due is None or free <= 0:
            return LOOK
        if due > now:
            return min(LOOK, max(0.05, due - now))
        busy = [domain for domain, count in self._at_work.items() if count >= self._outbound.connections_per_host]
        claimed = await self._database.write(
            partial(spool.claim, busy=busy), self._instance, now, free * 4, LEASE
        )
        groups: dict[tuple[int, str, str, str], list[Entry]] = {}
        for entry in claimed:
            groups.setdefault((entry.content_id, entry.kind, entry.domain, entry.place), []).append(entry)
        left: list[int] = []
        for (_, _, domain, _), entries in groups.items():
            for start in range(0, len(entries), MOST_GROUPED):
                some = entries[start : start + MOST_GROUPED]
                if self._at_work[domain] >= self._outbound.connections_per_host or not self._running:
                    left += [each.id for each in some]
                else:
                    self._begin(domain, some)
        if left:
            await self._database.write(spool.give_back, left, self._instance)
        return LOOK if left or not claimed else 0.0

    def _begin(self, domain: str, entries: list[Entry]) -> None:
        self._at_work[domain] += 1
        attempt = Deferred.fromCoroutine(self._attempt(entries))
        self._attempts.add(attempt)

        def done(result: Any) -> None:
            self._attempts.discard(attempt)
            self._at_work[domain] -= 1
            if not self._at_work[domain]:
                del self._at_work[domain]
            if result is not None and self._running:
                log.failure("an attempt failed", result)
            self.wake()

        attempt.addBoth(done)

    async def _attempt(self, claimed: list[Entry]) -> None:
        now = self._world.now()
        following = now + self._backoff.wait(claimed[0].attempts)
        ids = await self._database.write(
            spool.note_attempt, [each.id for each in claimed], self._instance, following
        )
        entries = [each for each in claimed if each.id in ids]
        if not entries:
            return
        try:
            results = await self._try(entries)
        except MailserverError as error:
            results = [Result("deferred", str(error))] * len(entries)
        except Exception as error:
            log.failure("{id}: delivery failed", id=spell(entries[0].content_id))
            results = [Result("deferred", f"internal error: {type(error).__name__}")] * len(entries)
        await self._conclude(list(zip(entries, results, strict=True)), following)

    async def _try(self, entries: list[Entry]) -> list[Result]:
        if entries[0].kind == "mailbox":
            return [await self._local.deliver(each) for each in entries]
        stored = await self._database.read(contents.load, entries[0].content_id)
        ids = [each.id for each in entries]

        async def may_send() -> bool:
            return await self._database.read(spool.owned, ids, self._instance, self._world.now())

        return await self._remote.deliver(entries, stored.size, may_send)

    async def _conclude(self, pairs: list[tuple[Entry, Result]], following: float) -> None:
        """Write down how it ended; who sent what failed for good is told first."""
        now = self._world.now()
        ended: list[tuple[Entry, Result]] = []
        for entry, result in pairs:
            if result.kind == "deferred" and now >= entry.expires:
                result = Result(
                    "failed", f"given up after {_period(now - entry.created)}: {result.words}",
                    result.reply, result.host, result.address, result.tls,
                )
            ended.append((entry, result))
        failed = [(entry, result) for entry, result in ended if result.kind == "failed"]
        told: str | None = None
        if failed:
            try:
                told = await self._report(failed)
            except PermanentFailure as failure:
                told = f"nobody: {failure}"
            except Exception:
                log.failure("{id}: the failure could not be reported yet", id=spell(pairs[0][0].content_id))
                ended = [
                    (entry, result if result.kind != "failed" else Result("deferred", result.words))
                    for entry, result in ended
                ]
        for entry, result in ended:
            log.info(
                "{id}: {kind} to {target}: {words}",
                id=spell(entry.content_id), kind=result.kind, target=str(entry.target), words=result.words,
            )
        await self._database.write(_write_results, self._database.contents, self._instance, ended, now, following, told)

    async def _report(self, failed: Sequence[tuple[Entry, Result]]) -> str:
        """Send a DSN; returns in words who was told."""
        first = failed[0][0]
        if not is_reportable(first.sender):
            return "nobody: there is no sender"
        assert first.sender is not None
        header = Content.of(
            await self._database.read(contents.beginning, self._database.contents, first.content_id, 64 * 1024)
        ).header
        now = self._world.now()
        boundary = f"{spell(self._world.new_id())}.{self._world.random.getrandbits(64):016x}"
        report = failure_report(failed, header, self._hostname, now, boundary)
        id = await self._acceptance.submit(None, [first.sender], Content.of(report))
        return f"{first.sender} by {spell(id)}"


def _write_results(
    connection: Connection,
    folder: Any,
    owner: str,
    ended: Sequence[tuple[Entry, Result]],
    now: float,
    following: float,
    told: str | None,
) -> None:
    for entry, result in ended:
        fields: dict[str, Any] = {
            "recipient": str(entry.recipient),
            "target": str(entry.target),
            "attempt": entry.attempts + 1,
            "result": result.kind,
            "said": result.words,
        }
        for name in ("host", "address", "tls"):
            if getattr(result, name):
                fields[name] = getattr(result, name)
        if result.kind == "deferred":
            fields["next"] = round(following, 3)
            spool.postpone(connection, entry.id, owner, result.words)
        else:
            if result.kind == "failed" and told is not None:
                fields["reported_to"] = told
            spool.finish(connection, folder, entry.id, owner)
        traces.append(connection, entry.content_id, event(now, "attempt", **fields))


def _period(seconds: float) -> str:
    """A time in words."""
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
