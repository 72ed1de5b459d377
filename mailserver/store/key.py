"""A key of the server's own: random octets in a file of its data folder, made when it is first needed."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

SIZE = 32               # octets


def load_key(path: Path) -> bytes:
    """The key in this file; it is made, for nobody else to read, when there is none.  Blocks; raises `OSError`.

    Servers on several machines that share a database need the same file.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SIZE))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(beside, path)           # whoever was first has made it; a file that is there is whole
        except FileExistsError:
            pass
    finally:
        beside.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return path.read_bytes()
