"""An honest SMTP server in a process of its own, with nothing of this project in it: it writes down all that it took.

    python -m tests.crash_sink JOURNAL

It says its port, and then does what stands on its input, a line each: ``life N`` (connections made from now on come
from the Nth life of the server; answered with the same words), and ``kill MOMENT PID PAUSE`` (at the next MOMENT,
after PAUSE seconds in which it does nothing else, it kills that process; answered with ``killed``).  The moments:

* ``content``: behind the 354, before the content has come;
* ``received``: behind the final dot, which is not answered yet;
* ``answered``: its 250 is sent, and the server had no time to write it down.

The journal is a line of JSON for each final dot that it saw, and one for each 250 that it said to such.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import random
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

KEY = re.compile(rb"^X-Crash-Key: (\S+)\r\n", re.MULTILINE)
ID = re.compile(rb"^Received: [^\r\n]*(?:\r\n[ \t][^\r\n]*)*?\sid (\S+)", re.MULTILINE)
SLOW = 0.03             # seconds that it takes at the most for an answer to a content
LARGEST = 1 << 20       # octets of a line or content


class Journal:
    """What it took; each line is in the kernel's hands before the answer is."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.number = 0

    def write(self, **fields: Any) -> None:
        os.write(self._file, json.dumps({**fields, "at": time.time()}).encode() + b"\n")


class Sink:
    """The server, and whom it shall kill."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.life = 0
        self.aim: tuple[str, int, float] | None = None

    def moment(self, name: str) -> None:
        """Kill, if this is the moment for it."""
        if self.aim is not None and self.aim[0] == name:
            _, pid, pause = self.aim
            self.aim = None
            time.sleep(pause)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            print("killed", flush=True)

    def told(self, line: str) -> None:
        word, *rest = line.split()
        if word == "life":
            self.life = int(rest[0])
            self.aim = None
            print(line.strip(), flush=True)
        elif word == "kill":
            self.aim = (rest[0], int(rest[1]), float(rest[2]))

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        life = self.life
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await self._talk(reader, writer, life)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, life: int) -> None:
        recipients: list[str] = []
        writer.write(b"220 sink\r\n")
        while line := await reader.readline():
            verb = line[:4].upper().rstrip()
            if verb == b"EHLO":
                writer.write(b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE\r\n")
                continue
            if verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                return
            if verb == b"DATA" and not recipients:
                writer.write(b"554 nobody\r\n")
                continue
            if verb == b"DATA":
                writer.write(b"354 go on\r\n")
                self.moment("content")
                content = await self._content(reader)
                number = self._received(recipients, content, life)
                self.moment("received")
                if random.random() < 0.3:
                    await asyncio.sleep(random.uniform(0, SLOW))
                if writer.is_closing() or reader.at_eof():
                    return                      # nobody hears the answer
                writer.write(b"250 2.0.0 taken\r\n")
                self.journal.write(what="answered", number=number)
                self.moment("answered")
                recipients = []
                continue
            if verb == b"RCPT":
                recipients.append(line[line.index(b"<") + 1:line.index(b">")].decode())
            elif verb in (b"MAIL", b"RSET"):
                recipients = []
            writer.write(b"250 ok\r\n")

    def _received(self, recipients: list[str], content: bytes, life: int) -> int:
        there, id = KEY.search(content), ID.search(content)
        self.journal.number += 1
        self.journal.write(
            what="received", number=self.journal.number, life=life, recipients=recipients,
            key=there[1].decode() if there else "", id=id[1].decode().rstrip(";") if id else "",
            digest=hashlib.sha256(content[there.start():]).hexdigest() if there else "",
        )
        return self.journal.number

    async def _content(self, reader: asyncio.StreamReader) -> bytes:
        octets = await reader.readuntil(b"\r\n")
        if octets == b".\r\n":
            return b""
        octets += await reader.readuntil(b"\r\n.\r\n")
        return (b"\r\n" + octets[:-3]).replace(b"\r\n.", b"\r\n")[2:]


async def _serve(journal: Path) -> None:
    sink = Sink(Journal(journal))
    server = await asyncio.start_server(sink.talk, "127.0.0.1", 0, limit=LARGEST, backlog=100)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        sink.told(line.decode())
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
