"""Locks as Dovecot takes them: a file ``name.lock`` that only one can make, and in it who it was."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailserver.errors import TemporaryFailure

PATIENCE = 10.0             # seconds that we wait for another program
_STEP = 0.02                # seconds between two looks
STALE = 120.0               # seconds after which nobody holds it any more
_OWNER = re.compile(rb"(\d{1,10}):([^:\n]+)")


@contextmanager
def dotlock(path: Path, now: float) -> Iterator[None]:
    """Hold the lock of `path`; `now` is the time by which the disk dates its files.

    One whose process has died on this host is nobody's at once, as Dovecot has it, and so is one that is old.  Raises
    `TemporaryFailure` when another program keeps it for longer than `PATIENCE`.
    """
    lock = path.with_name(f"{path.name}.lock")
    for _ in range(max(1, int(PATIENCE / _STEP))):
        if _take(lock):
            break
        _break_stale(lock, now)
        time.sleep(_STEP)
    else:
        raise TemporaryFailure(f"another program keeps {lock.name}")
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _take(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return False
    try:
        os.write(descriptor, f"{os.getpid()}:{socket.gethostname()}".encode())
    finally:
        os.close(descriptor)
    return True


def _break_stale(lock: Path, now: float) -> None:
    try:
        before = os.lstat(lock)
        with open(lock, "rb") as file:
            owner = _OWNER.fullmatch(file.read(300))
        if (owner is None or _lives(owner)) and before.st_mtime > now - STALE:
            return
        if os.lstat(lock).st_ino == before.st_ino:
            lock.unlink()
    except FileNotFoundError:
        pass


def _lives(owner: re.Match[bytes]) -> bool:
    """Whether this process may still be there: those of other hosts may."""
    if owner[2] != socket.gethostname().encode():
        return True
    try:
        os.kill(int(owner[1]), 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
