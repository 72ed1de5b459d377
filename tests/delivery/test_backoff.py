"""When it is tried again."""

import random

from twisted.trial.unittest import SynchronousTestCase

from mailserver.delivery.backoff import Backoff


class BackoffTests(SynchronousTestCase):
    def test_doubling(self) -> None:
        """Twice as long each time, up to the longest; and shaken by a tenth."""
        backoff = Backoff(first=100, longest=1000, random=random.Random(1))
        for attempts, wait in enumerate((100, 200, 400, 800, 1000, 1000)):
            waits = [backoff.wait(attempts) for _ in range(200)]
            self.assertGreaterEqual(min(waits), wait * 0.9)
            self.assertLessEqual(max(waits), wait * 1.1)
            self.assertGreater(max(waits) - min(waits), wait * 0.15)

    def test_for_ever(self) -> None:
        self.assertLessEqual(Backoff(first=1, longest=60).wait(10**9), 66)
