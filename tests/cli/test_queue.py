"""The queue and the stories of messages; the server does not run, so that nothing moves."""

from __future__ import annotations

import time

from tests.cli.commands import HouseTestCase


class QueueTests(HouseTestCase):
    """mailserver queue ..."""

    def setUp(self) -> None:
        super().setUp()
        self.done("sendmail", "-f", "alice@example.org", "x@example.net", "y@example.com", stdin="Subject: x\n\nhi\n")

    def test_list(self) -> None:
        first, second = self.done("queue", "list", "--json").json
        self.assertEqual((first["sender"], first["recipient"]), ("alice@example.org", "x@example.net"))
        self.assertEqual((first["domain"], first["state"], first["attempts"]), ("example.net", "ready", 0))
        self.assertEqual(first["reason"], "")
        self.assertLess(abs(first["next_attempt"] - time.time()), 60)
        self.assertEqual(first["message"], second["message"])
        text = self.done("queue", "list").out
        self.assertIn(first["id"], text)
        self.assertIn("y@example.com", text)

    def test_chosen(self) -> None:
        self.assertEqual(
            [each["recipient"] for each in self.done("queue", "list", "--domain", "example.com", "--json").json],
            ["y@example.com"],
        )
        self.assertEqual(len(self.done("queue", "list", "--sender", "alice@example.org", "--json").json), 2)
        self.assertEqual(self.done("queue", "list", "--reason", "greylisted", "--json").json, [])

    def test_show(self) -> None:
        first, _ = self.done("queue", "list", "--json").json
        self.assertEqual(self.done("queue", "show", first["id"], "--json").json["recipient"], "x@example.net")
        self.assertEqual(len(self.done("queue", "show", first["message"], "--json").json), 2)
        self.assertIn("x@example.net", self.done("queue", "show", first["id"]).out)

    def test_remove(self) -> None:
        first, second = self.done("queue", "list", "--json").json
        self.assertEqual(self.done("queue", "remove", first["id"]).out, "1 entry is removed\n")
        (left,) = self.done("queue", "list", "--json").json
        self.assertEqual(left["id"], second["id"])
        self.assertIn("removed", self.done("trace", first["message"]).out)
        self.assertEqual(self.done("queue", "remove", "--all").out, "1 entry is removed\n")

    def test_retry(self) -> None:
        self.assertEqual(self.done("queue", "retry", "--domain", "example.net").out, "1 entry is tried again now\n")

    def test_not_everything_by_accident(self) -> None:
        self.assertEqual(self.say("queue", "remove").code, 2)
        self.assertEqual(self.say("queue", "retry").code, 2)
        self.assertEqual(len(self.done("queue", "list", "--json").json), 2)

    def test_unknown(self) -> None:
        self.assertIn("there is no entry", self.fails("queue", "show", "0000000000000"))
        self.assertIn("not an id", self.fails("queue", "show", "what"))


class TraceTests(HouseTestCase):
    """mailserver trace ..."""

    def test_story(self) -> None:
        self.done("sendmail", "-f", "bob@example.net", "alice@example.org", stdin="Subject: x\n\nhi\n")
        (found,) = self.done("trace", "--from", "bob", "--json").json
        story = self.done("trace", found["id"], "--json").json
        self.assertEqual(story[0]["recipients"], ["alice@example.org"])
        text = self.done("trace", found["id"]).out
        self.assertIn("content: headers says", text)
        self.assertIn("alice@example.org: mailbox INBOX", text)
        self.assertIn("by accounts", text)
        self.assertIn(f"accepted as {found['id']}", text)

    def test_refusal_has_a_story(self) -> None:
        said = self.say("sendmail", "nobody@example.org", stdin="\nhi\n")
        id = said.err.rstrip().rpartition("(")[2].rstrip(")")
        self.assertIn("550 5.1.1 No such user here", self.done("trace", id).out)

    def test_queue_id_leads_to_the_message(self) -> None:
        self.done("sendmail", "x@example.net", stdin="\nhi\n")
        (entry,) = self.done("queue", "list", "--json").json
        self.assertIn(entry["message"], self.done("trace", entry["id"]).out)

    def test_hostile_sender_cannot_write_to_the_terminal(self) -> None:
        self.done("sendmail", "-bs", stdin="EHLO \x1b]0;x\x07\r\nMAIL FROM:<>\r\nRCPT TO:<x@example.org>\r\nQUIT\r\n")
        for words in (("trace", "--since", "1h"), ("trace", "--to", "x@example.org")):
            self.assertNotIn("\x1b", self.done(*words).out)

    def test_since(self) -> None:
        self.assertEqual(self.done("trace", "--since", "2001-01-01", "--json").json, [])
        self.assertEqual(self.say("trace", "--since", "soon").code, 2)
        self.assertEqual(self.say("trace").code, 2)

    def test_unknown(self) -> None:
        self.assertIn("nothing is known", self.fails("trace", "0000000000000"))


class ExplainTests(HouseTestCase):
    """mailserver explain ..."""

    def test_account(self) -> None:
        told = self.done("explain", "alice@example.org", "--from", "b@example.net", "--json").json
        self.assertEqual(told["reply"], "250 2.1.5 Recipient ok")
        self.assertEqual(told["destinations"][0]["by"], "accounts")

    def test_alias_and_subaddress(self) -> None:
        self.done("alias", "add", "info@example.org", "alice@example.org")
        out = self.done("explain", "info@example.org").out
        self.assertIn("info@example.org: forward to alice@example.org, by aliases", out)
        self.assertIn("by subaddress", self.done("explain", "alice+x@example.org").out)

    def test_refusals(self) -> None:
        self.assertIn("reply: 550 5.1.1", self.done("explain", "nobody@example.org").out)
        self.assertIn("reply: 550 5.7.1 Relaying denied", self.done("explain", "x@example.net").out)
        out = self.done("explain", "x@example.net", "--login", "alice@example.org").out
        self.assertIn("x@example.net: server of example.net", out)

    def test_nothing_is_changed(self) -> None:
        self.done("explain", "alice@example.org")
        self.assertEqual(self.done("trace", "--since", "1d", "--json").json, [])
