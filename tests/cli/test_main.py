"""The command itself: words, options, exit codes."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from mailserver.cli.main import WORDS
from tests.cli.commands import HouseTestCase, command, environment


class WordsTests(SynchronousTestCase):
    """What it knows."""

    def test_help_names_every_command(self) -> None:
        said = command("--help")
        self.assertEqual(said.code, 0)
        for word in WORDS:
            self.assertIn(f"  {word} ", said.out)

    def test_help_of_each_command(self) -> None:
        from mailserver.cli.main import command as words

        for word in WORDS:
            each = words.get_command(None, word)        # type: ignore[arg-type]
            assert each is not None
            self.assertEqual(each.name, word)
            self.assertTrue(each.help, word)

    def test_help_imports_nothing_heavy(self) -> None:
        """It answers at once, because no server is loaded for it."""
        code = (
            "import sys, mailserver.cli.main as m; m.run(['--help']);"
            "print([n for n in ('twisted', 'sqlalchemy', 'rich', 'cryptography') if n in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment(), check=True)
        self.assertTrue(done.stdout.decode().endswith("[]\n"), done.stdout)

    def test_unknown_word(self) -> None:
        said = command("domian", "list")
        self.assertEqual(said.code, 2)
        self.assertIn("did you mean 'domain'?", said.err)

    def test_no_words(self) -> None:
        self.assertEqual(command().code, 2)


class ConfigOptionTests(HouseTestCase):
    """--config stands anywhere."""

    def test_before_and_behind(self) -> None:
        file = str(self.config)
        for words in (
            ("--config", file, "domain", "list", "--json"),
            ("domain", "--config", file, "list", "--json"),
            ("domain", "list", "--json", "--config", file),
        ):
            said = command(*words)
            self.assertEqual(said.code, 0, said.err)
            self.assertEqual([each["domain"] for each in said.json], ["example.org"])

    def test_environment(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "mailserver", "domain", "list"], capture_output=True, check=True,
            env={**environment(), "MAILSERVER_CONFIG": str(self.config)},
        )
        self.assertIn(b"example.org", done.stdout)

    def test_missing_file(self) -> None:
        said = command("domain", "list", "--config", "nowhere.toml")
        self.assertEqual(said.code, 1)
        self.assertEqual(said.err, "nowhere.toml:1:1: cannot be read: No such file or directory\n")

    def test_every_listing_has_json(self) -> None:
        for words in (
            ("domain", "list"), ("user", "list"), ("alias", "list"), ("queue", "list"), ("plugins",),
            ("trace", "--since", "1d"), ("check",),
        ):
            self.assertIsInstance(self.done(*words, "--json").json, list, words)
