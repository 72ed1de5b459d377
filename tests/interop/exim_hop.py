"""Exim as a next hop: it listens on loopback, and keeps what it takes in its queue or sends it on."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Mapping

from tests.interop.exim import SCRIPT, Exim

MORE = """\
log_selector = +all
queue_only = true
chunking_advertise_hosts = *
dsn_advertise_hosts = *
smtp_accept_max_per_connection = 0
smtp_receive_timeout = 60s
acl_smtp_rcpt = taken
acl_smtp_data = taken
begin acl
taken:
  accept
begin routers
"""


class EximHop(Exim):
    """Runs from `start` to `stop`; both block.

    What is for the domains of `routes` goes on, at once, to their ports of loopback; what cannot be delivered there,
    and what is for other domains, goes back.  Without any, all stays in the queue.
    """

    def __init__(self, routes: Mapping[str, int] | None = None) -> None:
        super().__init__("127.0.0.1", 9)
        text = self.configuration.read_text().replace("smtputf8_advertise_hosts =", "smtputf8_advertise_hosts = *")
        text = text.replace("begin routers\n", MORE, 1)
        if routes:
            ways = " ; ".join(f"{domain} 127.0.0.1::{port}" for domain, port in routes.items())
            text = text.replace("queue_only = true\n", "").replace("route_list = * 127.0.0.1", f"route_list = {ways}")
        self.configuration.write_text(text)
        with socket.create_server(("127.0.0.1", 0)) as held:
            self.port: int = held.getsockname()[1]

    def start(self) -> None:
        self.running = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", SCRIPT, "sh", str(self.folder / "passwd"), str(self.folder / "group"),
             str(self.exim), "-C", str(self.configuration), "-bdf", "-oX", str(self.port),
             "-oP", str(self.folder / "spool/exim.pid")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < until and self.running.poll() is None, self.log()
                time.sleep(0.1)

    def stop(self) -> None:
        self.running.terminate()
        self.running.wait(10)
        super().stop()

    def bodies(self) -> list[bytes]:
        """What lies in its queue, without the header."""
        return [
            path.read_bytes().partition(b"\n")[2] for path in sorted((self.folder / "spool/input").rglob("*-D"))
        ]
