"""Sending to domains whose zones say what certificates their mail servers have (RFC 7672), and to some without."""

from __future__ import annotations

from mailserver.delivery.tls import told as told_module
from mailserver.delivery.tls.demands import Demands
from mailserver.delivery.tls.outcome import Seen
from mailserver.delivery.tls.told import told
from mailserver.net import resolver
from mailserver.settings import OutboundTls
from tests.interop.signed_house import SignedHouseCase
from tests.interop.zones import EXPIRED
from tests.net.certificates import Authority, tlsa

MX = "@ MX 10 mx\nmx A 127.0.0.2\n"


class DaneTests(SignedHouseCase):
    def setUp(self) -> None:
        super().setUp()
        self.pair = self.authority.pair("mx.signed.example")
        self.other = self.authority.pair("other.example")

    def signed(self, *records: str, more: str = MX) -> None:
        self.zones({"signed.example": more + "".join(f"_PORT._tcp.mx TLSA {each}\n" for each in records)})

    async def test_the_key_is_known(self) -> None:
        """Whatever name is in the certificate, and whoever signed it; records that cannot be used are passed over."""
        peer = self.at("127.0.0.2", tls=self.other)
        self.signed(tlsa(self.other), tlsa(self.pair), "1 1 1 " + "00" * 32, "3 1 1 " + "00" * 20)
        self.begin(ca=None)
        attempt = await self.delivered("bob@signed.example")
        self.assertEqual(attempt["policy"], f"DANE: 2 TLSA records of _{self.smtp}._tcp.mx.signed.example")
        self.assertRegex(attempt["tls"], "^TLSv1")
        self.assertEqual(len(peer.messages), 1)

    async def test_every_kind_of_record(self) -> None:
        """Whole or by digest, certificate or key."""
        self.at("127.0.0.2", tls=self.pair)
        kinds = [(selector, matching) for selector in (0, 1) for matching in (0, 1, 2)]
        zones = {
            f"s{selector}{matching}.example":
            f"@ MX 10 mx\nmx A 127.0.0.2\n_PORT._tcp.mx TLSA {tlsa(self.pair, 3, selector, matching)}\n"
            for selector, matching in kinds
        }
        self.zones(zones)
        self.begin()
        for name in zones:
            self.assertIn("DANE: 1 TLSA record of", (await self.delivered(f"bob@{name}"))["policy"])

    async def test_another_key(self) -> None:
        """It waits, and nothing was said to whoever that is; not in the clear either."""
        peer = self.at("127.0.0.2", tls=self.other)
        self.signed(tlsa(self.pair))
        self.begin()
        attempt = await self.deferred("bob@signed.example")
        self.assertIn(
            f"no TLSA record of _{self.smtp}._tcp.mx.signed.example matches the certificate of mx.signed.example",
            attempt["said"],
        )
        self.assertNotIn("MAIL", peer.verbs())
        self.assertEqual(len(peer.talks), 1)
        # Who wants it there all the same may say so (RFC 8689 3).
        attempt = await self.delivered("bob@signed.example", tls_optional=True)
        self.assertEqual(attempt["policy"], "the sender wrote TLS-Required: No")

    async def test_no_tls_at_all(self) -> None:
        peer = self.at("127.0.0.2")
        self.signed(tlsa(self.pair))
        self.begin()
        self.assertIn("offers no TLS", (await self.deferred("bob@signed.example"))["said"])
        self.assertNotIn("MAIL", peer.verbs())

    async def test_an_authority_is_known(self) -> None:
        """Then the certificate has to be theirs, for the host or the domain, and good today."""
        self.zones({
            name: f"@ MX 10 mx\nmx A {address}\n_PORT._tcp.mx TLSA {tlsa(self.pair, 2, 0, 1)}\n"
            for name, address in (
                ("host.example", "127.0.0.2"), ("whole.example", "127.0.0.3"), ("other.example", "127.0.0.4"),
                ("old.example", "127.0.0.5"),
            )
        })
        self.at("127.0.0.2", tls=self.authority.pair("mx.host.example"))
        self.at("127.0.0.3", tls=self.authority.pair("whole.example"))
        self.at("127.0.0.4", tls=self.authority.pair("mx.host.example"))
        self.at("127.0.0.5", tls=self.authority.pair("mx.old.example", age=9))
        self.begin(ca=None)
        await self.delivered("bob@host.example")
        await self.delivered("bob@whole.example")
        self.assertIn(
            "the certificate of mx.other.example is for mx.host.example",
            (await self.deferred("bob@other.example"))["said"],
        )
        self.assertIn("the certificate of mx.old.example has expired", (await self.deferred("bob@old.example"))["said"])

    async def test_a_stranger_under_the_authoritys_name(self) -> None:
        """The authority's certificate is shown, but it has not signed."""
        false = Authority(self.data / "false").pair("mx.signed.example")
        chain = false.certificate.read_bytes().partition(b"-----END CERTIFICATE-----\n")
        false.certificate.write_bytes(chain[0] + chain[1] + self.authority.file.read_bytes())
        self.at("127.0.0.2", tls=false)
        self.signed(tlsa(self.pair, 2, 1, 1))
        self.begin()
        self.assertIn("the certificate of mx.signed.example", (await self.deferred("bob@signed.example"))["said"])

    async def test_records_that_cannot_be_used(self) -> None:
        """They want TLS; with which certificate nobody understands (RFC 7672 2.2.3)."""
        self.at("127.0.0.2", tls=self.other)
        self.zones({
            "a.example": MX + f"_PORT._tcp.mx TLSA 1 1 1 {'00' * 32}\n",
            "b.example": MX.replace("127.0.0.2", "127.0.0.3") + f"_PORT._tcp.mx TLSA 1 1 1 {'00' * 32}\n",
            "c.example": MX.replace("127.0.0.2", "127.0.0.3") + f"_PORT._tcp.mx TLSA 3 1 1 {'00' * 20}\n",
        })
        peer = self.at("127.0.0.3")
        self.begin()
        attempt = await self.delivered("bob@a.example")
        self.assertIn("can be used", attempt["policy"])
        self.assertTrue(attempt["tls"])
        for name in ("b.example", "c.example"):
            attempt = await self.deferred(f"bob@{name}")
            self.assertIn("can be used", attempt["policy"])
        self.assertEqual(peer.messages, [])

    async def test_unsigned(self) -> None:
        """What stands in an unsigned zone anybody may have written there: it is not asked for."""
        self.zones({"plain.example": MX + f"_PORT._tcp.mx TLSA {tlsa(self.pair)}\n"})
        self.at("127.0.0.2", tls=self.other)
        self.begin()
        attempt = await self.delivered("bob@plain.example")
        self.assertEqual(attempt["policy"], "opportunistic")
        self.assertTrue(attempt["tls"])

    async def test_mx_in_an_unsigned_zone(self) -> None:
        """A signed host that an unsigned MX names is no better: who forges the MX has such a host."""
        self.zones({"plain.example": "@ MX 10 mx.signed.example.\n", "signed.example": (
            f"mx A 127.0.0.2\n_PORT._tcp.mx TLSA {tlsa(self.pair)}\n"
        )})
        self.at("127.0.0.2", tls=self.other)
        self.begin()
        self.assertEqual((await self.delivered("bob@plain.example"))["policy"], "opportunistic")

    async def test_host_in_an_unsigned_zone(self) -> None:
        self.zones({"signed.example": "@ MX 10 mx.plain.example.\n", "plain.example": (
            f"mx A 127.0.0.2\n_PORT._tcp.mx TLSA {tlsa(self.pair)}\n"
        )})
        self.at("127.0.0.2", tls=self.other)
        self.begin()
        self.assertEqual((await self.delivered("bob@signed.example"))["policy"], "opportunistic")

    async def test_forged(self) -> None:
        """A zone whose signatures are not good is no unsigned zone: mail waits."""
        self.zones({"old.example": MX}, {"old.example": EXPIRED})
        peer = self.at("127.0.0.2", tls=self.other)
        self.begin()
        self.assertIn("SERVFAIL", (await self.deferred("bob@old.example"))["said"])
        self.assertEqual(peer.talks, [])

    async def test_tlsa_cannot_be_known(self) -> None:
        """The zone is signed, and whoever answers for its TLSA records is away: mail waits (RFC 7672 2.1.2)."""
        # A signed delegation (DS) to servers that are not there: nobody can say that there is no TLSA.
        self.patch(resolver, "WAITS", (0.5, 1.0))
        self.signed(more=MX + "_tcp.mx NS ns.away\nns.away A 127.0.0.77\n_tcp.mx DS 1 13 2 " + "ab" * 32 + "\n")
        peer = self.at("127.0.0.2", tls=self.other)
        self.begin()
        attempt = await self.deferred("bob@signed.example")
        self.assertIn("the TLSA records of mx.signed.example cannot be known", attempt["said"])
        self.assertEqual(peer.talks, [])

    async def test_aliases(self) -> None:
        """The records are those of where the alias leads, else of the alias itself when only that is signed."""
        self.zones({
            "inside.example": f"@ MX 10 mail\nmail CNAME mx\nmx A 127.0.0.2\n_PORT._tcp.mx TLSA {tlsa(self.pair)}\n",
            "away.example": f"@ MX 10 mail\nmail CNAME mx.plain.example.\n_PORT._tcp.mail TLSA {tlsa(self.pair)}\n",
            "plain.example": "mx A 127.0.0.2\n",
        })
        self.at("127.0.0.2", tls=self.pair)
        self.begin()
        self.assertIn("_tcp.mx.inside.example", (await self.delivered("bob@inside.example"))["policy"])
        self.assertIn("_tcp.mail.away.example", (await self.delivered("bob@away.example"))["policy"])

    async def test_without_mx(self) -> None:
        """The domain is its own mail server, when DNSSEC says that it has no MX."""
        self.zones({"signed.example": f"@ A 127.0.0.2\n_PORT._tcp TLSA {tlsa(self.pair)}\n"})
        self.at("127.0.0.2", tls=self.pair)
        self.begin()
        self.assertIn("_tcp.signed.example", (await self.delivered("bob@signed.example"))["policy"])

    async def test_the_next_one_in_line(self) -> None:
        """The first has the wrong key, the second the right one."""
        second = f"@ MX 20 mx2\nmx2 A 127.0.0.3\n_PORT._tcp.mx2 TLSA {tlsa(self.other)}\n"
        self.signed(tlsa(self.pair), more=MX + second)
        false, good = self.at("127.0.0.2", tls=self.other), self.at("127.0.0.3", tls=self.other)
        self.begin()
        attempt = await self.delivered("bob@signed.example")
        self.assertEqual(attempt["address"], "127.0.0.3")
        self.assertEqual((len(false.talks), len(false.messages), len(good.messages)), (1, 0, 1))

    async def test_configured(self) -> None:
        """Where DANE is configured it has to be there; a level above nothing does not take it away."""
        self.at("127.0.0.2", tls=self.pair)
        self.zones({"plain.example": MX, "signed.example": MX + f"_PORT._tcp.mx TLSA {tlsa(self.pair)}\n"})
        self.begin(domains={"plain.example": "dane", "signed.example": "encrypt"})
        self.assertIn("has no TLSA record that can be used", (await self.deferred("bob@plain.example"))["said"])
        self.assertIn("DANE", (await self.delivered("bob@signed.example"))["policy"])

    async def test_switched_off(self) -> None:
        self.at("127.0.0.2", tls=self.other)
        self.signed(tlsa(self.pair))
        self.begin(dane=False)
        self.assertEqual((await self.delivered("bob@signed.example"))["policy"], "opportunistic")

    async def test_what_is_told(self) -> None:
        """Of a connection for reports, and of a domain for operators."""
        self.signed(tlsa(self.pair))
        self.at("127.0.0.2", tls=self.other)
        scheduler = self.begin()
        seen: list[Seen] = []
        scheduler._demands.on_outcome(seen.append)
        await self.deferred("bob@signed.example")
        (one,) = seen
        self.assertEqual(
            (one.domain, one.policy_type, one.policy, one.result, one.mx, one.address),
            ("signed.example", "tlsa", (tlsa(self.pair),), "validation-failure", "mx.signed.example", "127.0.0.2"),
        )
        demands = Demands(self.database, OutboundTls(), self.world, "us.example.org")
        self.patch(told_module, "SMTP", self.smtp)
        self.assertEqual(
            await told(demands, "signed.example"),
            [("mx.signed.example", "dane", f"DANE: 1 TLSA record of _{self.smtp}._tcp.mx.signed.example")],
        )


