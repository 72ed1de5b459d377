"""``mailserver plugin new`` writes packages that work, and the skeleton in plugins/ is of the same form."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mailserver.errors import AlreadyExists, MailserverError
from mailserver.plugin import KINDS
from mailserver.plugin_skeleton import names, render, write

ROOT = Path(__file__).parent.parent
SKELETON = ROOT / "plugins" / "skeleton"


class SkeletonCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def passes(self, package: Path) -> None:
        """The package's own tests pass, with this server."""
        done = subprocess.run(
            [sys.executable, "-m", "twisted.trial", f"--temp-directory={self.folder / 'trial'}", "tests"],
            cwd=package, env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True, text=True, check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"PASSED \(successes=[1-9]")


class NewTests(SkeletonCase):
    """A new package of each kind."""

    def test_filter(self) -> None:
        self.new("filter")

    def test_forward(self) -> None:
        self.new("forward")

    def test_auth(self) -> None:
        self.new("auth")

    def test_mailbox(self) -> None:
        self.new("mailbox")

    def test_listener(self) -> None:
        self.new("listener")

    def new(self, kind: str) -> None:
        self.assertIn(kind, KINDS)
        written = write(self.folder, "my-own-2", kind)
        root = self.folder / "my-own-2"
        self.assertEqual(
            sorted(str(path.relative_to(root)) for path in written),
            sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()),
        )
        for path in written:
            text = path.read_text("utf-8")
            if path.suffix == ".py":
                compile(text, str(path), "exec")
        self.assertIn("my_own_2.offers:my_own_2", (root / "setup.cfg").read_text("utf-8"))
        title, line, *_ = (root / "README.rst").read_text("utf-8").split("\n")
        self.assertEqual((title, line), ("MyOwn2 for mailserver", "=" * len(title)))
        self.passes(root)

    def test_names(self) -> None:
        for name in ("", "Polite", "2nd", "a_b", "-a", "a-", "a--b", "../a", "a b", "é"):
            with self.assertRaises(MailserverError, msg=name) as caught:
                write(self.folder, name, "filter")
            self.assertIn("cannot be a name", str(caught.exception))
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_kinds(self) -> None:
        with self.assertRaises(MailserverError):
            write(self.folder, "polite", "filters")

    def test_nothing_is_overwritten(self) -> None:
        write(self.folder, "polite", "filter")
        with self.assertRaises(AlreadyExists):
            write(self.folder, "polite", "auth")


class PluginsFolderTests(SkeletonCase):
    """What stands in plugins/."""

    def test_same_form(self) -> None:
        """The skeleton's files are what the command would write."""
        for name, kind in (
            ("subjects", "filter"), ("departments", "forward"), ("passfile", "auth"), ("shoebox", "mailbox"),
            ("diary", "listener"),
        ):
            words = names(name, kind, "mailserver_skeleton")
            for template, path in (
                ("plugin.py", SKELETON / "mailserver_skeleton" / f"{name}.py"),
                ("test.py", SKELETON / "tests" / f"test_{name}.py"),
            ):
                self.assertEqual(path.read_text("utf-8"), render(f"{kind}/{template}", words), path.name)

    def test_skeleton(self) -> None:
        self.passes(SKELETON)

    def test_greylist(self) -> None:
        self.passes(ROOT / "plugins" / "greylist")

    def test_webhook(self) -> None:
        self.passes(ROOT / "plugins" / "webhook")
