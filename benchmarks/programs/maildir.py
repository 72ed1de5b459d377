"""Writes Maildir the plain way: a file in ``tmp``, fsync, rename to ``new``.  Needs nothing but Python."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable
from pathlib import Path

_numbers = itertools.count()


def deliver(folder: Path, pieces: Iterable[bytes]) -> None:
    """Put one message into a Maildir; when this returns, it is on the disk."""
    name = f"{time.time():.6f}.{os.getpid()}_{next(_numbers)}.mx"
    written = folder / "tmp" / name
    with open(written, "xb") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    os.rename(written, folder / "new" / name)
