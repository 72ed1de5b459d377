"""What the servers that are measured have in common, and the load that they are given."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

DOMAIN = "example.org"
PATIENCE = 60.0             # seconds for a server to start, to stop, and to deliver the last of a load


class Peer(ABC):
    """A server of its own in a folder of its own, for `users` mailboxes; listens on a free port of loopback."""

    name: str

    def __init__(self, folder: Path, users: int) -> None:
        self.folder = folder
        self.addresses = [f"user{number}@{DOMAIN}" for number in range(users)]
        self.port = free_port()

    @abstractmethod
    def start(self) -> None:
        """Make its files and run it; it takes mail when this returns."""

    @abstractmethod
    def stop(self) -> None:
        """End it."""

    @property
    @abstractmethod
    def pid(self) -> int:
        """The process that is the server, or above all others of it."""

    @abstractmethod
    def delivered(self) -> int:
        """How many messages lie in the mailboxes."""

    def wait_delivered(self, count: int) -> None:
        """Wait until so many messages lie in the mailboxes; raises `AssertionError` when they do not come."""
        until = time.monotonic() + PATIENCE
        while (there := self.delivered()) < count:
            if time.monotonic() > until:
                raise AssertionError(f"{self.name}: {there} of {count} messages arrived")
            time.sleep(0.02)
        if there > count:
            raise AssertionError(f"{self.name}: {there} messages arrived where {count} were sent")


def smtp_source(peer: Peer, messages: int, sessions: int, size: int, reuse: bool) -> None:
    """Send so many messages, spread evenly over the users, with so many sessions at once.

    smtp-source writes to one address, so that for several users several run at once, each with its share.
    """
    program = shutil.which("smtp-source", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        raise SystemExit("smtp-source is missing: apt install postfix")
    users = len(peer.addresses)
    if messages % users or (users > 1 and sessions % users):
        raise ValueError(f"{messages} messages and {sessions} sessions cannot be shared by {users} users")
    running = [
        subprocess.Popen([
            program, "-4", "-m", str(messages // users), "-s", str(max(1, sessions // users)), "-l", str(size),
            *(["-d"] if reuse else []), "-M", "load.example.net", "-f", "sender@example.net", "-t", address,
            f"127.0.0.1:{peer.port}",
        ])
        for address in peer.addresses
    ]
    ended = [each.wait() for each in running]
    if any(ended):
        raise AssertionError(f"{peer.name}: smtp-source failed")


def send_large(port: int, recipient: str, content: Sequence[bytes]) -> float:
    """Send one message over a plain socket; returns the seconds from 354 to 250.

    `content` is ready for the wire: its lines end in CRLF and none begins with a dot.
    """
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
        replies = peer.makefile("rb")

        def say(line: str, code: bytes) -> None:
            if line:
                peer.sendall(line.encode() + b"\r\n")
            while (reply := replies.readline())[3:4] == b"-":
                pass
            if not reply.startswith(code):
                raise AssertionError(f"{line or 'connected'}: {reply!r}")

        say("", b"220")
        say("EHLO load.example.net", b"250")
        say("MAIL FROM:<sender@example.net>", b"250")
        say(f"RCPT TO:<{recipient}>", b"250")
        say("DATA", b"354")
        begun = time.perf_counter()
        for piece in content:
            peer.sendall(piece)
        say(".", b"250")
        took = time.perf_counter() - begun
        say("QUIT", b"221")
        return took


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int) -> None:
    """Wait until a server greets."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as peer:
                if peer.recv(100).startswith(b"220"):
                    peer.sendall(b"QUIT\r\n")
                    peer.recv(100)
                    return
        except OSError:
            pass
        if time.monotonic() > until:
            raise AssertionError(f"nothing greets on port {port}")
        time.sleep(0.05)
