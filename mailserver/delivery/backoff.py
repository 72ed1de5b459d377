"""When to try again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Backoff:
    """Doubling, capped, and shaken so that a restart does not retry all at once; in seconds."""

    first: float = 300.0
    longest: float = 4 * 3600.0
    random: random.Random = field(default_factory=random.SystemRandom)
    steps: Sequence[float] = ()         # waits one by one, in place of doubling; the last again and again

    def wait(self, attempts: int) -> float:
        """How long after the attempt that follows `attempts` others."""
        if self.steps:
            plain = self.steps[min(attempts, len(self.steps) - 1)]
        else:
            plain = min(self.longest, self.first * 2.0 ** min(attempts, 30))
        return plain * self.random.uniform(0.9, 1.1)
