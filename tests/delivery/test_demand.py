"""What a host must have, by all that is known; and memory of who had it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailserver.delivery.tls.dane import Tlsa, Tlsas, usable
from mailserver.delivery.tls.demand import Policy, decide
from mailserver.delivery.tls.demands import Demands
from mailserver.delivery.tls.memory import OFTEN, PATIENCE
from mailserver.delivery.tls.outcome import Outcome
from mailserver.delivery.tls.sts import read_policy
from mailserver.errors import TemporaryFailure
from mailserver.net.connect import Host
from mailserver.settings import OutboundTls
from mailserver.store import tls as store
from mailserver.store.tls import Remembered
from mailserver.wishes import NONE, Wishes
from tests.delivery.house import HouseCase, reactor
from tests.delivery.policies import policy
from tests.net.certificates import Authority, certificates, tlsa

HOST = Host("mx.example.com", 25, ("192.0.2.1",))
NOW = 1_800_000_000.0
PLAIN = Policy("example.com", True)
ENFORCED = replace(read_policy(policy("mx.example.com")), id="7")
TESTED = replace(read_policy(policy("mx.example.com", mode="testing")), id="8")
TLSAS = Tlsas("_25._tcp.mx.example.com", "mx.example.com", (Tlsa(3, 1, 1, b"x" * 32),))
UNUSABLE = replace(TLSAS, records=())


class DecisionTests(SynchronousTestCase):
    def level(self, known: Policy, tlsas: Tlsas | None = None, validated: bool = False) -> tuple[str, str, bool]:
        demand = decide(known, HOST, tlsas, validated, NOW)
        self.assertTrue(demand.allowed, demand)
        return demand.level, demand.why, demand.permits_clear

    def refusal(self, known: Policy, tlsas: Tlsas | None = None, validated: bool = False) -> str:
        demand = decide(known, HOST, tlsas, validated, NOW)
        self.assertFalse(demand.allowed)
        self.assertFalse(demand.permits_clear)
        return demand.refusal

    def test_nothing_is_known(self) -> None:
        self.assertEqual(self.level(PLAIN), ("may", "opportunistic", True))

    def test_dane_is_above_sts(self) -> None:
        """A host that DNSSEC vouches for need not be in the policy, and the policy is no way out (RFC 8461 2)."""
        known = replace(PLAIN, sts=replace(ENFORCED, mx=("other.example.com",)))
        self.assertEqual(
            self.level(known, TLSAS, True), ("dane", "DANE: 1 TLSA record of _25._tcp.mx.example.com", False)
        )
        self.assertIn("is no mail server of example.com by its MTA-STS policy", self.refusal(known, UNUSABLE, True))

    def test_sts(self) -> None:
        self.assertEqual(
            self.level(replace(PLAIN, sts=ENFORCED)), ("verify", "MTA-STS of example.com (enforce, id 7)", False)
        )
        self.assertEqual(self.level(replace(PLAIN, sts=ENFORCED), UNUSABLE, True)[0], "verify")
        level, why, permits_clear = self.level(replace(PLAIN, sts=TESTED))
        self.assertEqual((level, permits_clear), ("may", True))
        self.assertIn("MTA-STS of example.com is being tested", why)
        self.assertEqual(self.level(replace(PLAIN, sts=replace(ENFORCED, mode="none"))), ("may", "opportunistic", True))

    def test_the_configuration_raises(self) -> None:
        """It never lowers what the other side wants, but where it says that there shall be no TLS at all."""
        self.assertEqual(self.level(replace(PLAIN, level="encrypt")), ("encrypt", "configured", False))
        self.assertEqual(self.level(replace(PLAIN, level="verify"), UNUSABLE), ("verify", "configured", False))
        self.assertEqual(self.level(replace(PLAIN, level="encrypt", sts=ENFORCED))[0], "verify")
        self.assertEqual(self.level(replace(PLAIN, level="verify"), TLSAS)[0], "dane")
        self.assertEqual(self.level(replace(PLAIN, level="none")), ("none", "configured", True))
        self.assertEqual(self.level(replace(PLAIN, level="none"), TLSAS)[0], "dane")
        self.assertEqual(self.level(replace(PLAIN, level="none", is_lifted=True, sts=ENFORCED), TLSAS)[0], "none")
        self.assertIn("DANE is configured", self.refusal(replace(PLAIN, level="dane"), UNUSABLE))

    def test_more_than_is_configured(self) -> None:
        """As for a login; never less."""
        self.assertEqual(self.level(replace(PLAIN, by_mx=False, level="none", is_lifted=True).at_least("verify")), (
            "verify", "configured", False
        ))
        self.assertEqual(replace(PLAIN, level="verify").at_least("encrypt").level, "verify")

    def test_the_sender_requires_tls(self) -> None:
        """It has to be certain that it is their host (DNSSEC or MTA-STS), and proved that it is this one."""
        required = replace(PLAIN, require_tls=True)
        self.assertIn("neither DNSSEC nor MTA-STS", self.refusal(required))
        self.assertIn("neither DNSSEC nor MTA-STS", self.refusal(
            replace(required, sts=replace(TESTED, mx=("other.example.com",)))
        ))
        for known, tlsas, validated, level in (
            (required, None, True, "verify"), (required, TLSAS, True, "dane"), (required, UNUSABLE, True, "verify"),
            (replace(required, sts=TESTED), None, False, "verify"),
            (replace(required, by_mx=False), None, False, "verify"),
        ):
            demand = decide(known, HOST, tlsas, validated, NOW)
            self.assertEqual((demand.level, demand.allowed, demand.must_offer_requiretls), (level, True, True))
            self.assertIn("REQUIRETLS", demand.why)
            self.assertFalse(demand.permits_clear)
        self.assertIn("none is configured", self.refusal(replace(required, level="none", is_lifted=True), None, True))
        self.assertEqual(decide(required, HOST, None, False, NOW).detail, "7.30")

    def test_the_sender_does_without(self) -> None:
        """The other side's policies do not count, and neither does memory; the configuration does (RFC 8689 3)."""
        known = replace(PLAIN, tls_optional=True, sts=ENFORCED, remembered=remembered(times=9))
        self.assertEqual(self.level(known), ("may", "the sender wrote TLS-Required: No", True))
        self.assertEqual(self.level(replace(known, level="verify")), ("verify", "configured", False))

    def test_memory(self) -> None:
        """Who always had TLS gets nothing in the clear for a day without; then it does, and that is told."""
        young = replace(PLAIN, remembered=remembered(times=OFTEN - 1))
        self.assertEqual(self.level(young), ("may", "opportunistic", True))
        _, why, permits_clear = self.level(replace(PLAIN, remembered=remembered()))
        self.assertFalse(permits_clear)
        self.assertEqual(why, "opportunistic; example.com has had TLS each time since 2027-01-11 20:13 UTC")
        _, why, permits_clear = self.level(replace(PLAIN, remembered=remembered(missing=NOW - PATIENCE + 60)))
        self.assertFalse(permits_clear)
        self.assertIn("so it gets no mail in the clear before 2027-01-15 08:01 UTC", why)
        _, why, permits_clear = self.level(replace(PLAIN, remembered=remembered(missing=NOW - PATIENCE)))
        self.assertTrue(permits_clear)
        self.assertIn("and has none for a day", why)

    def test_who_may_share_a_connection(self) -> None:
        first = decide(replace(PLAIN, sts=ENFORCED), HOST, None, False, NOW)
        same = decide(replace(PLAIN, domain="example.net", sts=ENFORCED), HOST, None, False, NOW)
        self.assertEqual(first.key, same.key)
        others = [
            decide(known, HOST, tlsas, True, NOW).key
            for known, tlsas in ((PLAIN, None), (PLAIN, TLSAS), (replace(PLAIN, remembered=remembered()), None))
        ]
        self.assertEqual(len({first.key, *others}), 4)


