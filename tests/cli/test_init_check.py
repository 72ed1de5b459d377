"""The first command, and the one that looks at what it wrote."""

from __future__ import annotations

import stat
from pathlib import Path

from mailserver.config import load
from tests.cli.commands import HouseTestCase, command


class InitTests(HouseTestCase):
    """mailserver init."""

    def test_what_is_there(self) -> None:
        config = load(self.config)
        self.assertEqual(config.hostname, "mx.example.org")
        ports = {(each.service, each.endpoint.split(":")[1][-3:], each.tls) for each in config.listen}
        self.assertEqual(len(ports), 8)
        self.assertTrue(all("interface=127.0.0.1" in each.endpoint for each in config.listen))
        assert config.tls is not None
        self.assertEqual(stat.S_IMODE(config.tls.key.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(config.data.stat().st_mode), 0o700)
        self.assertEqual(
            [each["address"] for each in self.done("user", "list", "--json").json],
            ["alice@example.org", "postmaster@example.org"],
        )

    def test_standard_ports(self) -> None:
        folder = Path(self.mktemp())
        said = command("init", str(folder), "--hostname", "mx.example.org", "--domain", "example.org")
        self.assertEqual(said.code, 0, said.err)
        self.assertEqual(
            [each.endpoint for each in load(folder / "mailserver.toml").listen],
            ["tcp:25", "tcp:587", "tcp:465", "tcp:24:interface=127.0.0.1", "tcp:143", "tcp:993", "tcp:110", "tcp:995"],
        )

    def test_nothing_is_overwritten(self) -> None:
        said = command("init", str(self.folder), "--hostname", "mx.example.org", "--domain", "example.org")
        self.assertEqual(said.code, 1)
        self.assertIn("is there already", said.err)

    def test_asks_nothing(self) -> None:
        folder = Path(self.mktemp())
        said = command(
            "init", str(folder), "--hostname", "h.example", "--domain", "example.org", "--user", "a@example.org"
        )
        self.assertEqual(said.code, 2)
        self.assertFalse(folder.exists())

    def test_bad_names(self) -> None:
        folder = Path(self.mktemp())
        said = command("init", str(folder), "--hostname", "not a name", "--domain", "example.org")
        self.assertEqual((said.code, folder.exists()), (1, False))


class CheckTests(HouseTestCase):
    """mailserver check."""

    def test_nothing_is_wrong(self) -> None:
        self.assertEqual(self.done("check").out, f"{self.config}: nothing is wrong\n")
        self.assertEqual(self.done("check", "--json").json, [])

    def test_everything_at_once(self) -> None:
        """A key of the server's, a plugin's name and a plugin's key, in one list."""
        text = self.config.read_text().replace("hostname =", "hostnam =")
        lines = text.count("\n")
        self.config.write_text(text + '[[filter]]\nuse = "dnsb"\n[[filter]]\nuse = "rate"\nmesages = 1\n')
        said = self.say("check")
        self.assertEqual(said.code, 1)
        told = said.err.replace(f"{self.config}:", "").splitlines()
        self.assertEqual(told, [
            '1:1: the key "hostname" is missing',
            '1:1: unknown key "hostnam"; did you mean "hostname"?',
            f"{lines + 1}:1: there is no filter plugin called 'dnsb'; did you mean \"dnsbl\"?",
            f'{lines + 5}:1: rate: unknown key "mesages"; did you mean "messages"?',
        ])
        self.assertEqual(self.say("check", "--json").json[3]["suggestion"], "messages")

    def test_key_of_another_certificate(self) -> None:
        from mailserver.cli.certificate import self_signed

        self_signed(self.folder / "other.pem", self.folder / "tls.key", ["other.example"])
        said = self.say("check")
        self.assertEqual(said.code, 1)
        self.assertIn("are no certificate with its key", said.err)
        self.assertTrue(said.err.startswith(f"{self.config}:4:1: "), said.err)

    def test_folder_of_plugins(self) -> None:
        (self.folder / "mine").mkdir()
        (self.folder / "mine" / "broken.py").write_text("x = 1\nimport nosuchthing\n")
        self.config.write_text(self.config.read_text() + '[plugins]\nfolders = ["mine"]\n')
        said = self.say("check")
        self.assertEqual(said.code, 1)
        self.assertIn(f"{self.folder}/mine/broken.py:2: ModuleNotFoundError", said.err)
        self.assertEqual(self.say("plugins").code, 1)


class PluginsTests(HouseTestCase):
    """mailserver plugins."""

    def test_order(self) -> None:
        rows = self.done("plugins", "--kind", "forward", "--json").json
        self.assertEqual(
            [each["name"] for each in rows if each["order"]],
            ["bounces", "aliases", "accounts", "shared", "subaddress", "catchall"],
        )
        self.assertTrue(all(each["file"] for each in rows))
        self.assertIn("headers", self.done("plugins").out)
