"""Debian's Postfix as a peer: it takes mail on loopback and sends all of it to one host.

Its configuration and its queue lie in a folder of their own; what stands in /etc/postfix is neither read nor touched.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.needs import missing, program

MAIN = """\
compatibility_level = 3.6
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
queue_directory = {folder}/queue
data_directory = {folder}/data
mail_owner = postfix
setgid_group = postdrop
myhostname = postfix.example.net
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps =
alias_database =
disable_dns_lookups = yes
smtpd_peername_lookup = no
smtputf8_enable = yes
smtp_tls_security_level = may
relayhost = {host}
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
{more}
"""
MASTER = """\
127.0.0.1:{own} inet n - n - - smtpd
cleanup   unix  n  -  n  -     0  cleanup
qmgr      unix  n  -  n  300   1  qmgr
tlsmgr    unix  -  -  n  1000? 1  tlsmgr
rewrite   unix  -  -  n  -     -  trivial-rewrite
bounce    unix  -  -  n  -     0  bounce
defer     unix  -  -  n  -     0  bounce
trace     unix  -  -  n  -     0  bounce
proxymap  unix  -  -  n  -     -  proxymap
smtp      unix  -  -  n  -     -  smtp
lmtp      unix  -  -  n  -     -  lmtp
discard   unix  -  -  n  -     -  discard
error     unix  -  -  n  -     -  error
retry     unix  -  -  n  -     -  error
anvil     unix  -  -  n  -     1  anvil
scache    unix  -  -  n  -     1  scache
postlog   unix-dgram n - n  -  1  postlogd
"""


class Postfix:
    """Runs from `start` to `stop`; both block."""

    def __init__(self, host: str, port: int, more: str = "", relays: bool = True) -> None:
        self.postfix = program("postfix")
        if os.geteuid() != 0:
            missing("only root can start Postfix")
        # Its sockets need short paths, and its processes the way in.
        self.folder = folder = Path(tempfile.mkdtemp(prefix="postfix-"))
        folder.chmod(0o755)
        with socket.create_server(("127.0.0.1", 0)) as held:
            self.port: int = held.getsockname()[1]
        for each in ("queue", "data", "etc"):
            (folder / each).mkdir()
        subprocess.run(["chown", "postfix", str(folder / "data")], check=True)
        next_hop = f"[{host}]:{port}" if relays else ""
        (folder / "etc/main.cf").write_text(MAIN.format(folder=folder, host=next_hop, more=more))
        (folder / "etc/master.cf").write_text(MASTER.format(own=self.port))

    def start(self) -> None:
        self._run("start")
        until = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < until, self.log()
                time.sleep(0.1)

    def stop(self) -> None:
        self._run("stop")
        shutil.rmtree(self.folder)

    def _run(self, word: str) -> None:
        done = subprocess.run(
            [self.postfix, "-c", str(self.folder / "etc"), word],
            capture_output=True, text=True, timeout=60, check=False,
        )
        if done.returncode:
            raise AssertionError(done.stdout + done.stderr)

    def log(self) -> str:
        """What it has written."""
        path = self.folder / "postfix.log"
        return path.read_text(errors="replace") if path.exists() else ""
