"""The wheel, in a clean environment: everything is in it, and twistd knows the command.  Slow: built once a run."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.commands import ROOT
from tests.needs import missing

UNREACHABLE = ("Temporary failure in name resolution", "Connection refused", "Network is unreachable", "timed out")


def run(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program as a stranger would: without our paths, in a folder that is not ours."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "MAILSERVER_"))}
    return subprocess.run([*map(str, words)], capture_output=True, text=True, cwd=cwd, env=env, check=False)


def modules() -> set[str]:
    """The files of the package, as the source has them."""
    return {
        str(path.relative_to(ROOT)) for path in (ROOT / "mailserver").rglob("*.py") if "__pycache__" not in path.parts
    }


class Clean:
    """A wheel of the source as it is now, and an environment with nothing but that and what it asks for."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="packaging-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.source = self.folder / "source"
        self.source.mkdir()
        for name in ("mailserver", "twisted"):
            ignored = shutil.ignore_patterns("__pycache__", "dropin.cache")
            shutil.copytree(ROOT / name, self.source / name, ignore=ignored)
        for name in ("setup.cfg", "pyproject.toml", "README.rst", "LICENSE"):
            shutil.copy(ROOT / name, self.source)
        self.why = (
            self._fails(sys.executable, "-m", "venv", self.folder / "venv")
            or self._fails(self.program("pip"), "wheel", "-q", "--no-deps", "-w", self.folder / "wheel", self.source)
            or self._fails(self.program("pip"), "install", "-q", self.wheel)
        )

    def _fails(self, *words: str | Path) -> str:
        done = run(*words, cwd=self.folder)
        return f"{' '.join(map(str, words))}\n{done.stdout}{done.stderr}" if done.returncode else ""

    @property
    def wheel(self) -> Path:
        (wheel,) = (self.folder / "wheel").glob("*.whl")
        return wheel

    def program(self, name: str) -> Path:
        """One of the programs of the environment."""
        return self.folder / "venv" / "bin" / name


_made: list[Clean] = []


class WheelTests(SynchronousTestCase):
    """What ``pip install mailserver`` would bring."""

    def setUp(self) -> None:
        if not _made:
            _made.append(Clean())
        self.clean = _made[0]
        if any(each in self.clean.why for each in UNREACHABLE):
            missing(f"packages cannot be had: {self.clean.why}")
        self.assertEqual(self.clean.why, "")
        self.here = Path(self.mktemp()).absolute()
        self.here.mkdir(parents=True)

    def do(self, name: str, *words: str | Path) -> str:
        """What a program of the environment says."""
        done = run(self.clean.program(name), *words, cwd=self.here)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_everything_is_in_it(self) -> None:
        names = set(zipfile.ZipFile(self.clean.wheel).namelist())
        self.assertEqual(sorted(modules() - names), [])
        self.assertIn("mailserver/py.typed", names)
        self.assertIn("twisted/plugins/mailserver_plugin.py", names)
        for path in (ROOT / "mailserver").rglob("*.mako"):
            self.assertIn(str(path.relative_to(ROOT)), names)

    def test_nothing_else_is_in_it(self) -> None:
        """Twisted's own package stays Twisted's; the tests stay here."""
        others = [
            name for name in zipfile.ZipFile(self.clean.wheel).namelist()
            if not name.startswith("mailserver") and name != "twisted/plugins/mailserver_plugin.py"
        ]
        self.assertEqual(others, [])

    def test_twistd_knows_it(self) -> None:
        self.assertRegex(self.do("twistd", "--help"), r"\n +mailserver +A mail server")
        self.assertRegex(self.do("twist", "--help"), r"\n +mailserver +A mail server")

    def test_command(self) -> None:
        """A server's files can be made, which needs all data of the package and all that it depends on."""
        self.assertRegex(self.do("mailserver", "--version"), r"^mailserver \d")
        self.do("mailserver", "init", "site", "--hostname", "mx.example.org", "--domain", "example.org")
        self.assertIn("nothing is wrong", self.do("mailserver", "check", "--config", "site/mailserver.toml"))
        self.assertIn("mailserver_plugin.py", self.do("mailserver", "plugins", "--config", "site/mailserver.toml"))

    def test_every_module(self) -> None:
        """None needs what only developers have."""
        names = [
            name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in modules()
            if "__main__" not in name and "/migrations/" not in name
        ]
        self.do("python", "-c", f"import importlib\nfor name in {sorted(names)}: importlib.import_module(name)")

    def test_zzz_editable(self) -> None:
        """An editable install shows the command to twistd too.  The last test: it takes the wheel's place."""
        self.do("pip", "uninstall", "-q", "-y", "mailserver")
        self.assertNotIn("mailserver", self.do("twistd", "--help"))
        self.do("pip", "install", "-q", "--no-deps", "-e", self.clean.source)
        self.assertRegex(self.do("twistd", "--help"), r"\n +mailserver +A mail server")
        self.assertRegex(self.do("mailserver", "--version"), r"^mailserver \d")
