"""user quota and domain quota, as an operator types them."""

from __future__ import annotations

from tests.cli.commands import HouseTestCase

ALICE = "alice@example.org"
NOTHING = {"octets": 0, "most_octets": 0, "messages": 0, "most_messages": 0}


class UserTests(HouseTestCase):
    def test_set_and_shown(self) -> None:
        """Each limit by itself; what it is not given stays as it was."""
        self.assertEqual(self.done("user", "quota", ALICE, "--json").json, {"address": ALICE, **NOTHING})
        self.done("user", "quota", ALICE, "--octets", "5000")
        found = self.done("user", "quota", ALICE, "--messages", "7", "--json").json
        self.assertEqual((found["most_octets"], found["most_messages"]), (5000, 7))
        self.assertEqual(self.done("user", "show", ALICE, "--json").json["quota"],
                         {**NOTHING, "most_octets": 5000, "most_messages": 7})
        self.assertIn("0 of 5000", self.done("user", "show", ALICE).out)
        self.assertIn("0 of 7", self.done("user", "quota", ALICE).out)
        self.done("user", "quota", ALICE, "--usual")
        self.assertIn("0, without limit", self.done("user", "quota", ALICE).out)

    def test_as_configured(self) -> None:
        """0 is no limit, though the configuration has one; --usual is what the configuration has."""
        with open(self.folder / "mailserver.toml", "a") as file:
            file.write('\n[[mailbox]]\nuse = "sql"\nquota_messages = 3\n')
        self.assertEqual(self.done("user", "quota", ALICE, "--json").json["most_messages"], 3)
        self.done("user", "quota", ALICE, "--messages", "0")
        self.assertEqual(self.done("user", "quota", ALICE, "--json").json["most_messages"], 0)
        self.done("user", "quota", ALICE, "--usual")
        self.assertEqual(self.done("user", "quota", ALICE, "--json").json["most_messages"], 3)

    def test_mistakes(self) -> None:
        self.assertIn("there is no account", self.fails("user", "quota", "nobody@example.org", "--octets", "1"))
        for words in (("--octets", "-1"), ("--octets", "1G"), ("--usual", "--octets", "1")):
            self.assertEqual(self.say("user", "quota", ALICE, *words).code, 2)


class DomainTests(HouseTestCase):
    def test_set_and_shown(self) -> None:
        """The nearer of two limits is what an account may have."""
        self.done("domain", "quota", "example.org", "--octets", "5000", "--messages", "9")
        found = self.done("domain", "quota", "Example.ORG", "--json").json
        self.assertEqual(found, {**NOTHING, "domain": "example.org", "most_octets": 5000, "most_messages": 9})
        self.done("user", "quota", ALICE, "--octets", "100")
        self.assertEqual(self.done("user", "quota", ALICE, "--json").json,
                         {"address": ALICE, **NOTHING, "most_octets": 100, "most_messages": 9})
        self.done("domain", "quota", "example.org", "--none")
        self.assertIn("0, without limit", self.done("domain", "quota", "example.org").out)

    def test_mistakes(self) -> None:
        self.assertIn("is not here", self.fails("domain", "quota", "example.net"))
        self.assertEqual(self.say("domain", "quota", "example.org", "--none", "--octets", "1").code, 2)
