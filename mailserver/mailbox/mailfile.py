"""One file of a Maildir: what its name says, and its octets as they are sent."""

from __future__ import annotations

import mmap
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mailserver.content import CHUNK
from mailserver.interfaces import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN
from mailserver.mailbox.lineends import LineEnds

FLAGS = {"D": DRAFT, "F": FLAGGED, "R": ANSWERED, "S": SEEN, "T": DELETED}
OURS = ".mailserver"        # how the names of our own files end: they hold the octets as they are sent
_IN_MEMORY = 1 << 20        # octets with other line ends that are held in memory at once
_SENT_SIZE = re.compile(r",W=([0-9]{1,18})(?:,|$)")
_INFO = ":2,"


def base_name(name: str) -> str:
    """The name without what stands behind the colon, which stays as long as the message is there."""
    return name.partition(":")[0]


def is_ours(base: str) -> bool:
    """Whether we wrote it."""
    return base.partition(",")[0].endswith(OURS)


def letters_of(name: str) -> set[str]:
    """What stands behind ``:2,``, keywords and what others put there included."""
    return set(name.rpartition(_INFO)[2].partition(",")[0]) if _INFO in name else set()


def with_letters(base: str, letters: set[str]) -> str:
    """The name of a file in cur/, its letters in order (Maildir: ASCII's)."""
    return f"{base}{_INFO}{''.join(sorted(letters))}"


def system_flags(letters: set[str]) -> int:
    """The system flags that these letters mean."""
    return sum(flag for letter, flag in FLAGS.items() if letter in letters)


def flag_letters(flags: int) -> set[str]:
    """The letters of system flags."""
    return {letter for letter, flag in FLAGS.items() if flags & flag}


def told_size(base: str) -> int | None:
    """Octets as they are sent, as Dovecot says it in the name."""
    told = _SENT_SIZE.search(base)
    return int(told[1]) if told is not None else None


class OpenFile:
    """A message's file, read from its beginning in pieces of a bounded size; raises `OSError`."""

    __slots__ = ("_descriptor", "_ends", "size")

    def __init__(self, path: str | bytes | Path, base: str) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        self._ends = None if is_ours(base) else LineEnds()
        self.size = os.fstat(self._descriptor).st_size      # octets of the file

    def __enter__(self) -> OpenFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def is_plain(self) -> bool:
        """Whether its octets are sent as they are."""
        return self._ends is None

    def rewind(self) -> None:
        """To its beginning."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self._ends = None if self._ends is None else LineEnds()

    def skip(self, octets: int) -> bytes:
        """Pass over so many octets; what was read beyond them."""
        if self._ends is None:
            os.lseek(self._descriptor, octets, os.SEEK_SET)
            return b""
        while octets > 0:
            piece = self.read()
            if not piece:
                break
            if len(piece) > octets:
                return piece[octets:]
            octets -= len(piece)
        return b""

    def read(self, most: int = CHUNK) -> bytes:
        """The next piece; empty behind the last."""
        octets = os.read(self._descriptor, most)
        return octets if self._ends is None else self._ends.feed(octets)

    def measure(self) -> int:
        """How many octets are sent; it has to be read for that when another program wrote it."""
        if self._ends is None:
            return self.size
        size = 0
        while piece := self.read():
            size += len(piece)
        return size

    @contextmanager
    def whole(self) -> Iterator[Any]:
        """All octets as they are sent: bytes, or a mapping that ends with this."""
        if self._ends is None:
            if not self.size:
                yield b""
                return
            with mmap.mmap(self._descriptor, 0, prot=mmap.PROT_READ) as mapped:
                yield mapped
            return
        if self.size <= _IN_MEMORY:
            yield b"".join(iter(self.read, b""))
            return
        with tempfile.TemporaryFile() as file:
            while piece := self.read():
                file.write(piece)
            file.flush()
            with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
                yield mapped

    def close(self) -> None:
        """Close the file; may be called again."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def write_new(path: Path, pieces: Iterator[bytes], received: float, counted: Callable[[bytes], object]) -> None:
    """A new file, durably, dated as it was received; `counted` is given each piece."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        for octets in pieces:
            counted(octets)
            view = memoryview(octets)
            while view:
                view = view[os.write(descriptor, view):]
        os.utime(descriptor, (received, received))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
