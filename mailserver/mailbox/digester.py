"""Understands messages a moment after they were delivered, so that listing them is reading rows (`mailserver.mime`).

It waits until nothing more comes, for mail that comes in has the first claim on the processor; whoever asks for a
message that is not understood yet waits for that one.  A message that a client brings, which it will want to see, is
understood before it is kept (`digest_many`), and many at once are begun with when they are kept (`begin`).  What nobody
got to before a server ended is found at its next start.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections import deque
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from mailserver.errors import NotFound
from mailserver.ident import spell
from mailserver.interfaces import IServer
from mailserver.mime.looking import Looked
from mailserver.mime.understood import Understood, understand
from mailserver.store import contents, digests
from mailserver.store.contents import Stored
from mailserver.store.database import Database
from mailserver.store.digests import Digest
from mailserver.store.news import News

log = Logger()

SEARCHED = (b"subject", b"from", b"to", b"cc", b"bcc")      # fields that are kept as they are searched
QUIET = 0.3             # seconds in which nothing came, before what came is understood
LONGEST = 30.0          # seconds that it waits for that
AT_ONCE = 50            # messages of one step
MOST_WAITING = 50_000   # ids; of what comes beyond, somebody will ask, or the next start finds it
MOST_OCTETS = 4 * 1024 * 1024       # of contents that are at hand in one step


class Digester:
    """Writes rows of ``digest``; `understand` is for whoever cannot wait for it."""

    def __init__(self, server: IServer) -> None:
        self._server = server
        self._waiting: deque[int] = deque()
        self._came = 0.0                # when something came last, by the clock
        self._running = False
        self._working: Deferred[None] | None = None
        self._pause: Deferred[None] | None = None
        self._listening: Any = None
        self._begun: set[Deferred[None]] = set()
        self._making: dict[int, Deferred[None]] = {}    # contents that are being understood, and when that is over

    def start(self) -> None:
        """Begin with what was left undone, then with what comes."""
        self._running = True
        database: Database = self._server.database
        self._listening = database.writer.on_news(self._heard)
        self._work(self._catch_up())

    async def stop(self) -> None:
        """End after the step at hand."""
        self._running = False
        listening, self._listening = self._listening, None
        if listening is not None:
            listening()
        pause, self._pause = self._pause, None
        if pause is not None:
            pause.cancel()
        if self._working is not None:
            await self._working
        for each in list(self._begun):
            await each

    def _heard(self, news: News) -> None:
        if not news.contents:
            return
        self._came = self._server.clock.seconds()
        room = MOST_WAITING - len(self._waiting)
        self._waiting.extend(news.contents[:room])
        if self._working is None and self._running:
            self._work(self._follow())

    def _work(self, work: Any) -> None:
        ended: Deferred[None] = Deferred()

        def finish(result: Any) -> None:
            self._working = None
            if result is not None and self._running:
                # Those at hand are understood when somebody asks for them.
                log.failure("some messages are not understood yet", result)
            if self._waiting and self._running:
                self._work(self._follow())
            ended.callback(None)

        self._working = ended
        Deferred.fromCoroutine(work).addBoth(finish)

    async def _follow(self) -> None:
        """What has come, once it is quiet."""
        clock = self._server.clock
        began = clock.seconds()
        while self._running and self._waiting:
            quiet = clock.seconds() - self._came
            if quiet < QUIET and clock.seconds() - began < LONGEST:
                await self._wait(max(QUIET - quiet, 0.01))      # by less, some clocks would not move
                continue
            ids = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            unknown = await self._server.database.read(digests.unknown, ids)
            await self.understand(unknown)

    async def _catch_up(self) -> None:
        after: tuple[int, int] | None = (0, 0)
        while self._running and after is not None:
            unknown, after = await self._server.database.read(digests.unknown_after, after, 1000)
            for start in range(0, len(unknown), AT_ONCE):
                if self._running:
                    await self.understand(unknown[start : start + AT_ONCE])
            if after is not None:
                await self._wait(0.02)

    async def _wait(self, seconds: float) -> None:
        """So long, or until it is to stop."""
        if not self._running:
            return
        self._pause = deferLater(self._server.clock, seconds)
        try:
            await self._pause
        except CancelledError:
            pass
        self._pause = None

    def begin(self, ids: Sequence[int]) -> None:
        """Understand these now, though more may come."""
        work = Deferred.fromCoroutine(self._begun_with(ids))
        self._begun.add(work)

        def finish(result: Any) -> None:
            self._begun.discard(work)
            if result is not None and self._running:
                log.failure("some messages are not understood yet", result)

        work.addBoth(finish)

    async def _begun_with(self, ids: Sequence[int]) -> None:
        for start in range(0, len(ids), AT_ONCE):
            if self._running:
                await self.understand(ids[start : start + AT_ONCE])

    async def understand(self, ids: Sequence[int]) -> None:
        """Understand these contents and write it down; those that are gone are passed over."""
        left = list(dict.fromkeys(ids))
        others: set[Deferred[None]] = set()
        while left:
            some, left = left[:AT_ONCE], left[AT_ONCE:]
            others.update(self._making[id] for id in some if id in self._making)
            some = [id for id in some if id not in self._making]
            over: Deferred[None] = Deferred()
            self._making.update(dict.fromkeys(some, over))
            try:
                await self._make(some)
            finally:
                for id in some:
                    del self._making[id]
                over.callback(None)
        for each in others:
            await each

    async def _make(self, ids: Sequence[int]) -> None:
        database: Database = self._server.database
        small: dict[int, Stored] = await database.read(contents.load_many, ids, MOST_OCTETS)
        made = await self._server.in_thread(digest_many, [(id, each.whole) for id, each in small.items()])
        for id in ids:
            if id not in small:
                made += await self._understand_large(id)
        if made:
            await database.write_with(_put_many, made, sum(len(each.structure) for _, each in made))

    async def _understand_large(self, id: int) -> list[tuple[int, Digest]]:
        try:
            content, copy = await contents.as_content(self._server.database, id, self._server.in_thread)
        except (NotFound, FileNotFoundError):
            return []
        try:
            if content.path is None:
                return await self._server.in_thread(digest_many, [(id, content.beginning)])
            return await self._server.in_thread(_understand_file, id, content.path)
        except FileNotFoundError:
            return []
        finally:
            if copy is not None:
                copy.discard()


def _put_many(connection: Any, batches: Sequence[Sequence[tuple[int, Digest]]]) -> list[None]:
    # Two steps may have come to understand the same.
    digests.put(connection, list({id: (id, each) for some in batches for id, each in some}.values()))
    return [None] * len(batches)


def digest_many(wholes: Sequence[tuple[int, bytes]]) -> list[tuple[int, Digest]]:
    """What is understood of these contents, by their ids; for a thread."""
    return [(id, digest_of(id, whole)) for id, whole in wholes]


def _understand_file(id: int, path: str) -> list[tuple[int, Digest]]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) as mapped:
            return [(id, digest_of(id, mapped))]
    finally:
        os.close(descriptor)


def digest_of(id: int, octets: Any) -> Digest:
    """What is understood of a content; one that cannot be is as one without a word, and does not stop the others."""
    try:
        return _digest(octets)
    except Exception:
        log.failure("{id}: a message is not understood, and shown as an empty one", id=spell(id))
        return _digest(b"")


def _digest(octets: Any) -> Digest:
    found = understand(octets)
    subject, sender, to, cc, bcc = map(_text, Looked(b"", octets).said(*SEARCHED))
    return Digest(
        found.envelope, found.body, found.bodystructure, found.structure, found.header_size, _text(found.preview),
        found.sent, _text(found.base_subject), int(found.is_reply), _text(found.sort_from), _text(found.sort_to),
        _text(found.sort_cc), _text(found.display_from), _text(found.display_to), _text(found.message_id or ""),
        _text(" ".join(found.references)), subject, sender, to, cc, bcc, _thread(found),
    )


def _text(text: str) -> str:
    """As PostgreSQL takes it."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _thread(found: Understood) -> int:
    """Messages whose first ancestor is the same are of one thread (RFC 8474 4.3): 62 bits of its message id.

    0 where a message has none: it stands alone.
    """
    first = next(iter(found.references), found.message_id)
    if first is None:
        return 0
    return int.from_bytes(hashlib.blake2b(first.encode("utf-8", "replace"), digest_size=8).digest(), "big") >> 2
