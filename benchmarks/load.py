"""What servers are given to do: messages by Postfix's ``smtp-source``, and what that cannot do by sockets of ours."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from benchmarks.peer import PATIENCE, Peer

HELLO = "load.example.net"
SENDER = "sender@example.net"


def postfix_program(name: str) -> str | None:
    """Where a program of Debian's package postfix is."""
    return shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


def smtp_source(peer: Peer, messages: int, sessions: int, size: int, reuse: bool) -> None:
    """Send so many messages, spread evenly over the users, with so many sessions at once.

    smtp-source writes to one address, so that for several users several run at once, each with its share; when
    there are more users than sessions, the next begins where one has ended.
    """
    program = postfix_program("smtp-source")
    if program is None:
        raise SystemExit("smtp-source is missing: apt install postfix (its daemon need not run)")
    users = len(peer.addresses)
    if messages % users or (sessions > users and sessions % users):
        raise ValueError(f"{messages} messages and {sessions} sessions cannot be shared by {users} users")

    def send(address: str) -> int:
        return subprocess.run([
            program, "-4", "-m", str(messages // users), "-s", str(max(1, sessions // users)), "-l", str(size),
            *(["-d"] if reuse else []), *(["-L"] if peer.lmtp else []), "-M", HELLO, "-f", SENDER, "-t", address,
            f"127.0.0.1:{peer.port}",
        ], check=False).returncode

    with ThreadPoolExecutor(min(users, sessions)) as pool:
        if any(pool.map(send, peer.addresses)):
            raise AssertionError(f"{peer.name}: smtp-source failed")


class Client:
    """One session over a blocking socket; raises `AssertionError` for an answer that was not hoped for."""

    def __init__(self, port: int, lmtp: bool = False) -> None:
        self._hello = f"{'LHLO' if lmtp else 'EHLO'} {HELLO}"
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._replies = self.socket.makefile("rb")
        self.expect(b"220")

    def expect(self, code: bytes, after: str = "connected") -> list[str]:
        """Read a reply; returns the texts of its lines."""
        lines = [reply := self._replies.readline()]
        while reply[3:4] == b"-":
            lines.append(reply := self._replies.readline())
        if not reply.startswith(code):
            raise AssertionError(f"{after}: {reply!r}")
        return [line[4:].decode("ascii", "replace").strip() for line in lines]

    def say(self, line: str, code: bytes = b"250") -> list[str]:
        self.socket.sendall(line.encode() + b"\r\n")
        return self.expect(code, line)

    def hello(self) -> None:
        self.say(self._hello)

    def start_tls(self, context: ssl.SSLContext) -> None:
        self.say("STARTTLS", b"220")
        self._replies.close()
        self.socket = context.wrap_socket(self.socket)
        self._replies = self.socket.makefile("rb")

    def send(self, recipient: str, content: Sequence[bytes]) -> float:
        """One message; returns the seconds from 354 to 250.

        `content` is ready for the wire: its lines end in CRLF and none begins with a dot.
        """
        self.say(f"MAIL FROM:<{SENDER}>")
        self.say(f"RCPT TO:<{recipient}>")
        self.say("DATA", b"354")
        begun = time.perf_counter()
        for piece in content[:-1]:
            self.socket.sendall(piece)
        self.socket.sendall(content[-1] + b".\r\n")
        self.expect(b"250", "content")
        return time.perf_counter() - begun

    def close(self) -> None:
        self._replies.close()
        self.socket.close()


def send_large(peer: Peer, content: Sequence[bytes]) -> float:
    """Send one message to the first user; returns the seconds from 354 to 250."""
    client = Client(peer.port, peer.lmtp)
    client.hello()
    took = client.send(peer.addresses[0], content)
    client.say("QUIT", b"221")
    client.close()
    return took


def starttls(peer: Peer, messages: int, sessions: int, size: int) -> None:
    """Send so many messages to the first user, each over a new connection with STARTTLS and a full handshake.

    smtp-source knows no TLS.  Each session is a process, so that one does not wait for another; what a certificate
    says is not looked at.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.options |= ssl.OP_NO_TICKET
    content = [b"Subject: load\r\n\r\n" + (b"x" * 78 + b"\r\n") * (size // 80)]
    ended = []
    children = []
    for number in range(sessions):
        share = messages // sessions + (number < messages % sessions)
        child = os.fork()
        if child:
            children.append(child)
            continue
        code = 1
        try:
            for _ in range(share):
                _one_by_tls(peer, context, content)
            code = 0
        except (OSError, AssertionError) as error:
            print(f"{peer.name}: {error}", flush=True)
        finally:
            os._exit(code)
    for child in children:
        ended.append(os.waitpid(child, 0)[1])
    if any(ended):
        raise AssertionError(f"{peer.name}: sending by STARTTLS failed")


def _one_by_tls(peer: Peer, context: ssl.SSLContext, content: Sequence[bytes]) -> None:
    client = Client(peer.port, peer.lmtp)
    client.hello()
    client.start_tls(context)
    client.hello()
    client.send(peer.addresses[0], content)
    client.say("QUIT", b"221")
    client.close()


@contextmanager
def idle(peer: Peer, count: int) -> Iterator[None]:
    """So many sessions that have said EHLO and then say nothing."""
    with ExitStack() as stack:
        for _ in range(count):
            client = Client(peer.port, peer.lmtp)
            stack.callback(client.close)
            client.hello()
        yield
