"""domain, user and alias, as an operator types them."""

from __future__ import annotations

from tests.cli.commands import HouseTestCase


class DomainTests(HouseTestCase):
    """mailserver domain ..."""

    def test_add_list_remove(self) -> None:
        self.done("domain", "add", "Example.NET")
        self.assertEqual(
            [each["domain"] for each in self.done("domain", "list", "--json").json], ["example.net", "example.org"]
        )
        self.assertIn(
            "postmaster@example.net", [each["address"] for each in self.done("user", "list", "--json").json]
        )
        self.done("domain", "remove", "example.net")
        self.assertEqual(len(self.done("domain", "list", "--json").json), 1)

    def test_twice(self) -> None:
        self.assertIn("example.org is here already", self.fails("domain", "add", "example.org"))

    def test_no_domain(self) -> None:
        self.assertEqual(self.fails("domain", "add", "ex ample"), "this is no address: the domain is not a host name")

    def test_with_accounts(self) -> None:
        self.assertIn("alice@example.org", self.fails("domain", "remove", "example.org"))

    def test_catch_all(self) -> None:
        self.done("domain", "set", "example.org", "--catch-all", "alice@example.org")
        self.done("domain", "set", "example.org", "--catch-all", "postmaster@example.org")
        about = self.done("domain", "show", "example.org", "--json").json
        self.assertEqual(about["catch_all"], ["postmaster@example.org"])
        self.done("domain", "set", "example.org", "--no-catch-all")
        self.assertEqual(self.done("domain", "show", "example.org", "--json").json["catch_all"], [])


class UserTests(HouseTestCase):
    """mailserver user ..."""

    def test_add_show_remove(self) -> None:
        self.done("user", "add", "bob@example.org", "--password-stdin", stdin="hush\n")
        about = self.done("user", "show", "bob@example.org", "--json").json
        self.assertEqual((about["address"], about["enabled"], about["password"]), ("bob@example.org", True, True))
        self.assertEqual(
            about["mailboxes"],
            [{"name": name, "messages": 0, "octets": 0}
             for name in ("Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash")],
        )
        self.done("user", "remove", "bob@example.org")
        self.assertIn("there is no account bob@example.org", self.fails("user", "show", "bob@example.org"))

    def test_password_is_never_an_argument(self) -> None:
        self.assertEqual(self.say("user", "add", "bob@example.org", "--password", "hush").code, 2)

    def test_no_terminal_and_no_pipe(self) -> None:
        said = self.say("user", "add", "bob@example.org")
        self.assertEqual(said.code, 2)
        self.assertIn("--password-stdin", said.err)

    def test_no_password(self) -> None:
        self.done("user", "add", "bob@example.org", "--no-password")
        self.assertFalse(self.done("user", "show", "bob@example.org", "--json").json["password"])

    def test_set(self) -> None:
        self.done("user", "set", "alice@example.org", "--disable")
        self.assertFalse(self.done("user", "show", "alice@example.org", "--json").json["enabled"])
        self.done("user", "set", "alice@example.org", "--enable", "--password-stdin", stdin="other\n")
        self.assertTrue(self.done("user", "show", "alice@example.org", "--json").json["enabled"])

    def test_mistakes(self) -> None:
        self.assertIn("is no address", self.fails("user", "add", "alice", "--no-password"))
        self.assertIn("mailserver domain add", self.fails("user", "add", "a@example.net", "--no-password"))
        self.assertIn("exists already", self.fails("user", "add", "ALICE@example.org", "--no-password"))
        self.assertIn("must exist", self.fails("user", "remove", "postmaster@example.org"))

    def test_only_one_domain(self) -> None:
        self.done("domain", "add", "example.net")
        self.assertEqual(
            [each["address"] for each in self.done("user", "list", "--domain", "example.net", "--json").json],
            ["postmaster@example.net"],
        )


class AliasTests(HouseTestCase):
    """mailserver alias ..."""

    def test_add_set_remove(self) -> None:
        self.done("alias", "add", "info@example.org", "alice@example.org", "x@example.net")
        self.assertEqual(
            self.done("alias", "list", "--json").json,
            [{"address": "info@example.org", "targets": ["alice@example.org", "x@example.net"]}],
        )
        self.done("alias", "set", "info@example.org", "alice@example.org")
        self.assertEqual(
            self.done("alias", "show", "info@example.org", "--json").json["targets"], ["alice@example.org"]
        )
        self.assertEqual(
            self.done("user", "show", "alice@example.org", "--json").json["aliases"], ["info@example.org"]
        )
        self.done("alias", "remove", "info@example.org")
        self.assertEqual(self.done("alias", "list", "--json").json, [])

    def test_mistakes(self) -> None:
        self.assertIn("is an account already", self.fails("alias", "add", "alice@example.org", "x@example.net"))
        self.assertIn("this is no address", self.fails("alias", "add", "info@example.org", "x y"))
        self.assertIn("there is no alias", self.fails("alias", "remove", "info@example.org"))
        self.assertEqual(self.say("alias", "add", "info@example.org").code, 2)
