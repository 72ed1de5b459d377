"""Databases with all tables and nothing in them: migrated once by each process of tests, and copied for each test."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

from mailserver.store.database import Database

_made: list[Path] = []


def ready(data: Path) -> None:
    """Put one into a server's folder of data, where there is none yet, as its first start would."""
    file = Database(None, data).file
    data.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_once(), file)
    file.chmod(0o600)


def _once() -> Path:
    if not _made:
        folder = Path(tempfile.mkdtemp(prefix="database-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        database = Database(None, folder)
        database.open(migrate=True)
        database.close()
        _made.append(database.file)
    return _made[0]
