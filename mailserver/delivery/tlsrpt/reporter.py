"""Once a day, to each domain that wants it: how TLS went on the way to its mail servers (RFC 8460).

What is owed is written down before it is due, so that it outlives a restart; each step is taken by one process of those
that share a database, and written down before it is taken: a report may be lost with a process, and never comes twice.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from mailserver.acceptance import Acceptance
from mailserver.content import Content
from mailserver.delivery.tlsrpt.post import Post
from mailserver.errors import NotFound, PermanentFailure, TemporaryFailure
from mailserver.ident import spell
from mailserver.settings import Outbound
from mailserver.store import tlsresults
from mailserver.store.database import Database
from mailserver.store.tlsresults import Kind, Owed
from mailserver.tlsrpt.letter import letter
from mailserver.tlsrpt.record import endpoints, is_mail, mailbox, name_of
from mailserver.tlsrpt.report import DAY, SUCCESS, Failure, Policy, Report, Section, range_of, write
from mailserver.world import World

log = Logger()

EVERY = 60.0                # seconds between two looks at what is due
GRACE = 600.0               # seconds after midnight until all of the day is written down
SPREAD = 4 * 3600.0         # seconds over which the reports of a day are spread (RFC 8460 4.1)
PLANNING = 3600.0           # seconds between two searches for what is owed
AGAIN = 3600.0              # seconds until a report that could not be sent is tried again
LIFE = DAY + 6 * 3600.0     # seconds after its day until it is given up: 24 hours of tries (RFC 8460 5.5)
AT_ONCE = 10                # reports that are being sent


class Reporter:
    """Sends reports, while `outbound` wants it; `hostname` is the name of who sends them."""

    def __init__(
        self,
        database: Database,
        acceptance: Acceptance,
        world: World,
        hostname: str,
        outbound: Callable[[], Outbound],
    ) -> None:
        self._database = database
        self._acceptance = acceptance
        self._world = world
        self._hostname = hostname
        self._outbound = outbound
        self._post = Post(world, outbound)
        self._plan_at = 0.0
        self._is_stopping = False
        self._looking: Deferred[None] | None = None
        self._call = LoopingCall(self._look)
        self._call.clock = world.clock

    def start(self) -> None:
        """Begin; what is due is sent within a minute."""
        self._call.start(EVERY, now=False)

    async def stop(self) -> None:
        """End, and let go of what is being sent."""
        if self._call.running:
            self._call.stop()
        self._is_stopping = True
        if self._looking is not None:
            self._looking.cancel()
            await self._looking

    def _look(self) -> Deferred[None]:
        self._looking = Deferred.fromCoroutine(self.send_due())
        self._looking.addErrback(_log)
        return self._looking

    async def send_due(self) -> None:
        """Send what is due, after a look at what is owed."""
        now = self._world.now()
        if not self._outbound().reports_tls:
            return
        if now >= self._plan_at or now < self._plan_at - PLANNING:          # or the clock was set back
            await self._plan(now)
            self._plan_at = now + PLANNING
        while not self._is_stopping:
            now = self._world.now()
            owed = await self._database.write(tlsresults.claim, now, now + AGAIN, AT_ONCE)
            if not owed:
                return
            await DeferredList([Deferred.fromCoroutine(self._serve(each)) for each in owed], consumeErrors=True)

    async def _plan(self, now: float) -> None:
        today = int((now - GRACE) // DAY)
        start = max(now, today * DAY + GRACE)
        after: tuple[int, str] | None = (0, "")
        while after is not None and not self._is_stopping:
            after = await self._database.write(
                tlsresults.plan, today, start, SPREAD, self._world.random, self._hostname, after
            )

    async def _serve(self, owed: Owed) -> None:
        """Take one step with one report.  Never raises but `CancelledError`."""
        try:
            said, done = await self._said(owed)
            if not done and self._world.now() > (owed.day + 1) * DAY + LIFE:
                said, done = f"given up: {said}", True
            await self._database.write(tlsresults.finish, owed, said, done)
        except CancelledError:
            raise
        except Exception:
            log.failure("the TLS report to {domain} comes later", domain=owed.domain)

    async def _said(self, owed: Owed) -> tuple[str, bool]:
        """How it went, and whether that is the end of it."""
        wanted = owed.endpoints
        if wanted is None:
            try:
                wanted = await self._endpoints(owed.domain)
            except TemporaryFailure as failure:
                return str(failure), False
            if not wanted:
                return tlsresults.NOT_WANTED, True
            if not await self._database.write(tlsresults.change_endpoints, owed, None, wanted):
                return "another process has it", False
        rows = await self._database.read(tlsresults.of_day, owed.day, owed.domain)
        wishes = self._outbound().tls_reports
        report = report_of(
            owed, rows, wishes.organization or self._hostname, wishes.contact or f"postmaster@{self._hostname}"
        )
        packed = await self._world.in_thread(_packed, report)
        said: list[str] = []
        left = list(wanted)
        mail = [each for each in wanted if is_mail(each)]
        for some in ([mail] if mail else []) + [[each] for each in wanted if each not in mail]:
            before, left = left, [each for each in left if each not in some]
            if not await self._database.write(tlsresults.change_endpoints, owed, before, left):
                return "another process has it", False
            try:
                said.append(await self._hand_in(owed, report, packed, some))
            except PermanentFailure as failure:
                said.append(f"{', '.join(some)}: {failure}")
            except CancelledError:
                raise                           # nobody knows whether they have it
            except Exception as error:
                if not isinstance(error, TemporaryFailure):
                    log.failure("the TLS report to {domain} could not be handed in", domain=owed.domain)
                said.append(f"{', '.join(some)}: {error or type(error).__name__}")
                before, left = left, [*left, *some]
                await self._database.write(tlsresults.change_endpoints, owed, before, left)
        log.info("TLS report to {domain}: {said}", domain=owed.domain, said="; ".join(said))
        return "; ".join(said), not left

    async def _endpoints(self, domain: str) -> tuple[str, ...]:
        try:
            records = await self._world.resolver.query(name_of(domain), "TXT")
        except NotFound:
            return ()
        return endpoints([b"".join(each.strings).decode("utf-8", "replace") for each in records])

    async def _hand_in(self, owed: Owed, report: Report, packed: bytes, wanted: Sequence[str]) -> str:
        if not is_mail(wanted[0]):
            return f"{wanted[0]}: {await self._post.send(wanted[0], packed)}"
        now = self._world.now()
        boundary = f"{spell(self._world.new_id())}.{self._world.random.getrandbits(64):016x}"
        recipients = [mailbox(each) for each in wanted]
        octets = letter(
            report, packed, self._hostname, owed.domain, report.contact, recipients, now, boundary
        )
        # From the null sender: nobody wants to hear that a report about failures has failed.
        id = await self._acceptance.submit(None, recipients, Content.of(octets))
        return f"mail {spell(id)} to {', '.join(map(str, recipients))}"


def report_of(owed: Owed, rows: Sequence[tuple[Kind, int]], organization: str, contact: str) -> Report:
    """What is known of a day and a domain; `rows` are in order of their policies."""
    sections = []
    for text, some in groupby(rows, key=lambda row: row[0].policy):
        type, strings, patterns = json.loads(text)
        known = list(some)
        failures = tuple(
            Failure(kind.result, count, kind.sending, kind.mx, kind.receiving, kind.reason)
            for kind, count in known if kind.result != SUCCESS
        )
        successful = sum(count for kind, count in known if kind.result == SUCCESS)
        sections.append(Section(
            Policy(type, owed.domain, tuple(strings), tuple(patterns)), successful,
            sum(each.count for each in failures), failures,
        ))
    return Report(organization, contact, owed.report, *range_of(owed.day), tuple(sections))


def _packed(report: Report) -> bytes:
    return gzip.compress(write(report), mtime=0)


def _log(failure: Any) -> None:
    """Whatever it was, the next look comes."""
    if not failure.check(CancelledError):
        log.failure("no TLS reports now", failure)
