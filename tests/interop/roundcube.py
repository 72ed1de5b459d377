"""Debian's Roundcube, served by PHP itself, with a configuration, a database and logs of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

from tests.needs import missing, program

INSTALLED, STANDARD = Path("/var/lib/roundcube"), Path("/etc/roundcube")
TABLES = Path("/usr/share/roundcube/SQL/sqlite.initial.sql")
PATIENCE = 20.0         # seconds for it to come up
CONFIG = """<?php
$config = [
    'db_dsnw' => 'sqlite:///{folder}/roundcube.db?mode=0600',
    'des_key' => '{key}',
    'log_dir' => '{folder}/', 'temp_dir' => '{folder}/', 'imap_debug' => true,
    'imap_host' => 'ssl://127.0.0.1:{imap}', 'smtp_host' => 'tls://127.0.0.1:{submission}',
    'imap_conn_options' => ['ssl' => ['cafile' => '{trusted}', 'peer_name' => '{host}']],
    'smtp_conn_options' => ['ssl' => ['cafile' => '{trusted}', 'peer_name' => '{host}']],
    'plugins' => ['acl'], 'acl_specials' => ['anyone'],
    'skin' => 'elastic', 'language' => 'en_US', 'timezone' => 'UTC', 'enable_spellcheck' => false,
];
"""


class Roundcube:
    """At `url`; logs in at an IMAP server whose certificate, for `host`, `trusted` has signed.

    It is killed `patience` seconds after its start.  Raises `AssertionError` when it does not come up.
    """

    def __init__(self, folder: Path, host: str, imap: int, submission: int, trusted: Path, patience: float) -> None:
        php = program("php", "php-cli")
        for file, package in ((TABLES, "roundcube-sqlite3"), (INSTALLED / "plugins/acl", "roundcube-plugins")):
            if not file.exists():
                missing(f"there is no {file} (apt install {package})")
        folder.mkdir(parents=True)
        for name in ("defaults.inc.php", "mimetypes.php"):
            (folder / name).symlink_to(STANDARD / name)
        (folder / "config.inc.php").write_text(CONFIG.format(
            folder=folder, key=secrets.token_hex(12), host=host, imap=imap, submission=submission, trusted=trusted,
        ))
        with contextlib.closing(sqlite3.connect(folder / "roundcube.db")) as database:
            database.executescript(TABLES.read_text())
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url, self._folder = f"http://127.0.0.1:{port}/", folder
        # A browser asks for several things at once; one process at a time would be all that PHP gives it.
        environment = {**os.environ, "ROUNDCUBE_CONFIG_DIR": str(folder), "PHP_CLI_SERVER_WORKERS": "4"}
        with (folder / "php.log").open("wb") as log:
            self._process = subprocess.Popen(
                [php, "-S", f"127.0.0.1:{port}", "-t", str(INSTALLED / "public_html")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env=environment, start_new_session=True,
            )
        self._end = threading.Timer(patience, self._kill)
        self._end.daemon = True
        self._end.start()
        try:
            self._wait(port)
        except BaseException:
            self.stop()
            raise

    def _wait(self, port: int) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(ConnectionError):
                socket.create_connection(("127.0.0.1", port)).close()
                return
            if self._process.poll() is not None or time.monotonic() > until:
                raise AssertionError(self.said("php.log")[-3000:])
            time.sleep(0.02)

    def said(self, log: str) -> str:
        """What is in one of its logs: imap.log has what it and the server have said to each other."""
        file = self._folder / log
        return file.read_text("utf-8", "replace") if file.exists() else ""

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def stop(self) -> None:
        """End it and its processes."""
        self._end.cancel()
        self._kill()
        self._process.wait()
