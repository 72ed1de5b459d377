"""Which hosts take the mail of a domain."""

from __future__ import annotations

import random
from typing import Any

from twisted.trial.unittest import TestCase

from mailserver.address import Address, domain_key
from mailserver.config import Outbound
from mailserver.delivery.hosts import MOST_EXCHANGES, Hosts
from mailserver.delivery.lanes import Lanes
from mailserver.delivery.result import Unroutable
from mailserver.errors import TemporaryFailure
from mailserver.net.connect import Host
from mailserver.testing import Names


class HostsTests(TestCase):
    def setUp(self) -> None:
        self.names = Names()
        self.random = random.Random(3)

    async def find(self, target: str = "bob@example.com", place: str = "", **outbound: Any) -> list[Host]:
        hosts = Hosts(Outbound(**outbound), self.names, "us.example.org", self.random)
        domain = domain_key(Address.parse(target).domain)
        return await hosts.find(domain, Lanes(Outbound(**outbound)).route(domain, place, "", "").host)

    async def names_of(self, **outbound: Any) -> list[str]:
        return [host.name for host in await self.find(**outbound)]

    async def refused(self, words: str, status: str, target: str = "bob@example.com", **outbound: Any) -> None:
        with self.assertRaisesRegex(Unroutable, words) as caught:
            await self.find(target, **outbound)
        self.assertEqual(caught.exception.detail, status)

    # -- by MX

    async def test_by_preference(self) -> None:
        """The lowest first; equal ones in turns of chance; of both families of addresses IPv6 begins."""
        self.names.add("example.com", "MX", "20 c.example.com.", "10 a.example.com.", "10 b.example.com.")
        for number, name in enumerate("abc"):
            self.names.add(f"{name}.example.com", "A", f"192.0.2.{number}", f"192.0.2.1{number}")
        self.names.add("c.example.com", "AAAA", "2001:db8::c")
        seen = set()
        for _ in range(20):
            found = await self.find()
            seen.add(tuple(host.name for host in found))
        self.assertEqual(
            seen,
            {("a.example.com", "b.example.com", "c.example.com"), ("b.example.com", "a.example.com", "c.example.com")},
        )
        self.assertEqual(found[2], Host("c.example.com", 25, ("2001:db8::c", "192.0.2.2", "192.0.2.12")))

    async def test_without_mx(self) -> None:
        """The domain is its own (RFC 5321 5.1)."""
        self.names.add("example.com", "A", "192.0.2.1")
        self.assertEqual(await self.find(), [Host("example.com", 25, ("192.0.2.1",))])

    async def test_null_mx(self) -> None:
        self.names.add("example.com", "MX", "0 .")
        self.names.add("example.com", "A", "192.0.2.1")
        await self.refused("takes no mail", "1.10")

    async def test_no_such_domain(self) -> None:
        await self.refused("the domain example.com does not exist", "1.2")

    async def test_no_address(self) -> None:
        """Its servers have none, for good."""
        self.names.add("example.com", "MX", "10 gone.example.net.")
        await self.refused("no mail server of example.com has an address", "4.4")
        self.names.add("example.com", "MX")
        self.names.add("example.com", "TXT", '"x"')
        await self.refused("no mail server of example.com has an address", "4.4")

    async def test_nobody_knows(self) -> None:
        """Not known now is not "no", neither for MX, nor for an address, nor for one of the two kinds of it."""
        self.names.fail("example.com")
        with self.assertRaises(TemporaryFailure):
            await self.find()
        names = self.names = Names()
        names.add("example.com", "MX", "10 a.example.net.", "20 b.example.net.")
        names.fail("b.example.net")
        with self.assertRaises(TemporaryFailure):
            await self.find()
        query = names.query

        async def half(name: str, type: str) -> Any:
            if type == "A":
                raise TemporaryFailure("half of the DNS is away")
            return await query(name, type)

        names.add("b.example.net", "AAAA")
        names.query = half                                  # type: ignore[method-assign]
        with self.assertRaises(TemporaryFailure):
            await self.find()

    async def test_one_is_enough(self) -> None:
        """Others that cannot be looked up do not stop it."""
        self.names.add("example.com", "MX", "10 a.example.net.", "20 b.example.net.")
        self.names.fail("a.example.net")
        self.names.add("b.example.net", "A", "192.0.2.1")
        self.assertEqual(await self.names_of(), ["b.example.net"])

    async def test_we_are_in_the_list(self) -> None:
        """Only who is before us; when we are first the mail would come back to us for ever."""
        self.names.add("example.com", "MX", "10 a.example.com.", "20 US.example.org.", "20 b.example.com.")
        for name in ("a.example.com", "b.example.com", "us.example.org"):
            self.names.add(name, "A", "192.0.2.1")
        self.assertEqual(await self.names_of(), ["a.example.com"])
        self.names.add("example.com", "MX", "10 us.example.org.", "20 b.example.com.")
        await self.refused("are this server, which does not know it", "4.6")

    async def test_it_points_to_us(self) -> None:
        """A stranger's DNS does not lead us to ourselves."""
        self.names.add("example.com", "MX", "10 a.example.com.")
        for address in ("127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "224.0.0.1"):
            self.names.add("a.example.com", "A", address)
            await self.refused("are this machine", "4.6")
        self.names.add("a.example.com", "A")
        for address in ("::1", "::", "::ffff:127.0.0.1", "ff02::1"):
            self.names.add("a.example.com", "AAAA", address)
            await self.refused("are this machine", "4.6")
        self.names.add("a.example.com", "A", "127.0.0.1", "192.0.2.1")
        self.assertEqual((await self.find())[0].addresses, ("192.0.2.1",))
        self.names.add("a.example.com", "A", "127.0.0.1")
        self.names.add("a.example.com", "AAAA")
        self.assertEqual((await self.find(allow_loopback=True))[0].addresses, ("127.0.0.1",))

    async def test_a_thousand_servers(self) -> None:
        """Not more of them are looked at than make sense."""
        self.names.add("example.com", "MX", *(f"10 h{number}.example.com." for number in range(1000)))
        for number in range(1000):
            self.names.add(f"h{number}.example.com", "A", "192.0.2.1")
        self.assertEqual(len(await self.find()), MOST_EXCHANGES)
        self.assertEqual(len(self.names.asked), 1 + 2 * MOST_EXCHANGES)

    async def test_names_that_are_none(self) -> None:
        """A name of the DNS may hold any octets; a host's may not."""
        odd = r"10 a\000b.example.com.", r"10 x\013\010y.example.com."
        self.names.add("example.com", "MX", *odd, "20 o_k.example.com.")
        self.names.add("o_k.example.com", "A", "192.0.2.1")
        self.assertEqual(await self.names_of(), ["o_k.example.com"])
        self.names.add("example.com", "MX", r"10 a\000b.example.com.")
        await self.refused("a name that can be used", "4.4")

    async def test_beyond_ascii(self) -> None:
        """A U-label is asked for as its A-label."""
        self.names.add("xn--bcher-kva.example", "MX", "10 mx.example.net.")
        self.names.add("mx.example.net", "A", "192.0.2.1")
        [host] = await self.find("bob@bücher.example")
        self.assertEqual(host.name, "mx.example.net")

    # -- otherwise

    async def test_literals(self) -> None:
        self.assertEqual(await self.find("bob@[192.0.2.1]"), [Host("192.0.2.1", 25, ("192.0.2.1",))])
        self.assertEqual(await self.find("bob@[IPv6:2001:DB8::1]"), [Host("2001:db8::1", 25, ("2001:db8::1",))])
        await self.refused("127.0.0.1 is this machine", "4.6", "bob@[127.0.0.1]")

    async def test_the_order_of_what_is_named(self) -> None:
        """The entry's own place, then the route of its domain, then the smarthost; the DNS is not asked."""
        outbound = {"route": {"example.com": "tcp:192.0.2.2:2525"}, "smarthost": "tls:192.0.2.3"}
        self.assertEqual(await self.find(place="tcp:192.0.2.1", **outbound), [Host("192.0.2.1", 25, ("192.0.2.1",))])
        self.assertEqual(await self.find(**outbound), [Host("192.0.2.2", 2525, ("192.0.2.2",))])
        self.assertEqual(
            await self.find("bob@example.net", **outbound), [Host("192.0.2.3", 465, ("192.0.2.3",), implicit_tls=True)]
        )
        self.assertEqual(self.names.asked, [])

    async def test_what_is_named_may_be_this_machine(self) -> None:
        self.names.add("relay.example.org", "A", "127.0.0.1")
        for place, addresses in (
            ("tcp:localhost:26", ("127.0.0.1",)), ("tcp:[::1]:26", ("::1",)), ("lmtp:unix:/run/x", ("/run/x",)),
            ("tcp:relay.example.org", ("127.0.0.1",)),
        ):
            [host] = await self.find(place=place)
            self.assertEqual(host.addresses, addresses)

    async def test_a_mistake_of_ours_bounces_nothing(self) -> None:
        """A smarthost that has no address, or a plugin's host that is none, can be put right."""
        self.names.add("empty.example.org", "TXT", '"x"')
        for place, words in (
            ("tcp:gone.example.org", "does not exist"), ("tcp:empty.example.org", "has no address"),
            ("nonsense", "needs to be like"),
        ):
            with self.assertRaisesRegex(TemporaryFailure, words):
                await self.find(place=place)

    async def test_nothing_leaves(self) -> None:
        """In a developer's server only what is routed."""
        await self.refused("sends no mail", "7.1", enabled=False)
        self.assertEqual(len(await self.find(enabled=False, route={"example.com": "tcp:127.0.0.1"})), 1)
