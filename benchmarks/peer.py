"""What the servers that are measured have in common."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from benchmarks.larder import Larder
from mailserver.cli.certificate import self_signed

DOMAIN = "example.org"
PATIENCE = 60.0             # seconds for a server to start, to stop, and to deliver the last of a load
LARGEST = 64 * 1024 * 1024  # octets of a message that every server takes


class Peer(ABC):
    """A server of its own in a folder of its own, for `users` mailboxes; listens on a free port of loopback."""

    name: ClassVar[str]
    settings: ClassVar[str] = "as it is"        # what is not its default, in a few words
    lmtp: ClassVar[bool] = False                # it speaks LMTP, and no SMTP
    has_tls: ClassVar[bool] = True
    stores: ClassVar[bool] = True               # False: it throws the mail away
    most_new: ClassVar[int] = 20                # sessions at once that it bears when each message has a connection
    most_kept: ClassVar[int] = 20               # and when connections stay
    slow: ClassVar[int] = 1                     # it gets so many times fewer messages, so that a run ends
    most_idle: ClassVar[int] = 5000             # sessions at once that do nothing; 0: not to be asked

    def __init__(self, folder: Path, users: int, larder: Larder) -> None:
        self.folder = folder
        self.larder = larder
        self.addresses = [f"user{number}@{DOMAIN}" for number in range(users)]
        self.port = free_port()

    @classmethod
    def version(cls, larder: Larder) -> str:
        """Which version it is; raises `larder.Unavailable` when it cannot be had here."""
        raise NotImplementedError

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

    def certificate(self, owner: int | None = None) -> tuple[Path, Path]:
        """A certificate as ``mailserver init`` makes it, so that TLS costs everybody the same, and its key.

        `owner` is the user who must be able to read the key.
        """
        certificate, key = self.folder / "tls.pem", self.folder / "tls.key"
        self_signed(certificate, key, [f"mx.{DOMAIN}"])
        if owner is not None:
            os.chown(key, owner, -1)
        return certificate, key

    def wait_delivered(self, count: int) -> None:
        """Wait until so many messages lie in the mailboxes; raises `AssertionError` when they do not come."""
        until = time.monotonic() + PATIENCE
        before = -1
        while (there := self.delivered()) < count:
            if there > before:                      # it goes on
                before, until = there, time.monotonic() + PATIENCE
            if time.monotonic() > until:
                raise AssertionError(f"{self.name}: {there} of {count} messages arrived")
            time.sleep(0.02)
        if there > count:
            raise AssertionError(f"{self.name}: {there} messages arrived where {count} were sent")


class Program(Peer):
    """A server that stays in the foreground, as our child, and delivers to Maildirs in ``mailboxes/NAME``."""

    def __init__(self, folder: Path, users: int, larder: Larder) -> None:
        super().__init__(folder, users, larder)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def mailboxes(self) -> Path:
        return self.folder / "mailboxes"

    @property
    def names(self) -> list[str]:
        """The local parts of the addresses."""
        return [each.partition("@")[0] for each in self.addresses]

    @abstractmethod
    def prepare(self) -> list[str]:
        """Make its files; returns the command that runs it."""

    def environment(self) -> Mapping[str, str]:
        """What its environment has besides ours."""
        return {}

    def start(self) -> None:
        self.mailboxes.mkdir(parents=True)
        self.begin()
        try:
            wait_for_port(self.port)
        except AssertionError as error:
            said = (self.folder / "log").read_text("utf-8", "replace")
            raise AssertionError(f"{self.name}: {error}; it said:\n{said[-2000:]}") from None

    def begin(self) -> None:
        """Run the command."""
        command = self.prepare()
        with open(self.folder / "log", "wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env={**os.environ, **self.environment()}, start_new_session=True,
            )

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # Whatever it started and left behind is in its process group, which is ours to end.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def delivered(self) -> int:
        return in_maildirs(self.mailboxes)


def in_maildirs(folder: Path) -> int:
    """How many messages are new in the Maildirs of a folder."""
    count = 0
    for new in folder.glob("*/new"):
        count += len(os.listdir(new))
    return count


def make_maildirs(folder: Path, names: list[str], owner: int | None = None) -> None:
    """Empty Maildirs; `owner` is the user and group that they, and `folder`, belong to."""
    made = [folder]
    for name in names:
        made.append(folder / name)
        made += [folder / name / part for part in ("tmp", "new", "cur")]
    for each in made:
        each.mkdir(exist_ok=True)
        if owner is not None:
            os.chown(each, owner, owner)


def said_version(*command: str) -> str:
    """The first line that a program says, on either of its outputs."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    return done.stdout.strip().split("\n")[0]


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
