"""What README.rst and docs/ show is run as it stands there, and the documentation builds without a warning."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
from twisted.trial.unittest import SynchronousTestCase

from mailserver.cli import main
from mailserver.config import ConfigErrors, load
from mailserver.session.imap import capabilities
from tests.cli.commands import ROOT
from tests.documents import Session, blocks
from tests.needs import program

PROGRAMS = {"swaks": "swaks", "curl": "curl", "openssl": "openssl", "systemd-socket-activate": "systemd"}


class PageTests(SynchronousTestCase):
    """Each page is a session at a terminal."""

    def play(self, name: str) -> None:
        page = ROOT / name
        typed = "\n".join(line for block in blocks(page.read_text("utf-8")) for line in block.lines)
        for each, package in PROGRAMS.items():
            if re.search(rf"\b{each}\b", typed):
                program(each, package)
        # What a page has installed before its first command is on the path, as if it were.
        beside = re.findall(r"^ +pip install \./(plugins/\w+)$", page.read_text("utf-8"), re.MULTILINE)
        session = Session(Path(self.mktemp()).absolute(), [ROOT / each for each in beside])
        try:
            wrong = session.play(page)
        finally:
            session.close()
        self.assertEqual(wrong, [], "\n\n".join(wrong))

    def test_readme(self) -> None:
        self.play("README.rst")

    def test_tutorial(self) -> None:
        self.play("docs/tutorial.rst")

    def test_plugins(self) -> None:
        self.play("docs/plugins.rst")

    def test_certificate(self) -> None:
        self.play("docs/howto/certificate.rst")

    def test_smarthost(self) -> None:
        self.play("docs/howto/smarthost.rst")

    def test_sending(self) -> None:
        self.play("docs/howto/sending.rst")

    def test_keeping(self) -> None:
        self.play("docs/howto/keeping.rst")

    def test_imap(self) -> None:
        self.play("docs/howto/imap.rst")

    def test_urls(self) -> None:
        self.play("docs/howto/urls.rst")

    def test_moving_in(self) -> None:
        self.play("docs/howto/moving-in.rst")

    def test_maildir(self) -> None:
        self.play("docs/howto/maildir.rst")

    def test_sharing(self) -> None:
        self.play("docs/howto/sharing.rst")

    def test_outgoing_tls(self) -> None:
        self.play("docs/howto/outgoing-tls.rst")

    def test_front(self) -> None:
        self.play("docs/howto/front.rst")

    def test_two_servers(self) -> None:
        self.play("docs/howto/two-servers.rst")

    def test_bounces(self) -> None:
        self.play("docs/howto/bounces.rst")

    def test_beside(self) -> None:
        self.play("docs/howto/beside.rst")

    def test_operate(self) -> None:
        self.play("docs/howto/operate.rst")

    def test_queue(self) -> None:
        self.play("docs/howto/queue.rst")

    def test_webhook(self) -> None:
        self.play("docs/howto/webhook.rst")

    def test_systemd(self) -> None:
        self.play("docs/howto/systemd.rst")

    def test_every_page_is_played(self) -> None:
        """A page with commands has a test above."""
        played = set(re.findall(r'self\.play\("([^"]+)"\)', Path(__file__).read_text()))
        pages = [ROOT / "README.rst", *sorted((ROOT / "docs").rglob("*.rst"))]
        shows = {
            str(page.relative_to(ROOT)) for page in pages
            if "_build" not in page.parts
            and any(each.language == "console" for each in blocks(page.read_text("utf-8")))
        }
        self.assertEqual(shows, played)


class ReadmeTests(SynchronousTestCase):
    """The first two commands are what a stranger types."""

    def test_begins_with_two_commands(self) -> None:
        text = (ROOT / "README.rst").read_text("utf-8")
        commands = [line.strip() for line in text.split("\n") if line.startswith("    python3")]
        self.assertEqual(len(commands), 2)
        self.assertTrue(commands[0].endswith(".venv/bin/mailserver dev"), commands[0])
        self.assertTrue(commands[1].endswith("-m twisted.trial -j 2 tests"), commands[1])


class ReferenceTests(SynchronousTestCase):
    """The reference leaves nothing out."""

    def test_every_capability(self) -> None:
        """What IMAP offers stands in the table, and nothing else does."""
        page = (ROOT / "docs/reference/imap.rst").read_text("utf-8").partition("\nAnnotations\n")[0]
        offered = {
            each.partition("=")[0] if each.partition("=")[0].endswith(("AUTH", "LIMIT")) and "=B" not in each else each
            for words in (
                capabilities.outside(["PLAIN"], True, True), capabilities.outside(["PLAIN"], False, True),
                *(capabilities.inside(self.policy(*limits), True) for limits in ((1000, 0), (0, 1000))),
                *(names for _, names in capabilities.OF_STORES),
            )
            for each in words
        } | {"LITERAL-"}
        self.assertEqual(sorted(re.findall(r"^``(\S+)`` ", page, re.MULTILINE)), sorted(offered))

    def policy(self, message_limit: int, save_limit: int) -> Any:
        """All that can be configured, over a store that can do nothing more than it has to."""
        links = SimpleNamespace(keys=object())
        return SimpleNamespace(size=1, store=None, links=links, message_limit=message_limit, save_limit=save_limit)

    def test_every_key(self) -> None:
        """Each key that the configuration takes stands on its page, as ``key``."""
        page = (ROOT / "docs/reference/configuration.rst").read_text("utf-8")
        source = "".join((ROOT / "mailserver" / name).read_text("utf-8") for name in ("config.py", "outbound.py"))
        keys = set(re.findall(r'\.(?:take|take_list|table|tables|_uses)\(\s*"(\w+)"', source))
        self.assertIn("retry_first", keys)
        self.assertEqual([key for key in sorted(keys) if not re.search(rf"``[\[\w.]*\b{key}\b\]*``", page)], [])

    def test_every_command(self) -> None:
        """So does each word of the command, and each of its options."""
        page = (ROOT / "docs/reference/commands.rst").read_text("utf-8")
        missing = []

        def look(words: str, command: click.Command) -> None:
            if isinstance(command, click.Group):
                for name in command.list_commands(click.Context(command)):
                    found = command.get_command(click.Context(command), name)
                    assert found is not None
                    look(f"{words} {name}", found)
            elif not re.search(words.replace(" ", r"\b[^`\n]*\b"), page):
                missing.append(words)
            for each in command.params:
                missing.extend(f"{words} {option}" for option in each.opts if option[0] == "-" and option not in page)

        look("mailserver", main.command)
        missing = [each for each in missing if not each.endswith("--version")]
        self.assertEqual(missing, [])

    def test_examples_of_configuration(self) -> None:
        """A whole file is a right one, but for the files that it names and are not here."""
        (example,) = (
            each for each in blocks((ROOT / "docs/reference/configuration.rst").read_text("utf-8"))
            if each.language == "toml" and each.lines[0].startswith("hostname")
        )
        file = Path(self.mktemp()).absolute()
        file.write_text("\n".join(example.lines))
        errors = self.assertRaises(ConfigErrors, load, file)
        self.assertEqual([each for each in str(errors).split("\n") if "names no file" not in each], [])


class SiteTests(SynchronousTestCase):
    """docs/ as a site."""

    def test_builds(self) -> None:
        folder = Path(self.mktemp()).absolute()
        done = subprocess.run(
            [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", str(folder / "doctrees"),
             str(ROOT / "docs"), str(folder / "html")],
            capture_output=True, text=True, cwd=ROOT, check=False,
        )
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        self.assertIn("IFilterHooks", (folder / "html" / "reference" / "interfaces.html").read_text("utf-8"))
