"""Plain numbers: counted, told, and summed."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailserver.figures import Figures, Pace, Spread, merged


class FigureTests(SynchronousTestCase):
    def test_merged(self) -> None:
        """What two processes counted is one sum; of a few things the worst is what counts."""
        one = {"commands": [["smtp", "MAIL", 250, 3]], "lag": [[0.5]], "auth": [["smtp", "PLAIN", "wrong", 1]]}
        two = {"commands": [["smtp", "MAIL", 250, 4], ["smtp", "MAIL", 550, 1]], "lag": [[0.1]]}
        self.assertEqual(merged([one, two], ["lag"]), {
            "commands": [["smtp", "MAIL", 250, 7], ["smtp", "MAIL", 550, 1]], "lag": [[0.5]],
            "auth": [["smtp", "PLAIN", "wrong", 1]],
        })

    def test_spread(self) -> None:
        spread = Spread((1.0, 10.0))
        for value in (0.5, 1.0, 2.0, 99.0):
            spread.add(value)
        self.assertEqual(spread.told(), [["1.0", 2], ["10.0", 1], ["inf", 1], ["sum", 102.5]])

    def test_pace(self) -> None:
        """So many in the last minute; it forgets the rest, and their names."""
        pace = Pace()
        for now in (0.0, 1.0, 30.0):
            pace.add("example.com", now)
        self.assertEqual(pace.told(30.0), {"example.com": 3})
        self.assertEqual(pace.told(62.0), {"example.com": 1})
        self.assertEqual(pace.told(100.0), {})
        for number in range(1000):
            pace.add(f"d{number}.example", 100.0 + number * 5)
        self.assertEqual(len(pace.told(100.0 + 999 * 5)), 12)

    def test_told(self) -> None:
        figures = Figures()
        figures.commands["smtp", "MAIL", 250] += 1
        self.assertEqual(figures.told()["commands"], [["smtp", "MAIL", 250, 1]])
