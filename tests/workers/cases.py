"""A server of several processes, as its operator and its peers see it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mailserver.control.client import ask
from tests.cli.commands import HouseTestCase
from tests.cli.running import PATIENCE, Running
from tests.plain import Client


class WorkersCase(HouseTestCase):
    """A house on ports of its own, with two workers."""

    workers = 2
    named = 0               # clients, by one_each

    def setUp(self) -> None:
        super().setUp()
        self.base = self.move()
        self.write("\nworkers = 2\n" if self.workers == 2 else "\n")
        self.data = self.folder / "data"
        self.clients = ExitStack()
        self.addCleanup(self.clients.close)

    def write(self, top: str = "", end: str = "") -> None:
        """More of the configuration."""
        head, line, rest = self.config.read_text().partition('data = "data"')
        self.assertTrue(line)
        self.config.write_text(head + line + top + rest + end)

    def start(self, *words: str, what: tuple[str, ...] = ("-m", "mailserver")) -> Running:
        """Run it, and wait until it serves."""
        running = Running(*(words or ("run", "--config", str(self.config))), what=what)
        self.addCleanup(running.stop)
        running.wait_for(str(self.base + 995))
        return running

    def ask(self, order: str, **details: Any) -> Any:
        """What it says to an order."""
        return ask(self.data, order, **details)

    def until(self, question: Callable[[], Any], patience: float = PATIENCE) -> Any:
        """What a question answers, once that is something."""
        until = time.monotonic() + patience
        while not (answer := question()):
            self.assertLess(time.monotonic(), until, "it did not come to that")
            time.sleep(0.05)
        return answer

    def pids(self) -> dict[int, int]:
        """The processes of the workers that serve, by their numbers."""
        return {each["number"]: each["pid"] for each in self.ask("status")["workers"]}

    def client(self, port: int = 25) -> Client:
        """A peer that is connected until the test ends."""
        return self.clients.enter_context(Client(self.base + port))

    def one_each(self) -> dict[int, Client]:
        """A client of each worker."""
        found: dict[int, Client] = {}
        for _ in range(400):
            self.named += 1
            name = f"client{self.named}.example.net"
            client = self.client()
            client.say(f"EHLO {name}")
            [worker] = [each["worker"] for each in self.ask("who") if each["hello"] == name]
            if found.setdefault(worker, client) is not client:
                client.close()
            if len(found) == self.workers:
                return found
            # Who is connected to makes the next connection go elsewhere, now and then.
            time.sleep(0.01)
        raise AssertionError(f"only {sorted(found)} of the workers serve")

    def kill(self, pid: int) -> None:
        """End a process at once."""
        os.kill(pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Whether there is such a process; a zombie is none."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
