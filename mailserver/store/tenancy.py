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
        """Take it; raises `StartRefused` when somebody has it, who is not about to end."""
        lock = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        until = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if _is_there(lock) or time.monotonic() > until:
                    os.close(lock)
                    raise StartRefused(f"another server works on {self.path.parent} already") from None
            time.sleep(LOOK)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self.descriptor = lock

    @property
    def is_held(self) -> bool:
        """Whether somebody has it, as seen by somebody who does not."""
        try:
            lock = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True
        finally:
            os.close(lock)

    def end(self) -> None:
        """Give it back."""
        lock, self.descriptor = self.descriptor, None
        if lock is not None:
            os.close(lock)


def _is_there(lock: int) -> bool:
    """Whether the process lives that took the lock; without it, its workers are about to end."""
    try:
        os.kill(int(os.pread(lock, 20, 0)), 0)
    except (ValueError, ProcessLookupError):
        return False
    except OSError:
        pass            # it is somebody else's
    return True