def remembered(times: int = OFTEN, missing: float = 0.0) -> Remembered:
    return Remembered("example.com", NOW - 301_600, NOW - 60, times, "encrypt", "TLSv1.3 x", missing)


class TlsaTests(SynchronousTestCase):
    def test_usable(self) -> None:
        """Usages 2 and 3; of several digests the strongest (RFC 7671 9); whole ones always."""

        class Record:
            def __init__(self, usage: int, selector: int, mtype: int, cert: bytes) -> None:
                self.usage, self.selector, self.mtype, self.cert = usage, selector, mtype, cert

        sha256, sha512, whole = Record(3, 1, 1, b"a" * 32), Record(3, 1, 2, b"b" * 64), Record(3, 1, 0, b"c")
        other = Record(2, 0, 1, b"d" * 32)
        found = usable([
            sha256, sha512, whole, other, Record(0, 1, 1, b"e" * 32), Record(1, 1, 1, b"f" * 32),
            Record(3, 2, 1, b"g" * 32), Record(3, 1, 3, b"h" * 32), Record(3, 1, 1, b"short"), Record(3, 0, 0, b""),
        ])
        self.assertEqual({each.data for each in found}, {sha512.cert, whole.cert, other.cert})
        self.assertEqual(len(usable([Record(3, 1, 1, bytes([n]) * 32) for n in range(200)])), 50)

    def test_matches(self) -> None:
        """Of every kind: this certificate, and no other one."""
        authority = Authority(Path(self.mktemp()))
        pair = authority.pair("a.example")
        one, other = certificates(pair)[0], certificates(authority.pair("a.example"))[0]
        for selector in (0, 1):
            for matching in (0, 1, 2):
                *_, data = tlsa(pair, 3, selector, matching).split()
                record = Tlsa(3, selector, matching, bytes.fromhex(data))
                self.assertEqual((record.matches(one), record.matches(other)), (True, False))
                self.assertEqual(str(record), tlsa(pair, 3, selector, matching))


