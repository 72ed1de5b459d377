"""A PostgreSQL for tests: Debian's binaries in a folder of their own, started once, stopped at the end.

It listens on a UNIX socket and on a free port of loopback, trusts everybody who reaches them and syncs nothing.
"""

from __future__ import annotations

import atexit
import glob
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SkipTest

from mailserver.store.database import Database

WAIT = 30.0     # seconds for it to start


class Postgres:
    """One running server."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self.port = _free_port()
        # PostgreSQL refuses to run as root.
        self._user = next((name for name in ("postgres", "nobody") if _exists(name)), "nobody")
        self._as_user: list[str] = []
        if os.geteuid() == 0:
            account = pwd.getpwnam(self._user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            # It ends with us, however we end.
            self._as_user = [
                "setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups",
                "--pdeathsig", "INT",
            ]
        self._process: subprocess.Popen[bytes] | None = None
        self._template: str | None = None

    def start(self) -> None:
        """Make its files and run it; raises `RuntimeError` with its own words when it does not come up."""
        data = self.folder / "data"
        made = self._run(
            "initdb", "--pgdata", str(data), "--username=mail", "--auth=trust", "--encoding=UTF8", "--no-locale",
            "--no-sync", "--no-instructions",
        )
        if made.returncode:
            raise RuntimeError(f"initdb: {made.stderr.decode()}")
        with open(self.folder / "log", "wb") as log:
            self._process = subprocess.Popen(
                [
                    *self._as_user, str(self._binaries / "postgres"), "-D", str(data), "-k", str(self.folder),
                    "-h", "127.0.0.1", "-p", str(self.port),
                    "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
                    "-c", "max_connections=60", "-c", "shared_buffers=16MB",
                ],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder,
            )
        until = time.monotonic() + WAIT
        while self._run("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)).returncode:
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError(f"postgres did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it and remove its files."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(2)      # SIGINT is its fast shutdown
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, name: str, port: int | None = None) -> str:
        """The URL of a database, perhaps by way of another port."""
        return f"postgresql://mail@127.0.0.1:{port or self.port}/{name}"

    def create(self, is_empty: bool = False) -> str:
        """A new database with all tables and nothing in them, or without any; its name."""
        name = f"test_{secrets.token_hex(6)}"
        if is_empty:
            self.sql(f'CREATE DATABASE "{name}"')
            return name
        if self._template is None:          # migrated once, and copied for each test
            template = self.create(is_empty=True)
            database = Database(self.url(template), self.folder / "unused")
            database.open(migrate=True)
            database.close()
            self._template = template
        self.sql(f'CREATE DATABASE "{name}" TEMPLATE "{self._template}"')
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def sql(self, statement: str) -> None:
        """Run one statement outside any test's database."""
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*self._as_user, str(self._binaries / program), *arguments], capture_output=True, cwd=self.folder
        )


_running: list[Postgres] = []
_missing: list[str] = []


def postgres() -> Postgres:
    """The server of this test process; skips the test, with the reason, where there can be none (in CI it fails)."""
    if not _running and not _missing:
        try:
            _running.append(_start())
            atexit.register(_running[0].stop)
        except (RuntimeError, OSError, ImportError) as error:
            _missing.append(f"no PostgreSQL: {error}")
    if _missing:
        if os.environ.get("CI") == "1":
            raise AssertionError(_missing[0])
        raise SkipTest(_missing[0])
    return _running[0]


def _start() -> Postgres:
    import psycopg  # noqa: F401

    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    if not found:
        raise RuntimeError("its binaries are not in /usr/lib/postgresql (apt install postgresql)")
    server = Postgres(Path(found[-1]).parent)
    try:
        server.start()
    except BaseException:
        server.stop()
        raise
    return server


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
