"""Under systemd: sockets that it opened, and what it is told."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

from tests.cli.commands import environment
from tests.plain import Client
from tests.workers.cases import WorkersCase

# What systemd does for a service with sockets (sd_listen_fds(3)).
ACTIVATE = """
import os, socket, sys
kinds = {"INET": socket.AF_INET, "UNIX": socket.AF_UNIX}
sockets = []
for number, (kind, where) in enumerate(zip(sys.argv[2::2], sys.argv[3::2])):
    listening = socket.socket(kinds[kind], socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", int(where)) if kind == "INET" else where)
    if kind == "UNIX":
        os.chmod(where, 0o600)
    listening.listen(64)
    sockets.append(listening)
high = [os.dup(each.fileno()) + 0 for each in sockets]
for number, each in enumerate(high):
    os.dup2(each, 50 + number)
for number in range(len(high)):
    os.dup2(50 + number, 3 + number, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)), LISTEN_FDNAMES="smtp:lmtp")
os.execv(sys.executable, [sys.executable, "-m", "mailserver", "run", "--config", sys.argv[1]])
"""


class SystemdCase(WorkersCase):
    def setUp(self) -> None:
        super().setUp()
        text = self.config.read_text()
        text = re.sub(r"\[\[listen\]\]\n(?:.+\n)+\n*", "", text)
        self.config.write_text(text + (
            '\n[[listen]]\nservice = "smtp"\nendpoint = "systemd:domain=INET:name=smtp"\n'
            '\n[[listen]]\nservice = "lmtp"\nendpoint = "systemd:domain=UNIX:name=lmtp"\n'
        ))
        self.lmtp = Path(f"/tmp/lmtp-{os.getpid()}-{self.base}")
        self.addCleanup(self.lmtp.unlink, missing_ok=True)
        self.news = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.news.close)
        self.news.bind(f"\0mailserver-{os.getpid()}-{self.base}")
        self.news.settimeout(30)

    def activate(self) -> subprocess.Popen[bytes]:
        """Start it as systemd does."""
        with open(self.folder / "log", "wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", ACTIVATE, str(self.config), "INET", str(self.base + 25), "UNIX", str(self.lmtp)],
                env={**environment(), "NOTIFY_SOCKET": f"@mailserver-{os.getpid()}-{self.base}"},
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def heard(self) -> dict[str, str]:
        """What systemd is told next."""
        lines = self.news.recv(4096).decode().split("\n")
        return dict(line.split("=", 1) for line in lines)


class SystemdContract:
    """With one process and with several."""

    def test_whole(self) -> None:
        process = self.activate()
        self.assertEqual(self.heard(), {"READY": "1", "MAINPID": str(process.pid)}, self.log())
        with Client(self.base + 25) as client:
            client.say("EHLO client.example.net")
            client.send("bob@example.net", ["alice@example.org"], b"Subject: x\r\n\r\n")
        # The socket of LMTP is as systemd made it, also when the server has stopped.
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(self.lmtp))
            self.assertTrue(peer.recv(1000).startswith(b"220 "))
        self.assertEqual(self.lmtp.stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.done("reload").out, "reloaded\n")
        self.assertLessEqual({"RELOADING", "MONOTONIC_USEC", "MAINPID"}, set(self.heard()))
        self.assertEqual(self.heard()["READY"], "1")
        process.terminate()
        self.assertEqual(self.heard()["STOPPING"], "1")
        self.assertEqual(process.wait(30), 0)
        self.assertTrue(self.lmtp.exists())
        self.assertNotIn("Traceback", self.log())

    def log(self) -> str:
        return (self.folder / "log").read_text()


class WithWorkersTests(SystemdContract, SystemdCase):
    pass


class WithOneProcessTests(SystemdContract, SystemdCase):
    workers = 1

    def test_a_socket_that_is_not_there(self) -> None:
        self.config.write_text(self.config.read_text().replace("name=lmtp", "name=pop3"))
        process = self.activate()
        self.assertEqual(process.wait(30), 1)
        self.assertIn(
            "mailserver: cannot listen on systemd:domain=UNIX:name=pop3 for lmtp: systemd gave us no such socket",
            self.log(),
        )
