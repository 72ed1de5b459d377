"""A client of IMAP over a blocking socket that works as little as can be: octets go by and are counted.

A command is over when its tagged line is the last that came.  Nothing of a response is parsed, and no literal looked
into: the tags are such that no message of ours has one.
"""

from __future__ import annotations

import itertools
import socket
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.peer import PATIENCE

BUFFER = 1 << 20
LAST = 4096                 # octets at the end, of which the tagged line is a part
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Heard:
    """The response to one command: how many octets it had, and all of them if they were to be kept."""

    octets: int
    last: bytes             # its tagged line
    kept: bytes = b""


def lax_tls() -> ssl.SSLContext:
    """TLS with whoever answers: what a certificate says is not looked at."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Imap:
    """One session; raises `AssertionError` for a command that is not answered with OK."""

    def __init__(self, port: int, patience: float = PATIENCE, buffer: int = BUFFER) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), patience)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = memoryview(bytearray(buffer))
        self._expect(b"* OK", "connected")

    def _line(self) -> bytes:
        said = b""
        while not said.endswith(b"\r\n"):
            piece = self.socket.recv(LAST)
            if not piece:
                raise AssertionError(f"the connection has ended behind {said[-100:]!r}")
            said += piece
        return said

    def _expect(self, start: bytes, after: str) -> bytes:
        said = self._line()
        if not said.startswith(start):
            raise AssertionError(f"{after}: {said[:200]!r}")
        return said

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Go on inside TLS."""
        self.do(b"STARTTLS")
        self.socket = context.wrap_socket(self.socket)

    def log_in(self, name: str, password: str) -> None:
        self.do(f'LOGIN "{name}" "{password}"'.encode())

    def do(self, command: bytes, keep: bool = False) -> Heard:
        """Say a command, hear all of its response."""
        tag = b"zq%dqz" % next(_numbers)
        self.socket.sendall(b"%b %b\r\n" % (tag, command))
        return self._until(tag, command, keep)

    def _until(self, tag: bytes, command: bytes, keep: bool = False) -> Heard:
        mark = b"\r\n" + tag + b" "
        count, last, kept = 0, b"\r\n", []
        while True:
            size = self.socket.recv_into(self._buffer)
            if not size:
                raise AssertionError(f"{command[:60]!r}: the connection has ended behind {last[-100:]!r}")
            count += size
            if keep:
                kept.append(bytes(self._buffer[:size]))
            # Only what came last can be the end, so only that is looked at.
            last = (last + bytes(self._buffer[max(0, size - LAST):size]))[-LAST:]
            if last.endswith(b"\r\n") and (at := last.rfind(mark)) >= 0:
                line = last[at + 2:]
                if not line.startswith(tag + b" OK"):
                    raise AssertionError(f"{command[:60]!r}: {line[:200]!r}")
                return Heard(count, line, b"".join(kept))

    def has(self, capability: bytes) -> bool:
        """Whether the server says that it can do something, now."""
        return capability in self.do(b"CAPABILITY", keep=True).kept.upper().split()

    def append(self, mailbox: bytes, messages: Iterable[tuple[bytes, bytes]]) -> Heard:
        """APPEND, or MULTIAPPEND when there are several: options (flags and date) and octets of each.

        Without waiting for leave (RFC 7888); messages have 4096 octets at the most, as LITERAL- has it.
        """
        said = [b"APPEND " + mailbox]
        for options, octets in messages:
            said.append(b" %b{%d+}\r\n%b" % (options and options + b" ", len(octets), octets))
        return self.do(b"".join(said))

    def idle(self) -> None:
        """Begin IDLE (RFC 2177); what is heard then is for who reads the socket."""
        self.socket.sendall(b"zqidleqz IDLE\r\n")
        self._expect(b"+", "IDLE")

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


def pop3_all(port: int, name: str, password: str, count: int, size: int, ahead: int = 200) -> int:
    """RETR of all messages, each said `ahead` before its answer is heard; returns the octets that came.

    Messages are ours: none has a line that begins with a dot.
    """
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for said in (b"", f"USER {name}\r\n".encode(), f"PASS {password}\r\n".encode()):
            peer.sendall(said)
            answer = peer.recv(LAST)
            if not answer.startswith(b"+OK"):
                raise AssertionError(f"{said[:4]!r}: {answer!r}")
        buffer = memoryview(bytearray(BUFFER))
        octets, ended, asked, rest = 0, 0, 0, b""
        while ended < count:
            if asked < count and asked - ended <= ahead // 2:
                more = min(count, ended + ahead)
                peer.sendall(b"".join(b"RETR %d\r\n" % number for number in range(asked + 1, more + 1)))
                asked = more
            got = peer.recv_into(buffer)
            if not got:
                raise AssertionError(f"RETR: the connection has ended behind {ended} messages")
            octets += got
            seen = rest + bytes(buffer[:got])
            ended += seen.count(b"\r\n.\r\n")
            rest = seen[-4:]
        peer.sendall(b"QUIT\r\n")
        if octets < count * size:
            raise AssertionError(f"{octets} octets came where {count} messages of {size} lie")
        return octets


def shares(messages: Sequence[tuple[bytes, bytes]], many: int) -> list[Sequence[tuple[bytes, bytes]]]:
    """The same messages, for so many connections."""
    return [messages[number::many] for number in range(many)]
