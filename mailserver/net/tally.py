"""Counts and token buckets by key, of bounded size: in memory for one process, in a mapped file for several.

A peer has as many keys as there are things that are counted of it.  Whoever was not seen for longest is forgotten
first: its bucket would be full again, and nothing of it is open.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

MOST_KEYS = 100_000
MOST_WORKERS = 64
SHARED = "limits"       # the name of the file, below the data


class Tally(Protocol):
    """What both kinds have."""

    def enter(self, key: str, most: int) -> bool:
        """Count one more that is open; False when there are `most`: then it is not counted."""

    def leave(self, key: str) -> None:
        """One that entered is gone."""

    def take(self, key: str, size: float, per_second: float) -> bool:
        """Take a token out of a bucket of `size` that fills by so much; False when there is none."""

    def has(self, key: str, size: float, per_second: float) -> bool:
        """Whether there is a token, which stays."""

    def clear(self, number: int) -> None:
        """The worker with this number has died: nothing is open of it."""


class Private:
    """Of one process."""

    def __init__(self, seconds: Callable[[], float], most: int = MOST_KEYS) -> None:
        self._seconds = seconds
        self._most = most
        self._open: dict[str, int] = {}
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()       # tokens, when

    def enter(self, key: str, most: int) -> bool:
        count = self._open.get(key, 0)
        if count >= most:
            return False
        self._open[key] = count + 1
        return True

    def leave(self, key: str) -> None:
        count = self._open.get(key, 0)
        if count > 1:
            self._open[key] = count - 1
        else:
            self._open.pop(key, None)

    def take(self, key: str, size: float, per_second: float) -> bool:
        now = self._seconds()
        tokens = self._tokens(self._buckets.pop(key, None), now, size, per_second)
        enough = tokens >= 1
        self._buckets[key] = (tokens - 1 if enough else tokens, now)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return enough

    def has(self, key: str, size: float, per_second: float) -> bool:
        return self._tokens(self._buckets.get(key), self._seconds(), size, per_second) >= 1

    @staticmethod
    def _tokens(found: tuple[float, float] | None, now: float, size: float, per_second: float) -> float:
        if found is None:
            return size
        return min(size, found[0] + (now - found[1]) * per_second)

    def clear(self, number: int) -> None:
        self._open.clear()


WAYS = 8                # slots among which a key has its place
_SLOT = struct.Struct("<Qdd")       # hash of the key, tokens, when last seen
_COUNTS = 2 * MOST_WORKERS          # octets: how many are open of each worker
SLOT = _SLOT.size + _COUNTS
SETS = 4096             # 32,768 keys, in five MiB


class Shared:
    """Of several processes of one machine: a file that all have mapped.

    Each set of slots has its own lock, a range of the file (fcntl), which the kernel gives back when its holder dies.
    `number` is ours among the workers; `seconds` must be the same clock for all (the monotonic one).  The master makes
    the file anew with `reset`.
    """

    def __init__(self, path: Path, number: int, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._number = number
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._file, SETS * WAYS * SLOT)
        self._map = mmap.mmap(self._file, SETS * WAYS * SLOT)

    @classmethod
    def reset(cls, path: Path) -> None:
        """Nobody has anything open: a file that an earlier server left is thrown away."""
        path.unlink(missing_ok=True)

    def close(self) -> None:
        """Give the file back."""
        self._map.close()
        os.close(self._file)

    def enter(self, key: str, most: int) -> bool:
        with self._slot(key) as place:
            if place is None:
                return True             # all eight have something open: a stranger more is let in
            if sum(self._counts(place)) >= most:
                return False
            self._add(place, 1)
            return True

    def leave(self, key: str) -> None:
        with self._slot(key) as place:
            if place is not None:
                self._add(place, -1)

    def take(self, key: str, size: float, per_second: float) -> bool:
        with self._slot(key) as place:
            if place is None:
                return True
            tokens = self._tokens(place, size, per_second)
            enough = tokens >= 1
            hash, _, _ = _SLOT.unpack_from(self._map, place)
            _SLOT.pack_into(self._map, place, hash, tokens - 1 if enough else tokens, self._seconds())
            return enough

    def has(self, key: str, size: float, per_second: float) -> bool:
        with self._slot(key) as place:
            return place is None or self._tokens(place, size, per_second) >= 1

    def clear(self, number: int) -> None:
        column = _SLOT.size + 2 * number
        for place in range(0, len(self._map), SLOT):
            self._map[place + column : place + column + 2] = b"\0\0"

    # -- slots

    def _tokens(self, place: int, size: float, per_second: float) -> float:
        _, tokens, seen = _SLOT.unpack_from(self._map, place)
        if tokens < 0:                  # new
            return size
        filled: float = tokens + (self._seconds() - seen) * per_second
        return min(size, filled)

    def _counts(self, place: int) -> tuple[int, ...]:
        return struct.unpack_from(f"<{MOST_WORKERS}H", self._map, place + _SLOT.size)

    def _add(self, place: int, one: int) -> None:
        column = place + _SLOT.size + 2 * self._number
        [count] = struct.unpack_from("<H", self._map, column)
        struct.pack_into("<H", self._map, column, max(0, min(0xFFFF, count + one)))
        hash, tokens, _ = _SLOT.unpack_from(self._map, place)
        if tokens < 0:
            _SLOT.pack_into(self._map, place, hash, tokens, self._seconds())

    @contextmanager
    def _slot(self, key: str) -> Iterator[int | None]:
        """The slot of a key, locked, which is made when there is none; None: there is no room for it."""
        hash = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little") or 1
        start = hash % SETS * WAYS * SLOT
        fcntl.lockf(self._file, fcntl.LOCK_EX, WAYS * SLOT, start)
        try:
            yield self._find(hash, start)
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, WAYS * SLOT, start)

    def _find(self, hash: int, start: int) -> int | None:
        oldest: tuple[float, int] | None = None
        for place in range(start, start + WAYS * SLOT, SLOT):
            found, _, seen = _SLOT.unpack_from(self._map, place)
            if found == hash:
                return place
            if not found:
                seen = float("-inf")
            elif any(self._counts(place)):
                continue
            if oldest is None or seen < oldest[0]:
                oldest = seen, place
        if oldest is None:
            return None
        place = oldest[1]
        self._map[place : place + SLOT] = bytes(SLOT)
        _SLOT.pack_into(self._map, place, hash, -1.0, self._seconds())
        return place
