"""A server that was down asks for what waits for it (ETRN, RFC 1985): one sends, the other was not there."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.commands import STANDARD, free_base
from tests.cli.running import PATIENCE
from tests.interop.test_relay import House
from tests.plain import Client

# Nothing but ETRN brings it within this test's time.
MORE = """
[outbound]
retry_first = "1h"
retry_longest = "1h"

[outbound.route]
"two.example" = "tcp:127.0.0.1:{port}"
"three.example" = "tcp:127.0.0.1:{nobody}"
"""


class EtrnTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        base = free_base((*STANDARD, *(1000 + port for port in STANDARD)))
        self.one = House(folder / "one", "one.example", "ann", base)
        self.two = House(folder / "two", "two.example", "bob", base + 1000)
        with open(self.one.config, "a") as file:
            file.write(MORE.format(port=base + 1025, nobody=base + 1026))
        self.one.config.write_text(self.one.config.read_text().replace("networks = []", 'networks = ["127.0.0.1"]'))
        for each in (self.one, self.two):
            self.addCleanup(each.stop)
        self.one.start()

    def talk(self) -> Client:
        client = Client(self.one.base + 25)
        self.addCleanup(client.close)
        client.say("EHLO mx.two.example")
        return client

    def attempts(self) -> dict[str, int]:
        """How often each that waits was tried, and nobody tries any of them now."""
        entries = self.one.json("queue", "list")
        if any(not each["reason"] or each["state"] == "ready" for each in entries):
            return {}
        return {each["recipient"]: each["attempts"] for each in entries}

    def until(self, question: Callable[[], Any]) -> None:
        end = time.monotonic() + PATIENCE
        while not question():
            assert time.monotonic() < end, self.one.json("queue", "list")
            time.sleep(0.1)

    def test_from_the_command_to_the_mailbox(self) -> None:
        """It waits, and its destination rests; it is asked for in vain, and once more when the server is there."""
        client = self.talk()
        for name, domain in (("bob", "two.example"), ("bob", "two.example"), ("eve", "three.example")):
            content = f"From: ann@one.example\r\nSubject: to {name}\r\n\r\nHello.\r\n".encode()
            client.send("ann@one.example", [f"{name}@{domain}"], content)
        self.until(lambda: self.attempts() == {"bob@two.example": 1, "eve@three.example": 1})
        self.assertIn("2 pending messages for two.example started", client.say("ETRN two.example", 253))
        self.until(lambda: self.attempts() == {"bob@two.example": 2, "eve@three.example": 1})
        self.two.start()
        time.sleep(1)
        self.assertEqual(self.two.mail(), [])
        client.say("ETRN two.example", 253)
        self.until(lambda: len(self.two.mail()) == 2)
        self.until(lambda: self.attempts() == {"eve@three.example": 1})
        client.say("ETRN two.example", 251)
        self.assertEqual(len(self.two.mail()), 2)
