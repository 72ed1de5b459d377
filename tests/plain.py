"""SMTP over plain sockets, with nothing of this project in it: a client, and a server that takes everything."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Sequence
from types import TracebackType

TIMEOUT = 20.0          # seconds for an answer


class Refused(Exception):
    """The server said no; the code is the first thing in `args`, its words the second."""


class Client:
    """One connection to a server; every surprise is an `OSError`, every unwanted reply `Refused`."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection((host, port), TIMEOUT)
        self._replies = self._socket.makefile("rb")
        self.expect(220)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._replies.close()
        self._socket.close()

    def say(self, line: str, code: int = 250) -> str:
        """Send a command and return the text of its reply, which must have this code."""
        self.write(line.encode() + b"\r\n")
        return self.expect(code)

    def write(self, data: bytes) -> None:
        """Send octets as they are."""
        self._socket.sendall(data)

    def expect(self, code: int) -> str:
        """The text of the next reply, the last line of it."""
        while True:
            line = self._replies.readline()
            if not line.endswith(b"\r\n"):
                raise ConnectionResetError("the connection ended")
            if line[3:4] != b"-":
                break
        if int(line[:3]) != code:
            raise Refused(int(line[:3]), line[4:-2].decode())
        return line[4:-2].decode()

    def envelope(self, sender: str, recipients: Sequence[str]) -> None:
        """MAIL, RCPT and DATA: the next thing is the content."""
        self.say(f"MAIL FROM:<{sender}>")
        for each in recipients:
            self.say(f"RCPT TO:<{each}>")
        self.say("DATA", 354)

    def send(self, sender: str, recipients: Sequence[str], content: bytes) -> str:
        """A whole message; returns what the server said to it."""
        self.envelope(sender, recipients)
        return self.send_content(content)

    def send_content(self, content: bytes) -> str:
        """The content, behind `envelope`; returns what the server said to it."""
        self.write(stuffed(content))
        return self.expect(250)


def stuffed(content: bytes) -> bytes:
    """Content as it goes over the wire (RFC 5321 4.5.2), with its end."""
    text = content.replace(b"\r\n.", b"\r\n..")
    return (b"." if text.startswith(b".") else b"") + text + b".\r\n"


class Sink:
    """A server that takes everything and tells it to `taken(recipients, content, mark)` before it says 250.

    The mark is what `mark()` answered when the connection began.
    """

    def __init__(
        self, taken: Callable[[Sequence[str], bytes, int], None], mark: Callable[[], int] = lambda: 0, port: int = 0
    ) -> None:
        sink = self
        self._taken = taken
        self._mark = mark
        self.refuse: Callable[[str], str | None] = lambda recipient: None     # the reply for one it does not want

        class Conversation(socketserver.StreamRequestHandler):
            timeout = TIMEOUT

            def handle(self) -> None:
                try:
                    sink._talk(self)
                except OSError:
                    pass            # whoever spoke to us has died

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 100

        self._server = Server(("127.0.0.1", port), Conversation)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Take no more."""
        self._server.shutdown()
        self._server.server_close()

    def _talk(self, peer: socketserver.StreamRequestHandler) -> None:
        recipients: list[str] = []
        mark = self._mark()
        peer.wfile.write(b"220 sink\r\n")
        while line := peer.rfile.readline():
            verb = line[:4].upper().rstrip()
            reply = "250 ok"
            if verb == b"EHLO":
                reply = "250-sink\r\n250-8BITMIME\r\n250 SIZE"
            elif verb == b"RCPT":
                address = line[line.index(b"<") + 1:line.index(b">")].decode()
                refusal = self.refuse(address)
                if refusal is None:
                    recipients.append(address)
                reply = refusal or reply
            elif verb == b"DATA":
                peer.wfile.write(b"354 go on\r\n")
                content = self._content(peer)
                self._taken(tuple(recipients), content, mark)
            elif verb == b"QUIT":
                peer.wfile.write(b"221 bye\r\n")
                return
            if verb in (b"MAIL", b"RSET", b"DATA"):
                recipients = []
            peer.wfile.write(reply.encode() + b"\r\n")

    def _content(self, peer: socketserver.StreamRequestHandler) -> bytes:
        lines = []
        while (line := peer.rfile.readline()) != b".\r\n":
            if not line:
                raise ConnectionResetError("the connection ended inside of the content")
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)
