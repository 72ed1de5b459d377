"""Files of contents that nobody holds any more: unlinked after their rows' delete has committed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import Connection, Engine
from twisted.logger import Logger

from mailserver.store import news

log = Logger()

_KEY = "released files"


def connect(engine: Engine) -> Connection:
    """A connection that writes: what it shall unlink, and what it has changed, are remembered as long as it lives."""
    return engine.connect().execution_options(**{_KEY: [], news.KEY: news.News()})


def unlink_after_commit(connection: Connection, path: Path) -> None:
    """Remember a file whose row is being deleted; a relative path is below the folder of contents."""
    released(connection).append(path)


def released(connection: Connection) -> list[Path]:
    """What is remembered; a part that is rolled back cuts it back."""
    paths: list[Path] = connection.get_execution_options()[_KEY]
    return paths


def unlink(folder: Path, paths: Iterable[Path]) -> None:
    """Remove files.  Never raises, for the commit stands: a file that stays is removed by the sweep."""
    for path in paths:
        try:
            os.unlink(folder / path)
        except FileNotFoundError:
            pass
        except OSError as error:
            log.warn("cannot remove {path}: {words}", path=str(path), words=str(error))
