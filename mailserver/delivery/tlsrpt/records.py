"""How TLS went on each connection: counted in memory, written down now and then."""

from __future__ import annotations

import ipaddress
import json
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Protocol

from twisted.internet.defer import DeferredLock
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from mailserver.settings import Outbound
from mailserver.store import tlsresults
from mailserver.store.database import Database
from mailserver.store.tlsresults import Kind
from mailserver.tlsrpt.report import DAY, NO_POLICY, POLICIES, RESULTS, SUCCESS, UNKNOWN
from mailserver.world import World

log = Logger()

EVERY = 30.0                # seconds between two times of writing
MOST_WAITING = 20_000       # kinds in memory; what would be one more is not counted
MOST_AT_ONCE = 500          # kinds of one transaction
MOST_STRINGS = 30           # of a policy
LONGEST_STRING = 300        # characters
LONGEST_REASON = 200


class Seen(Protocol):
    """How TLS went on one connection to a mail server of a domain, under one of its policies."""

    @property
    def time(self) -> float:
        """When, in seconds since the epoch."""

    @property
    def domain(self) -> str:
        """Whose policy it is, in A-labels."""

    @property
    def policy_type(self) -> str:
        """Of sts, tlsa, no-policy-found."""

    @property
    def policy(self) -> Sequence[str]:
        """The lines of an STS policy, or TLSA records."""

    @property
    def patterns(self) -> Sequence[str]:
        """Of MX in an STS policy."""

    @property
    def result(self) -> str:
        """A result type of RFC 8460 4.3; "" went well."""

    @property
    def mx(self) -> str:
        """The name of the mail server."""

    @property
    def source(self) -> str:
        """Our IP address."""

    @property
    def address(self) -> str:
        """The IP address of the mail server."""

    @property
    def reason(self) -> str:
        """In words, or a code."""


class Records:
    """Counts sessions, while `outbound` wants it, until they are written down.

    All methods are for the reactor's thread.
    """

    def __init__(self, database: Database, world: World, outbound: Callable[[], Outbound]) -> None:
        self._outbound = outbound
        self._database = database
        self._world = world
        self._waiting: Counter[Kind] = Counter()
        self._lost = 0
        self._writing = DeferredLock()
        self._call = LoopingCall(self.flush)
        self._call.clock = world.clock

    def start(self) -> None:
        """Begin to write down what is noted."""
        self._call.start(EVERY, now=False)

    async def stop(self) -> None:
        """Write down what is left, before the database stops."""
        if self._call.running:
            self._call.stop()
        await self.flush()

    def note(self, seen: Seen) -> None:
        """Count one.  Sessions that carried nothing but reports do not count (RFC 8460 3): do not note them."""
        if not seen.domain or not self._outbound().reports_tls:
            return
        kind = _kind(seen)
        if kind in self._waiting or len(self._waiting) < MOST_WAITING:
            self._waiting[kind] += 1
        else:
            self._lost += 1

    async def flush(self) -> None:
        """Write down what waits; what cannot be written now goes on waiting.  Never raises."""
        await self._writing.acquire()
        try:
            if self._lost:
                log.warn("{count} TLS sessions are not counted: too many kinds in {seconds:g} s",
                         count=self._lost, seconds=EVERY)
                self._lost = 0
            taken, self._waiting = self._waiting, Counter()
            while taken:
                some = dict(islice(taken.items(), MOST_AT_ONCE))
                try:
                    await self._database.write(tlsresults.add_many, some, size=len(some) * 500)
                except Exception:
                    # A commit whose answer was lost counts twice, which harms nobody.
                    log.failure("TLS results are written down later")
                    self._waiting += taken
                    return
                for kind in some:
                    del taken[kind]
        finally:
            self._writing.release()


def _kind(seen: Seen) -> Kind:
    """What is kept of it: words that are known, addresses that are, texts that are not too long."""
    type = seen.policy_type if seen.policy_type in POLICIES else NO_POLICY
    policy = json.dumps([type, _strings(seen.policy), _strings(seen.patterns)])
    day, domain = int(seen.time // DAY), _clean(seen.domain, 255).lower().rstrip(".")
    if not seen.result:
        return Kind(day, domain, policy, SUCCESS)
    return Kind(
        day, domain, policy, seen.result if seen.result in RESULTS else UNKNOWN,
        _clean(seen.mx, 255).lower().rstrip("."), _address(seen.address), _address(seen.source),
        _clean(seen.reason, LONGEST_REASON),
    )


def _strings(strings: Sequence[str]) -> list[str]:
    return [_clean(each, LONGEST_STRING) for each in strings[:MOST_STRINGS]]


def _clean(text: str, longest: int) -> str:
    """Words of strangers, in a line, as every database takes them."""
    return "".join(each if each.isprintable() else " " for each in text[:longest])


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return ""
