"""Memory of who always had TLS: when it is gone all of a sudden, mail waits before it goes in the clear (RFC 7435)."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

from twisted.logger import Logger

from mailserver.delivery.tls.outcome import CLEAR, SECURED, Outcome
from mailserver.store import tls
from mailserver.store.database import Database
from mailserver.store.tls import Remembered
from mailserver.world import World

log = Logger()

OFTEN = 3                   # connections with TLS, and none without, until a domain is known for it
PATIENCE = 86400.0          # seconds without TLS until it gets mail in the clear again
AGAIN = 3600.0              # seconds until it is written down again that there was TLS
MOST = 10_000               # domains of which it is known here that this was written down


def held(remembered: Remembered, now: float) -> tuple[bool, str]:
    """Whether mail waits rather than going in the clear, and the reason in words; "" when nothing is to be said."""
    if remembered.times < OFTEN:
        return False, ""
    if not remembered.missing:
        return True, f"{remembered.domain} has had TLS each time since {_date(remembered.since)}"
    end = remembered.missing + PATIENCE
    if now < end:
        return True, (
            f"{remembered.domain} had TLS each time until {_date(remembered.missing)},"
            f" so it gets no mail in the clear before {_date(end)}"
        )
    return False, f"{remembered.domain} had TLS each time until {_date(remembered.missing)}, and has none for a day"


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


class Memory:
    """Writes down what was seen."""

    def __init__(self, database: Database, world: World) -> None:
        self._database = database
        self._world = world
        self._written: OrderedDict[str, tuple[int, float]] = OrderedDict()     # times, and when the last was

    def note(self, domain: str, remembered: Remembered | None, level: str, outcome: Outcome) -> None:
        """One connection to a server of `domain`, about which `remembered` was known before."""
        if outcome.kind == SECURED or outcome.is_unproven:
            self._had(domain, remembered, level, outcome)
        elif remembered is None and domain not in self._written:
            return                          # nothing is known that could be wrong now
        elif outcome.kind == CLEAR:
            self._written.pop(domain, None)
            self._write(tls.forget_memory, domain)
        elif remembered is not None and not remembered.missing:
            self._written.pop(domain, None)
            self._write(tls.missed, domain, self._world.now(), outcome.reason)

    def _had(self, domain: str, remembered: Remembered | None, level: str, outcome: Outcome) -> None:
        """The first times are counted; later it is written once an hour, and when it comes back."""
        now = self._world.now()
        times, last = self._written.get(domain, (remembered.times, remembered.last) if remembered else (0, 0.0))
        is_back = remembered is not None and remembered.missing > 0
        if times >= OFTEN and now - last < AGAIN and not is_back:
            return
        self._written[domain] = times + 1, now
        self._written.move_to_end(domain)
        while len(self._written) > MOST:
            self._written.popitem(last=False)
        self._write(tls.had, domain, now, level, outcome.tls)

    def _write(self, job: Any, *args: Any) -> None:
        try:
            self._database.write(job, *args).addErrback(self._failed)
        except Exception:                   # the server is stopping
            self._failed(None)

    def _failed(self, failure: Any) -> None:
        log.failure("what TLS a domain has was not written down", failure)
