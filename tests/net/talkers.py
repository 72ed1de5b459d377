"""A session that echoes lines, for tests of what carries it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from twisted.internet.defer import Deferred

from mailserver.envelope import Client, Tls
from mailserver.net.answer import About, Answer, Over, Then


class Echo:
    """Answers each line with itself; ``wait`` waits for `go`; ``tls close linger fail`` and ``stream N`` do that.

    ``listen`` waits for `hurry`, and ``over`` ends behind a stream.
    """

    def __init__(self, address: str = "", port: int = 0) -> None:
        self.address = address
        self.buffer = b""
        self.go: Deferred[None] = Deferred()
        self.tls: Tls | None = None
        self.is_lost = False
        self.streamed = 0
        self.stream_ended = False
        self.patience = 0.0
        self.hurried: Deferred[None] = Deferred()

    async def greeting(self) -> Answer:
        return Answer(b"hello\n")

    def spoke_first(self) -> None:
        """It does not mind."""

    def receive(self, data: bytes) -> None:
        self.buffer += data

    @property
    def buffered(self) -> int:
        return len(self.buffer)

    async def next(self) -> Answer | None:
        line, newline, rest = self.buffer.partition(b"\n")
        if not newline:
            return None
        self.buffer = rest
        if line == b"wait":
            await self.go
        elif line == b"tls":
            return Answer(b"go\n", Then.START_TLS)
        elif line == b"close":
            return Answer(b"bye\n", Then.CLOSE)
        elif line == b"linger":
            return Answer(b"go away\n", Then.LINGER)
        elif line == b"fail":
            raise RuntimeError("as asked")
        elif line == b"over":
            return Answer(b"", stream=self._last())
        elif line == b"listen":
            return Answer(b"listening\n", stream=self._listen())
        elif line.startswith(b"stream"):
            return Answer(b"", stream=self._stream(int(line.split()[1])))
        return Answer(line + b"\n")

    async def _stream(self, count: int) -> AsyncIterator[bytes]:
        try:
            for _ in range(count):
                self.streamed += 1
                yield b"x" * 10_000
        finally:
            self.stream_ended = True

    async def _last(self) -> AsyncIterator[bytes]:
        yield b"the last\n"
        raise Over

    async def _listen(self) -> AsyncIterator[bytes]:
        await self.hurried
        yield b"heard\n"

    def hurry(self) -> None:
        if not self.hurried.called:
            self.hurried.callback(None)

    def tls_started(self, tls: Tls) -> None:
        self.tls = tls

    def timed_out(self) -> bytes:
        return b"too slow\n"

    def stopping(self) -> bytes:
        return b"stopping\n"

    def dismissed(self) -> bytes:
        return b"dismissed\n"

    def about(self) -> About:
        return About(1, Client(self.address), "echoing")

    def too_many(self) -> bytes:
        return b"too many\n"

    def failed(self) -> bytes:
        return b"failed\n"

    def lost(self) -> None:
        self.is_lost = True
