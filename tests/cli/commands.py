"""Running the command as an operator does, and reading what it says."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailserver.cli.main import run

ROOT = Path(__file__).parent.parent.parent
STANDARD = (25, 587, 465, 24, 143, 993, 110, 995)
LOWEST, HIGHEST = 10_000, 29_000


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output, which is JSON."""
        return json.loads(self.out)


IN_A_PROCESS = ("dev", "explain", "rebuild", "run", "sendmail", "tls")      # they need a reactor of their own


def command(*words: str, stdin: str | bytes = "") -> Said:
    """Run it to its end."""
    if any(each in words for each in IN_A_PROCESS) or not words:
        octets = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [sys.executable, "-m", "mailserver", *words], input=octets, capture_output=True, timeout=60,
            env=environment(), check=False,
        )
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert isinstance(stdin, str)
    out, err = io.StringIO(), io.StringIO()
    before, sys.stdin = sys.stdin, io.StringIO(stdin)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(words)
    finally:
        sys.stdin = before
    return Said(code, out.getvalue(), err.getvalue())


def environment() -> dict[str, str]:
    """Ours, where the program is found from any folder, and no configuration is named.

    What ``trial -j`` says of the path is for its own processes: another user may not even look there.
    """
    env = {key: value for key, value in os.environ.items() if not key.startswith("MAILSERVER_")}
    return {**env, "PYTHONPATH": str(ROOT)}


def free_base(ports: tuple[int, ...] = STANDARD) -> int:
    """A port base at which all these ports are free on loopback.

    It lies below the ports that the kernel gives to connections, so that none of those takes one meanwhile.
    """
    for step in range(LOWEST, HIGHEST, 101):
        base = LOWEST + (os.getpid() * 37 + step) % (HIGHEST - LOWEST)
        taken = []
        try:
            for port in ports:
                taken.append(socket.socket())
                taken[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                taken[-1].bind(("127.0.0.1", base + port))
            return base
        except OSError:
            continue
        finally:
            for each in taken:
                each.close()
    raise AssertionError("no ports are free")


_houses: list[Path] = []


def _made() -> Path:
    """The files of a server, made once and copied for each test."""
    if not _houses:
        folder = Path(f"house-{os.getpid()}").absolute()
        said = command(
            "init", str(folder), "--hostname", "mx.example.org", "--domain", "example.org",
            "--user", "alice@example.org", "--password-stdin", "--port-base", str(free_base()), stdin="secret\n",
        )
        assert said.code == 0, said.err
        _houses.append(folder)
    return _houses[0]


class HouseTestCase(SynchronousTestCase):
    """Has a server's files for example.org, where alice lives."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.config = self.folder / "mailserver.toml"
        shutil.copytree(_made(), self.folder)

    def move(self) -> int:
        """Give it ports of its own, since its files are a copy of those of other tests; the base of the new ones."""
        text, base = self.config.read_text(), free_base()
        old = int(text.split("tcp:")[1].partition(":")[0]) - STANDARD[0]
        for port in STANDARD:
            text = text.replace(f"tcp:{old + port}:", f"tcp:{base + port}:")
        self.config.write_text(text)
        return base

    def say(self, *words: str, stdin: str | bytes = "") -> Said:
        """A command about these files."""
        return command(*words, "--config", str(self.config), stdin=stdin)

    def done(self, *words: str, stdin: str | bytes = "") -> Said:
        """A command that must do what it says."""
        said = self.say(*words, stdin=stdin)
        self.assertEqual(said.code, 0, said.err)
        return said

    def fails(self, *words: str, stdin: str = "") -> str:
        """A command that cannot do it; its one sentence."""
        said = self.say(*words, stdin=stdin)
        self.assertEqual((said.code, said.out), (1, ""), said.err)
        self.assertEqual(said.err.count("\n"), 1, said.err)
        return said.err.strip().removeprefix("mailserver: ")
