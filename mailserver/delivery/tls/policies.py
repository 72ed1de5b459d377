"""The MTA-STS policies of domains (RFC 8461): looked for, fetched, kept while they hold, renewed before they end."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList, DeferredSemaphore
from twisted.logger import Logger

from mailserver.delivery.tls.https import INVALID, FetchFailed, Https
from mailserver.delivery.tls.sts import BadPolicy, Sts, read_id, read_policy
from mailserver.errors import MailserverError, NotFound, TemporaryFailure
from mailserver.store import tls
from mailserver.store.database import Database
from mailserver.store.tls import Kept
from mailserver.world import World

log = Logger()

DAY = 86400.0
REST = 300.0                # seconds after which a fetch that failed is tried again (RFC 8461 3.3)
USED = 30 * DAY             # seconds without mail after which a policy is not renewed any more
AT_ONCE = 50                # fetches
MOST_FAILED = 1000          # of them that are remembered
MOST_RENEWED = 100          # in one round


@dataclass(eq=False, slots=True)
class _Fetch:
    """A policy that is being fetched, and who waits for it."""

    waiting: list[Deferred[Sts]] = field(default_factory=list)
    work: Deferred[None] | None = None


class Policies:
    """Whoever asks for a policy that has to be fetched waits for it; all who ask at once wait for one fetch."""

    def __init__(self, database: Database, world: World, https: Https) -> None:
        self._database = database
        self._world = world
        self._https = https
        self._turns = DeferredSemaphore(AT_ONCE)
        self._fetching: dict[str, _Fetch] = {}          # by domain
        self._failed: OrderedDict[tuple[str, str], tuple[float, FetchFailed]] = OrderedDict()

    async def of(self, domain: str, kept: Kept | None) -> Sts:
        """The policy in force, of which `kept` is what lies in the store.

        Raises `FetchFailed` when there should be one and none is known, `NotFound` when there is none.
        """
        now = self._world.now()
        current = in_force(kept, now)
        id = await self._announced(domain, current)
        if current is None and id is None:
            raise NotFound(f"{domain} has no MTA-STS policy")
        if current is not None and id in (None, current.id):
            if now - current.fetched > DAY:
                self._begin(domain, current.id)
            if kept is not None and now - kept.used > DAY:
                self._write(tls.used, domain, now)
            return current
        assert id is not None
        waiter: Deferred[Sts] = Deferred()
        self._begin(domain, id, waiter)
        try:
            return await waiter
        except FetchFailed:
            if current is None:
                raise
            return current                  # RFC 8461 5.1: what is kept holds to its end

    async def _announced(self, domain: str, current: Sts | None) -> str | None:
        try:
            records = await self._world.resolver.query(f"_mta-sts.{domain}", "TXT")
        except NotFound:
            return None
        except TemporaryFailure as failure:
            if current is not None:
                return None
            raise FetchFailed(f"it cannot be known whether {domain} has an MTA-STS policy: {failure}") from None
        return read_id(b"".join(each.strings).decode("ascii", "replace") for each in records)

    def _begin(self, domain: str, id: str, waiter: Deferred[Sts] | None = None) -> None:
        """Fetch it, unless that is being done."""
        fetch = self._fetching.get(domain)
        is_new = fetch is None
        if fetch is None:
            fetch = self._fetching[domain] = _Fetch()
        if waiter is not None:
            fetch.waiting.append(waiter)
        if is_new:
            fetch.work = Deferred.fromCoroutine(self._work(domain, id, fetch))

    async def _work(self, domain: str, id: str, fetch: _Fetch) -> None:
        answer: Sts | FetchFailed
        try:
            answer = await self.fetched(domain, id)
        except FetchFailed as failure:
            answer = failure
            self._write(tls.not_renewed, domain, str(failure))
        except CancelledError:
            answer = FetchFailed("the server is stopping")
        except Exception as error:
            log.failure("fetching the policy of {domain} went wrong", domain=domain)
            answer = FetchFailed(f"fetching the policy went wrong: {type(error).__name__}")
        del self._fetching[domain]
        for each in fetch.waiting:
            if each.called:
                continue                    # it has gone away
            if isinstance(answer, Sts):
                each.callback(answer)
            else:
                each.errback(answer)

    async def fetched(self, domain: str, id: str) -> Sts:
        """Fetch it now, and keep it; raises `FetchFailed`, at once if it failed a moment ago."""
        until, failure = self._failed.get((domain, id), (0.0, None))
        if failure is not None and self._world.clock.seconds() < until:
            raise failure
        await self._turns.acquire()
        try:
            policy = read_policy(await self._https.fetch(domain))
        except BadPolicy as error:
            raise self._remember(domain, id, FetchFailed(str(error), INVALID)) from None
        except FetchFailed as error:
            raise self._remember(domain, id, error) from None
        finally:
            self._turns.release()
        self._failed.pop((domain, id), None)
        now = self._world.now()
        kept = Kept(domain, id, "\n".join(policy.lines), now, now + policy.max_age, now)
        try:
            await self._database.write(tls.keep, kept)
        except MailserverError as failure:
            log.warn("the policy of {domain} was not kept: {why}", domain=domain, why=str(failure))
        return _dated(policy, kept)

    def _remember(self, domain: str, id: str, failure: FetchFailed) -> FetchFailed:
        self._failed[domain, id] = self._world.clock.seconds() + REST, failure
        self._failed.move_to_end((domain, id))
        while len(self._failed) > MOST_FAILED:
            self._failed.popitem(last=False)
        log.info("no new MTA-STS policy of {domain}: {why}", domain=domain, why=str(failure))
        return failure

    async def renew(self) -> int:
        """Fetch what is older than a day and still used; returns how many policies were renewed."""
        now = self._world.now()
        renewed = 0
        for kept in await self._database.read(tls.to_renew, now - DAY, now - USED, MOST_RENEWED):
            try:
                id = await self._announced(kept.domain, in_force(kept, now))
                await self.fetched(kept.domain, id or kept.id)
                renewed += 1
            except FetchFailed as failure:
                await self._database.write(tls.not_renewed, kept.domain, str(failure))
        return renewed

    def _write(self, job: Any, *args: Any) -> None:
        try:
            written = self._database.write(job, *args)
        except TemporaryFailure:            # the server is stopping
            return
        written.addErrback(lambda failure: log.failure("it was not written down how a policy fares", failure))

    async def stop(self) -> None:
        """End what is being fetched."""
        work = [each.work for each in self._fetching.values() if each.work is not None]
        for each in work:
            each.cancel()
        await DeferredList(work)


def in_force(kept: Kept | None, now: float) -> Sts | None:
    """The policy that is kept, unless its time is over."""
    if kept is None or kept.expires <= now:
        return None
    try:
        return _dated(read_policy(kept.text), kept)
    except BadPolicy:                       # a newer program reads policies with other eyes
        return None


def _dated(policy: Sts, kept: Kept) -> Sts:
    return Sts(policy.mode, policy.max_age, policy.mx, policy.lines, kept.id, kept.fetched, kept.expires)
