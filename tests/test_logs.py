"""Log lines: one an event, whatever peers sent."""

from __future__ import annotations

from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mailserver.logs import line


class LineTests(SynchronousTestCase):
    """Events and their lines."""

    def told(self, format: str, **fields: object) -> str:
        events: list[dict[str, object]] = []
        Logger("mailserver.test", observer=events.append).emit(LogLevel.warn, format, **fields)  # type: ignore[arg-type]
        events[0]["log_time"] = 0.0
        return line(events[0])

    def test_plain(self) -> None:
        self.assertEqual(
            self.told("{count} left", count=3),
            'time=1970-01-01T00:00:00Z level=warn from=mailserver.test event="3 left" count=3\n',
        )

    def test_hostile(self) -> None:
        """Line ends, quotes, terminal escapes and format strings stay inside their quotes."""
        hello = 'x"\r\nlevel=critical \x1b]0;{log_time.__class__}\x07 ü'
        told = self.told("hello {name}", name=hello)
        self.assertEqual(told.count("\n"), 1)
        self.assertTrue(told.endswith("\n"))
        self.assertTrue(told.isascii())
        self.assertNotIn("\x1b", told)
        self.assertIn(r"{log_time.__class__}", told)

    def test_failure(self) -> None:
        try:
            raise ValueError("broken\nhere")
        except ValueError:
            told = self.told("it failed", log_failure=Failure())
        self.assertEqual(told.count("\n"), 1)
        self.assertIn(r"ValueError: broken\nhere", told)
