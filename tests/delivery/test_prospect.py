"""What sending would do, as explain tells it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert

from mailserver.address import Address
from mailserver.config import Outbound
from mailserver.delivery.prospect import Prospect, waits
from mailserver.destination import Remote
from mailserver.store.schema import destination
from tests.delivery.house import ALICE, HOSTNAME, HouseCase


class WayTests(HouseCase):
    async def to(self, address: str, host: str | None = None, **outbound: Any) -> dict[str, Any]:
        way = Prospect(Outbound(**outbound), self.world, HOSTNAME, self.database)
        return await way.to(Remote(Address.parse(address), host), ALICE, "")

    async def test_mx(self) -> None:
        """The hosts in the order in which they would be tried, with what the DNS says of that."""
        self.names.add("example.com", "MX", "20 b.example.com.", "10 a.example.com.")
        self.names.add("a.example.com", "A", "192.0.2.1")
        self.names.add("a.example.com", "AAAA", "2001:db8::1")
        self.names.add("b.example.com", "A", "192.0.2.2")
        told = await self.to("x@example.com")
        self.assertEqual((told["by"], told["lane"], told["error"]), ("MX", "example.com", ""))
        hosts = [(each["preference"], each["name"], each["port"], each["addresses"]) for each in told["hosts"]]
        self.assertEqual(hosts, [
            (10, "a.example.com", 25, ["2001:db8::1", "192.0.2.1"]), (20, "b.example.com", 25, ["192.0.2.2"]),
        ])

    async def test_no_way(self) -> None:
        self.names.fail("silent.example")
        self.assertRegex((await self.to("x@silent.example"))["error"], "^not now: ")
        self.assertRegex((await self.to("x@nowhere.example"))["error"], "^never: .* does not exist")
        self.assertRegex((await self.to("x@example.com", enabled=False))["error"], "^never: this server sends no mail")

    async def test_others(self) -> None:
        told = await self.to("x@[192.0.2.7]")
        self.assertEqual((told["by"], told["hosts"][0]["addresses"]), ("address", ["192.0.2.7"]))
        told = await self.to("x@example.com", "tls:127.0.0.1:465")
        self.assertEqual((told["by"], told["hosts"][0]["tls"]), ("a forwarder's host", "implicit"))

    async def test_it_rests(self) -> None:
        values = {
            "until": self.world.now() + 600, "rule": "unreachable", "why": "connection refused", "since": 0.0,
            "failures": 1, "connections": 0,
        }
        await self.database.write(
            lambda connection: connection.execute(insert(destination).values(name="example.com", **values)) and None
        )
        told = await self.to("x@example.com")
        self.assertRegex(told["rests"], r"^destination rests until \d\d:\d\d: unreachable: connection refused$")

    def test_waits(self) -> None:
        self.assertEqual(list(waits(Outbound(retry_first=60, retry_longest=200))), [60, 120, 200])
        self.assertEqual(list(waits(Outbound(retry_first=300, retry_longest=60))), [60])
        self.assertEqual(list(waits(Outbound(retry=(5.0, 9.0)))), [5.0, 9.0])
