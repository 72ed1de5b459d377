"""MTA-STS: reading what strangers wrote, and which policy is in force when, with a web server and a test's own DNS."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as some
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase

from mailserver.delivery.tls import https
from mailserver.delivery.tls.demands import Demands
from mailserver.delivery.tls.outcome import Seen
from mailserver.delivery.tls.policies import DAY, REST
from mailserver.delivery.tls.sts import LARGEST, BadPolicy, read_id, read_policy
from mailserver.settings import OutboundTls
from mailserver.store import tls
from mailserver.wishes import Wishes
from tests.delivery.house import HouseCase
from tests.delivery.policies import PolicyServer, policy, silent
from tests.net.certificates import Authority

reactor: Any = installed_reactor


class RecordTests(SynchronousTestCase):
    def test_id(self) -> None:
        for text in ("v=STSv1; id=2016Z;", "v=STSv1;id=2016Z", "v=STSv1 ; x=y; id=2016Z ;"):
            self.assertEqual(read_id([text, "v=spf1 -all"]), "2016Z")

    def test_none(self) -> None:
        """Without an id, with two records, with another version: no policy is announced (RFC 8461 3.1)."""
        good = "v=STSv1; id=1;"
        long = f"v=STSv1; id={'1' * 33};"
        for texts in ([], [good, good], ["v=STSv1;"], ["v=STSv2; id=1;"], ["v=STSv1; id=a-b;"], [long]):
            self.assertIsNone(read_id(texts))

    @given(some.text())
    def test_anything(self, text: str) -> None:
        read_id([text])
        read_id(["v=STSv1;" + text])


class PolicyTests(SynchronousTestCase):
    def test_whole(self) -> None:
        text = (
            "version: STSv1\nmode: enforce\nmx: Mail.example.com\nmx: *.example.net\nnew: thing\nmax_age: 604800\n"
            "mode: none\n"
        )
        for written in (text, text.replace("\n", "\r\n"), text.rstrip("\n")):
            found = read_policy(written)
            self.assertEqual((found.mode, found.max_age, found.mx), (
                "enforce", 604800, ("mail.example.com", "*.example.net")
            ))
            self.assertEqual(found.lines[2], "mx: Mail.example.com")

    def test_names(self) -> None:
        """A star is one label, no more and no less (RFC 8461 4.1)."""
        found = read_policy(policy("mail.example.com", "*.example.net"))
        for name, named in (
            ("mail.example.com", True), ("MAIL.example.com.", True), ("x.mail.example.com", False),
            ("a.example.net", True), ("a.b.example.net", False), ("example.net", False), ("aexample.net", False),
        ):
            self.assertIs(found.names(name), named, name)

    def test_bad(self) -> None:
        for text, why in (
            ("", "version"), ("mode: enforce\nmx: a.example\nmax_age: 1\n", "version"),
            (policy("a.example").replace("STSv1", "STSv2"), "version"), (policy("a.example", mode="maybe"), "no mode"),
            (policy(), "names no mail server"), (policy("a.example").replace("604800", "-1"), "how long"),
            (policy("a b"), "no name"), (policy("*"), "no name"), (policy("mail.*.example"), "no name"),
            (policy("a.example") + "<html>\n", "no field"),
            (policy(*(f"m{n}.example" for n in range(201))), "more than 200"),
        ):
            with self.assertRaisesRegex(BadPolicy, why):
                read_policy(text)
        self.assertEqual(read_policy(policy(mode="none")).mx, ())
        self.assertEqual(read_policy(policy("a.example", max_age=9_999_999_999)).max_age, 31557600)

    @given(some.text(alphabet=some.characters(codec="utf-8")))
    def test_anything(self, text: str) -> None:
        for written in (text, policy("a.example") + text):
            try:
                found = read_policy(written)
            except BadPolicy:
                continue
            self.assertIn(found.mode, ("enforce", "testing", "none"))


class PoliciesCase(HouseCase):
    """example.com announces a policy."""

    def setUp(self) -> None:
        super().setUp()
        self.authority = Authority(Path(self.mktemp()))
        self.server = PolicyServer(self.authority.pair("mta-sts.example.com", "mta-sts.example.net"))
        self.patch(https, "PORT", self.server.listen())
        self.addCleanup(lambda: self.server.stop())
        self.announce("1")
        self.names.add("mta-sts.example.com", "A", "127.0.0.9")
        self.server.texts["mta-sts.example.com"] = policy("mx.example.com")
        self.seen: list[Seen] = []
        self.demands = self.demand()

    def announce(self, id: str) -> None:
        self.names.add("_mta-sts.example.com", "TXT", f'"v=STSv1; " "id={id};"')

    def demand(self, **how: Any) -> Demands:
        demands = Demands(
            self.database, OutboundTls(**{"ca": self.authority.file, "allow_loopback": True, **how}), self.world, "us"
        )
        demands.on_outcome(self.seen.append)
        self.addCleanup(demands.stop)
        return demands

    async def policy(self, demands: Demands | None = None) -> Any:
        return await (demands or self.demands).of_domain("example.com", Wishes(), True)

    async def trouble(self) -> str:
        return str((await self.kept()).trouble)

    async def kept(self) -> Any:
        return (await self.database.read(tls.known, "example.com"))[0]


class InForceTests(PoliciesCase):
    async def test_fetched_once(self) -> None:
        """Whoever asks at the same time waits for the same; afterwards it is known, to another process too."""
        found = await gatherResults([Deferred.fromCoroutine(self.policy()) for _ in range(5)])
        self.assertEqual({each.sts.mx for each in found}, {("mx.example.com",)})
        self.assertEqual(self.server.asked, [("mta-sts.example.com", "/.well-known/mta-sts.txt")])
        await self.policy()
        again = await self.policy(self.demand())
        self.assertEqual((again.sts.id, again.sts.mode), ("1", "enforce"))
        self.assertEqual(len(self.server.asked), 1)

    async def test_another_id(self) -> None:
        """A new policy is fetched at once."""
        await self.policy()
        self.announce("2")
        self.server.texts["mta-sts.example.com"] = policy("mx.example.com", mode="testing")
        self.assertEqual((await self.policy()).sts.mode, "testing")
        self.assertEqual((await self.kept()).id, "2")

    async def test_it_holds_when_it_cannot_be_fetched_anew(self) -> None:
        """Nor does it end because its record is gone (RFC 8461 5.1); only by its time."""
        await self.policy()
        self.announce("2")
        del self.server.texts["mta-sts.example.com"]
        found = await self.policy()
        self.assertEqual((found.sts.id, found.sts.mode), ("1", "enforce"))
        self.assertIn("answered 404", await self.until(self.trouble))
        self.names.add("_mta-sts.example.com", "TXT", '"nothing"')
        self.assertEqual((await self.policy()).sts.id, "1")
        self.names.fail("_mta-sts.example.com")
        self.assertEqual((await self.policy()).sts.id, "1")
        self.moved += 604801
        found = await self.policy()
        self.assertIsNone(found.sts)
        self.assertIn("cannot be known", found.sts_trouble)

    async def test_renewed_daily(self) -> None:
        """Whoever sends does not wait for that."""
        await self.policy()
        self.moved += DAY + 1
        self.server.texts["mta-sts.example.com"] = policy("new.example.com")
        self.assertEqual((await self.policy()).sts.mx, ("mx.example.com",))

        async def renewed() -> bool:
            return "new.example.com" in (await self.kept()).text

        await self.until(renewed)
        self.assertGreater((await self.kept()).expires, self.world.now() + 604000)

    async def test_renewed_by_the_clock(self) -> None:
        """What is used; what no mail went to for a month may end."""
        await self.policy()
        self.assertEqual(await self.demands.renew(), 0)
        self.moved += DAY + 1
        self.assertEqual(await self.demands.renew(), 1)
        self.assertEqual(len(self.server.asked), 2)
        self.moved += DAY + 1
        self.server.texts["mta-sts.example.com"] = "rubbish"
        self.assertEqual(await self.demands.renew(), 0)
        self.assertIn("no field", (await self.kept()).trouble)
        self.moved += 31 * DAY
        asked = len(self.server.asked)
        self.assertEqual((await self.demands.renew(), len(self.server.asked)), (0, asked))

    async def test_switched_off(self) -> None:
        found = await self.policy(self.demand(sts=False))
        self.assertIsNone(found.sts)
        self.assertEqual(self.server.asked, [])


class RefusedTests(PoliciesCase):
    """Without a policy in force, each of these is none; the reason is known, and told to whoever writes reports."""

    async def fails(self, why: str, result: str = "sts-policy-fetch-error", **how: Any) -> None:
        demands = self.demand(**how)
        found = await self.policy(demands)
        self.assertIsNone(found.sts)
        self.assertIn(why, found.sts_trouble)
        self.assertEqual((self.seen[-1].policy_type, self.seen[-1].result), ("sts", result))
        self.assertIsNone(await self.kept())

    async def test_certificates(self) -> None:
        await self.fails("is signed by nobody who is trusted", "sts-webpki-invalid", ca=None)
        await self.server.stop()
        self.server = PolicyServer(self.authority.pair("example.com"))
        self.patch(https, "PORT", self.server.listen())
        await self.fails("the certificate of mta-sts.example.com is for example.com", "sts-webpki-invalid")
        await self.server.stop()
        self.server = PolicyServer(self.authority.pair("mta-sts.example.com", age=9))
        self.patch(https, "PORT", self.server.listen())
        await self.fails("the certificate of mta-sts.example.com has expired", "sts-webpki-invalid")
        self.assertEqual(self.server.asked, [])

    async def test_inside_our_network(self) -> None:
        """A stranger's DNS leads nobody to loopback or to private addresses."""
        for address in ("127.0.0.9", "10.0.0.1", "169.254.169.254", "192.168.1.1"):
            self.names.add("mta-sts.example.com", "A", address)
            await self.fails("is not on the Internet", allow_loopback=False)
        self.names.add("mta-sts.example.com", "A")
        for address in ("::ffff:127.0.0.9", "64:ff9b::7f00:9", "2002:7f00:9::1", "ff0e::1"):     # RFC 6052, RFC 3056
            self.names.add("mta-sts.example.com", "AAAA", address)
            await self.fails("is not on the Internet", allow_loopback=False)
        self.assertEqual(self.server.asked, [])

    async def test_redirect(self) -> None:
        def elsewhere(request: Any) -> bytes:
            request.redirect(b"https://mta-sts.example.com/other")
            return b""

        self.server.odd = elsewhere
        await self.fails("answered 302")
        self.assertEqual(len(self.server.asked), 1)

    async def test_no_text(self) -> None:
        def page(request: Any) -> bytes:
            request.setHeader("content-type", "text/html")
            return policy("mx.example.com").encode()

        self.server.odd = page
        await self.fails("no text/plain", "sts-policy-invalid")

    async def test_too_large(self) -> None:
        def large(request: Any) -> bytes:
            request.setHeader("content-type", "text/plain")
            return policy("mx.example.com").encode() + b"x: y\r\n" * LARGEST

        self.server.odd = large
        await self.fails("larger than", "sts-policy-invalid")

    async def test_header_without_end(self) -> None:
        def large(request: Any) -> bytes:
            for number in range(2000):
                request.responseHeaders.addRawHeader(f"x-{number}", "y" * 200)
            return b""

        self.server.odd = large
        await self.fails("gave no answer")

    async def test_cut(self) -> None:
        def cut(request: Any) -> bytes:
            request.setHeader("content-type", "text/plain")
            request.setHeader("content-length", "5000")
            request.write(policy("mx.example.com").encode())
            reactor.callLater(0.05, request.loseConnection)
            return silent(request)      # type: ignore[no-any-return]

        self.server.odd = cut
        await self.fails("did not come to its end")

    async def test_no_answer(self) -> None:
        self.patch(https, "PATIENCE", 0.3)
        self.server.odd = silent
        await self.fails("within 0.3 s")

    async def test_no_connection(self) -> None:
        """A host that drops who knocks: the time is over for all of its addresses."""
        self.patch(https, "PATIENCE", 0.3)
        held = socket.socket()
        self.addCleanup(held.close)
        held.bind(("127.0.0.10", https.PORT))
        held.listen(0)
        for _ in range(3):                      # as many as the kernel takes; it drops the others
            knocks = socket.socket()
            self.addCleanup(knocks.close)
            knocks.setblocking(False)
            knocks.connect_ex(("127.0.0.10", https.PORT))
        self.names.add("mta-sts.example.com", "A", "127.0.0.10", "127.0.0.9")
        await self.fails("within 0.3 s")
        self.assertEqual(self.server.asked, [])

    async def test_nobody_there(self) -> None:
        self.names.add("mta-sts.example.com", "A")
        await self.fails("has no address")
        self.names.add("mta-sts.example.com", "A", "127.0.0.10")
        await self.fails("no connection to mta-sts.example.com (127.0.0.10)")

    async def test_not_asked_again_at_once(self) -> None:
        """For five minutes; but at once when another policy is announced."""
        self.server.texts.clear()
        for _ in range(3):
            self.assertIn("answered 404", (await self.policy()).sts_trouble)
        self.assertEqual(len(self.server.asked), 1)
        self.announce("2")
        await self.policy()
        self.assertEqual(len(self.server.asked), 2)
        self.assertEqual(REST, 300.0)

    async def test_stopped(self) -> None:
        """The server ends while it is being fetched: nothing stays behind."""
        self.server.odd = silent
        asking = Deferred.fromCoroutine(self.policy())
        await self.until(lambda: self.server.asked)
        await self.demands.stop()
        self.assertIn("stopping", (await asking).sts_trouble)
