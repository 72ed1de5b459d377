"""Logins from a file."""

from __future__ import annotations

from typing import ClassVar

from mailserver_skeleton.passfile import HASHER, Passfile

from mailserver.address import Address
from mailserver.errors import TemporaryFailure
from mailserver.testing import AuthenticatorContract, PluginCase, a_client, answer

LINE = f"bob@example.org:{HASHER.hash('secret')}\n"


class PassfileTests(AuthenticatorContract, PluginCase):
    """What every authenticator has to do, and what this one does."""

    plugin = Passfile
    table: ClassVar = {"file": "people"}
    right = ("bob@example.org", "secret", "bob@example.org")

    def setUp(self) -> None:
        super().setUp()
        self.server.data.mkdir(parents=True)
        self.file = self.server.data / "people"
        self.file.write_text(LINE)

    async def check(self, name: str, password: str) -> Address | None:
        """Whose login this is."""
        found: Address | None = await answer(self.build().check(name, password, a_client()))
        return found

    async def test_new_line(self) -> None:
        """The file is read anew each time."""
        self.assertIsNone(await self.check("ann@example.org", "secret"))
        self.file.write_text(LINE + LINE.replace("bob", "ann"))
        self.assertEqual(await self.check("ann@example.org", "secret"), Address("ann", "example.org"))

    async def test_nobody(self) -> None:
        """The password of nobody opens no door."""
        self.assertIsNone(await self.check("nobody", "nobody"))

    async def test_broken_line(self) -> None:
        self.file.write_text("bob@example.org:secret\nno colon\n\n")
        self.assertIsNone(await self.check("bob@example.org", "secret"))

    async def test_no_file(self) -> None:
        """Nobody is told that a password is wrong which may be right."""
        self.file.unlink()
        with self.assertRaises(TemporaryFailure):
            await self.check("bob@example.org", "secret")
