"""This server as it is out of the box: made by ``mailserver init``, run by ``mailserver run``; SQLite with fsync."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import func, select

from benchmarks.larder import Larder
from benchmarks.peer import DOMAIN, PATIENCE, Peer, wait_for_port
from mailserver.address import Address
from mailserver.store import directory
from mailserver.store.database import Database
from mailserver.store.schema import message


class Ours(Peer):
    """One process."""

    name = "mailserver"
    settings = "as mailserver init makes it; SQLite with fsync"

    def __init__(self, folder: Path, users: int, larder: Larder) -> None:
        super().__init__(folder, users, larder)
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def version(cls, larder: Larder) -> str:
        return version("mailserver")

    def start(self) -> None:
        self.prepare()
        self.run()

    def prepare(self) -> None:
        """Its files, and its accounts."""
        self._command("init", str(self.folder), "--hostname", f"mx.{DOMAIN}", "--domain", DOMAIN)
        file = self.folder / "mailserver.toml"
        # The usual listeners want ports below 1024; one on a free port is all that is needed.
        head, _, rest = file.read_text().partition("[[listen]]")
        tail = rest[rest.index("[relay]"):]
        listen = f'[[listen]]\nservice = "smtp"\nendpoint = "tcp:{self.port}:interface=127.0.0.1"\ntls = "starttls"\n\n'
        file.write_text(self.configuration(head + listen + tail))
        database = Database(None, self.folder / "data")
        database.open()
        with database.transaction() as connection:
            for address in self.addresses:
                directory.add_account(connection, Address.parse(address), time.time())
        database.close()

    def run(self) -> None:
        """Start it; it takes mail when this returns."""
        with open(self.folder / "log", "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mailserver", "run", "--config", str(self.folder / "mailserver.toml")],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )
        wait_for_port(self.port)

    def configuration(self, text: str) -> str:
        """What the file shall say in the end."""
        return text

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def delivered(self) -> int:
        database = Database(None, self.folder / "data")
        database.open()
        try:
            with database.reading() as connection:
                return connection.scalar(select(func.count()).select_from(message)) or 0
        finally:
            database.close()

    def _command(self, *words: str) -> None:
        subprocess.run([sys.executable, "-m", "mailserver", *words], check=True, stdout=subprocess.DEVNULL)
