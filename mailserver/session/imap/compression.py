"""COMPRESS=DEFLATE (RFC 4978): what passes both ways is raw DEFLATE (RFC 1951), from the end of that command on."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

AT_ONCE = 64 * 1024         # octets that one step inflates to, whatever they were made of
WINDOW = -15
LEVEL = 1                   # 6 takes five times as long for a text that becomes 15 % smaller


class Compression:
    """Inflates what comes, a step at a time, and deflates what goes."""

    __slots__ = ("_deflater", "_has_more", "_inflater", "_waiting")

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(WINDOW)
        self._deflater = zlib.compressobj(LEVEL, zlib.DEFLATED, WINDOW, 8)
        self._waiting = b""
        self._has_more = False      # inside the inflater, all of whose input is used

    @property
    def buffered(self) -> int:
        """Octets that came and are not inflated yet."""
        return len(self._waiting) + self._has_more

    def receive(self, octets: bytes) -> None:
        """Keep what came."""
        self._waiting += octets

    def inflate(self) -> bytes:
        """The next of it; nothing: more has to come.  Raises `ValueError` for what is no DEFLATE."""
        while True:
            try:
                found = self._inflater.decompress(self._waiting, AT_ONCE)
            except zlib.error:
                raise ValueError("that is not DEFLATE") from None
            if self._inflater.eof and self._inflater.unused_data:
                raise ValueError("that is not DEFLATE")
            self._waiting = self._inflater.unconsumed_tail
            self._has_more = len(found) == AT_ONCE
            if found or not self._waiting:
                return found

    def deflate(self, octets: bytes) -> bytes:
        """So that the peer can read all of it now."""
        if not octets:
            return b""
        return self._deflater.compress(octets) + self._deflater.flush(zlib.Z_SYNC_FLUSH)

    async def deflated(self, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The pieces of a stream."""
        async for piece in stream:
            yield self.deflate(piece)
