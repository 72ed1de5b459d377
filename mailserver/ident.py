"""Identifiers of messages: one number, one spelling, ordered by time."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import lru_cache

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"       # Crockford's base 32: no I, L, O, U
_VALUES = {letter: number for number, letter in enumerate(_ALPHABET)} | {"O": 0, "I": 1, "L": 1}
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_WHOLE = re.compile(r"[0-9A-Za-z]{13}")
_LOW = 12                                            # bits below the microseconds


@lru_cache(maxsize=64)         # each is spelled in the log, the Received field, the trace and the reply
def spell(number: int) -> str:
    """The 13 characters that stand in replies, logs and commands for an id."""
    pairs = _PAIRS
    return (
        _ALPHABET[number >> 60 & 31]
        + pairs[number >> 50 & 1023] + pairs[number >> 40 & 1023] + pairs[number >> 30 & 1023]
        + pairs[number >> 20 & 1023] + pairs[number >> 10 & 1023] + pairs[number & 1023]
    )


def read(text: str) -> int:
    """The number that `spell` wrote; raises `ValueError` for anything else."""
    if _WHOLE.fullmatch(text) is None:
        raise ValueError(f"not an id: {text!r}")
    number = 0
    for letter in text.upper():
        if letter not in _VALUES:
            raise ValueError(f"not an id: {text!r}")
        number = number << 5 | _VALUES[letter]
    if number >> 63:
        raise ValueError(f"not an id: {text!r}")
    return number


def seconds(number: int) -> float:
    """When the id was made, in seconds since the epoch."""
    return (number >> _LOW) / 1e6


def first_at(time: float) -> int:
    """The least id that could be made at `time` (seconds since the epoch): bounds for "since"."""
    return max(0, int(time * 1e6)) << _LOW


class Ids:
    """Makes ids: microseconds since the epoch, then twelve bits that differ by process.  Never the same twice.

    `now` gives seconds since the epoch; a clock that stands still or jumps back does no harm.
    """

    __slots__ = ("_last", "_low", "_now")

    def __init__(self, now: Callable[[], float], process: int | None = None) -> None:
        self._now = now
        self._low = (os.getpid() if process is None else process) & (1 << _LOW) - 1
        self._last = 0

    def __call__(self) -> int:
        micros = int(self._now() * 1e6)
        if micros <= self._last:
            micros = self._last + 1
        self._last = micros
        return micros << _LOW | self._low
