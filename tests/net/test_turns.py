"""Whose turn it is."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from mailserver.net.turns import IN_ROUND, IN_TURN, Turns


class Rounds:
    """A reactor's rounds: what is asked for in one happens in the next (a Clock would do it in the same)."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def callLater(self, seconds: float, work: Callable[[], None]) -> None:
        self.calls.append(work)

    def go_on(self) -> None:
        calls, self.calls = self.calls, []
        for each in calls:
            each()


class TurnsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rounds = Rounds()
        self.turns = Turns(self.rounds)

    def answer(self) -> int:
        """How many commands one greedy connection answers in a turn."""
        answered = 1
        while not self.turns.is_over(answered):
            answered += 1
        return answered

    def test_turn(self) -> None:
        """So many, and then the next one; all together have a round's worth."""
        counts = [self.answer() for _ in range(IN_ROUND // IN_TURN + 5)]
        self.assertEqual(counts, [IN_TURN] * (IN_ROUND // IN_TURN) + [1] * 5)
        self.rounds.go_on()
        self.assertEqual(self.answer(), IN_TURN)

    def test_order(self) -> None:
        """Who waits is served in order, round by round, and nobody twice in one."""
        served: list[int] = []

        def again(number: int) -> None:
            served.append(number)
            self.answer()
            self.turns.next().addCallback(lambda _: again(number))

        for number in range(50):
            self.turns.next().addCallback(lambda _, number=number: again(number))
        for _ in range(5):
            self.rounds.go_on()
        self.assertEqual(served, [number % 50 for number in range(5 * IN_ROUND // IN_TURN)])

    def test_idle(self) -> None:
        """While nobody pipelines, nothing is scheduled."""
        self.turns.is_over(1)
        self.rounds.go_on()
        self.assertEqual(self.rounds.calls, [])
