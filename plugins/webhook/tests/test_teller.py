"""What happens is told over HTTP: signed, in order, until it is heard."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any, ClassVar

from mailserver_webhook import outbox
from mailserver_webhook.outbox import Outbox
from mailserver_webhook.post import Post, Unheard
from mailserver_webhook.target import Target, is_public
from mailserver_webhook.teller import LOOK, Teller
from twisted.internet import reactor as installed_reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase

from mailserver.errors import TemporaryFailure
from mailserver.events import Event
from mailserver.ident import spell
from mailserver.options import structure_all
from mailserver.testing import ListenerContract, PluginCase
from tests.receiver import Receiver

reactor: Any = installed_reactor
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123").decode()


class TellerCase(PluginCase):
    plugin = Teller
    table: ClassVar = {"url": "https://hooks.example.net/mail", "secret": SECRET}

    def setUp(self) -> None:
        super().setUp()
        self.receiver = Receiver()
        self.addCleanup(self.receiver.stop)

    def begin(self, **table: Any) -> Teller:
        """A listener that works, and tells the receiver."""
        teller: Teller = self.build(url=self.receiver.url(), allow_private=True, **table)
        teller.start()
        self.addCleanup(teller.stop)
        return teller

    def event(self, recipient: str = "bob@example.org") -> Event:
        return Event("delivered", 1, self.server.now(), "alice@example.net", recipient, {"reply": "250 Ok"})

    async def pass_time(self, seconds: float) -> None:
        """Let the clock run, and what follows from it happen."""
        await deferLater(reactor, 0.1)
        self.server.clock.advance(seconds)

    def waiting(self) -> list[str]:
        """The files that wait."""
        return sorted(path.name for path in (self.server.data / "webhook").glob("*/*.json"))

    async def until_empty(self) -> None:
        for _ in range(200):
            if not self.waiting():
                return
            await deferLater(reactor, 0.02)
        raise AssertionError("it still waits")


class ContractTests(ListenerContract, TellerCase):
    pass


class TellingTests(TellerCase):
    async def test_told(self) -> None:
        """As JSON, with a signature that whoever has the secret can verify; then it is forgotten."""
        await self.begin().happened([self.event(), self.event("carol@example.org")])
        [body] = await self.receiver.until(lambda: self.receiver.bodies)
        told = json.loads(body)
        self.assertEqual((told["type"], len(told["data"])), ("events", 2))
        self.assertEqual(told["data"][0], {
            "kind": "delivered", "id": spell(1), "at": self.server.now(), "sender": "alice@example.net",
            "recipient": "bob@example.org", "reply": "250 Ok",
        })
        head = self.receiver.heads[0]
        signing = f"{head['webhook-id']}.{head['webhook-timestamp']}.".encode() + body
        wanted = hmac.new(b"0123456789abcdef0123", signing, hashlib.sha256).digest()
        self.assertEqual(head["webhook-signature"], "v1," + base64.b64encode(wanted).decode())
        self.assertEqual(head["webhook-timestamp"], str(int(self.server.now())))
        self.assertEqual(head["content-type"], "application/json")
        await self.until_empty()

    async def test_again(self) -> None:
        """Until it is heard: with the same id, later and later, and what happened since waits for its turn."""
        self.receiver.codes = [500, 302]
        teller = self.begin()
        await teller.happened([self.event("a@example.org")])
        await self.receiver.until(lambda: len(self.receiver.bodies) == 1)
        await teller.happened([self.event("b@example.org")])
        await self.pass_time(1)
        await self.receiver.until(lambda: len(self.receiver.bodies) == 2)
        await self.pass_time(1.5)
        self.assertEqual(len(self.receiver.bodies), 2)
        await self.pass_time(0.5)
        await self.receiver.until(lambda: len(self.receiver.bodies) == 4)
        self.assertEqual(self.receiver.heard(), 3 * [["a@example.org"]] + [["b@example.org"]])
        self.assertEqual(len({head["webhook-id"] for head in self.receiver.heads}), 2)

    async def test_asked_to_wait(self) -> None:
        """Retry-After is heeded."""
        self.receiver.codes, self.receiver.headers = [429], {"retry-after": "60"}
        await self.begin().happened([self.event()])
        await self.receiver.until(lambda: self.receiver.bodies)
        await self.pass_time(59)
        await deferLater(reactor, 0.1)
        self.assertEqual(len(self.receiver.bodies), 1)
        await self.pass_time(1)
        await self.receiver.until(lambda: len(self.receiver.bodies) == 2)

    async def test_nobody_listens(self) -> None:
        teller = self.build(url="http://127.0.0.1:1/", allow_private=True)
        teller.start()
        await teller.happened([self.event()])
        await self.pass_time(1)
        await teller.stop()
        self.assertEqual(len(self.waiting()), 1)

    async def test_a_restart(self) -> None:
        """What was not heard is told by the next one; what was written and never begun, too."""
        teller = self.build(url=self.receiver.url(), allow_private=True)
        await teller.happened([self.event("a@example.org")])
        self.receiver.codes = ["silence"]
        teller.start()
        await self.receiver.until(lambda: self.receiver.bodies)
        await teller.stop()
        self.assertEqual(len(self.waiting()), 1)
        self.begin()
        await self.receiver.until(lambda: len(self.receiver.bodies) == 2)
        self.assertEqual(self.receiver.heard(), 2 * [["a@example.org"]])
        await self.until_empty()

    async def test_no_answer(self) -> None:
        self.receiver.codes = ["silence"]
        await self.begin(timeout=3.0).happened([self.event()])
        await self.receiver.until(lambda: self.receiver.bodies)
        await self.pass_time(3)
        await self.pass_time(1)
        await self.receiver.until(lambda: len(self.receiver.bodies) == 2)

    async def test_refused_again_and_again(self) -> None:
        """It is laid aside, and the next one has its turn."""
        self.receiver.codes = [400] * 5
        teller = self.begin()
        await teller.happened([self.event("a@example.org")])
        await teller.happened([self.event("b@example.org")])
        for wait in (1, 2, 4, 8):
            await self.pass_time(wait)
        await self.receiver.until(lambda: self.receiver.heard()[-1] == ["b@example.org"])
        await self.until_empty()
        self.assertEqual(len(list((self.server.data / "webhook").glob("*/refused/*.json"))), 1)

    async def test_the_disk_says_no(self) -> None:
        """What was answered and cannot be noted down is no end: it is posted again, and the others after it."""
        self.receiver.codes = [400] * 6
        teller = self.begin()
        await teller.happened([self.event("a@example.org")])
        await teller.happened([self.event("b@example.org")])
        [folder] = (self.server.data / "webhook").iterdir()
        (folder / "refused").write_text("")                 # where a folder should be
        for wait in (1, 2, 4, 8):
            await self.pass_time(wait)
        await self.receiver.until(lambda: len(self.receiver.bodies) == 5)
        await deferLater(reactor, 0.1)
        (folder / "refused").unlink()
        for _ in range(5):
            await self.pass_time(60)
        await self.receiver.until(lambda: self.receiver.heard()[-1] == ["b@example.org"])
        await self.until_empty()

    async def test_too_old(self) -> None:
        self.receiver.codes = [500] * 2
        await self.begin(keep=60.0).happened([self.event()])
        await self.receiver.until(lambda: self.receiver.bodies)
        await self.pass_time(90)
        await self.until_empty()
        self.assertEqual(len(self.receiver.bodies), 2)

    async def test_full(self) -> None:
        """There is no room for more: who tells it hears that, and may come again."""
        teller = self.build(most=500)
        await teller.happened([self.event()])
        with self.assertRaises(TemporaryFailure):
            await teller.happened([self.event() for _ in range(3)])
        self.assertEqual(len(self.waiting()), 1)

    async def test_two_processes(self) -> None:
        """One of them tells what both wrote down; when it stops, the other one does."""
        one, two = self.begin(), self.build(url=self.receiver.url(), allow_private=True)
        await deferLater(reactor, 0.1)
        two.start()
        self.addCleanup(two.stop)
        await two.happened([self.event("a@example.org")])
        await self.pass_time(LOOK)
        await self.receiver.until(lambda: len(self.receiver.bodies) == 1)
        await self.until_empty()
        await one.stop()
        await two.happened([self.event("b@example.org")])
        await self.pass_time(LOOK)
        await self.receiver.until(lambda: len(self.receiver.bodies) == 2)
        await self.until_empty()
        self.assertEqual(self.receiver.heard(), [["a@example.org"], ["b@example.org"]])


class PrivateTests(TellerCase):
    """What leads into a private network is not asked, however it is written."""

    async def refused(self, url: str, answer: Any = ()) -> str:
        post = Post(Target(url, SECRET), self.server)
        with self.assertRaises(Unheard) as raised:
            await post.send("msg_1", b"{}")
        return str(raised.exception)

    async def test_addresses(self) -> None:
        port = self.receiver.port.getHost().port
        for host in ("127.0.0.1", "localhost", "[::1]", "10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]"):
            self.assertIn("private network", await self.refused(f"http://{host}:{port}/"), host)
        self.assertEqual(self.receiver.bodies, [])

    async def test_names(self) -> None:
        """By what the DNS says at that moment."""
        self.server.resolver.add("hooks.example.net", "A", "127.0.0.1")
        url = self.receiver.url("hooks.example.net")
        self.assertIn("private network", await self.refused(url))
        post = Post(Target(url, SECRET, allow_private=True), self.server)
        self.assertEqual((await post.send("msg_1", b"{}")).code, 200)
        await post.close()
        self.assertEqual(self.receiver.heads[0]["host"], url.split("/")[2])

    async def test_no_such_name(self) -> None:
        self.assertIn("hooks.example.net", await self.refused("http://hooks.example.net/"))

    def test_public(self) -> None:
        for address in ("192.0.2.1", "127.1.2.3", "10.1.1.1", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255",
                        "::", "fe80::1%eth0", "fd00::1", "2002:7f00:1::", "64:ff9b::a00:1", "::ffff:10.0.0.1"):
            self.assertFalse(is_public(address), address)
        for address in ("8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"):
            self.assertTrue(is_public(address), address)


class OptionTests(SynchronousTestCase):
    def wrong(self, **table: Any) -> list[str]:
        _, mistakes = structure_all(Teller.Options, {"url": "https://x.example/", "secret": SECRET, **table})
        return [each.key for each in mistakes]

    def test_right(self) -> None:
        self.assertEqual(self.wrong(), [])

    def test_wrong(self) -> None:
        for key, value in (
            ("url", "ftp://x.example/"), ("url", "https://"), ("url", "https://a:b@x.example/"),
            ("url", "http://x.example:99999/"), ("url", "http://x.example/a b"), ("secret", "short"),
            ("secret", "whsec_%%%%"), ("secret_file", "/run/secret"), ("events", ["deliverd"]), ("keep", 0),
        ):
            self.assertEqual(self.wrong(**{key: value}), [key], value)

    def test_no_secret(self) -> None:
        _, mistakes = structure_all(Teller.Options, {"url": "https://x.example/"})
        self.assertEqual([each.key for each in mistakes], ["secret_file"])

    def test_a_secret_in_a_file(self) -> None:
        file = Path(self.mktemp())
        file.write_text(SECRET + "\n")
        self.assertEqual(Target("https://x.example/", secret_file=str(file)).key(), b"0123456789abcdef0123")


class OutboxTests(SynchronousTestCase):
    def test_only_what_is_whole(self) -> None:
        """A file that somebody died over is never told, and goes away in time."""
        folder = Path(self.mktemp())
        box = Outbox(folder, 1000)
        box.put("6C41G01JY5J55", b"one")
        (folder / "6C41G01JY5J54.part").write_bytes(b"ha")
        self.assertEqual(box.first(), ("6C41G01JY5J55", b"one"))
        self.assertTrue(box.lead())
        self.assertFalse(Outbox(folder, 1000).lead())
        box.leave()

    def test_age(self) -> None:
        now = time.time()
        self.assertLess(abs(outbox.age(spell(int(now * 1e6) << 12), now)), 1)
