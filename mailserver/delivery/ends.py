"""The ends of attempts: delivered, reported, or waiting for the next time; in the queue and in the stories."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from twisted.internet.task import deferLater
from twisted.logger import Logger

from mailserver.acceptance import Acceptance
from mailserver.content import LARGE, Content
from mailserver.delivery.attempt import Attempt
from mailserver.delivery.booking import Booking
from mailserver.delivery.classify import Kind, classify
from mailserver.delivery.happened import count, tell
from mailserver.delivery.reports.action import Action
from mailserver.delivery.reports.compose import compose
from mailserver.delivery.reports.original import Original
from mailserver.delivery.reports.wanted import is_reportable, wanted
from mailserver.delivery.result import DEFERRED, DELIVERED, FAILED, Result
from mailserver.errors import PermanentFailure, TemporaryFailure
from mailserver.feedback.rules import Rules
from mailserver.figures import Figures
from mailserver.ident import spell
from mailserver.listeners import Events
from mailserver.settings import Outbound
from mailserver.store import contents, feedback, spool, traces
from mailserver.store.accepting import Accepting, write_many
from mailserver.store.database import Database
from mailserver.store.spool import Entry
from mailserver.story import event
from mailserver.wishes import NONE, Wishes
from mailserver.world import World

log = Logger()

WRITE_AGAIN = 5.0       # seconds until a result that could not be written down is tried again
TRUSTED = 2.0           # seconds for which a lease on this machine's own database is ours without asking again
FULL = 3600.0           # seconds at least until a full mailbox is tried again


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended for one recipient: what the failure was about, when it is tried again, how often one was warned."""

    entry: Entry
    result: Result
    kind: Kind | None
    following: float
    told: int
    action: Action | None       # what the sender should hear


@dataclass(frozen=True, slots=True)
class End:
    """What is written down at the end of an attempt, by whom, with the reports of it and who got them."""

    folder: Path
    owner: str
    ended: Sequence[Ended]
    now: float
    rule: str
    reports: Sequence[Accepting] = ()
    bookings: Sequence[feedback.Booking] = ()
    rules: Rules = field(default_factory=Rules)
    heard: Mapping[Action, str] = field(default_factory=dict)


