"""What one process counts while it works: plain numbers, which somebody reads when he is asked to."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

# name: rows of label values with a number behind them, as JSON has it
Told: TypeAlias = dict[str, list[list[Any]]]

SLOT = 5.0                  # seconds that are one step of a pace
SLOTS = 12                  # a minute
DELIVERY = (1.0, 5.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 4 * 3600.0, 86400.0, 5 * 86400.0)       # seconds


class Spread:
    """How often a number was at most so much: a histogram with fixed bounds."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """One more."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def told(self) -> list[list[Any]]:
        """Rows: each bound with how many were below it and above the one before, then "sum"."""
        bounds = [*map(str, self.bounds), "inf"]
        return [[bound, count] for bound, count in zip(bounds, self.counts, strict=True)] + [["sum", self.total]]


class Pace:
    """How many things happened in the last minute, by name.  It remembers no more names than that minute had."""

    __slots__ = ("_slots",)

    def __init__(self) -> None:
        self._slots: deque[tuple[int, Counter[str]]] = deque(maxlen=SLOTS)

    def add(self, name: str, now: float) -> None:
        """One more; `now` is in seconds."""
        slot = int(now / SLOT)
        if not self._slots or self._slots[-1][0] != slot:
            self._slots.append((slot, Counter()))
        self._slots[-1][1][name] += 1

    def told(self, now: float) -> dict[str, int]:
        """How many of each there were."""
        found: Counter[str] = Counter()
        oldest = int(now / SLOT) - SLOTS
        for slot, counted in self._slots:
            if slot > oldest:
                found.update(counted)
        return dict(found)


class Figures:
    """The counters that sessions and deliveries turn; labels are from lists of ours, so their number is bounded."""

    __slots__ = ("attempts", "auth", "commands", "delivery_seconds", "messages", "pace", "rejections")

    def __init__(self) -> None:
        self.commands: Counter[tuple[str, str, int | str]] = Counter()  # service, verb, code
        self.messages: Counter[tuple[str, str]] = Counter()             # service, result
        self.rejections: Counter[tuple[str, str, int]] = Counter()      # stage, plugin, code
        self.auth: Counter[tuple[str, str, str]] = Counter()            # service, mechanism, result
        self.attempts: Counter[tuple[str, str]] = Counter()             # result, TLS version
        self.delivery_seconds = Spread(DELIVERY)                        # from acceptance to delivery
        self.pace = Pace()                                              # of deliveries, by lane

    def told(self) -> Told:
        """All but the pace."""
        return {
            "commands": rows(self.commands), "messages_received": rows(self.messages),
            "rejections": rows(self.rejections), "auth": rows(self.auth), "delivery_attempts": rows(self.attempts),
            "delivery_seconds": self.delivery_seconds.told(),
        }


def rows(counter: Mapping[Any, float]) -> list[list[Any]]:
    """A counter by tuples, as JSON has it."""
    return [[*key, value] for key, value in counter.items()]


def merged(told: Iterable[Told], most: Iterable[str] = ()) -> Told:
    """The sums of what several processes told; of what is in `most` the largest."""
    largest = frozenset(most)
    found: dict[str, dict[tuple[Any, ...], Any]] = {}
    for each in told:
        for name, lines in each.items():
            known = found.setdefault(name, {})
            for *labels, value in lines:
                key = tuple(labels)
                if key not in known:
                    known[key] = value
                else:
                    known[key] = max(known[key], value) if name in largest else known[key] + value
    return {name: rows(known) for name, known in found.items()}
