"""How the work of a target grows with what is said: four times as much may not cost sixteen times the time."""

from __future__ import annotations

import time
from collections.abc import Callable

LEAST = 0.01        # seconds of CPU that the smaller one has to take, so that the clock's grain means nothing
MOST = 11.0         # times the time for four times the octets: between linear (4, and noise) and quadratic (16)
TRIES = 15
LARGEST = 1 << 20   # octets: four times as many still lie in a processor's cache


def grows(work: Callable[[bytes], object], pattern: bytes, head: bytes = b"") -> float:
    """How many times longer it takes for four times the repetitions of a pattern, in the best of some tries."""
    count = 1 + 4096 // len(pattern)
    while _seconds(work, head + pattern * count) < LEAST and count * len(pattern) < LARGEST:
        count *= 2
    best = MOST + 1
    for _ in range(TRIES):
        once = max(_seconds(work, head + pattern * count), 1e-6)
        more = _seconds(work, head + pattern * (4 * count))
        if more < 4 * LEAST:
            return 4.0          # megabytes in no time: what is quadratic takes minutes for them
        best = min(best, more / once)
        if best < MOST / 2:
            break
    if best >= MOST:
        # Where the larger one needs more memory than the process had, the system's work for that is a step, no slope:
        # what is quadratic grows as much below it.
        fourth = min(_seconds(work, head + pattern * (count // 4)) for _ in range(3))
        best = min(best, once / max(fourth, 1e-6))
    return best


def _seconds(work: Callable[[bytes], object], octets: bytes) -> float:
    began = time.thread_time()
    work(octets)
    return time.thread_time() - began
