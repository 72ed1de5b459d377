"""What the benchmarks make of what they saw."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from benchmarks.attacks import ATTACKS
from benchmarks.hostile import Outcome, quantile
from benchmarks.larder import upstream
from benchmarks.sink import last_count
from benchmarks.table import Table, middle, most, ratio


class TableTest(TestCase):
    table = Table("Speed", ["", "messages\na second"], [["one", "1,000"], ["another", "-"]])

    def test_terminal(self) -> None:
        """Figures stand at the right, a head has as many lines as it needs."""
        lines = ["Speed", "         messages", "         a second", "one         1,000", "another         -", ""]
        self.assertEqual(self.table.as_text(), "\n".join(lines))

    def test_documentation(self) -> None:
        self.assertEqual(
            self.table.as_rst(),
            ".. list-table:: Speed\n   :header-rows: 1\n\n   * -\n     - messages a second\n"
            "   * - one\n     - 1,000\n   * - another\n     - -\n",
        )


class FiguresTest(TestCase):
    def test_middle_and_most(self) -> None:
        """What failed has no figure and does not count as nought."""
        self.assertEqual(middle([3.0, None, 1.0, 2.0], ".1f"), "2.0")
        self.assertEqual(most([3.0, None, 1.0], ".0f"), "3")
        self.assertEqual(middle([], ".1f"), "-")

    def test_ratio(self) -> None:
        """Against the best of the others, which is the lowest where less is better."""
        self.assertEqual(ratio([4.0], [[1.0], [2.0], []]), "2.00")
        self.assertEqual(ratio([4.0], [[1.0], [2.0]], lowest=True), "4.00")
        self.assertEqual(ratio([], [[1.0]]), "-")

    def test_quantile(self) -> None:
        values = [float(each) for each in range(1, 101)]
        self.assertEqual([quantile(values, part) for part in (0.5, 0.99, 1.0)], [50.0, 99.0, 100.0])
        self.assertEqual(quantile([7.0], 0.5), 7.0)


class SaidTest(TestCase):
    def test_versions_of_debian(self) -> None:
        for debian, ours in (
            ("4.96-15+deb12u10", "4.96"), ("1:2.3.19.1+dfsg1-2.1+deb12u7", "2.3.19.1"), ("6.8.0p2-4+b4", "6.8.0p2"),
        ):
            self.assertEqual(upstream(debian), ours)

    def test_count_of_the_sink(self) -> None:
        self.assertEqual(last_count(b"sess=1 quit=0 mesg=9\rsess=2 quit=1 mesg=10\r"), 10)
        self.assertEqual(last_count(b""), 0)


class OutcomeTest(TestCase):
    def outcome(self, waits: tuple[float, ...], growth: float = 1.0, trouble: str = "") -> Outcome:
        return Outcome(ATTACKS[0], waits, growth, 1000, 1000, 0, trouble)

    def test_kept(self) -> None:
        self.assertEqual(self.outcome((1.0, 99.0)).misses(100.0), [])

    def test_missed(self) -> None:
        """One late answer is late, and silence is not success."""
        self.assertEqual(self.outcome((1.0, 101.0), 300.0).misses(100.0), ["NOOP", "memory"])
        self.assertEqual(self.outcome(()).misses(100.0), ["the probe was not answered"])
        self.assertEqual(self.outcome((), trouble="the probe was sent away").misses(100.0), ["the probe was sent away"])
