"""Servers in processes of their own: run, send, and what other commands change while it runs."""

from __future__ import annotations

import poplib
import smtplib
import ssl
import time

from tests.cli.commands import HouseTestCase
from tests.cli.running import Running


class RunTests(HouseTestCase):
    """mailserver run, and commands beside it."""

    def setUp(self) -> None:
        super().setUp()
        self.base = self.move()
        self.server = Running("run", "--config", str(self.config))
        self.addCleanup(self.server.stop)
        self.server.wait_for("pop3 on")
        self.wait_for_port()

    def wait_for_port(self) -> None:
        with smtplib.SMTP("127.0.0.1", self.base + 25, timeout=10) as peer:
            self.assertEqual(peer.noop()[0], 250)

    def rcpt(self, address: str) -> int:
        with smtplib.SMTP("127.0.0.1", self.base + 25, timeout=10) as peer:
            peer.ehlo("client.example.net")
            peer.mail("bob@example.net")
            return peer.rcpt(address)[0]

    def test_send_and_trace(self) -> None:
        said = self.done("send", "--to", "alice@example.org", "--subject", "Hello", stdin="")
        self.assertTrue(said.out.startswith("250 2.0.0 Ok"), said.out)
        id = said.out.rstrip().rpartition("id ")[2]
        self.assertIn("to alice@example.org", self.done("trace", id).out)
        story = self.done("trace", id, "--json").json
        self.assertEqual(story[0]["client"]["address"], "127.0.0.1")

    def test_send_is_refused(self) -> None:
        self.assertIn("550 5.1.1 No such user here", self.fails("send", "--to", "nobody@example.org"))
        self.assertIn("550 5.7.1 Relaying denied", self.fails("send", "--to", "x@example.net"))

    def test_send_with_a_login(self) -> None:
        said = self.done(
            "send", "--to", "postmaster@example.org", "--login", "alice@example.org", "--password-stdin",
            "--json", stdin="secret\n",
        )
        story = self.done("trace", said.json["id"], "--json").json
        self.assertEqual((story[0]["origin"], story[0]["client"]["login"]), ("submission", "alice@example.org"))
        self.assertIn("535", self.fails(
            "send", "--to", "x@example.net", "--login", "alice@example.org", "--password-stdin", stdin="wrong\n"
        ))

    def test_changes_are_seen_within_a_second(self) -> None:
        self.assertEqual(self.rcpt("bob@example.org"), 550)
        self.done("user", "add", "bob@example.org", "--password-stdin", stdin="hush\n")
        self.assertEqual(self.rcpt("bob@example.org"), 250)         # a "no" is asked again, so at once
        self.assertEqual(self.rcpt("info@example.org"), 550)
        self.done("alias", "add", "info@example.org", "bob@example.org")
        self.assertEqual(self.rcpt("info@example.org"), 250)
        self.assertEqual(self.rcpt("x@example.com"), 550)
        self.done("domain", "add", "example.com")
        time.sleep(1)
        self.assertEqual(self.rcpt("postmaster@example.com"), 250)
        self.done("user", "remove", "bob@example.org")
        time.sleep(1)
        self.assertEqual(self.rcpt("bob@example.org"), 550)

    def test_sendmail_beside_a_server(self) -> None:
        self.done("sendmail", "alice@example.org", stdin="Subject: x\n\nhi\n")
        box = poplib.POP3_SSL("127.0.0.1", self.base + 995, timeout=10, context=ssl._create_unverified_context())
        try:
            box.user("alice@example.org")
            box.pass_("secret")
            self.assertEqual(box.stat()[0], 1)
        finally:
            box.quit()

    def test_second_server_on_the_same_data(self) -> None:
        text = self.config.read_text()
        other = self.folder / "other.toml"
        other.write_text(text.partition("[[listen]]")[0])
        second = Running("run", "--config", str(other))
        self.assertIn("another server works on", second.wait_for("another server"))
        self.addCleanup(second.stop)
        self.assertEqual(second.ended(), 1)

    def test_port_in_use(self) -> None:
        second = Running("run", "--config", str(self.config))
        self.assertIn("cannot listen on tcp:", second.wait_for("cannot listen"))
        self.addCleanup(second.stop)
        self.assertEqual(second.ended(), 1)

    def test_stops_well(self) -> None:
        self.assertEqual(self.server.stop(), 0)

    def test_send_without_a_server(self) -> None:
        self.server.stop()
        self.assertIn("no server answers at 127.0.0.1 port", self.fails("send", "--to", "alice@example.org"))