class Ends:
    """Sees attempts to their end, once it is known how they went: written down, and who sent it told.

    `learned` hears each result first, and says until when the lane rests now, and by which rule.
    """

    def __init__(
        self, database: Database, acceptance: Acceptance, outbound: Outbound, world: World, hostname: str,
        instance: str, booking: Booking, learned: Callable[[Attempt, Result, Kind | None], tuple[float, str]],
        events: Events | None = None, figures: Figures | None = None,
    ) -> None:
        self._database = database
        self._acceptance = acceptance
        self._warnings = outbound.delay_warnings
        self._rules = outbound.suppression
        self._booking = booking
        self._world = world
        self._hostname = hostname
        self._instance = instance
        self._learned = learned
        self._events = events
        self._figures = figures or Figures()

    async def may_send(self, attempt: Attempt) -> bool:
        """Whether the final dot may be said: the server does not stop, and the lease is still ours (rules.md 21)."""
        if attempt.is_stopped:
            return False
        attempt.is_final = True
        if self._database.is_sqlite and 0 <= self._world.now() - attempt.claimed < TRUSTED:
            return True
        ids = [each.id for each in attempt.entries]
        attempt.is_final = await self._database.read(spool.owned, ids, self._instance, self._world.now())
        return attempt.is_final

    async def conclude(self, attempt: Attempt, results: Sequence[Result]) -> float | None:
        """Write down how it ended, and with it, in one transaction, what those are told who sent it.

        Returns when the first of those that were not delivered is tried again, if any is.
        """
        following = attempt.following
        stopped = attempt.is_stopped and all(each.kind == DEFERRED for each in results)
        if stopped:
            results = [Result(DEFERRED, "the server was stopped while it was tried")] * len(results)
            if not attempt.is_final:
                following = self._world.now()
        attempt.is_final = True
        now, until, rule = self._world.now(), 0.0, ""
        kinds = [None if each.kind == DELIVERED else classify(each) for each in results]
        some = any(each.kind == DELIVERED for each in results)
        if not stopped and attempt.entries[0].kind == "remote":
            # One attempt teaches each thing once, however many recipients it was for.
            for kind, result in dict(zip(kinds, results, strict=True)).items():
                if not (some and _is_too_many(result, kind)):
                    until, rule = self._learned(attempt, result, kind)
        ended = [
            self._ended(entry, result, kind, following, now, until, some)
            for entry, result, kind in zip(attempt.entries, results, kinds, strict=True)
        ]
        reports: list[Accepting] = []
        heard: dict[Action, str] = {}
        if any(each.action is not None for each in ended):
            try:
                await self._report(ended, attempt, now, reports, heard)
            except Exception as error:
                log.failure("{id}: nobody could be told yet", id=spell(attempt.entries[0].content_id))
                reports, heard = [], {}
                ended = [_untold(each, f"{error or type(error).__name__}", following) for each in ended]
        for each in ended:
            log.info(
                "{id}: {kind} to {target}: {words}", id=spell(each.entry.content_id), kind=each.result.kind,
                target=str(each.entry.target), words=each.result.words,
            )
        bookings = self._booking.bookings([(each.entry, each.result) for each in ended if each.result.kind == FAILED])
        end = End(
            self._database.contents, self._instance, ended, now, rule, reports, bookings, self._rules, heard
        )
        # What was delivered and is not written down would be delivered again.
        while True:
            try:
                await self._database.write_with(write_down, end, sum(len(each.content.beginning) for each in reports))
                break
            except TemporaryFailure as failure:
                log.warn("{words}; the end of an attempt is written down later", words=str(failure))
                if attempt.is_stopped:
                    raise                   # our lease lapses, and the next server asks them again
                await deferLater(self._world.clock, WRITE_AGAIN)
        for report in reports:
            self._acceptance.spooled(report)
        happened = [(each.entry, each.result, each.kind, each.following) for each in ended]
        count(self._figures, attempt.way.lane, happened, now)
        if self._events is not None:
            tell(self._events, happened, now)
        return min((each.following for each in ended if each.result.kind == DEFERRED), default=None)

    def _ended(
        self, entry: Entry, result: Result, kind: Kind | None, following: float, now: float, until: float,
        some_delivered: bool,
    ) -> Ended:
        """What follows from a result, for one recipient."""
        wishes = entry.wishes
        if result.kind == DELIVERED:
            if wishes is NONE:
                return Ended(entry, result, kind, 0.0, entry.told, None)
            success = Action.DELIVERED if entry.kind == "mailbox" or result.is_last else Action.RELAYED
            asked = not result.sends_dsn and wanted(entry, success)
            return Ended(entry, result, kind, 0.0, entry.told, success if asked else None)
        if result.kind == DEFERRED and now >= entry.expires:
            # It was tried at least once, however the clock may have jumped.
            words = f"given up after {_period(now - entry.created)}: {result.words}"
            result = replace(result, kind=FAILED, words=words, given_up=True)
        elif result.kind == DEFERRED and 0 < wishes.deliver_by <= now and wishes.by_mode.startswith("R"):
            words = f"not delivered within the time that the sender gave: {result.words}"
            result = replace(result, kind=FAILED, words=words, reply=None, detail="4.7")        # RFC 2852 4.1.5
        if result.kind == FAILED:
            return Ended(entry, result, kind, following, entry.told, Action.FAILED)
        if some_delivered and _is_too_many(result, kind):
            following = now
        elif kind is Kind.FULL:
            following = max(following, now + FULL)
        following = max(following, until)
        if until > entry.expires:
            following = entry.expires   # it is given up then, though its lane still rests
        if wishes.deliver_by > now:
            following = min(following, wishes.deliver_by)
        due = sum(now - entry.created >= age for age in self._warnings)
        if 0 < wishes.deliver_by <= now and wishes.by_mode.startswith("N"):
            due = max(due, 1)
        action = Action.DELAYED if due > entry.told and wanted(entry, Action.DELAYED) else None
        return Ended(entry, result, kind, following, max(due, entry.told), action)

    async def _report(
        self, ended: Sequence[Ended], attempt: Attempt, now: float, reports: list[Accepting], heard: dict[Action, str]
    ) -> None:
        """Make the reports, one of each action.  Raises when that is not possible now."""
        sender = attempt.entries[0].sender
        for action in Action:
            theirs = [each for each in ended if each.action is action]
            if not theirs:
                continue
            if sender is None or not is_reportable(sender):
                heard[action] = "nobody: there is no sender"
                continue
            told = [(each.entry, each.result) for each in theirs if wanted(each.entry, action)]
            if not told:
                heard[action] = "nobody: the sender does not want to know"
                continue
            octets = compose(
                action, told, await self._original(attempt), self._hostname, now,
                f"{spell(self._world.new_id())}.{self._world.random.getrandbits(64):016x}",
                {each.entry.id: each.following for each in theirs},
            )
            try:
                report = await self._acceptance.report(sender, octets, theirs[0].entry.wishes.require_tls)
            except PermanentFailure as failure:
                heard[action] = f"nobody: {failure}"
                continue
            reports.append(report)
            heard[action] = f"{sender} by {spell(report.id)}"

    async def _original(self, attempt: Attempt) -> Original:
        stored = attempt.stored
        if stored is None:
            stored = attempt.stored = await self._database.read(contents.load, attempt.entries[0].content_id)
        octets = stored.whole
        if octets is None:
            octets = await self._database.read(contents.beginning, self._database.contents, stored.id, LARGE)
        return Original.of(Content(stored.size, octets[:LARGE]))


