"""Sending to domains with an MTA-STS policy (RFC 8461), and for senders who require TLS (RFC 8689)."""

from __future__ import annotations

from typing import Any

from mailserver.address import Address
from mailserver.delivery.tls import https
from mailserver.delivery.tls.outcome import Seen
from mailserver.envelope import Origin
from mailserver.net.tls import KeyPair
from mailserver.wishes import Wishes
from tests.delivery.peers import Peer
from tests.delivery.policies import PolicyServer, policy
from tests.interop.signed_house import SignedHouseCase
from tests.net.certificates import Authority, tlsa

ZONE = '@ MX 10 mx\nmx A 127.0.0.2\nmta-sts A 127.0.0.9\n_mta-sts TXT "v=STSv1; id=77;"\n'
NAME = "plain.example"


class StsCase(SignedHouseCase):
    def setUp(self) -> None:
        super().setUp()
        self.web = PolicyServer(self.authority.pair(f"mta-sts.{NAME}"))
        self.patch(https, "PORT", self.web.listen())
        self.addCleanup(lambda: self.web.stop())
        self.good = self.authority.pair(f"mx.{NAME}")
        self.seen: list[Seen] = []

    def publish(self, *mx: str, more: str = "", **how: Any) -> None:
        self.zones({NAME: ZONE + more})
        self.web.texts[f"mta-sts.{NAME}"] = policy(*(mx or (f"mx.{NAME}",)), **how)

    def sends(self, **tls: Any) -> None:
        self.begin(**tls)._demands.on_outcome(self.seen.append)

    def told(self) -> list[tuple[str, str, str]]:
        return [(each.policy_type, each.result, each.mx) for each in self.seen]


