"""Where the control socket is: a file in the data folder, however long the name of that may be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "control"
LONGEST = 100           # octets of the name of a UNIX socket (108 on Linux, 104 elsewhere, with the final NUL)


@contextmanager
def named(data: Path) -> Iterator[str]:
    """A name of the socket that the system takes, for as long as the block lasts.

    Raises `OSError` where the folder's name is too long, and the system has no other names for it.
    """
    path = str(data.absolute() / NAME)
    if len(os.fsencode(path)) <= LONGEST:
        yield path
        return
    folder = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{NAME}"
    finally:
        os.close(folder)
