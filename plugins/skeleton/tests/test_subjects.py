"""Words in subjects."""

from __future__ import annotations

from typing import ClassVar

from mailserver_skeleton.subjects import Subjects

from mailserver.content import Content
from mailserver.testing import FilterContract, PluginCase, a_client, an_envelope, answer
from mailserver.verdict import Quarantine, Reject, Verdicts


class SubjectsTests(FilterContract, PluginCase):
    """What every filter has to do, and what this one does."""

    plugin = Subjects
    table: ClassVar = {"words": ["lottery", "gewinn"]}

    async def say(self, header: bytes, **table: str) -> Verdicts:
        """What it says about a message with this header."""
        content = Content.of(header + b"\r\n\r\nHello\r\n")
        return await answer(self.build(**table).content(a_client(), an_envelope(), content))

    async def test_other_subjects(self) -> None:
        self.assertIsNone(await self.say(b"Subject: lunch"))
        self.assertIsNone(await self.say(b"To: lottery@example.org"))

    async def test_junk(self) -> None:
        self.assertEqual(await self.say(b"Subject: THE LOTTERY!"), Quarantine("its subject speaks of 'lottery'"))

    async def test_encoded(self) -> None:
        self.assertIsInstance(await self.say(b"Subject: =?utf-8?q?Ihr_Gewi?=\r\n =?utf-8?q?nn?="), Quarantine)

    async def test_refused(self) -> None:
        self.assertIsInstance(await self.say(b"Subject: lottery", action="reject"), Reject)
