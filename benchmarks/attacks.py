"""The attacks of `benchmarks.hostile`: what one connection of many does, until its time is over.

    python -m benchmarks.attacks NAME PORT CONNECTIONS SECONDS RECIPIENT

One thread drives all connections, each from an address of loopback of its own.  A connection that the server ends
begins again.  At the end a line of JSON tells what was done.  Nothing here is sent to another machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field

HOST = "127.0.0.1"
PIECE = 64 * 1024
LONG_LINE = 8 * 1024 * 1024
MANY_RECIPIENTS = 20_000
NEVER = 3600.0              # seconds that no attack lasts
PAUSE = 0.05                # seconds after which an attacker who was turned away comes back


@dataclass
class Count:
    """What the attackers did together."""

    connected: int = 0
    most_open: int = 0
    ended: int = 0              # by the server, or refused
    octets: int = 0             # that were sent
    open: int = field(default=0, repr=False)


class Attacker:
    """One connection, whose octets are read only when an attack asks for a reply."""

    def __init__(self, number: int, port: int, recipient: str, count: Count) -> None:
        self._source = f"127.{1 + number // 62500 % 200}.{1 + number // 250 % 250}.{1 + number % 250}"
        self._port = port
        self.recipient = recipient
        self.count = count
        self._socket: socket.socket | None = None
        self._buffer = b""
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def connect(self) -> None:
        """A new connection."""
        self.close()
        self._buffer = b""
        plain = socket.socket()
        plain.setblocking(False)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.bind((self._source, 0))
        self._socket = plain
        await asyncio.get_running_loop().sock_connect(plain, (HOST, self._port))
        self.count.connected += 1
        self.count.open += 1
        self.count.most_open = max(self.count.most_open, self.count.open)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None
            self._socket = None
            self.count.open -= 1
        elif self._socket is not None:
            self._socket.close()
            self._socket = None
            self.count.open -= 1

    async def send(self, octets: bytes) -> None:
        """Send all of it; waits as long as the server does not read."""
        if self._streams is not None:
            self._streams[1].write(octets)
            await self._streams[1].drain()
        else:
            assert self._socket is not None
            await asyncio.get_running_loop().sock_sendall(self._socket, octets)
        self.count.octets += len(octets)
        await asyncio.sleep(0)              # what could be sent at once gave nobody else a turn

    async def reply(self, many: int = 1) -> bytes:
        """Read so many replies; returns the last; raises `ConnectionError` when the server has closed."""
        last = b""
        while many:
            line = await self._line()
            if line[3:4] != b"-":
                last = line
                many -= 1
        return last

    async def say(self, line: str) -> bytes:
        await self.send(line.encode() + b"\r\n")
        return await self.reply()

    async def greeted(self, hello: bool = True) -> None:
        """Connect and be polite so far."""
        await self.connect()
        await self.reply()
        if hello:
            await self.say("EHLO load.example.net")

    async def start_tls(self) -> None:
        """STARTTLS with a whole handshake."""
        await self.say("STARTTLS")
        assert self._socket is not None
        reader, writer = await asyncio.open_connection(sock=self._socket, limit=PIECE)
        self._streams = reader, writer
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        await writer.start_tls(context)

    async def _line(self) -> bytes:
        while b"\n" not in self._buffer:
            if self._streams is not None:
                piece = await self._streams[0].read(PIECE)
            else:
                assert self._socket is not None
                piece = await asyncio.get_running_loop().sock_recv(self._socket, PIECE)
            if not piece:
                raise ConnectionError("closed")
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


async def connect_and_close(one: Attacker) -> None:
    await one.connect()


async def idle(one: Attacker) -> None:
    await one.greeted(hello=False)
    await asyncio.sleep(NEVER)


async def slow_command(one: Attacker) -> None:
    await one.greeted(hello=False)
    await _octet_a_second(one, b"EHLO " + b"x" * 500)


async def slow_content(one: Attacker) -> None:
    await _at_content(one)
    await _octet_a_second(one, b"Subject: slow\r\n" + b"x" * 500)


async def slow_login(one: Attacker) -> None:
    await one.greeted()
    await one.start_tls()
    await one.say("EHLO load.example.net")
    await one.say("AUTH PLAIN")
    await _octet_a_second(one, b"A" * 500)


async def long_line(one: Attacker) -> None:
    await one.greeted()
    for _ in range(LONG_LINE // PIECE):
        await one.send(b"x" * PIECE)
    await one.reply()


async def unread_noop(one: Attacker) -> None:
    await one.greeted()
    while True:
        await one.send(b"NOOP\r\n" * 1000)


async def unread_rset(one: Attacker) -> None:
    await one.greeted()
    while True:
        await one.send(b"RSET\r\n" * 1000)


async def unread_rcpt(one: Attacker) -> None:
    await one.greeted()
    await one.say("MAIL FROM:<>")
    while True:
        await one.send(f"RCPT TO:<{one.recipient}>\r\n".encode() * 500)


async def many_recipients(one: Attacker) -> None:
    await one.greeted()
    await one.say("MAIL FROM:<>")
    for _ in range(MANY_RECIPIENTS // 500):
        await one.send(f"RCPT TO:<{one.recipient}>\r\n".encode() * 500)
        await one.reply(500)


async def errors(one: Attacker) -> None:
    await one.greeted()
    while True:
        await one.say("XYZZY nothing happens")


async def stalled_content(one: Attacker) -> None:
    await _at_content(one)
    await one.send((b"x" * 78 + b"\r\n") * 1250)
    await asyncio.sleep(NEVER)


async def stalled_chunk(one: Attacker) -> None:
    await _at_recipient(one)
    await one.send(b"BDAT 50000000\r\n" + (b"x" * 78 + b"\r\n") * 1250)
    await asyncio.sleep(NEVER)


async def absurd_chunk(one: Attacker) -> None:
    await _at_recipient(one)
    await one.send(b"BDAT 99999999999999999999\r\n")
    while True:
        await one.send(b"x" * PIECE)


async def stalled_handshake(one: Attacker) -> None:
    await one.greeted()
    await one.say("STARTTLS")
    # The head of a record with a ClientHello of 512 octets, and no more (RFC 8446 5.1).
    await one.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    await asyncio.sleep(NEVER)


async def handshakes(one: Attacker) -> None:
    await one.greeted()
    await one.start_tls()


async def http(one: Attacker) -> None:
    await one.connect()
    await one.send(b"GET / HTTP/1.1\r\nHost: mx.example.org\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n\r\n")
    await one.reply(1000)


async def _at_recipient(one: Attacker) -> None:
    await one.greeted()
    await one.say("MAIL FROM:<>")
    await one.say(f"RCPT TO:<{one.recipient}>")


async def _at_content(one: Attacker) -> None:
    await _at_recipient(one)
    await one.say("DATA")


async def _octet_a_second(one: Attacker, octets: bytes) -> None:
    for each in octets:
        await one.send(bytes([each]))
        await asyncio.sleep(1.0)
    await asyncio.sleep(NEVER)


@dataclass(frozen=True, slots=True)
class Attack:
    """One of them; `needs` is an extension without which there is none."""

    name: str
    what: str
    run: Callable[[Attacker], Awaitable[None]]
    needs: str = ""


ATTACKS = (
    Attack("storm", "connect and close, without end", connect_and_close),
    Attack("idle", "silent after connecting", idle),
    Attack("slow-command", "an octet a second of a command", slow_command),
    Attack("slow-content", "an octet a second in DATA", slow_content),
    Attack("slow-login", "an octet a second in AUTH, in TLS", slow_login, "STARTTLS"),
    Attack("long-line", "8 MiB without CRLF", long_line),
    Attack("unread-noop", "NOOP pipelined, replies never read", unread_noop),
    Attack("unread-rset", "RSET pipelined, replies never read", unread_rset),
    Attack("unread-rcpt", "RCPT pipelined, replies never read", unread_rcpt),
    Attack("recipients", "20,000 RCPT", many_recipients),
    Attack("errors", "errors without end", errors),
    Attack("stalled-content", "DATA that stops half-way", stalled_content),
    Attack("stalled-chunk", "BDAT that stops half-way", stalled_chunk, "CHUNKING"),
    Attack("absurd-chunk", "BDAT of 10^20 octets", absurd_chunk, "CHUNKING"),
    Attack("stalled-handshake", "TLS handshakes that never end", stalled_handshake, "STARTTLS"),
    Attack("handshakes", "TLS handshakes without end", handshakes, "STARTTLS"),
    Attack("http", "HTTP", http),
)


async def attack(run: Callable[[Attacker], Awaitable[None]], port: int, connections: int, seconds: float,
                 recipient: str) -> Count:
    """All of it; ends after `seconds`."""
    count = Count()
    attackers = [Attacker(number, port, recipient, count) for number in range(connections)]

    async def again(one: Attacker) -> None:
        while True:
            try:
                await run(one)
            except (OSError, EOFError):
                count.ended += 1
                one.close()
                await asyncio.sleep(PAUSE)
            one.close()

    tasks = [asyncio.ensure_future(again(one)) for one in attackers]
    await asyncio.sleep(seconds)
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for one in attackers:
        one.close()
    return count


def main(name: str, port: str, connections: str, seconds: str, recipient: str) -> None:
    # The peers of a real server have processors of their own.
    os.nice(5)
    run = next(each.run for each in ATTACKS if each.name == name)
    print("begun", flush=True)
    done = asyncio.run(attack(run, int(port), int(connections), float(seconds), recipient))
    print(json.dumps(asdict(done)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
