"""mailserver annotation, and mailserver user refer."""

from __future__ import annotations

from tests.cli.test_directory import HouseTestCase


class AnnotationTests(HouseTestCase):
    """What IMAP clients read of the server and of mailboxes."""

    def test_of_the_server(self) -> None:
        self.assertEqual(self.done("annotation", "list", "--json").json, [])
        self.done("annotation", "set", "/shared/Filters/values/boss", "FROM boss")
        self.done("annotation", "set", "/shared/filters/values/boss", "FROM the.boss")
        self.assertEqual(self.done("annotation", "list", "--json").json,
                         [{"entry": "/shared/filters/values/boss", "value": "FROM the.boss"}])
        self.assertIn("FROM the.boss", self.done("annotation", "list", "--account", "alice@example.org").out)
        self.done("annotation", "remove", "/shared/filters/values/boss")
        self.assertEqual(self.done("annotation", "list", "--json").json, [])

    def test_of_a_mailbox(self) -> None:
        whose = ("--account", "alice@example.org", "--mailbox", "Sent")
        self.done("annotation", "set", "/private/comment", "月", *whose)
        self.assertEqual(self.done("annotation", "list", *whose, "--json").json, [
            {"entry": "/private/comment", "value": "月"}, {"entry": "/private/specialuse", "value": "\\Sent"},
        ])

    def test_mistakes(self) -> None:
        for words, says in (
            (("/private/comment", "x"), "is nobody's"), (("/shared", "x"), "it only has some below it"),
            (("comment", "x"), "an entry has a name like"), (("/shared/x", "y" * 33_000), "32768 octets"),
            (("/shared/filters/values/x", "OR SEEN"), "not a whole search"),
            (("/shared/comment", "x", "--account", "alice@example.org"), "only the operator"),
            (("/private/x", "x", "--account", "nobody@example.org"), "there is no account"),
            (("/private/x", "x", "--account", "alice@example.org", "--mailbox", "Wool"), "there is no mailbox"),
        ):
            self.assertIn(says, self.fails("annotation", "set", *words))
        self.assertIn("there is no /shared/x", self.fails("annotation", "remove", "/shared/x"))
        self.assertEqual(self.say("annotation", "list", "--mailbox", "INBOX").code, 2)


class ReferTests(HouseTestCase):
    """Accounts whose mailboxes are elsewhere."""

    def test_refer(self) -> None:
        alice = ("user", "refer", "alice@example.org")
        url = "imap://alice%40example.org;AUTH=*@imap.example.net/"
        self.assertIsNone(self.done(*alice, "--json").json["referral"])
        self.assertIn(url, self.done(*alice, "imap://imap.example.net").out)
        self.assertEqual(self.done("user", "show", "alice@example.org", "--json").json["referral"],
                         {"url": url, "here_too": False})
        self.assertIn("(and here)", self.done(*alice, "imap://imap.example.net/", "--here-too").out)
        self.assertIn("(and here)", self.done("user", "show", "alice@example.org").out)
        self.assertIn("none", self.done(*alice, "--none").out)
        self.assertNotIn("referral", self.done("user", "show", "alice@example.org").out)

    def test_mistakes(self) -> None:
        self.assertIn("URL of an IMAP server", self.fails("user", "refer", "alice@example.org", "imap.example.net"))
        self.assertIn("there is no account", self.fails("user", "refer", "nobody@example.org", "imap://h/"))
        for words in (("imap://h/", "--none"), ("--here-too",), ("--none", "--here-too")):
            self.assertEqual(self.say("user", "refer", "alice@example.org", *words).code, 2, words)

    def test_goes_with_its_account(self) -> None:
        """Who comes later under that name is here."""
        self.done("user", "refer", "alice@example.org", "imap://h/")
        self.done("user", "remove", "alice@example.org")
        self.done("user", "add", "alice@example.org", "--no-password")
        self.assertIsNone(self.done("user", "refer", "alice@example.org", "--json").json["referral"])
