"""What a server costs, taken from the operating system: CPU and memory of all its processes."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")
_numbers = itertools.count()


class Meter(Protocol):
    """The processes of one server, those that have ended included."""

    def processes(self) -> list[int]:
        """Those that live."""

    def cpu(self) -> float:
        """Seconds of CPU that all have used so far."""


class Tree:
    """A process and its descendants, by /proc of Linux.

    One that has ended is counted if its parent waited for it: the parent was given its time then.
    """

    def __init__(self, root: int) -> None:
        self.root = root

    def processes(self) -> list[int]:
        return tree(self.root)

    def cpu(self) -> float:
        return cpu(self.root)


class Group:
    """What was started inside a control group of Linux, whoever waits for it.

    The kernel counts the CPU of every group of version 2, even where no controller is on.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def make(cls) -> Group | None:
        """A new one; None where there can be none."""
        for line in (PROC / "mounts").read_text().split("\n"):
            _, where, kind, *_ = [*line.split(" "), "", "", ""]
            if kind != "cgroup2":
                continue
            own = next(each for each in (PROC / "self/cgroup").read_text().split("\n") if each.startswith("0::"))
            folder = Path(where, own[len("0::"):].lstrip("/"), f"mailserver-benchmark-{os.getpid()}-{next(_numbers)}")
            try:
                folder.mkdir()
                return cls(folder)
            except OSError:
                return None
        return None

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Whatever this process starts meanwhile belongs to the group; this process itself does not stay."""
        (self._folder / "cgroup.procs").write_text("0")
        try:
            yield
        finally:
            (self._folder.parent / "cgroup.procs").write_text("0")

    def processes(self) -> list[int]:
        return [int(each) for each in (self._folder / "cgroup.procs").read_text().split()]

    def cpu(self) -> float:
        for line in (self._folder / "cpu.stat").read_text().split("\n"):
            if line.startswith("usage_usec "):
                return int(line.split()[1]) / 1e6
        raise AssertionError(f"{self._folder}/cpu.stat has no usage_usec")

    def close(self) -> None:
        """End what still runs in it, and it."""
        for _ in range(100):
            left = self.processes()
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if not left:
                try:
                    self._folder.rmdir()
                    return
                except OSError:
                    pass
            time.sleep(0.05)


def tree(root: int) -> list[int]:
    """The process `root` and all that descend from it, as far as they live."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir(PROC):
        if entry.isdecimal() and (stat := _stat(int(entry))):
            children.setdefault(int(stat[1]), []).append(int(entry))
    found, look = [], [root]
    while look:
        pid = look.pop()
        found.append(pid)
        look += children.get(pid, ())
    return found


def cpu(root: int) -> float:
    """Seconds of CPU that a process and its descendants, living and dead, have used so far."""
    ticks = 0
    for pid in tree(root):
        if stat := _stat(pid):
            ticks += sum(map(int, stat[11:15]))         # utime, stime, cutime, cstime
    return ticks / TICKS                                # each is rounded down to a tick, of which there are 100/s


def _stat(pid: int) -> list[str] | None:
    """The fields of proc(5) /proc/PID/stat from the third on; None when the process has gone."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def memory(meter: Meter) -> int:
    """Octets of memory that all processes have now; what several share is counted once."""
    return sum(_octets(pid, "smaps_rollup", "Pss:") for pid in meter.processes())


def resident(pid: int) -> int:
    """Octets that one process has resident now, shared ones included."""
    return _octets(pid, "status", "VmRSS:")


def peak(pid: int) -> int:
    """The most octets that one process ever had resident, or since `forget_peak`."""
    return _octets(pid, "status", "VmHWM:")


def forget_peak(pid: int) -> None:
    """Let `peak` begin anew."""
    (PROC / str(pid) / "clear_refs").write_text("5")


def _octets(pid: int, file: str, name: str) -> int:
    try:
        text = (PROC / str(pid) / file).read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    for line in text.split("\n"):
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0


def size(meter: Meter) -> int:
    """The octets that growth is measured from; for one process alone those that the kernel keeps the peak of."""
    alive = meter.processes()
    return resident(alive[0]) if len(alive) == 1 else memory(meter)


class Watch:
    """Looks at a server's memory every `seconds`, and keeps the most that it saw."""

    def __init__(self, meter: Meter, seconds: float = 0.5) -> None:
        self._meter = meter
        self._seconds = seconds
        self._done = threading.Event()
        self._most = 0
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while True:
            self._most = max(self._most, memory(self._meter))
            if self._done.wait(self._seconds):
                return

    def stop(self) -> int:
        """End it; returns the most octets.

        For a server of one process the kernel knows the peak itself, and that is what is told.
        """
        self._done.set()
        self._thread.join()
        alive = self._meter.processes()
        return peak(alive[0]) if len(alive) == 1 else max(self._most, memory(self._meter))
