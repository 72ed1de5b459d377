"""The filters in their configured order, asked stage by stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.logger import Logger

from mailserver.address import Address
from mailserver.envelope import Origin
from mailserver.errors import TemporaryFailure
from mailserver.hooks import Asked, Broken, Counts
from mailserver.ident import spell
from mailserver.reply import NOT_NOW, Reply
from mailserver.story import Story
from mailserver.verdict import (
    Accept,
    AddHeader,
    Defer,
    Discard,
    Pause,
    Quarantine,
    Reject,
    RemoveHeader,
    Rewrite,
    Score,
    check,
)

log = Logger()

STAGES = ("connected", "hello", "sender", "recipient", "content")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What all filters of a stage said together; the first refusal or discard ends the stage."""

    refusal: Reply | None = None
    discard: str | None = None
    quarantine: str | None = None
    rewrite: Address | None = None
    score: float = 0.0
    add: tuple[AddHeader, ...] = ()
    remove: tuple[RemoveHeader, ...] = ()
    pause: float = 0.0              # seconds before the greeting


NOTHING = Outcome()


class Pipeline:
    """Runs the stages.  Which filters have which hooks is worked out once: a stage that nobody asked for is free."""

    def __init__(self, filters: Sequence[Asked], clock: Any) -> None:
        self.filters = tuple(filters)
        self._clock = clock
        self.rejections: Counter[tuple[str, str, int]] = Counter()          # stage, plugin, code
        self.spent: dict[tuple[str, str], list[float]] = {}                # plugin, stage: calls, seconds
        self._hooks: dict[tuple[str, Origin | None], list[tuple[Asked, Callable[..., Any], list[float]]]] = {}
        for stage in STAGES:
            for each in self.filters:
                if hasattr(each.plugin, stage):
                    self.spent.setdefault((each.name, stage), [0, 0.0])
            for origin in (None, *Origin):
                self._hooks[stage, origin] = [
                    (each, getattr(each.plugin, stage), self.spent[each.name, stage])
                    for each in self.filters
                    if hasattr(each.plugin, stage) and (origin is None or origin in each.plugin.origins)
                ]

    def asks(self, stage: str, origin: Origin | None = None) -> bool:
        """Whether any filter has a hook for this stage."""
        return bool(self._hooks[stage, origin])

    def counts(self) -> list[tuple[str, Counts]]:
        """What each filter was asked, how long it took and what it said, since the start; in their order."""
        return [(each.name, each.counts) for each in self.filters]

    async def run(
        self, stage: str, origin: Origin | None, story: Story, *args: Any, about: str = "", dry: bool = False
    ) -> Outcome:
        """Ask each filter; every answer stands in the story afterwards.

        `origin` is None before it is known (connected, hello).  `about` is whom a verdict of this stage speaks of.
        With `dry`, filters that cannot be asked without consequences are not asked.
        """
        gathered = _Gathered()
        seconds = self._clock.seconds
        for asked, hook, spent in self._hooks[stage, origin]:
            began = seconds()
            if dry and not getattr(asked.plugin, "dry", False):
                story.verdict(stage, asked.name, 0.0, "not asked", about)
                continue
            try:
                said = await asked.ask(hook, *args, check=check)
                words = gathered.take(asked, said)
            except TemporaryFailure as failure:
                words = str(failure) if isinstance(failure, Broken) else f"not now: {failure}"
                log.warn("{id}: {stage}: {words}", id=spell(story.id), stage=stage, words=words)
                if not asked.skips:
                    gathered.refusal = NOT_NOW
                    gathered.over = True
            took = seconds() - began
            spent[0] += 1
            spent[1] += took
            story.verdict(stage, asked.name, took * 1000, words, about)
            if gathered.over:
                if gathered.refusal is not None:
                    self.rejections[stage, asked.name, gathered.refusal.code] += 1
                break
        return gathered.outcome()


class _Gathered:
    """An outcome while it grows."""

    __slots__ = ("add", "discard", "over", "pause", "quarantine", "refusal", "remove", "rewrite", "score", "touched")

    def __init__(self) -> None:
        self.refusal: Reply | None = None
        self.discard: str | None = None
        self.quarantine: str | None = None
        self.rewrite: Address | None = None
        self.score = 0.0
        self.add: tuple[AddHeader, ...] = ()
        self.remove: tuple[RemoveHeader, ...] = ()
        self.pause = 0.0
        self.over = False
        self.touched = False

    def take(self, asked: Asked, said: Any) -> str:
        """Note what a filter said, and put it in words."""
        if said is None or said == [] or said == ():
            return "no opinion"
        self.touched = True
        if isinstance(said, (list, tuple)):
            return ", ".join([self._one(asked, each) for each in said])
        return self._one(asked, said)

    def _one(self, asked: Asked, verdict: Any) -> str:
        kind, words = self._note(verdict)
        asked.counts.verdicts[kind] += 1
        return f"{kind}{words}"

    def _note(self, verdict: Any) -> tuple[str, str]:
        match verdict:
            case Accept():
                self.over = True
                return "accept", ""
            case Reject(reply):
                self._refuse(reply)
                return "reject", f" {reply}"
            case Defer(reply):
                self._refuse(reply)
                return "defer", f" {reply}"
            case Discard(why):
                self.discard, self.over = self.discard or why, True
                return "discard", f": {why}"
            case Quarantine(why):
                self.quarantine = self.quarantine or why
                return "quarantine", f": {why}"
            case Rewrite(address):
                self.rewrite = address
                return "rewrite", f" to {address}"
            case Score(points, why):
                self.score += points
                return "score", f" {points:+g}: {why}"
            case AddHeader(name, value):
                self.add += (verdict,)
                return "add header", f" {name}: {value}"
            case RemoveHeader(name, which):
                self.remove += (verdict,)
                return "remove header", f" {name}" + ("" if which is None else f" number {which}")
            case Pause(seconds, why):
                self.pause = max(self.pause, seconds)
                return "pause", f" {seconds:g} s: {why}"
        raise AssertionError(verdict)

    def _refuse(self, reply: Reply) -> None:
        self.refusal, self.over = self.refusal or reply, True

    def outcome(self) -> Outcome:
        if not self.touched and self.refusal is None:
            return NOTHING
        return Outcome(
            self.refusal, self.discard, self.quarantine, self.rewrite, self.score, self.add, self.remove, self.pause
        )
