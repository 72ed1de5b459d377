"""The packages in plugins/, and a new one, installed by pip.  Slow: the environment is made once a run."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.needs import missing

ROOT = Path(__file__).parent.parent.parent
UNREACHABLE = ("Temporary failure in name resolution", "Connection refused", "Network is unreachable", "timed out")


class Environment:
    """A virtual environment that sees this server and its libraries, with the plugins installed into it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="plugins-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.python = self.folder / "venv" / "bin" / "python"
        self.why = self._run(sys.executable, "-m", "venv", str(self.folder / "venv"))
        [packages] = (self.folder / "venv").glob("lib/python*/site-packages")
        (packages / "server.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
        for name in ("greylist", "skeleton", "webhook"):
            source = self.folder / name
            ignored = shutil.ignore_patterns("__pycache__", "dropin.cache", "build", "*.egg-info", "_trial_temp*")
            shutil.copytree(ROOT / "plugins" / name, source, ignore=ignored)
            self.install(source)

    def install(self, source: Path) -> None:
        """Have pip install a package; `why` says what went wrong."""
        self.why = self.why or self._run(str(self.python), "-m", "pip", "install", "-q", "--no-deps", str(source))

    def do(self, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run the environment's Python as a stranger would."""
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "MAILSERVER_"))}
        return subprocess.run(
            [str(self.python), *words], capture_output=True, text=True, cwd=cwd or self.folder, env=env, check=False
        )

    def _run(self, *words: str) -> str:
        done = subprocess.run(words, capture_output=True, text=True, cwd=self.folder, check=False)
        return done.stdout + done.stderr if done.returncode else ""


_made: list[Environment] = []


class InstalledTests(SynchronousTestCase):
    def setUp(self) -> None:
        if not _made:
            _made.append(Environment())
        self.environment = _made[0]
        self.check_installed()

    def check_installed(self) -> None:
        why = self.environment.why
        if any(each in why for each in UNREACHABLE):
            missing(f"packages cannot be had: {why}")
        self.assertEqual(why, "")

    def do(self, *words: str, cwd: Path | None = None) -> str:
        done = self.environment.do(*words, cwd=cwd)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def site(self, tables: str = "") -> Path:
        """A configuration with these tables at its end."""
        folder = Path(self.mktemp()).absolute()
        self.do("-m", "mailserver", "init", str(folder), "--hostname", "mx.example.org", "--domain", "example.org")
        path = folder / "mailserver.toml"
        path.write_text(path.read_text("utf-8") + tables, "utf-8")
        return path

    def offered(self, path: Path) -> dict[tuple[str, str], dict[str, Any]]:
        rows = json.loads(self.do("-m", "mailserver", "plugins", "--json", "--config", str(path)))
        self.assertEqual([each["error"] for each in rows if each["error"]], [])
        return {(each["kind"], each["name"]): each for each in rows}

    def test_found(self) -> None:
        """Some by their files in twisted/plugins, the others by their entry points; none is a file of this folder."""
        offered = self.offered(self.site())
        for kind, name, file in (
            ("filter", "greylist", "twisted/plugins/mailserver_greylist_plugin.py"),
            ("filter", "webhook", "twisted/plugins/mailserver_webhook_plugin.py"),
            ("listener", "webhook", "twisted/plugins/mailserver_webhook_plugin.py"),
            ("filter", "subjects", "mailserver_skeleton/offers.py"),
            ("forward", "departments", "mailserver_skeleton/offers.py"),
            ("auth", "passfile", "mailserver_skeleton/offers.py"),
            ("mailbox", "shoebox", "mailserver_skeleton/offers.py"),
            ("listener", "diary", "mailserver_skeleton/offers.py"),
        ):
            found = offered[kind, name]["file"]
            self.assertTrue(found.endswith(f"/site-packages/{file}"), found)
            self.assertTrue(found.startswith(str(self.environment.folder)), found)

    def test_used(self) -> None:
        """Their tables are checked as those of the built-in ones are."""
        path = self.site('\n[[filter]]\nuse = "greylist"\ndelay = 60\n\n[[filter]]\nuse = "subjects"\nwords = ["x"]\n')
        self.assertIn("nothing is wrong", self.do("-m", "mailserver", "check", "--config", str(path)))
        self.assertIsNotNone(self.offered(path)["filter", "greylist"]["order"])
        path.write_text(path.read_text("utf-8").replace("delay", "dealy"), "utf-8")
        done = self.environment.do("-m", "mailserver", "check", "--config", str(path))
        self.assertEqual(done.returncode, 1)
        self.assertIn('unknown key "dealy"; did you mean "delay"?', done.stdout + done.stderr)

    def test_new(self) -> None:
        """What the command writes can be installed, is found, and passes its tests."""
        folder = Path(self.mktemp()).absolute()
        self.do("-m", "mailserver", "plugin", "new", "polite-words", "--kind", "filter", "--dir", str(folder))
        self.environment.install(folder / "polite-words")
        self.check_installed()
        self.assertIn(("filter", "polite-words"), self.offered(self.site()))
        said = self.do("-m", "twisted.trial", "tests", cwd=folder / "polite-words")
        self.assertRegex(said, r"PASSED \(successes=[1-9]")
