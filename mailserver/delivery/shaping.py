"""What is learned of a destination from how it answers: it gets less at a time, or rests, and for how long.

A rule has a name and an end, which the operator sees with the words that led to it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailserver.delivery.classify import Kind
from mailserver.delivery.result import DELIVERED, Result
from mailserver.store.destinations import Learned

RECOVERY = 20           # deliveries after which a destination gets one connection more again
MOST = 20_000           # destinations of which something is known; the oldest are forgotten


@dataclass(frozen=True, slots=True)
class Rule:
    """After `patience` such failures in a row it rests for `first` seconds, doubling to `longest`.

    `halves`: it gets half as many connections at a time.
    """

    name: str
    patience: int
    first: float
    longest: float
    halves: bool = False


RULES: Mapping[Kind, Rule] = {
    Kind.UNREACHABLE: Rule("unreachable", 3, 60.0, 1800.0),
    Kind.BUSY: Rule("busy", 2, 60.0, 900.0, halves=True),
    Kind.RATE: Rule("rate", 1, 60.0, 1800.0, halves=True),
    Kind.REPUTATION: Rule("reputation", 2, 900.0, 4 * 3600.0),
}


class Shaping:
    """Remembers it; `changed` are the names of which something else is known than was written down."""

    def __init__(self, chance: random.Random) -> None:
        self._random = chance
        self._known: dict[str, Learned] = {}
        self._delivered: dict[str, int] = {}        # since the last change of connections
        self.changed: set[str] = set()

    def recall(self, learned: Sequence[Learned]) -> None:
        """What was written down before."""
        self._known.update((each.name, each) for each in learned)

    def rest(self, name: str, now: float) -> Learned | None:
        """The rule by which nothing is sent there now."""
        known = self._known.get(name)
        return known if known is not None and known.until > now else None

    def resting(self, now: float) -> set[str]:
        """All that rest."""
        return {name for name, known in self._known.items() if known.until > now}

    def connections(self, name: str, usual: int) -> int:
        """How many it gets at a time; while nothing has worked after a rest, one."""
        known = self._known.get(name)
        if known is None:
            return usual
        if known.until and known.failures:
            return 1
        return min(usual, known.connections or usual)

    def learn(self, name: str, usual: int, result: Result, kind: Kind | None, now: float) -> None:
        """One more result; `usual` is how many connections it would get."""
        if result.kind == DELIVERED:
            self._worked(name, usual)
            return
        rule = RULES.get(kind) if kind is not None else None
        if rule is None:
            if kind not in (None, Kind.UNKNOWN):
                self._answered(name)
            return
        known = self._known.get(name) or Learned(name, 0.0, "", "", now, 0, 0)
        if known.until > now:
            return                      # those that were under way when it began to rest
        failures = known.failures + 1 if known.rule in ("", rule.name) else 1
        until, connections = 0.0, known.connections
        if failures >= rule.patience:
            wait = min(rule.longest, rule.first * 2.0 ** min(failures - rule.patience, 20))
            until = now + wait * self._random.uniform(0.9, 1.1)
            if rule.halves:
                connections = max(1, (connections or usual) // 2)
        since = known.since if known.rule == rule.name else now
        self._put(Learned(name, until, rule.name, result.words[:200], since, failures, connections))

    def _worked(self, name: str, usual: int) -> None:
        known = self._known.get(name)
        if known is None:
            return
        connections = known.connections
        if connections:
            count = self._delivered[name] = self._delivered.get(name, 0) + 1
            if count >= RECOVERY:
                self._delivered[name] = 0
                connections += 1
        if not connections or connections >= usual:
            self.forget(name)
        elif known.failures or known.until or connections != known.connections:
            self._put(Learned(name, 0.0, known.rule, known.why, known.since, 0, connections))

    def _answered(self, name: str) -> None:
        """It can be talked to, whatever it said of this message."""
        known = self._known.get(name)
        if known is not None and known.rule == RULES[Kind.UNREACHABLE].name:
            self.forget(name)

    def forget(self, name: str) -> None:
        """Nothing is known of it any more."""
        self._delivered.pop(name, None)
        if self._known.pop(name, None) is not None:
            self.changed.add(name)

    def _put(self, learned: Learned) -> None:
        self._known.pop(learned.name, None)
        self._known[learned.name] = learned
        self.changed.add(learned.name)
        if len(self._known) > MOST:
            self.forget(next(iter(self._known)))

    def take_changed(self) -> tuple[list[Learned], list[str]]:
        """What is to be written down, and what is to be forgotten there."""
        changed, self.changed = self.changed, set()
        there = [self._known[name] for name in sorted(changed) if name in self._known]
        return there, sorted(changed - self._known.keys())