class WayTests(SignedHouseCase):
    """How a host is found at all, by a real resolver."""

    async def test_the_next_mx(self) -> None:
        """The first is not there, the second greets with 554, the third takes it."""
        self.zones({"plain.example": (
            "@ MX 10 a\n@ MX 20 b\n@ MX 30 c\na A 127.0.0.2\nb A 127.0.0.3\nc A 127.0.0.4\n"
        )})
        second, third = self.at("127.0.0.3"), self.at("127.0.0.4")
        second.replies = {"": b"554 5.3.2 Not today\r\n"}
        self.begin()
        attempt = await self.delivered("bob@plain.example")
        self.assertEqual((attempt["address"], len(third.messages)), ("127.0.0.4", 1))

    async def test_ipv6_first_and_ipv4_to_the_rescue(self) -> None:
        self.zones({"plain.example": "@ MX 10 mx\nmx AAAA ::1\nmx A 127.0.0.2\n"})
        four = self.at("127.0.0.2")
        self.begin()
        self.assertEqual((await self.delivered("bob@plain.example"))["address"], "127.0.0.2")
        self.at("::1")
        self.assertEqual((await self.delivered("carol@plain.example"))["address"], "::1")
        self.assertEqual(len(four.messages), 1)

    async def test_null_mx(self) -> None:
        """It takes no mail, and nobody tries (RFC 7505)."""
        self.zones({"plain.example": "@ MX 0 .\n@ A 127.0.0.2\n"})
        peer = self.at("127.0.0.2")
        self.begin()
        id = await self.send("bob@plain.example")
        (attempt,) = await self.until(lambda: self.attempts(id))
        self.assertEqual(attempt["result"], "failed")
        self.assertIn("null MX", attempt["said"])
        self.assertEqual(peer.talks, [])
