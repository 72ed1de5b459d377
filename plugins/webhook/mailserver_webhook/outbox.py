"""What is still to be told, as files: one for each batch, written down before it counts as heard.

The name of a file is an id, so that names tell their order and their age.  Several processes may put batches in; one
at a time, who holds the lock, takes them out.  Everything here blocks, and is for threads.
"""

from __future__ import annotations

import fcntl
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from mailserver import ident
from mailserver.errors import TemporaryFailure

MOST_REFUSED = 100          # batches that nobody wanted, kept for whoever wants to know


class Outbox:
    """A folder; `most` is how many octets may lie in it."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder = folder
        self._most = most
        self._next: deque[str] = deque()
        self._lock: int | None = None

    def put(self, name: str, body: bytes) -> None:
        """Keep a batch, durably; raises `TemporaryFailure` when there is no room."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if len(body) + sum(size for _, size in self._files()) > self._most:
            raise TemporaryFailure(f"{self._folder} is full: {self._most} octets wait to be told")
        part = self._folder / f"{name}.part"
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            view = memoryview(body)
            while view:
                view = view[os.write(descriptor, view):]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(part, self._folder / f"{name}.json")
        self._sync()

    def lead(self) -> bool:
        """Whether it is we who take batches out: from now until `leave`, or our end."""
        if self._lock is not None:
            return True
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        for part in self._folder.glob("*.part"):
            if ident.seconds(_id(part.stem)) < os.stat(self._folder / "lock").st_mtime - 3600:
                part.unlink(missing_ok=True)        # of a process that died while it wrote
        os.utime(self._folder / "lock")
        return True

    def leave(self) -> None:
        """Let another one take batches out."""
        descriptor, self._lock = self._lock, None
        self._next.clear()
        if descriptor is not None:
            os.close(descriptor)

    def first(self) -> tuple[str, bytes] | None:
        """The oldest batch, which stays where it is; None: there is none."""
        while True:
            if not self._next:
                self._next.extend(sorted(name for name, _ in self._files()))
            if not self._next:
                return None
            try:
                return self._next[0], (self._folder / f"{self._next[0]}.json").read_bytes()
            except FileNotFoundError:
                self._next.popleft()

    def done(self, name: str) -> None:
        """It was heard, or is given up."""
        (self._folder / f"{name}.json").unlink(missing_ok=True)
        if self._next and self._next[0] == name:
            self._next.popleft()

    def refuse(self, name: str) -> None:
        """Nobody will ever hear it: lay it aside."""
        aside = self._folder / "refused"
        aside.mkdir(exist_ok=True, mode=0o700)
        os.rename(self._folder / f"{name}.json", aside / f"{name}.json")
        self.done(name)
        for old in sorted(aside.iterdir())[:-MOST_REFUSED]:
            old.unlink(missing_ok=True)

    def _files(self) -> Iterator[tuple[str, int]]:
        """The names of the batches, and their sizes."""
        for entry in os.scandir(self._folder):
            if entry.name.endswith(".json"):
                try:
                    yield entry.name.removesuffix(".json"), entry.stat().st_size
                except FileNotFoundError:
                    continue            # it has just been told

    def _sync(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _id(name: str) -> int:
    try:
        return ident.read(name)
    except ValueError:
        return 0


def age(name: str, now: float) -> float:
    """How many seconds ago a batch was put in."""
    return now - ident.seconds(_id(name))
