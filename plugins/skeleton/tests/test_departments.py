"""Who works where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from mailserver_skeleton.departments import Departments, DepartmentsOptions

from mailserver.address import Address
from mailserver.destination import Destination, Forward
from mailserver.options import structure_all
from mailserver.testing import ForwarderContract, PluginCase, answer

ANN, BOB = Address("ann", "example.org"), Address("bob", "example.org")


class DepartmentsTests(ForwarderContract, PluginCase):
    """What every forwarder has to do, and what this one does."""

    plugin = Departments
    table: ClassVar = {
        "people": {"Sales@Example.Org": ["ann@example.org", "bob@example.org"], "nowhere@example.org": []}
    }

    async def ask(self, address: str) -> Sequence[Destination] | None:
        """Where it sends mail for an address."""
        found: Sequence[Destination] | None = await answer(self.build().forward(Address.parse(address)))
        return found

    async def test_department(self) -> None:
        self.assertEqual(await self.ask("sales@example.org"), (Forward(ANN), Forward(BOB)))

    async def test_nobody_works_there(self) -> None:
        """Its mail is taken and dropped."""
        self.assertEqual(await self.ask("nowhere@example.org"), ())

    async def test_others(self) -> None:
        self.assertIsNone(await self.ask("ann@example.org"))

    def test_bad_address(self) -> None:
        [mistake] = structure_all(DepartmentsOptions, {"people": {"sales": []}})[1]
        self.assertIn("'sales' is no address", mistake.sentence)
        self.assertEqual(mistake.key, "people")
