"""Postfix or Exim takes our mail, cannot deliver it, and sends it back: what it says is booked."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.trial.unittest import SynchronousTestCase

from mailserver.address import Address
from mailserver.feedback import verp
from mailserver.forwarding.bounces import KEY
from mailserver.ident import Ids
from tests.cli.commands import STANDARD, free_base
from tests.cli.running import PATIENCE
from tests.interop.exim_hop import EximHop
from tests.interop.postfix import Postfix
from tests.interop.test_relay import House
from tests.plain import Client

MORE = """
[outbound.route]
"two.example" = "tcp:127.0.0.1:{port}"
"three.example" = "tcp:127.0.0.1:{port}"
"""
BACK = "transport_maps = inline:{{ {{ one.example = smtp:[127.0.0.1]:{port} }} }}"


if TYPE_CHECKING:
    Case = SynchronousTestCase
else:
    Case = object


class BounceCase(Case):
    """From ann@one.example by another server to two.example, where nobody is but bob."""

    name = ""               # of that server, as it calls itself
    words = b""             # of it, for people
    status = "5.1.1"        # what it tells of a 550 5.1.1

    def hop(self, one: int, two: int) -> Any:
        """The server, which sends on to these ports."""
        raise NotImplementedError

    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        base = free_base((*STANDARD, *(1000 + port for port in STANDARD)))
        self.one = House(folder / "one", "one.example", "ann", base)
        self.two = House(folder / "two", "two.example", "bob", base + 1000)
        hop = self.between = self.hop(base + 25, base + 1025)
        with open(self.one.config, "a") as file:
            file.write(MORE.format(port=hop.port))
        self.one.config.write_text(self.one.config.read_text().replace("networks = []", 'networks = ["127.0.0.1"]'))
        self.addCleanup(hop.stop)
        hop.start()
        for each in (self.one, self.two):
            self.addCleanup(each.stop)
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
            assert time.monotonic() < until, self.between.log()
            time.sleep(0.2)
        return found

    def test_to_the_sender(self) -> None:
        """The sender gets it, and the story of the message tells of it, since it names the message's id."""
        id = self.send("ann@one.example", "nobody@two.example")
        [row] = self.booked(1)
        self.assertEqual(
            [row[each] for each in ("sort", "recipient", "kind", "status", "message", "proof", "reporter")],
            ["bounce", "nobody@two.example", "gone", self.status, id, "trace", self.name],
        )
        [arrived] = self.one.wait_for_mail()
        self.assertIn(self.words, arrived)
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


class PostfixTests(BounceCase, SynchronousTestCase):
    name, words = "postfix.example.net", b"Undelivered Mail Returned to Sender"

    def hop(self, one: int, two: int) -> Postfix:
        return Postfix("127.0.0.1", two, BACK.format(port=one))


class EximTests(BounceCase, SynchronousTestCase):
    name, words = "exim.example.net", b"Mail delivery failed: returning message to sender"
    status = "5.0.0"        # whatever it was; the 550 5.1.1 stands in the Diagnostic-Code

    def hop(self, one: int, two: int) -> EximHop:
        return EximHop({"one.example": one, "two.example": two})

    def test_in_its_own_words(self) -> None:
        """A domain to which it knows no way: only for people it says so, and what it was stays unknown."""
        id = self.send("ann@one.example", "bob@three.example")
        [row] = self.booked(1)
        self.assertEqual(
            [row[each] for each in ("sort", "recipient", "kind", "status", "message", "proof", "reporter")],
            ["bounce", "bob@three.example", "unknown", "5.0.0", id, "trace", self.name],
        )
        [arrived] = self.one.wait_for_mail()
        self.assertIn(b"Unrouteable address", arrived)
