"""What is measured of a server, gathered when somebody asks: what was counted, and what is so at this moment."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from OpenSSL import crypto
from sqlalchemy import Connection, text
from twisted.internet.task import LoopingCall

from mailserver.figures import Figures, Told, rows
from mailserver.hooks import Asked
from mailserver.net.conversations import Conversations
from mailserver.net.tls import Keys
from mailserver.rooms import Rooms
from mailserver.store import queue
from mailserver.store.database import Database

LARGEST = ("reactor_lag_seconds",)      # of these the largest of all processes counts, of the others the sum
LOOK = 1.0                  # seconds between two looks at how late the reactor is
LOOKS = 60                  # of them that are remembered
STALE = 10.0                # seconds after which the queue is counted anew
STALE_STORAGE = 300.0       # and the files


def of_process(
    figures: Figures, rooms: Rooms, conversations: Conversations, database: Database, lag: Lag | None, lost: int
) -> Told:
    """What one process has counted, and what is in it now."""
    asked: Iterable[Asked] = (*rooms.pipeline.filters, *rooms.router.forwarders, *rooms.authentication.authenticators,
                              *rooms.listeners)
    errors: Counter[str] = Counter()
    for each in asked:
        errors[each.name] += each.counts.errors
    told = figures.told()
    services = Counter(each.about().client.service for each in conversations)
    told |= {
        "connections": [[name, count] for name, count in services.items()],
        "plugin_errors": [[name, count] for name, count in errors.items()],
        "plugin_seconds": [
            line for (name, stage), (calls, seconds) in rooms.pipeline.spent.items()
            for line in ([name, stage, "count", calls], [name, stage, "sum", seconds])
        ],
        "commit_batch_size": [["count", database.writer.batches], ["sum", database.writer.jobs]],
        "events_lost": [[lost]],
    }
    told["rejections"] = told["rejections"] + rows(rooms.pipeline.rejections)
    if lag is not None:
        told["reactor_lag_seconds"] = [[lag.worst]]
    return told


class Lag:
    """How late the reactor comes to what it should do, in seconds: the worst of the last minute."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._late: deque[float] = deque(maxlen=LOOKS)
        self._expected = 0.0
        self._look = LoopingCall(self._looked)
        self._look.clock = clock

    def start(self) -> None:
        """Begin to look."""
        self._expected = self._clock.seconds() + LOOK
        self._look.start(LOOK, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._look.running:
            self._look.stop()

    def _looked(self) -> None:
        now = self._clock.seconds()
        self._late.append(max(0.0, now - self._expected))
        self._expected = now + LOOK

    @property
    def worst(self) -> float:
        return max(self._late, default=0.0)


class Stock:
    """What lies in the database and beside it, as it was a moment ago.  Its methods block."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._queue: tuple[float, dict[str, float]] | None = None
        self._storage: tuple[float, int] | None = None

    def told(self, now: float) -> Told:
        """Of all processes together; raises `mailserver.errors.TemporaryFailure` when the database cannot say."""
        if self._queue is None or not 0 <= now - self._queue[0] < STALE:
            with self.database.reading() as connection:
                self._queue = now, queue.totals(connection, now)
        if self._storage is None or not 0 <= now - self._storage[0] < STALE_STORAGE:
            with self.database.reading() as connection:
                self._storage = now, storage(connection, self.database)
        totals = self._queue[1]
        return {
            "queue_messages": [[state, totals[state]] for state in queue.STATES],
            "queue_oldest_seconds": [[totals["oldest"]]],
            "storage_bytes": [[self._storage[1]]],
        }


def storage(connection: Connection, database: Database) -> int:
    """Octets of the database and of the contents beside it."""
    size = _octets(database.contents)
    if not database.is_sqlite:
        return size + int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    file = database.file
    return size + sum(path.stat().st_size for path in (file, Path(f"{file}-wal")) if path.exists())


def _octets(folder: Path) -> int:
    total = 0
    for entry in os.scandir(folder):
        try:
            total += entry.stat().st_size
        except FileNotFoundError:
            continue            # it has just gone
    return total


def expiries(keys: Sequence[Keys], now: float) -> Told:
    """How long each certificate is good yet, by the first of its names; what is over is below zero."""
    lines = []
    for each in keys:
        certificate = crypto.load_certificate(crypto.FILETYPE_PEM, each.certificate).to_cryptography()
        name = each.names[0] if each.names else "default"
        lines.append([name, certificate.not_valid_after_utc.timestamp() - now])
    return {"tls_expiry_seconds": lines}
