"""A program elsewhere judges what arrives."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, ClassVar

from mailserver_webhook.answers import read_answer
from mailserver_webhook.judge import Judge
from twisted.internet.defer import Deferred
from twisted.internet.ssl import PrivateCertificate
from twisted.trial.unittest import SynchronousTestCase

from mailserver.cli.certificate import self_signed
from mailserver.content import LARGE, Content
from mailserver.envelope import Tls
from mailserver.hooks import Broken
from mailserver.reply import Reply
from mailserver.testing import FilterContract, PluginCase, a_client, an_envelope
from mailserver.verdict import ACCEPT, AddHeader, Defer, Discard, Quarantine, Reject, RemoveHeader, Score
from tests.receiver import Receiver

SECRET = "a secret of sixteen octets or more"


class JudgeCase(PluginCase):
    plugin = Judge
    table: ClassVar = {"url": "https://hooks.example.net/mail", "secret": SECRET}
    receiver: Receiver

    def begin(self, tls: Any = None, host: str = "127.0.0.1", **table: Any) -> Judge:
        self.receiver = Receiver(tls)
        self.addCleanup(self.receiver.stop)
        judge: Judge = self.build(url=self.receiver.url(host), allow_private=True, **table)
        self.addCleanup(judge.stop)
        return judge

    async def ask(self, judge: Judge, content: Content | bytes = b"Subject: x\r\n\r\nx\r\n") -> Any:
        content = Content.of(content) if isinstance(content, bytes) else content
        client = a_client("192.0.2.1", login="bob@example.org", tls=Tls("TLSv1.3", "X"))
        return await judge.content(client, an_envelope("", ["bob@example.org", "carol@example.org"]), content)


class ContractTests(FilterContract, PluginCase):
    """There is no such host: it says that it cannot now, to whatever it is shown."""

    plugin = Judge
    table: ClassVar = {"url": "https://hooks.example.net/mail", "secret": SECRET}


class AskingTests(JudgeCase):
    async def test_what_it_is_shown(self) -> None:
        judge = self.begin()
        self.assertEqual(await self.ask(judge), [])
        told = json.loads(self.receiver.bodies[0])
        self.assertEqual(told["type"], "judge")
        data = told["data"]
        self.assertEqual(data["recipients"], ["bob@example.org", "carol@example.org"])
        self.assertEqual((data["sender"], data["origin"]), ("", "arrival"))
        self.assertEqual((data["client"]["address"], data["client"]["login"]), ("192.0.2.1", "bob@example.org"))
        self.assertEqual(base64.b64decode(data["content"]), b"Subject: x\r\n\r\nx\r\n")
        self.assertEqual((data["size"], data["truncated"]), (17, False))
        self.assertTrue(self.receiver.heads[0]["webhook-signature"].startswith("v1,"))

    async def test_truncated(self) -> None:
        """It is told so; of a large one as much is shown as is wanted."""
        judge = self.begin(content_limit=10)
        await self.ask(judge)
        path = Path(self.mktemp())
        octets = bytes(range(256)) * 1000
        path.write_bytes(octets)
        large = Content(len(octets), octets[:LARGE], str(path))
        await self.ask(judge, large)
        wide = self.build(url=self.receiver.url(), allow_private=True, content_limit=LARGE + 1000)
        self.addCleanup(wide.stop)
        await self.ask(wide, large)
        shown = [json.loads(body)["data"] for body in self.receiver.bodies]
        self.assertEqual([each["truncated"] for each in shown], [True, True, True])
        self.assertEqual([each["size"] for each in shown], [17, 256_000, 256_000])
        self.assertEqual(base64.b64decode(shown[2]["content"]), octets[: LARGE + 1000])

    async def test_verdict(self) -> None:
        judge = self.begin()
        self.receiver.answer = b'{"verdict": "reject", "reply": "554 5.7.9 Go away"}'
        self.assertEqual(await self.ask(judge), [Reject(Reply(554, "7.9", "Go away"))])

    async def test_kept_connection(self) -> None:
        """The second question goes by the same connection; one that was closed meanwhile is no trouble."""
        judge = self.begin()
        await self.ask(judge)
        self.receiver.headers = {"connection": "close"}
        await self.ask(judge)
        await self.ask(judge)
        self.assertEqual(len(self.receiver.bodies), 3)

    async def test_https(self) -> None:
        """The certificate must be of the host, and of somebody who is trusted."""
        folder = Path(self.mktemp())
        folder.mkdir()
        file, key = folder / "tls.pem", folder / "tls.key"
        self_signed(file, key, ["hooks.example.net"])
        pair = PrivateCertificate.loadPEM(key.read_text() + file.read_text())
        for name in ("hooks.example.net", "other.example.net"):
            self.server.resolver.add(name, "A", "127.0.0.1")
        judge = self.begin(pair.options(), "hooks.example.net", certificate=str(file))
        self.assertEqual(await self.ask(judge), [])
        for table in ({}, {"certificate": str(file), "url": self.receiver.url("other.example.net")}):
            stranger = self.build(**{"url": self.receiver.url("hooks.example.net"), "allow_private": True, **table})
            self.addCleanup(stranger.stop)
            with self.assertRaises(Broken):
                await self.ask(stranger)
        self.assertEqual(len(self.receiver.bodies), 1)
        self.flushLoggedErrors()


class TroubleTests(JudgeCase):
    async def broken(self, judge: Judge) -> str:
        with self.assertRaises(Broken) as raised:
            await self.ask(judge)
        return str(raised.exception)

    async def test_codes(self) -> None:
        judge = self.begin()
        self.receiver.codes = [500, 302, 204]
        for code in (500, 302, 204):
            self.assertIn(str(code), await self.broken(judge))

    async def test_nonsense(self) -> None:
        judge = self.begin()
        for self.receiver.answer in (b"", b"yes", b'"reject"', b'{"verdict": "rejekt"}', b"[" * 10_000, b"\xff"):
            self.assertIn("no verdict", await self.broken(judge))

    async def test_a_long_answer(self) -> None:
        judge = self.begin()
        self.receiver.answer = b" " * 200_000 + b"{}"
        self.assertIn("more than 65536 octets", await self.broken(judge))

    async def test_silence(self) -> None:
        judge = self.begin(timeout=3.0)
        self.receiver.codes = ["silence"]
        asking = Deferred.fromCoroutine(self.broken(judge))
        await self.receiver.until(lambda: self.receiver.bodies)
        self.server.clock.advance(3)
        self.assertIn("did not answer within 3 s", await asking)

    async def test_nobody_there(self) -> None:
        judge = self.build(url="http://127.0.0.1:1/", allow_private=True)
        self.assertIn("no connection", await self.broken(judge))


class AnswerTests(SynchronousTestCase):
    def test_verdicts(self) -> None:
        for said, found in (
            ({}, []),
            ({"verdict": "none"}, []),
            ({"verdict": "accept"}, [ACCEPT]),
            ({"verdict": "reject", "reply": "No"}, [Reject(Reply(550, "7.1", "No"))]),
            ({"verdict": "reject", "reply": "552 Too much"}, [Reject(Reply(552, "7.1", "Too much"))]),
            ({"verdict": "defer", "reply": "450 4.2.1 Later"}, [Defer(Reply(450, "2.1", "Later"))]),
            ({"verdict": "discard", "why": "spam"}, [Discard("spam")]),
            ({"verdict": "quarantine", "why": "spam"}, [Quarantine("spam")]),
            ({"verdict": "score", "points": 3, "why": "x"}, [Score(3.0, "x")]),
            ([{"verdict": "add_header", "name": "X-Spam", "value": "yes"},
              {"verdict": "remove_header", "name": "X-Y"}], [AddHeader("X-Spam", "yes"), RemoveHeader("X-Y")]),
        ):
            self.assertEqual(read_answer(json.dumps(said).encode()), found, said)

    def test_no_verdicts(self) -> None:
        for said in (
            [], None, 3, {"verdict": 3}, {"verdict": "reject", "reply": "451 4.7.1 x"},
            {"verdict": "defer", "reply": "550 x"}, {"verdict": "reject", "reply": "550 4.7.1 x"},
            {"verdict": "reject", "reply": "550 x\r\n250 y"}, {"verdict": "score"},
            {"verdict": "score", "points": True},
            {"verdict": "score", "points": float("nan")}, {"verdict": "add_header", "name": "X Y", "value": "z"},
            {"verdict": "add_header", "name": "X", "value": "z\r\nBcc: x"}, [{}] * 51, {"verdict": "discard", "why": 3},
        ):
            if said == []:
                self.assertEqual(read_answer(b"[]"), [])
                continue
            with self.assertRaises(ValueError, msg=said):
                read_answer(json.dumps(said).encode())