def _is_too_many(result: Result, kind: Kind | None) -> bool:
    """Whether it is one of those that are too many for one transaction, and no more than that (RFC 5321 4.5.3.1.10)."""
    return kind is Kind.RATE and result.reply is not None and result.reply.code == 452


def _untold(each: Ended, why: str, following: float) -> Ended:
    """Who could not be told stays in the queue, and with him the knowledge that he has to be told."""
    if each.result.kind != FAILED:
        return replace(each, action=None, told=each.entry.told)
    result = replace(each.result, kind=DEFERRED, words=f"{each.result.words} (not reported yet: {why})")
    return replace(each, result=result, action=None, following=following)


def is_over(due: spool.Due, wishes: Wishes, now: float) -> bool:
    """Whether there is nothing to do for it but to tell its sender, if nothing can be tried now."""
    if 0 < wishes.deliver_by <= now and wishes.by_mode.startswith("R"):
        return True
    return due.attempts > 0 and due.expires <= now


def too_late(entry: Entry, now: float) -> Result | None:
    """The end of what had to be delivered by a time that is over (RFC 2852 4.1.5), before it is tried."""
    wishes = entry.wishes
    if 0 < wishes.deliver_by <= now and wishes.by_mode.startswith("R"):
        return Result(FAILED, "the time that the sender gave for the delivery is over", detail="4.7")
    return None


def _period(seconds: float) -> str:
    """A time in words."""
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def write_down(connection: Connection, batch: Sequence[End]) -> list[None]:
    """The ends of attempts, in the queue and in the stories of their messages; a group for `Database.write_with`.

    A report is written only by who still has the lease: another one will tell, or has told.
    """
    records: list[tuple[int, str]] = []
    done: list[tuple[int, str]] = []
    reports: list[Accepting] = []
    for end in batch:
        heard = end.heard
        if end.reports:
            if spool.has_leases(connection, [each.entry.id for each in end.ended], end.owner):
                reports += end.reports
            else:
                heard = dict.fromkeys(heard, "nobody: it was not ours to tell any more")
        for each in end.ended:
            if each.result.kind == DEFERRED:
                spool.postpone(connection, each.entry.id, end.owner, each.result.words, each.following, each.told)
            else:
                done.append((each.entry.id, end.owner))
            records.append((each.entry.content_id, event(end.now, "attempt", **_story(each, end, heard))))
    spool.finish_many(connection, batch[0].folder, done)
    if reports:
        write_many(connection, reports)
    traces.append_many(connection, records)
    if bookings := [booking for end in batch for booking in end.bookings]:
        feedback.book(connection, bookings, batch[0].rules)
    return [None] * len(batch)


def _story(each: Ended, end: End, heard: Mapping[Action, str]) -> dict[str, Any]:
    """What the story of the message tells of one recipient."""
    entry, result = each.entry, each.result
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
    if each.kind is not None and each.kind is not Kind.UNKNOWN:
        fields["class"] = each.kind.value
    if result.kind == DEFERRED:
        fields["next"] = round(each.following, 3)
        if end.rule:
            fields["rule"] = end.rule
    if each.action is not None and each.action in heard:
        fields["reported_to"] = heard[each.action]
    return fields
