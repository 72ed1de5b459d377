"""What did not reach whom."""

from __future__ import annotations

from typing import Any

from mailserver_skeleton.diary import Diary

from mailserver.events import Event
from mailserver.testing import ListenerContract, PluginCase, answer


class DiaryTests(ListenerContract, PluginCase):
    """What every listener has to do, and what this one does."""

    plugin = Diary

    async def hear(self, *events: Event, **table: str) -> None:
        await answer(self.build(**table).happened(events))

    def bounce(self, at: float = 0.0, **more: Any) -> Event:
        return Event("bounced", 1, at, "alice@example.net", "bob@example.org", more)

    def written(self, name: str = "failures.txt") -> list[str]:
        return (self.server.data / "diary" / name).read_bytes().decode("utf-8").split("\n")[:-1]

    async def test_lines(self) -> None:
        await self.hear(self.bounce(reply="550 5.1.1 No such user"), self.bounce(60.0))
        first, second = self.written()
        whose = "<bob@example.org> did not get mail from <alice@example.net>"
        self.assertEqual(first, f"1970-01-01T00:00:00+00:00 {whose}: 550 5.1.1 No such user")
        self.assertEqual(second, f"1970-01-01T00:01:00+00:00 {whose}: nobody knows why")

    async def test_another_file(self) -> None:
        await self.hear(self.bounce(), file="gone.txt")
        await self.hear(self.bounce(), file="gone.txt")
        self.assertEqual(len(self.written("gone.txt")), 2)
