"""Two servers of ``mailserver init``: the first relays to the second, says why it waits, and reports what failed."""

from __future__ import annotations

import email
import json
import poplib
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.commands import STANDARD, command, free_base
from tests.cli.running import PATIENCE, Running
from tests.plain import Client

# After three attempts that nobody answered the destination rests for a minute: the second has to be there before.
MORE = """
[outbound]
retry_first = "4s"
retry_longest = "4s"

[outbound.route]
"two.example" = "tcp:127.0.0.1:{port}"
"""


class House:
    """One of them."""

    def __init__(self, folder: Path, domain: str, user: str, base: int) -> None:
        self.config, self.user, self.base = folder / "mailserver.toml", f"{user}@{domain}", base
        said = command(
            "init", str(folder), "--hostname", f"mx.{domain}", "--domain", domain, "--user", self.user,
            "--password-stdin", "--port-base", str(base), stdin="secret\n",
        )
        assert said.code == 0, said.err
        self.running: Running | None = None

    def start(self) -> None:
        self.running = Running("run", "--config", str(self.config))
        self.running.wait_for(str(self.base + 995))

    def stop(self) -> None:
        if self.running is not None:
            self.running.stop()

    def json(self, *words: str) -> Any:
        """What a command tells."""
        said = command(*words, "--json", "--config", str(self.config))
        assert said.code == 0, said.err
        return said.json

    def mail(self) -> list[bytes]:
        """The messages of its user."""
        box = poplib.POP3("127.0.0.1", self.base + 110, timeout=10)
        box.user(self.user)
        box.pass_("secret")
        try:
            return [b"\r\n".join(box.retr(each + 1)[1]) for each in range(box.stat()[0])]
        finally:
            box.quit()

    def wait_for_mail(self) -> list[bytes]:
        """The same, once there is some."""
        until = time.monotonic() + PATIENCE
        while not (mail := self.mail()):
            assert time.monotonic() < until, command("queue", "list", "--config", str(self.config)).out
            time.sleep(0.2)
        return mail


class RelayTests(SynchronousTestCase):
    """From ann@one.example to two.example."""

    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        base = free_base((*STANDARD, *(1000 + port for port in STANDARD)))
        self.one = House(folder / "one", "one.example", "ann", base)
        self.two = House(folder / "two", "two.example", "bob", base + 1000)
        with open(self.one.config, "a") as file:
            file.write(MORE.format(port=base + 1025))
        self.one.config.write_text(self.one.config.read_text().replace("networks = []", 'networks = ["127.0.0.1"]'))
        for each in (self.one, self.two):
            self.addCleanup(each.stop)
        self.one.start()

    def send(self, recipient: str) -> str:
        """Send from ann, who is in a network that may relay; the id."""
        with Client(self.one.base + 25) as client:
            client.say("EHLO desk.one.example")
            content = b"From: ann@one.example\r\nSubject: hello\r\n\r\nHello.\r\n"
            return client.send("ann@one.example", [recipient], content).rpartition(" ")[2]

    def wait_for_attempt(self) -> dict[str, Any]:
        """The only entry of the first server's queue, once it was tried."""
        until = time.monotonic() + PATIENCE
        while True:
            entries = self.one.json("queue", "list")
            if len(entries) == 1 and entries[0]["reason"]:
                entry: dict[str, Any] = entries[0]
                return entry
            assert time.monotonic() < until, entries
            time.sleep(0.1)

    def test_it_waits_and_arrives(self) -> None:
        id = self.send("bob@two.example")
        entry = self.wait_for_attempt()
        self.assertEqual(
            [entry[key] for key in ("sender", "recipient", "domain")],
            ["ann@one.example", "bob@two.example", "two.example"],
        )
        self.assertIn(entry["state"], ("waiting", "ready"))
        self.assertIn(f"connection refused by 127.0.0.1:{self.two.base + 25}", entry["reason"])
        self.assertGreater(entry["next_attempt"], time.time() - 5)
        self.assertGreaterEqual(entry["attempts"], 1)
        self.two.start()
        (arrived,) = self.two.wait_for_mail()
        self.assertIn(b"\r\nSubject: hello\r\n", arrived)
        self.assertEqual(arrived.count(b"\r\nReceived: "), 2)
        self.assertEqual(self.one.json("queue", "list"), [])
        self.assertEqual(self.one.mail(), [])
        here = json.dumps(self.one.json("trace", id))
        self.assertIn("connection refused", here)
        (there,) = self.two.json("trace", "--to", "bob@two.example")
        self.assertIn(f"accepted as {there['id']}", here)           # the reply of the second is told by the first
        story = self.two.json("trace", there["id"])[0]
        self.assertEqual(story["client"]["hello"], "mx.one.example")
        self.assertIn("TLS", json.dumps(story["client"]))

    def test_it_comes_back(self) -> None:
        """To somebody who is not there: the sender finds a report in the mailbox."""
        self.two.start()
        self.send("nobody@two.example")
        (arrived,) = self.one.wait_for_mail()
        report = email.message_from_bytes(arrived)
        self.assertEqual(report["Return-Path"], "<>")
        self.assertEqual(report.get_content_type(), "multipart/report")
        parts = {part.get_content_type(): part for part in report.walk()}
        fields = parts["message/delivery-status"].as_string()
        for each in ("Final-Recipient: rfc822; nobody@two.example", "Action: failed", "Status: 5.1.1"):
            self.assertIn(each, fields)
        self.assertIn("No such user here", fields)
        self.assertEqual(self.one.json("queue", "list"), [])
        self.assertEqual(self.two.json("queue", "list"), [])
