"""The built-in filters, each by the public contract and by what it is for."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import dns.message
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from mailserver.address import Address
from mailserver.content import Content
from mailserver.envelope import Origin, Reverse
from mailserver.errors import TemporaryFailure
from mailserver.filters.dnsbl import FAILURES, REST, Dnsbl, reversed_address
from mailserver.filters.headers import Headers
from mailserver.filters.hello import NO_REVERSE, NOT_A_NAME, NOT_IN_DNS, NOT_YOURS, OURS, Hello
from mailserver.filters.loops import Loops
from mailserver.filters.mx import NO_DOMAIN, NO_SERVER, NULL_MX, Mx
from mailserver.filters.rate import Rate
from mailserver.net.resolver import Resolver
from mailserver.plugin import OptionError
from mailserver.reply import LOOP, NO_MAIL_THERE
from mailserver.testing import FilterContract, PluginCase, a_client, an_envelope
from mailserver.verdict import AddHeader, Defer, Pause, Reject, Score
from tests.net.nameservers import NameServer


class HeadersTests(FilterContract, PluginCase):
    plugin = Headers

    def missing(self, header: bytes) -> list[str]:
        said = self.build().content(a_client(), an_envelope(origin=Origin.SUBMISSION), Content.of(header + b"\r\nbody"))
        return [verdict.name for verdict in said or ()]

    def test_missing(self) -> None:
        """What is missing is added, and only that; a field in the body is none."""
        self.assertEqual(self.missing(b"Subject: x\r\n"), ["Date", "Message-ID"])
        self.assertEqual(self.missing(b"DATE : x\r\nSubject: x\r\n"), ["Message-ID"])
        self.assertEqual(self.missing(b"Subject: x\r\nmessage-id: <a>\r\n"), ["Date"])
        self.assertEqual(self.missing(b"Date: x\r\nMessage-ID: <a>\r\n"), [])
        self.assertEqual(self.missing(b"X-Date: x\r\nX: \r\n Message-ID: no\r\n\r\nDate: x"), ["Date", "Message-ID"])

    def test_values(self) -> None:
        """A date of RFC 5322, and an identifier that is ours."""
        envelope = an_envelope(origin=Origin.SUBMISSION)
        date, identifier = self.build().content(a_client(), envelope, Content.of(b"\r\n"))
        self.assertRegex(date.value, r"^\w{3}, \d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d \+0000$")
        self.assertRegex(identifier.value, r"^<\w{13}@mx\.example\.org>$")
        self.assertIsInstance(date, AddHeader)

    def test_arrivals_stay_as_they_are(self) -> None:
        """Only submissions are mended (RFC 6409 8)."""
        self.assertEqual(set(Headers.origins), {Origin.SUBMISSION})


class LoopsTests(FilterContract, PluginCase):
    plugin = Loops

    def judge(self, header: bytes, *recipients: str, **table: int) -> object:
        envelope = an_envelope(recipients=recipients or ("bob@example.org",))
        return self.build(**table).content(a_client(), envelope, Content.of(header + b"\r\nbody"))

    def test_hops(self) -> None:
        """A hundred are many, one more is a circle (RFC 5321 6.3)."""
        self.assertIsNone(self.judge(b"Received: x\r\n" * 100))
        self.assertEqual(self.judge(b"Received: x\r\n" * 100 + b"RECEIVED : y\r\n"), Reject(LOOP))
        self.assertEqual(self.judge(b"Received: x\r\n\ty\r\n" * 3, hops=2), Reject(LOOP))
        self.assertIsNone(self.judge(b"X-Received: x\r\n" * 200))

    def test_delivered_before(self) -> None:
        """To this recipient; another one's line says nothing."""
        self.assertEqual(self.judge(b"Delivered-To: Bob@example.org\r\n"), Reject(LOOP))
        self.assertIsNone(self.judge(b"Delivered-To: alice@example.org\r\n"))
        self.assertIsNone(self.judge(b"Delivered-To: bob@example.org\r\n", "bob@example.org", "alice@example.org"))
        zoe = "Zo\u00c9@example.org"
        self.assertEqual(self.judge(f"Delivered-To: {zoe}\r\n".encode(), zoe.replace("Z", "z")), Reject(LOOP))

    def test_hostile(self) -> None:
        """Headers made to be looked through for long are not."""
        for piece in (b"\r\n", b"Received ", b"Received\r\n", b"\nDelivered-To:   ", b"Delivered-To: \t \t"):
            began = time.perf_counter()
            self.judge(piece * (100_000 // len(piece)))
            self.assertLess(time.perf_counter() - began, 0.5, piece)


class RateTests(FilterContract, PluginCase):
    plugin = Rate

    def test_messages(self) -> None:
        """So many in a period; tokens come back as time goes."""
        rate = self.build(messages=2, period=10.0)
        client, envelope = a_client(), an_envelope()
        self.assertEqual([rate.sender(client, envelope) is None for _ in range(3)], [True, True, False])
        self.assertIsInstance(rate.sender(client, envelope), Defer)
        self.assertIsNone(rate.sender(a_client("192.0.2.2"), envelope))
        self.server.clock.advance(5)
        self.assertEqual([rate.sender(client, envelope) is None for _ in range(2)], [True, False])

    def test_peers(self) -> None:
        """An IPv6 /64 is one peer, a login is one wherever it comes from, loopback is nobody unless it is named."""
        rate = self.build(connections=1, recipients=1)
        self.assertIsNone(rate.connected(a_client("2001:db8::1")))
        self.assertIsNotNone(rate.connected(a_client("2001:db8::2")))
        address = Address("bob", "example.org")
        for peer, free in (("192.0.2.1", True), ("192.0.2.2", False)):
            said = rate.recipient(a_client(peer, login="alice@example.org"), an_envelope(), address)
            self.assertEqual(said is None, free)
        self.assertEqual([rate.connected(a_client("127.0.0.1")) for _ in range(3)], [None] * 3)
        strict = self.build(connections=1, loopback=True)
        self.assertEqual([strict.connected(a_client("127.0.0.1")) is None for _ in range(2)], [True, False])

    def test_networks(self) -> None:
        """Many addresses of one network share a limit of their own; logins do not."""
        rate = self.build(messages=1, network=3, period=30.0)
        envelope = an_envelope()
        said = [rate.sender(a_client(f"192.0.2.{number}"), envelope) is None for number in range(1, 6)]
        self.assertEqual(said, [True, True, True, False, False])
        self.assertIsNone(rate.sender(a_client("198.51.100.1"), envelope))
        self.assertIsNone(rate.sender(a_client("192.0.2.9", login="alice@example.org"), envelope))
        self.server.clock.advance(10)
        self.assertIsNone(rate.sender(a_client("192.0.2.10"), envelope))
        without = self.build(messages=1, network=0)
        self.assertEqual({without.sender(a_client(f"192.0.2.{number}"), envelope) for number in range(50)}, {None})
        self.assertRaises(OptionError, self.build, network=0.5)

    def test_no_limit(self) -> None:
        """Zero is none."""
        rate = self.build(messages=0)
        self.assertEqual({rate.sender(a_client(), an_envelope()) for _ in range(500)}, {None})


class DnsblTests(FilterContract, PluginCase):
    plugin = Dnsbl
    table = {"zones": ["bad.example", "worse.example"]}

    async def judge(self, address: str = "8.8.4.4", **table: object) -> object:
        return await self.build(**table).recipient(a_client(address), an_envelope(), Address("bob", "example.org"))

    def test_names(self) -> None:
        """RFC 5782 2.1 and 2.4."""
        self.assertEqual(reversed_address("8.8.4.1"), "1.4.8.8")
        self.assertEqual(reversed_address("2a00::1"), ".".join("1" + "0" * 27 + "00a2"))
        self.assertIsNone(reversed_address("10.0.0.1"))
        self.assertEqual(reversed_address("10.0.0.1", private=True), "1.0.0.10")
        self.assertIsNone(reversed_address("nonsense"))

    async def test_pause(self) -> None:
        """Who is listed waits, and is not refused."""
        self.server.resolver.add("4.4.8.8.worse.example", "A", "127.0.0.2")
        dnsbl = self.build(pause=5.0)
        self.assertEqual(await dnsbl.connected(a_client("8.8.4.4")), Pause(5.0, "listed by worse.example"))
        self.assertIsNone(await dnsbl.connected(a_client("8.8.4.5")))
        self.assertIsNone(await dnsbl.recipient(a_client("8.8.4.4"), an_envelope(), Address("bob", "example.org")))
        self.assertIsNone(await self.build().connected(a_client("8.8.4.4")))
        self.assertRaises(OptionError, self.build, pause=3600.0)

    async def test_not_listed(self) -> None:
        """No such name: no opinion."""
        self.assertIsNone(await self.judge())

    async def test_listed(self) -> None:
        """Refused, with the zone and what it says of the reason."""
        self.server.resolver.add("4.4.8.8.worse.example", "A", "127.0.0.2")
        self.server.resolver.add("4.4.8.8.worse.example", "TXT", '"see https://worse.example/"')
        said = await self.judge()
        self.assertEqual(str(said.reply), "554 5.7.1 8.8.4.4 is listed by worse.example: see https://worse.example/")

    async def test_parked(self) -> None:
        """An answer outside 127/8 is a list that has died."""
        self.server.resolver.add("4.4.8.8.bad.example", "A", "192.0.2.80")
        self.assertIsNone(await self.judge())

    async def test_unreachable(self) -> None:
        """A zone that does not answer has no opinion, and does not silence the other."""
        self.server.resolver.fail("4.4.8.8.bad.example")
        self.assertIsNone(await self.judge())
        self.server.resolver.add("4.4.8.8.worse.example", "A", "127.0.0.2")
        self.assertIsInstance(await self.judge(), Reject)

    async def test_rests(self) -> None:
        """A zone that fails again and again is left alone for a while, and one that has an answer starts anew."""
        self.server.resolver.fail("4.4.8.8.bad.example")
        dnsbl = self.build()
        question = a_client("8.8.4.4"), an_envelope(), Address("bob", "example.org")
        asked = ("4.4.8.8.bad.example", "A")
        for _ in range(FAILURES + 2):
            await dnsbl.recipient(*question)
        self.assertEqual(self.server.resolver.asked.count(asked), FAILURES)
        self.server.clock.advance(REST)
        await dnsbl.recipient(*question)
        self.assertEqual(self.server.resolver.asked.count(asked), FAILURES + 1)

    async def test_complaint(self) -> None:
        """A list that answers 127.255.255.x does not serve our resolver: nobody is refused for that."""
        self.server.resolver.add("4.4.8.8.bad.example", "A", "127.255.255.254")
        self.assertIsNone(await self.judge())

    async def test_words_of_a_list(self) -> None:
        """They cannot make a line of their own, and are bounded."""
        self.server.resolver.add("4.4.8.8.bad.example", "A", "127.0.0.2")
        self.server.resolver.add("4.4.8.8.bad.example", "TXT", '"a\\013\\010250 Ok\\255' + "x" * 200 + '"')
        reply = (await self.judge()).reply.encode()
        self.assertTrue(reply.startswith(b"554 5.7.1 8.8.4.4 is listed by bad.example: a??250 Ok\\xffxxx"), reply)
        self.assertEqual((reply.count(b"\n"), reply.isascii()), (1, True))
        self.assertLess(len(reply), 300)

    async def test_weights(self) -> None:
        """Points add up to the threshold, and who is in an allow list is not refused."""
        for zone in ("bad.example", "worse.example"):
            self.server.resolver.add(f"4.4.8.8.{zone}", "A", "127.0.0.2")
        weights = {"bad.example": 0.5, "worse.example": 0.4}
        self.assertIsNone(await self.judge(weights=weights))
        self.assertIsInstance(await self.judge(weights=weights, threshold=0.9), Reject)
        self.server.resolver.add("4.4.8.8.good.example", "A", "127.0.0.1")
        self.assertIsNone(await self.judge(allow=["good.example"]))

    def test_options(self) -> None:
        """A zone that is none is a mistake of the configuration."""
        for wrong in ({"zones": []}, {"zones": ["x"]}, {"zones": "bad.example"}, {"weights": {"other.example": 1.0}}):
            with self.assertRaises(OptionError) as caught:
                self.build(**wrong)
            self.assertEqual(caught.exception.key, next(iter(wrong)))


class HelloTests(FilterContract, PluginCase):
    plugin = Hello

    async def judge(self, name: str, address: str = "192.0.2.7", **table: Any) -> object:
        result = table.pop("result", None)
        client = replace(a_client(address), hello=name, reverse=Reverse(result) if result else None)
        return await self.build(**table).sender(client, an_envelope())

    async def test_names(self) -> None:
        """Names and literals; neither ours, nor somebody else's address, nor nonsense."""
        self.server.add_domain("example.org")
        for name, said in (
            ("mx.example.net", None), ("[192.0.2.7]", None), ("[192.0.2.8]", NOT_YOURS),
            ("[IPv6:2001:db8::1]", NOT_YOURS), ("192.0.2.7", NOT_A_NAME), ("a b", NOT_A_NAME), ("", NOT_A_NAME),
            ("WIN_7.example.net", None), ("-a.example.net", NOT_A_NAME), ("[192.0.2.7", NOT_A_NAME),
            ("[mx.example.net]", NOT_A_NAME), ("mx..example.net", NOT_A_NAME), ("MX.example.ORG", OURS),
            ("example.org", OURS), ("localhost", None),
        ):
            self.assertEqual(await self.judge(name), None if said is None else Reject(said), name)
        self.assertIsNone(await self.judge("[IPv6:2001:DB8::7]", "2001:db8::7"))
        for name in ("192.0.2.7", "[192.0.2.8]", "example.org"):
            self.assertIsNone(await self.judge(name, syntax=False, literal=False, ours=False), name)

    async def test_dns(self) -> None:
        """What is asked of the DNS, where one wants it."""
        self.server.resolver.add("mx.example.net", "AAAA", "2001:db8::1")
        self.assertIsNone(await self.judge("mx.example.net", exists=True))
        self.assertEqual(await self.judge("nowhere.example", exists=True), Reject(NOT_IN_DNS))
        self.assertEqual(await self.judge("x.example", reverse=True, result="fail"), Reject(NO_REVERSE))
        self.assertIsInstance(await self.judge("x.example", reverse=True, result="temperror"), Defer)
        self.assertIsNone(await self.judge("x.example", reverse=True, result="pass"))
        said = await self.judge("x.example", reverse_points=1.5, result="permerror")
        self.assertEqual(said, Score(1.5, "no confirmed name in the DNS (permerror)"))

    async def test_who_may_relay(self) -> None:
        """Programs of users call themselves as they like."""
        client = replace(a_client("192.0.2.7", login="alice@example.org"), hello="my laptop!")
        for spared in (client, replace(client, login=None, trusted=True), replace(client, login=None, service="lmtp")):
            self.assertIsNone(await self.build(exists=True, reverse=True).sender(spared, an_envelope()))
        self.assertEqual(await self.build().sender(replace(client, login=None), an_envelope()), Reject(NOT_A_NAME))

    async def test_nobody_can_say(self) -> None:
        """While the DNS does not answer, mail waits rather than passes."""
        self.server.resolver.fail("mx.example.net")
        with self.assertRaises(TemporaryFailure):
            await self.judge("mx.example.net", exists=True)
        self.assertIsNone(await self.judge("mx.example.net"))


class MxTests(FilterContract, PluginCase):
    plugin = Mx

    async def sender(self, sender: str, **table: bool) -> object:
        return await self.build(**table).sender(a_client(), an_envelope(sender=sender))

    async def recipient(self, recipient: str, origin: Origin = Origin.SUBMISSION) -> object:
        envelope = an_envelope(origin=origin, recipients=(recipient,))
        return await self.build().recipient(a_client(), envelope, Address.parse(recipient))

    async def test_null_mx(self) -> None:
        """Nobody could answer, and nobody is there to take it (RFC 7505 4.2)."""
        self.server.resolver.add("null.example", "MX", "0 .")
        self.assertEqual(await self.sender("a@null.example"), Reject(NULL_MX))
        self.assertEqual(await self.recipient("a@null.example"), Reject(NO_MAIL_THERE))
        self.assertIsNone(await self.recipient("a@null.example", Origin.ARRIVAL))

    async def test_existence(self) -> None:
        """An MX, or an address, or no mail; unless one does not ask."""
        self.server.resolver.add("mx.example", "MX", "10 mail.mx.example")
        self.server.resolver.add("six.example", "AAAA", "2001:db8::1")
        self.server.resolver.add("text.example", "TXT", '"no mail"')
        for domain, said in (
            ("mx.example", None), ("six.example", None), ("text.example", Reject(NO_SERVER)),
            ("nothing.example", Reject(NO_DOMAIN)),
        ):
            self.assertEqual(await self.sender(f"a@{domain}"), said, domain)
            self.assertIsNone(await self.sender(f"a@{domain}", exists=False))
            self.assertIsNone(await self.recipient(f"a@{domain}"))

    async def test_nobody_to_ask_for(self) -> None:
        """The null reverse-path, our own domains, literals."""
        self.server.add_account("bob@example.org")
        for sender in ("a@example.org", "a@[192.0.2.1]"):
            self.assertIsNone(await self.sender(sender))
        self.assertIsNone(await self.build().sender(a_client(), an_envelope(sender=None)))

    async def test_not_now(self) -> None:
        """What the DNS cannot say is not held against anybody for good."""
        self.server.resolver.fail("slow.example")
        await self.assertFailure(Deferred.fromCoroutine(self.sender("a@slow.example")), TemporaryFailure)


class DnsblByUdpTests(PluginCase):
    """With a real name server, and our own resolver."""

    plugin = Dnsbl
    table = {"zones": ["dead.example", "bad.example"], "allow": ["good.example"]}

    def setUp(self) -> None:
        super().setUp()
        self.dns = NameServer.listen()
        self.addCleanup(self.dns.stop)
        self.server.resolver = Resolver(reactor, [self.dns.address])
        self.dnsbl = self.build()

    def judge(self, address: str) -> Deferred[Any]:
        asked = self.dnsbl.recipient(a_client(address), an_envelope(), Address("bob", "example.org"))
        return Deferred.fromCoroutine(asked)

    async def test_listed(self) -> None:
        """Both kinds of addresses; all zones are asked before any has answered."""
        self.dns.know("1.4.8.8.bad.example", "A", "127.0.0.2")
        self.dns.know("1.4.8.8.bad.example", "TXT", '"it is " "bad"')
        six = reversed_address("2a00::1")
        self.dns.know(f"{six}.bad.example", "A", "127.0.0.4", "127.0.0.9")
        said = await self.judge("8.8.4.1")
        self.assertEqual(str(said.reply), "554 5.7.1 8.8.4.1 is listed by bad.example: it is bad")
        self.assertEqual(str((await self.judge("2a00::1")).reply), "554 5.7.1 2a00::1 is listed by bad.example")
        self.assertIsNone(await self.judge("8.8.4.2"))
        self.dns.know("1.4.8.8.good.example", "A", "127.0.0.2")
        self.server.resolver = Resolver(reactor, [self.dns.address])        # that has heard nothing yet
        self.dnsbl = self.build()
        self.assertIsNone(await self.judge("8.8.4.1"))

    async def test_silent(self) -> None:
        """A zone that lets us wait costs its own time, no more, and then its opinion."""
        def odd(question: dns.message.Message, reply: dns.message.Message) -> list[bytes]:
            return [] if b"dead" in question.to_wire().lower() else [reply.to_wire()]

        self.dns.odd = odd
        self.dns.know("1.4.8.8.bad.example", "A", "127.0.0.2")
        judged = self.judge("8.8.4.1")
        while len(self.dns.asked) < 3:
            await deferLater(reactor, 0.01)
        await deferLater(reactor, 0.05)
        self.assertFalse(judged.called)
        self.server.clock.advance(4.0)
        self.assertEqual(str((await judged).reply), "554 5.7.1 8.8.4.1 is listed by bad.example")

    async def test_given_up(self) -> None:
        """Whoever asked has gone: nothing is left behind."""
        self.dns.odd = lambda question, reply: []
        judged = self.judge("8.8.4.1")
        gone: list[Any] = []
        judged.addErrback(gone.append)
        judged.cancel()
        await deferLater(reactor, 0.01)
        self.assertEqual((len(gone), self.server.clock.getDelayedCalls()), (1, []))