class StsTests(StsCase):
    async def test_enforced(self) -> None:
        self.publish()
        self.at("127.0.0.2", tls=self.good)
        self.sends()
        attempt = await self.delivered(f"bob@{NAME}")
        self.assertEqual(attempt["policy"], f"MTA-STS of {NAME} (enforce, id 77)")
        self.assertEqual(self.told(), [("sts", "", f"mx.{NAME}")])
        self.assertEqual(self.seen[0].patterns, (f"mx.{NAME}",))
        self.assertEqual(self.seen[0].policy[0], "version: STSv1")

    async def refused(self, pair: KeyPair | None, why: str, result: str) -> Peer:
        """Not there, not in the clear either, and the trace has the reason."""
        self.publish()
        peer = self.at("127.0.0.2", tls=pair)
        self.sends()
        attempt = await self.deferred(f"bob@{NAME}")
        self.assertIn(why, attempt["said"])
        self.assertIn("MTA-STS", attempt["policy"])
        self.assertNotIn("MAIL", peer.verbs())
        self.assertEqual(self.told(), [("sts", result, f"mx.{NAME}")])
        return peer

    async def test_another_name(self) -> None:
        await self.refused(
            self.authority.pair("a.example", "b.example"),
            f"the certificate of mx.{NAME} is for a.example, b.example", "certificate-host-mismatch",
        )

    async def test_expired(self) -> None:
        pair = self.authority.pair(f"mx.{NAME}", age=9)
        await self.refused(pair, f"the certificate of mx.{NAME} has expired", "certificate-expired")

    async def test_an_unknown_authority(self) -> None:
        pair = Authority(self.data / "other", "Another Authority").pair(f"mx.{NAME}")
        await self.refused(
            pair, f"the certificate of mx.{NAME} is signed by nobody who is trusted", "certificate-not-trusted"
        )

    async def test_stripped(self) -> None:
        await self.refused(None, "offers no TLS", "starttls-not-supported")

    async def test_refused_or_broken_handshake(self) -> None:
        """STARTTLS that comes to nothing is no way into the clear."""
        self.publish()
        peer = self.at("127.0.0.2", tls=self.good)
        peer.replies = {"STARTTLS": b"454 4.7.0 Not now\r\n"}
        self.sends()
        self.assertIn("STARTTLS was refused", (await self.deferred(f"bob@{NAME}"))["said"])
        self.assertNotIn("MAIL", peer.verbs())

    async def test_a_host_that_is_not_theirs(self) -> None:
        """It is not even connected to; the next one, which is theirs, gets the mail."""
        self.publish("mx2." + NAME, more="@ MX 20 mx2\nmx2 A 127.0.0.3\n")
        false, good = self.at("127.0.0.2", tls=self.good), self.at("127.0.0.3", tls=self.authority.pair(f"mx2.{NAME}"))
        self.sends()
        await self.delivered(f"bob@{NAME}")
        self.assertEqual((len(false.talks), len(good.messages)), (0, 1))
        self.assertEqual(self.told(), [("sts", "validation-failure", f"mx.{NAME}"), ("sts", "", f"mx2.{NAME}")])

    async def test_only_hosts_that_are_not_theirs(self) -> None:
        self.publish("other.example")
        peer = self.at("127.0.0.2", tls=self.good)
        self.sends()
        attempt = await self.deferred(f"bob@{NAME}")
        self.assertEqual(attempt["said"], f"mx.{NAME} is no mail server of {NAME} by its MTA-STS policy")
        self.assertEqual(peer.talks, [])

    async def test_tested(self) -> None:
        """Mail goes on as if there were none; what would have been wrong is told to whoever writes reports."""
        self.publish(mode="testing")
        peer = self.at("127.0.0.2", tls=self.authority.pair("a.example"))
        self.sends()
        attempt = await self.delivered(f"bob@{NAME}")
        self.assertIn("is being tested", attempt["policy"])
        self.assertTrue(attempt["tls"])
        self.assertEqual(len(peer.messages), 1)
        self.assertEqual(self.told(), [("sts", "certificate-host-mismatch", f"mx.{NAME}")])

    async def test_its_own_certificate_is_bad(self) -> None:
        """The policy's server is not theirs by its certificate: then there is no policy."""
        await self.web.stop()
        self.web = PolicyServer(self.authority.pair("www.example"))
        self.patch(https, "PORT", self.web.listen())
        self.publish()
        self.at("127.0.0.2", tls=self.good)
        self.sends()
        self.assertEqual((await self.delivered(f"bob@{NAME}"))["policy"], "opportunistic")
        self.assertEqual(self.told()[0], ("sts", "sts-webpki-invalid", ""))

    async def test_over(self) -> None:
        """A policy whose time is over, and which cannot be had anew, holds no more."""
        self.publish(max_age=3600)
        self.at("127.0.0.2", tls=self.authority.pair("a.example"))
        self.sends()
        await self.deferred(f"bob@{NAME}")
        self.web.texts.clear()
        await self.deferred(f"bob@{NAME}")
        self.moved += 3601
        self.assertEqual((await self.delivered(f"carol@{NAME}"))["policy"], "opportunistic")

    async def test_the_sender_does_without(self) -> None:
        """TLS-Required: No (RFC 8689 3): the other side's policy is passed over, in the clear if need be."""
        self.publish()
        peer = self.at("127.0.0.2")
        self.sends()
        attempt = await self.delivered(f"bob@{NAME}", tls_optional=True)
        self.assertEqual(attempt["policy"], "the sender wrote TLS-Required: No")
        self.assertEqual(len(peer.messages), 1)


