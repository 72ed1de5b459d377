"""The queue and the stories of messages; the server does not run, so that nothing moves."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import insert

from mailserver.cli.waiting import general
from mailserver.store import queue
from mailserver.store.database import Database
from mailserver.store.schema import destination
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


class OperatorTests(HouseTestCase):
    """What an operator does with the queue, and sees of it."""

    def setUp(self) -> None:
        super().setUp()
        self.done("sendmail", "-f", "alice@example.org", "x@example.net", "y@example.com", stdin="Subject: x\n\nhi\n")
        self.first, self.second = self.done("queue", "list", "--json").json

    def states(self) -> list[str]:
        return [each["state"] for each in self.done("queue", "list", "--json").json]

    def learn(self, name: str, **others: Any) -> None:
        """Something is known of a destination."""
        database = Database(None, self.folder / "data")
        database.open()
        values: dict[str, Any] = {
            "until": time.time() + 600, "rule": "unreachable", "why": "connection refused", "since": time.time(),
            "failures": 2, "connections": 0,
        }
        with database.transaction() as connection:
            connection.execute(insert(destination).values(name=name, **(values | others)))
        database.close()

    def test_hold_and_release(self) -> None:
        said = self.done("queue", "hold", self.first["id"], "--why", "ann asked for it")
        self.assertEqual(said.out, "1 entry is held\n")
        self.assertEqual(self.states(), ["held", "ready"])
        self.assertIn("held: ann asked for it", self.done("queue", "list", "--state", "held").out)
        self.assertEqual(self.done("queue", "retry", "--all").out, "1 entry is tried again now\n")
        self.assertEqual(self.done("queue", "release", "--all").out, "1 entry is released\n")
        self.assertEqual(self.states(), ["ready", "ready"])
        told = self.done("trace", self.first["message"]).out
        self.assertIn("held by an operator: ann asked for it", told)
        self.assertIn("released by an operator", told)

    def test_route(self) -> None:
        self.assertEqual(
            self.done("queue", "route", "--domain", "example.net", "tcp:192.0.2.1:25").out,
            "1 entry goes by tcp:192.0.2.1:25\n",
        )
        self.assertEqual(self.done("queue", "show", self.first["id"], "--json").json["lane"], "tcp:192.0.2.1:25")
        self.assertEqual(
            self.done("queue", "route", self.first["id"], "--mx").out, "1 entry goes where it would\n"
        )
        self.assertEqual(self.done("queue", "show", self.first["id"], "--json").json["place"], "")
        told = self.done("trace", self.first["message"]).out
        self.assertIn("rerouted by an operator, to tcp:192.0.2.1:25", told)
        for wrong in ((self.first["id"],), ("--all", "tcp:x:99999"), ("tcp:192.0.2.1:25",), (
            self.first["id"], "tcp:192.0.2.1:25", "--mx"
        )):
            self.assertEqual(self.say("queue", "route", *wrong).code, 2, wrong)

    def test_remove_with_a_bounce(self) -> None:
        said = self.done("queue", "remove", "--recipient", "y@example.com", "--bounce")
        self.assertEqual(said.out, "1 entry is removed, and the senders are told\n")
        self.assertIn("removed by an operator", self.done("queue", "show", self.second["id"]).out)

    def test_chosen(self) -> None:
        for words, count in (
            (("--recipient", "X@example.net"), 1), (("--state", "ready"), 2), (("--state", "held"), 0),
            (("--older", "1h"), 0), (("--older", "1h", "--domain", "example.net"), 0), (("--limit", "1"), 1),
            ((self.first["message"],), 2),
        ):
            self.assertEqual(len(self.done("queue", "list", *words, "--json").json), count, words)
        self.assertEqual(self.say("queue", "list", "--older", "soon").code, 2)
        self.assertEqual(self.done("queue", "list", "--state", "held", "--json").out, "[]\n")

    def test_a_destination_that_rests(self) -> None:
        """It stands beside what waits for it, with the reason and the time."""
        self.learn("example.net")
        self.learn("example.com", rule="rate", why="421 too much", connections=1)
        first, second = self.done("queue", "list", "--json").json
        self.assertRegex(first["destination"], r"^destination rests until \d\d:\d\d: unreachable: connection refused$")
        self.assertEqual((first["rests"]["failures"], first["rests"]["rule"]), (2, "unreachable"))
        self.assertRegex(second["destination"], r"^destination rests until \d\d:\d\d: rate: 421 too much$")
        self.assertIn(first["destination"], self.done("queue", "list").out)
        self.assertIn(first["destination"], self.done("queue", "show", first["id"]).out)

    def test_a_rest_that_is_over(self) -> None:
        self.learn("example.net", until=time.time() - 1)
        self.assertEqual(self.done("queue", "list", "--json").json[0]["destination"], "")

    def test_summary(self) -> None:
        told = self.done("queue", "list", "--summary", "--json").json
        self.assertEqual([(each["domain"], each["state"], each["count"]) for each in told],
                         [("example.com", "ready", 1), ("example.net", "ready", 1)])
        self.assertIn("example.net", self.done("queue", "list", "--summary").out)
        self.assertEqual(len(self.done("queue", "list", "--summary", "--domain", "example.net", "--json").json), 1)

    def test_reasons_alike_are_one(self) -> None:
        """What differs from message to message is left out, but the code is told."""
        self.assertEqual(general("450 4.2.1 later (3F2a) at 12:05"), "450 4.2.1 later # at #")
        self.assertEqual(general("connection refused by 192.0.2.1:25"), "connection refused by #")
        self.assertEqual(general(""), "")

    def test_top(self) -> None:
        """Once, where no terminal is; without a server nothing is being sent."""
        self.learn("example.net")
        one, two = self.done("queue", "top", "--json").json
        self.assertEqual((one["destination"], one["queued"], one["ready"], one["active"]), ("example.com", 1, 1, 0))
        self.assertEqual((two["rests"]["why"], one["rests"]), ("connection refused", None))
        self.assertIn("unreachable: connection refused", self.done("queue", "top").out)
        self.assertEqual(len(self.done("queue", "top", "--limit", "1", "--json").json), 1)

    def test_in_batches(self) -> None:
        """More than one transaction changes: all are changed."""
        self.patch(queue, "MOST_CHANGED", 1)
        self.patch(queue.pages, "__defaults__", (1,))
        self.assertEqual(self.done("queue", "hold", "--all").out, "2 entries are held\n")
        self.assertEqual(self.states(), ["held", "held"])


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

    def outbound(self, text: str) -> None:
        self.config.write_text(self.config.read_text() + f"\n[outbound]\n{text}\n")

    def test_sending_by_a_route(self) -> None:
        """Where it would go, how much of it, and how often."""
        self.outbound('''
            per_minute = 60
            route."example.net" = "lmtp:127.0.0.1:2424"
            [[outbound.destination]]
            domains = [".net"]
            connections = 1
        ''')
        words = ("explain", "x@example.net", "--login", "alice@example.org")
        [told] = self.done(*words, "--json").json["sending"]
        self.assertEqual((told["by"], told["lane"], told["error"]), ("route", "lmtp:127.0.0.1:2424", ""))
        self.assertEqual([(each["name"], each["addresses"], each["speaks"]) for each in told["hosts"]],
                         [("127.0.0.1", ["127.0.0.1"], "LMTP")])
        self.assertEqual(told["limits"], {"connections": 1, "messages_per_connection": 100, "per_minute": 60})
        out = self.done(*words).out
        self.assertIn("\nto x@example.net, by route:\n  127.0.0.1:2424 (127.0.0.1), LMTP, TLS where", out)
        self.assertIn("  limits: 1 connection at a time, 100 messages on each, 60 messages a minute\n", out)
        self.assertIn(
            "  tried again after 5 min, 10 min, 20 min, 40 min, 80 min, 160 min, 4 h and so on, for 5 days\n", out
        )

    def test_sending_through_a_smarthost(self) -> None:
        self.outbound('smarthost = "tcp:127.0.0.1:2525"\nretry = ["1 min", "1h"]')
        words = ("explain", "x@example.net", "--login", "alice@example.org")
        [told] = self.done(*words, "--json").json["sending"]
        self.assertEqual((told["by"], told["retry"]), ("smarthost", [60, 3600]))

    def test_nowhere_to_send(self) -> None:
        """Nobody answers for the DNS; a domain that takes no mail; a local address, where nothing is sent."""
        self.outbound('resolvers = ["127.0.0.1:1"]\nroute."none.example" = "none"')
        [told] = self.done("explain", "x@example.net", "--login", "alice@example.org", "--json").json["sending"]
        self.assertRegex(told["error"], "^not now: ")
        for address in ("x@none.example", "alice@example.org"):
            told = self.done("explain", address, "--login", "alice@example.org", "--json").json
            self.assertEqual(told["sending"], [], address)