class MemoryTests(HouseCase):
    """Written down, and asked again."""

    def setUp(self) -> None:
        super().setUp()
        self.names.add("example.com", "MX", "10 mx.example.com.")
        self.demands = Demands(self.database, OutboundTls(sts=False), self.world, "us")

    async def see(self, outcome: Outcome, demands: Demands | None = None, wishes: Wishes = NONE) -> Any:
        """One connection; what was demanded of it."""
        demands = demands or self.demands
        known = await demands.of_domain("example.com", wishes, True)
        demand = await demands.of_host(known, HOST, False)
        demands.note(known, demand, HOST, "192.0.2.1", "", outcome)
        await self.database.write(lambda connection: None)      # behind what was noted
        return demand

    async def known(self) -> Remembered | None:
        return (await self.database.read(store.known, "example.com"))[1]

    async def test_a_life(self) -> None:
        """TLS thrice; then it is gone; a day later mail goes in the clear; and all begins anew."""
        with_tls, broken = Outcome.secured("TLSv1.3 x"), Outcome.failed(TemporaryFailure("no handshake"))
        for _ in range(OFTEN):
            self.assertTrue((await self.see(with_tls)).permits_clear)
        demand = await self.see(broken)
        self.assertFalse(demand.permits_clear)
        found = await self.known()
        assert found is not None
        self.assertEqual((found.times, found.reason), (OFTEN, "no handshake"))
        self.moved += PATIENCE / 2
        demand = await self.see(Outcome.missing())
        self.assertFalse(demand.permits_clear)
        self.assertIn("so it gets no mail in the clear before", demand.why)
        self.moved += PATIENCE / 2 + 1
        self.assertTrue((await self.see(Outcome.in_clear())).permits_clear)
        self.assertIsNone(await self.known())
        self.assertEqual((await self.see(Outcome.in_clear())).why, "opportunistic")

    async def test_it_comes_back(self) -> None:
        for outcome in (*[Outcome.secured("x")] * OFTEN, Outcome.missing(), Outcome.secured("y")):
            await self.see(outcome)
        found = await self.known()
        assert found is not None
        self.assertEqual((found.missing, found.tls), (0.0, "y"))

    async def test_a_message_that_does_without(self) -> None:
        """It may go in the clear; that is no reason for the next one to (RFC 8689 3 is about that message alone)."""
        for _ in range(OFTEN):
            await self.see(Outcome.secured("x"))
        careless = await self.see(Outcome.in_clear(), wishes=Wishes(tls_optional=True))
        self.assertTrue(careless.permits_clear)
        self.assertFalse((await self.see(Outcome.missing())).permits_clear)
        self.moved += PATIENCE + 1
        self.assertTrue((await self.see(Outcome.in_clear())).permits_clear)
        self.assertIsNone(await self.known())

    async def test_few_words_are_written(self) -> None:
        """A busy domain is not written down with every connection, only each hour."""
        for _ in range(20):
            await self.see(Outcome.secured("x"))
        found = await self.known()
        assert found is not None
        self.assertEqual(found.times, OFTEN)
        self.moved += 3601
        await self.see(Outcome.secured("x"))
        again = await self.known()
        assert again is not None
        self.assertEqual(again.last - found.last > 3600, True)

    async def test_other_processes(self) -> None:
        """What one has seen the other knows."""
        other = Demands(self.database, OutboundTls(sts=False), self.world, "us")
        for number in range(OFTEN):
            await self.see(Outcome.secured("x"), other if number % 2 else None)
        self.assertFalse((await self.see(Outcome.missing(), other)).permits_clear)
        self.assertFalse((await self.see(Outcome.missing())).permits_clear)

    async def test_in_the_clear_from_the_beginning(self) -> None:
        """Nothing is written about who never had it; and who has it only now and then is not known for it."""
        await self.see(Outcome.in_clear())
        self.assertIsNone(await self.known())
        for outcome in (Outcome.secured("x"), Outcome.secured("x"), Outcome.in_clear(), Outcome.secured("x")):
            self.assertTrue((await self.see(outcome)).permits_clear)

    async def test_hosts_that_somebody_here_has_named(self) -> None:
        """What they had is nobody else's business: neither reported nor remembered."""
        seen: list[Any] = []
        self.demands.on_outcome(seen.append)
        known = await self.demands.of_domain("example.com", Wishes(), False)
        demand = await self.demands.of_host(known, HOST, False)
        for _ in range(OFTEN):
            self.demands.note(known, demand, HOST, "192.0.2.1", "", Outcome.secured("x"))
        await self.database.write(lambda connection: None)
        self.assertEqual((seen, await self.known()), ([], None))
        await self.see(Outcome.secured("x"))
        self.assertEqual([(each.policy_type, each.result, each.mx) for each in seen], [
            ("no-policy-found", "", "mx.example.com")
        ])

    async def test_dane_of_hosts_that_are_named(self) -> None:
        """A name that DNSSEC vouches for is enough, since nobody's MX leads there; LMTP has no TLSA."""
        self.names.sign("relay.example")
        self.names.add("relay.example", "A", "192.0.2.9")
        self.names.add("_587._tcp.relay.example", "TLSA", f"3 1 1 {'ab' * 32}")
        known = await self.demands.of_domain("example.com", Wishes(), False)
        host = Host("relay.example", 587, ("192.0.2.9",))
        self.assertEqual((await self.demands.of_host(known, host, False)).level, "dane")
        self.assertEqual((await self.demands.of_host(known, replace(host, lmtp=True), False)).level, "may")
        for name in ("192.0.2.9", "localhost"):
            self.assertEqual((await self.demands.of_host(known, replace(host, name=name), False)).level, "may")

    async def test_only_who_may_have_tlsa_is_asked(self) -> None:
        """Servers of unsigned zones fail at such questions; and an alias out of the signed zone is nobody's word."""
        known = await self.demands.of_domain("example.com", Wishes(), True)
        self.names.add("mx.example.com", "A", "192.0.2.1")
        self.names.add("_25._tcp.mx.example.com", "TLSA", f"3 1 1 {'ab' * 32}")
        self.assertEqual((await self.demands.of_host(known, HOST, True)).level, "may")
        self.assertNotIn("TLSA", {type for _, type in self.names.asked})
        self.names.sign("example.com")
        self.assertEqual((await self.demands.of_host(known, HOST, True)).level, "dane")
        self.names.add("_25._tcp.mx.example.com", "CNAME", "forged.example.")
        self.names.add("forged.example", "TLSA", f"3 1 1 {'ab' * 32}")
        self.assertEqual((await self.demands.of_host(known, HOST, True)).level, "may")

    async def test_switched_off(self) -> None:
        demands = Demands(self.database, OutboundTls(sts=False, remember=False), self.world, "us")
        for _ in range(OFTEN + 1):
            self.assertTrue((await self.see(Outcome.secured("x"), demands)).permits_clear)
        self.assertIsNone(await self.known())

    async def test_the_database_is_away(self) -> None:
        """Then nobody knows whether this may go in the clear, and it waits."""
        await self.database.stop()
        known = await self.demands.of_domain("example.com", Wishes(), True)
        with self.assertRaisesRegex(TemporaryFailure, "not known which TLS example.com must have"):
            await self.demands.of_host(known, HOST, False)
        self.demands.note(known, decide(known, HOST, None, False, NOW), HOST, "192.0.2.1", "", Outcome.secured("x"))
        self.flushLoggedErrors(TemporaryFailure)
        self.database.start(reactor)
