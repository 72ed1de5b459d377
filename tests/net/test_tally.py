"""Counts and buckets, of one process and of several."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailserver.net.tally import SETS, SLOT, WAYS, Private, Shared

CHILD = """
import sys, time
from pathlib import Path
from mailserver.net.tally import Shared
tally = Shared(Path(sys.argv[1]), int(sys.argv[2]), time.monotonic)
print(sum(tally.take("bucket", 500, 0) for _ in range(400)), sum(tally.enter("open", 300) for _ in range(200)))
"""


class TallyTests(SynchronousTestCase):
    """What both kinds do."""

    def both(self, **how: Any) -> list[Any]:
        self.clock = Clock()
        shared = Shared(Path(self.mktemp()), 0, self.clock.seconds)
        self.addCleanup(shared.close)
        return [Private(self.clock.seconds), shared]

    def test_open(self) -> None:
        """As many as may be; who leaves makes room; who never entered does no harm."""
        for tally in self.both():
            self.assertEqual([tally.enter("a", 2) for _ in range(3)], [True, True, False])
            self.assertTrue(tally.enter("b", 2))
            tally.leave("a")
            self.assertEqual([tally.enter("a", 2) for _ in range(2)], [True, False])
            for _ in range(5):
                tally.leave("a")
            self.assertEqual([tally.enter("a", 2) for _ in range(3)], [True, True, False])
            tally.clear(0)
            self.assertTrue(tally.enter("a", 2))

    def test_buckets(self) -> None:
        """Full at first, filled by time, and never above their size; looking takes nothing."""
        for tally in self.both():
            self.assertEqual([tally.take("a", 2, 0.5) for _ in range(3)], [True, True, False])
            self.assertFalse(tally.has("a", 2, 0.5))
            self.assertTrue(tally.has("b", 2, 0.5))
            self.clock.advance(2)
            self.assertTrue(tally.has("a", 2, 0.5))
            self.assertEqual([tally.take("a", 2, 0.5) for _ in range(2)], [True, False])
            self.clock.advance(1000)
            self.assertEqual([tally.take("a", 2, 0.5) for _ in range(3)], [True, True, False])

    def test_together(self) -> None:
        """One key may be counted and have a bucket."""
        for tally in self.both():
            self.assertTrue(tally.enter("a", 1))
            self.assertEqual([tally.take("a", 2, 0.0) for _ in range(3)], [True, True, False])
            self.assertFalse(tally.enter("a", 1))

    def test_bounded(self) -> None:
        """However many come, there is no more room than there is; what is open is not forgotten."""
        private, shared = self.both()
        private = Private(self.clock.seconds, most=100)
        for tally, count in ((private, 1000), (shared, 3000)):
            self.assertTrue(tally.enter("open", 1))
            for number in range(count):
                self.clock.advance(1)
                self.assertTrue(tally.take(str(number), 1, 0.0))
            self.assertFalse(tally.enter("open", 1))
        self.assertEqual(len(private._buckets), 100)
        self.assertEqual(len(shared._map), SETS * WAYS * SLOT)


class SeveralTests(SynchronousTestCase):
    """Real processes on one file."""

    def test_shared(self) -> None:
        """What one has taken another has not, and what a dead one had open is free once somebody says so."""
        path = Path(self.mktemp())
        children = [
            subprocess.Popen(
                [sys.executable, "-c", CHILD, str(path), str(number)], stdout=subprocess.PIPE, text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
            for number in (1, 2)
        ]
        told = [tuple(map(int, child.communicate(timeout=60)[0].split())) for child in children]
        self.assertEqual([sum(each) for each in zip(*told, strict=True)], [500, 300])
        tally = Shared(path, 0, time.monotonic)
        self.addCleanup(tally.close)
        self.assertFalse(tally.enter("open", 300))
        tally.clear(1)
        self.assertEqual(sum(tally.enter("open", 300) for _ in range(300)), told[0][1])
