"""One server works on one set of data."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from mailserver.errors import StartRefused

PATIENCE = 30.0         # seconds for the workers of a master that died: they finish what they had begun
LOOK = 0.1


class Tenancy:
    """A lock on the data; it is given back when every process that inherited its descriptor has ended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor: int | None = None

    def begin(self) -> None:
        """Take it; raises `StartRefused` when somebody has it."""
        self.await_orphans()
        lock = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _take(lock, fcntl.LOCK_EX):
            time.sleep(LOOK)        # `is_held` has it for a moment
            if not _take(lock, fcntl.LOCK_EX):
                os.close(lock)
                raise StartRefused(f"another server works on {self.path.parent} already")
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self.descriptor = lock

    def end(self) -> None:
        """Give it back."""
        lock, self.descriptor = self.descriptor, None
        if lock is not None:
            os.close(lock)

    @property
    def is_held(self) -> bool:
        """Whether somebody has it, as seen by somebody who does not."""
        lock = self._look()
        if lock is None:
            return False
        try:
            return not _take(lock, fcntl.LOCK_SH)
        finally:
            os.close(lock)

    def await_orphans(self) -> None:
        """Wait until the workers of a master that has died are gone: they have the lock, and its ports."""
        lock = self._look()
        if lock is None:
            return
        try:
            until = time.monotonic() + PATIENCE
            while not _take(lock, fcntl.LOCK_SH) and not _is_there(lock) and time.monotonic() < until:
                time.sleep(LOOK)
        finally:
            os.close(lock)

    def _look(self) -> int | None:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None         # nobody has made it, or it is not ours to see


def _take(lock: int, how: int) -> bool:
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_there(lock: int) -> bool:
    """Whether the process lives that took the lock."""
    try:
        os.kill(int(os.pread(lock, 20, 0)), 0)
    except (ValueError, ProcessLookupError):
        return False
    except OSError:
        pass            # it is somebody else's
    return True
