"""What a server costs, taken from the operating system: CPU and memory of a process and of all below it.

Reads /proc of Linux.  A process that has ended is counted too: its parent, which is below the same root,
was given its CPU time when it was waited for.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


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
    return ticks / TICKS


def _stat(pid: int) -> list[str] | None:
    """The fields of proc(5) /proc/PID/stat from the third on; None when the process has gone."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def memory(root: int) -> int:
    """Octets of memory that a process and its descendants have now; what several share is counted once."""
    return sum(_octets(pid, "smaps_rollup", "Pss:") for pid in tree(root))


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
    except (FileNotFoundError, ProcessLookupError):
        return 0
    for line in text.split("\n"):
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0


class Watch:
    """Looks at a server's memory twice a second, and keeps the most that it saw."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._done = threading.Event()
        self._most = 0
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while True:
            self._most = max(self._most, memory(self._root))
            if self._done.wait(0.5):
                return

    def stop(self) -> int:
        """End it; returns the most octets.

        For a server of one process the kernel knows the peak itself, and that is what is told.
        """
        self._done.set()
        self._thread.join()
        alone = len(tree(self._root)) == 1
        return peak(self._root) if alone else max(self._most, memory(self._root))
