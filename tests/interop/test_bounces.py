"""Postfix takes our mail, cannot deliver it, and sends it back: what it says is booked."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailserver.address import Address
from mailserver.feedback import verp
from mailserver.forwarding.bounces import KEY
from mailserver.ident import Ids
from tests.cli.commands import STANDARD, free_base
from tests.cli.running import PATIENCE
from tests.interop.postfix import Postfix
from tests.interop.test_relay import House
from tests.plain import Client

MORE = """
[outbound.route]
"two.example" = "tcp:127.0.0.1:{port}"
"""
BACK = "transport_maps = inline:{{ {{ one.example = smtp:[127.0.0.1]:{port} }} }}"


class BounceTests(SynchronousTestCase):
    """From ann@one.example by Postfix to two.example, where nobody is but bob."""

    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        base = free_base((*STANDARD, *(1000 + port for port in STANDARD)))
        self.one = House(folder / "one", "one.example", "ann", base)
        self.two = House(folder / "two", "two.example", "bob", base + 1000)
        postfix = self.postfix = Postfix("127.0.0.1", base + 1025, BACK.format(port=base + 25))
        with open(self.one.config, "a") as file:
            file.write(MORE.format(port=postfix.port))
        self.one.config.write_text(self.one.config.read_text().replace("networks = []", 'networks = ["127.0.0.1"]'))
        for each in (self.one, self.two, postfix):
            self.addCleanup(each.stop)
        for each in (self.one, self.two, postfix):
            each.start()

    def send(self, sender: str, recipient: str) -> str:
        with Client(self.one.base + 25) as client:
            client.say("EHLO desk.one.example")
            content = b"From: ann@one.example\r\nSubject: hello\r\n\r\nHello.\r\n"
            return client.send(sender, [recipient], content).rpartition(" ")[2]

    def booked(self, count: int) -> list[dict[str, Any]]:
        """Wait for so many in the book."""
        until = time.monotonic() + PATIENCE
        while len(found := self.one.json("feedback", "list")) < count:
            assert time.monotonic() < until, self.postfix.log()
            time.sleep(0.2)
        return found

    def test_to_the_sender(self) -> None:
        """The sender gets it, and the story of the message tells of it, since it names the message's id."""
        id = self.send("ann@one.example", "nobody@two.example")
        [row] = self.booked(1)
        self.assertEqual(
            [row[each] for each in ("sort", "recipient", "kind", "status", "message", "proof", "reporter")],
            ["bounce", "nobody@two.example", "gone", "5.1.1", id, "trace", "postfix.example.net"],
        )
        [arrived] = self.one.wait_for_mail()
        self.assertIn(b"Undelivered Mail Returned to Sender", arrived)
        self.assertIn("feedback", [each.get("event") for each in self.one.json("trace", id)])
        self.assertEqual(self.one.json("suppression", "list"), [])

    def test_to_a_keyed_path(self) -> None:
        """Nobody need read it; after two of them the address is not written to any more."""
        key = (self.one.config.parent / "data" / KEY).read_bytes()
        new_id = Ids(time.time)
        for count in (1, 2):
            path = verp.encode(Address("ann", "one.example"), Address("no", "two.example"), new_id(), key)
            self.send(str(path), "no@two.example")
            [row, *_] = self.booked(count)
            self.assertEqual([row[each] for each in ("recipient", "kind", "proof")], ["no@two.example", "gone", "verp"])
        [suppressed] = self.one.json("suppression", "list")
        self.assertEqual((suppressed["address"], suppressed["by"]), ("no@two.example", "automatic"))
        self.assertEqual(self.one.mail(), [])
