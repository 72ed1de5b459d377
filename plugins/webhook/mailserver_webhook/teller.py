"""The listener: what it hears is written down, and posted until somebody has heard it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from zope.interface import implementer

from mailserver.events import KINDS, Event
from mailserver.ident import Ids, spell
from mailserver.interfaces import IListener, IResident, IServer
from mailserver_webhook.outbox import Outbox, age
from mailserver_webhook.post import Answer, Post, Unheard
from mailserver_webhook.target import Target

log = Logger()

FIRST_WAIT = 1.0            # seconds until a batch that was not heard is posted again; it doubles
LONGEST_WAIT = 3600.0
LOOK = 2.0                  # seconds between two looks for what other processes put in
MOST_REFUSALS = 5           # of one batch, after which it is laid aside
PASSING = (408, 409, 425, 429)      # answers that are about the moment, not about what was posted


def _kinds(options: object, field: object, value: tuple[str, ...]) -> None:
    for each in value:
        if each not in KINDS:
            raise ValueError(f"'events': there are no {each!r}; there are {', '.join(KINDS)}")


@attrs.frozen
class TellerOptions(Target):
    """The keys of the table; README.rst tells them."""

    events: tuple[str, ...] = attrs.field(default=("delivered", "bounced", "expired"), validator=_kinds)
    keep: float = attrs.field(default=3 * 86400.0, validator=attrs.validators.gt(0))
    most: int = attrs.field(default=64 * 1024 * 1024, validator=attrs.validators.gt(0))


@implementer(IListener, IResident)
class Teller:
    """At least once and in order: a batch is not forgotten before it was answered with 2xx, or is too old."""

    Options = TellerOptions
    kinds: frozenset[str] = frozenset()         # as its table says

    def __init__(self, options: TellerOptions, server: IServer) -> None:
        self.kinds = frozenset(options.events)
        self._options = options
        self._server = server
        self._post = Post(options, server)
        name = hashlib.sha256(options.url.encode()).hexdigest()[:16]
        self._outbox = Outbox(server.data / "webhook" / name, options.most)
        self._new_id = Ids(server.now)
        self._running = False
        self._work: Deferred[None] | None = None
        self._sending: Deferred[Answer] | None = None
        self._waiting: Deferred[None] | None = None
        self._may_be_woken = False
        self._refusals = 0

    # -- hearing

    async def happened(self, events: Sequence[Event]) -> None:
        if not events:
            return
        at = datetime.fromtimestamp(self._server.now(), UTC).isoformat(timespec="milliseconds")
        told = {"type": "events", "timestamp": at.replace("+00:00", "Z"), "data": [each.told() for each in events]}
        body = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        await self._server.in_thread(self._outbox.put, spell(self._new_id()), body)
        if self._may_be_woken:
            self._wake()

    # -- telling

    def start(self) -> None:
        self._running = True
        self._work = Deferred.fromCoroutine(self._tell())
        self._work.addErrback(lambda failure: log.failure("a webhook does not tell any more", failure))

    async def stop(self) -> None:
        self._running = False
        work, self._work = self._work, None
        self._wake()
        if self._sending is not None:
            self._sending.cancel()
        if work is not None:
            await work
        await self._post.close()

    async def _tell(self) -> None:
        wait = FIRST_WAIT
        try:
            while self._running:
                found = None
                try:
                    if await self._server.in_thread(self._outbox.lead):
                        found = await self._server.in_thread(self._outbox.first)
                except OSError as error:
                    log.error("{words}; a webhook waits", words=str(error))
                if not self._running:
                    return
                if found is None:
                    await self._pause(LOOK, may_be_woken=True)
                    continue
                try:
                    later = await self._told(*found)
                except OSError as error:
                    log.error("{words}; a webhook posts again what it could not note down", words=str(error))
                    later = 0.0
                if later is None:
                    wait = FIRST_WAIT
                    continue
                if not self._running:
                    return
                await self._pause(max(wait, min(later, LONGEST_WAIT)))
                wait = min(LONGEST_WAIT, 2 * wait)
        finally:
            await self._server.in_thread(self._outbox.leave)

    async def _told(self, name: str, body: bytes) -> float | None:
        """Post a batch; None: it is done with.  Else it is to be posted again, not before so many seconds."""
        answer: Answer | None = None
        try:
            answer = await self._sent(f"msg_{name}", body)
            problem, later = f"it answers {answer.code}", answer.later
        except Unheard as failure:
            if not self._running:
                return 0.0              # it is posted again after the next start
            problem, later = str(failure), 0.0
        in_thread, outbox = self._server.in_thread, self._outbox
        if answer is not None and 200 <= answer.code < 300:
            self._refusals = 0
            await in_thread(outbox.done, name)
            return None
        if answer is not None and 400 <= answer.code < 500 and answer.code not in PASSING:
            self._refusals += 1
            if self._refusals >= MOST_REFUSALS:
                self._refusals = 0
                log.error("{url} does not want {name}, which is laid aside: {problem}", url=self._options.url,
                          name=name, problem=problem)
                await in_thread(outbox.refuse, name)
                return None
        if age(name, self._server.now()) > self._options.keep:
            log.error("{url} did not hear {name} in time: {problem}", url=self._options.url, name=name, problem=problem)
            await in_thread(outbox.done, name)
            return None
        log.warn("{url} did not hear {name} yet: {problem}", url=self._options.url, name=name, problem=problem)
        return later

    async def _sent(self, id: str, body: bytes) -> Answer:
        """The answer; raises `Unheard`, also when the server stops meanwhile."""
        self._sending = Deferred.fromCoroutine(self._post.send(id, body))
        try:
            return await self._sending
        except Unheard:
            raise
        except CancelledError:
            raise Unheard("the server stops") from None
        except Exception as error:
            log.failure("a webhook failed")
            raise Unheard(f"internal error: {type(error).__name__}") from error
        finally:
            self._sending = None

    async def _pause(self, seconds: float, may_be_woken: bool = False) -> None:
        """Wait for so long, or until the server stops, or until there is something to tell."""
        waiting: Deferred[None] = Deferred()
        timer = self._server.clock.callLater(seconds, self._wake)
        self._waiting, self._may_be_woken = waiting, may_be_woken
        await waiting
        self._waiting, self._may_be_woken = None, False
        if timer.active():
            timer.cancel()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        self._may_be_woken = False
        if waiting is not None and not waiting.called:
            waiting.callback(None)