class RequiredTests(StsCase):
    """The sender requires TLS."""

    async def test_a_plain_peer(self) -> None:
        """It has no TLS; it has TLS and does not promise to pass the wish on: either way it gets nothing."""
        self.publish()
        peer = self.at("127.0.0.2")
        self.sends()
        attempt = await self.deferred(f"bob@{NAME}", require_tls=True)
        self.assertIn("offers no TLS", attempt["said"])
        self.assertIn("REQUIRETLS", attempt["policy"])
        peer.tls = self.good
        attempt = await self._attempt(f"bob@{NAME}", "failed", require_tls=True)
        self.assertIn("does not offer REQUIRETLS", attempt["said"])
        self.assertNotIn("MAIL", peer.verbs())

    async def test_a_peer_that_offers_it(self) -> None:
        self.publish(mode="testing")
        peer = self.at("127.0.0.2", tls=self.good)
        peer.extensions.append("REQUIRETLS")
        self.sends()
        attempt = await self.delivered(f"bob@{NAME}", require_tls=True)
        self.assertEqual(attempt["policy"], "REQUIRETLS")

    async def test_its_report(self) -> None:
        """What is told of it is as secret (RFC 8689 5)."""
        self.publish(mode="testing")
        peer = self.at("127.0.0.2", tls=self.good)
        peer.extensions.append("REQUIRETLS")
        peer.replies = {"RCPT TO:<nobody": b"550 5.1.1 No such user\r\n"}
        self.sends()
        carol = Address.parse(f"carol@{NAME}")
        await self.send(f"nobody@{NAME}", sender=carol, wishes=Wishes(require_tls=True))
        await self.empty()
        [said] = [line for line in peer.heard if line.startswith("MAIL FROM:<>")]
        self.assertIn(" REQUIRETLS", said)
        self.assertEqual(len(peer.messages), 1)

    async def test_its_report_to_a_peer_that_does_not_offer_it(self) -> None:
        """Goes there all the same: it would be lost."""
        self.publish(mode="testing")
        peer = self.at("127.0.0.2", tls=self.good)
        self.sends()
        await self.send(f"bob@{NAME}", sender=None, wishes=Wishes(require_tls=True), origin=Origin.INTERNAL)
        await self.empty()
        self.assertEqual(len(peer.messages), 1)

    async def test_nobody_vouches_for_the_host(self) -> None:
        """Neither DNSSEC nor a policy: whoever forges the DNS could have a good certificate for his own host."""
        self.zones({NAME: "@ MX 10 mx\nmx A 127.0.0.2\n"})
        peer = self.at("127.0.0.2", tls=self.good)
        peer.extensions.append("REQUIRETLS")
        self.sends()
        attempt = await self.deferred(f"bob@{NAME}", require_tls=True)
        self.assertIn("neither DNSSEC nor MTA-STS says", attempt["said"])
        self.assertEqual(peer.talks, [])

    async def test_by_dane(self) -> None:
        pair = self.authority.pair("a.example")
        self.zones({"signed.example": f"@ MX 10 mx\nmx A 127.0.0.2\n_PORT._tcp.mx TLSA {tlsa(pair)}\n"})
        self.at("127.0.0.2", tls=pair).extensions.append("REQUIRETLS")
        self.sends(sts=False)
        attempt = await self.delivered("bob@signed.example", require_tls=True)
        self.assertRegex(attempt["policy"], "^DANE: .*; REQUIRETLS$")


class ConfiguredTests(SignedHouseCase):
    """Levels of the configuration."""

    async def test_levels(self) -> None:
        self.zones({NAME: "@ MX 10 mx\nmx A 127.0.0.2\n"})
        peer = self.at("127.0.0.2", tls=self.authority.pair("a.example"))
        for level in ("none", "may", "encrypt", "verify"):
            self.begin(domains={NAME: level})
            attempt = await self._attempt(f"bob@{NAME}", "deferred" if level == "verify" else "delivered")
            self.assertEqual("tls" in attempt, level in ("may", "encrypt"))
            self.assertEqual(attempt["policy"], "opportunistic" if level == "may" else "configured")
            await self.stop_all()
        peer.tls = None
        for level in ("may", "encrypt"):
            self.begin(domains={NAME: level}, remember=False)
            await self._attempt(f"bob@{NAME}", "delivered" if level == "may" else "deferred")
            await self.stop_all()

    async def test_memory(self) -> None:
        """TLS each time, and then none: mail waits for a day, and the trace says so, before and after."""
        self.zones({NAME: "@ MX 10 mx\nmx A 127.0.0.2\n"})
        peer = self.at("127.0.0.2", tls=self.authority.pair("a.example"))
        self.begin()
        for _ in range(3):
            await self.delivered(f"bob@{NAME}")
        peer.tls = None
        attempt = await self.deferred(f"bob@{NAME}")
        self.assertIn("has had TLS each time since", attempt["policy"])
        self.assertIn("offers no TLS", attempt["said"])
        self.assertEqual(len(peer.messages), 3)
        attempt = await self.deferred(f"bob@{NAME}")
        self.assertIn("so it gets no mail in the clear before", attempt["policy"])
        self.later(86401)
        await self.until(lambda: len(peer.messages) == 5)
        await self.empty()
        attempt = await self.delivered(f"bob@{NAME}")
        self.assertNotIn("tls", attempt)
