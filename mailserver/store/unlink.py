"""Files of contents that nobody holds any more: unlinked after their rows' delete has committed."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import Connection

_KEY = "released files"


def unlink_after_commit(connection: Connection, path: Path) -> None:
    """Remember a file whose row is being deleted on this connection."""
    connection.info.setdefault(_KEY, []).append(path)


def forget_unlinks(connection: Connection) -> None:
    """The transaction was rolled back: its files stay."""
    connection.info.pop(_KEY, None)


def unlink_released(connection: Connection) -> None:
    """The transaction is committed: its files go."""
    for path in connection.info.pop(_KEY, ()):
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
