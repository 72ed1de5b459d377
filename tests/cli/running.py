"""A server in a process of its own, started as an operator starts it."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import IO

from tests.cli.commands import environment

PATIENCE = 30.0         # seconds for a server to come up or go


class Running:
    """Keeps what the process says, line by line.

    `under` is a command that runs it, strace for one; `what` is what Python runs, when it is not our command.
    """

    def __init__(self, *words: str, under: Sequence[str] = (), what: Sequence[str] = ("-m", "mailserver")) -> None:
        self.process = subprocess.Popen(
            [*under, sys.executable, *what, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, env=environment(), text=True,
        )
        self.said: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        assert self.process.stdout is not None
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()

    def _read(self, output: IO[str]) -> None:
        for line in output:
            self._lines.put(line)
        self._lines.put(None)

    def wait_for(self, text: str) -> str:
        """The next line that holds a text."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                line = self._lines.get(timeout=max(0.01, until - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"it never said {text!r}, but: {''.join(self.said)}")
            self.said.append(line)
            if text in line:
                return line

    def heard(self) -> list[str]:
        """Everything that it has said so far."""
        while not self._lines.empty():
            self.said.append(self._lines.get() or "")
        return self.said

    def ended(self) -> int:
        """The exit code of one that ends by itself."""
        return self.process.wait(PATIENCE)

    def stop(self) -> int:
        """Ask it to end, as a service manager does; its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
