"""Puts what messages say into the index, some time after they were delivered (`mailserver.store.searching`).

Mail that comes in has the first claim on the processor, so it waits until nothing more comes.  A few messages that are
not in the index are looked at as quickly as the index is: it begins when a mailbox has more.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from mailserver.interfaces import IServer
from mailserver.mailbox.sqlmailbox import SqlMailbox
from mailserver.mime.looking import LONGEST_SAID, Looked
from mailserver.mime.terms import terms
from mailserver.store import searching
from mailserver.store.database import Database
from mailserver.store.news import News
from mailserver.store.pages import MOST_MESSAGES
from mailserver.store.pieces import Growing, Kind, Said, joined
from mailserver.store.ranges import ranges_of

log = Logger()

QUIET = 1.0                 # seconds in which nothing came, before what came is put there
LONGEST = 60.0              # seconds that it waits for that
FEW = 64                    # messages of a mailbox that may be looked at each time ...
FEW_OCTETS = 512 * 1024     # ... as long as they are no more than this
AT_ONCE = 4096              # messages of one piece when it is made ...
MOST_WORDS = 2_000_000      # ... and words of them all, from which on it is written, for they are in memory
SCANNED = 1024 * 1024       # octets of messages that are at hand at a time
MOST_TERMS = 50_000         # of one message; one with more is looked at each time
# Messages: pieces of fewer become one when there are eight of them, or as many messages in them.
LEVELS = (512, 4096, 32768)
ALIKE = 8
TIDYING = 3600.0            # seconds between two looks at what is worn
MOST_MAILBOXES = 1000       # that are listed at a time
WORN = 0.25                 # of the messages in a mailbox's index are gone: it is made anew

KEPT = {b"from": Kind.FROM, b"to": Kind.TO, b"cc": Kind.CC, b"subject": Kind.SUBJECT}


def said(prefix: bytes, octets: Any) -> Said:
    """The words of a message; never raises, for one that cannot be understood is looked at each time."""
    try:
        return _said(prefix, octets)
    except Exception:
        log.failure("a message cannot be put into the index")
        return Said({}, False)


def _said(prefix: bytes, octets: Any) -> Said:
    looked = Looked(prefix, octets)
    kept, others = looked.apart(KEPT)
    found: dict[Kind, Collection[str]] = {}
    header, is_all = terms(others, MOST_TERMS)
    for name, value in kept.items():
        is_all = is_all and len(value) < LONGEST_SAID
        found[KEPT[name]], is_whole = terms((value,), MOST_TERMS)
        header.add(name.decode("ascii").upper())
        is_all = is_all and is_whole
    # Whoever asks for a header asks for these too.
    found[Kind.HEADER] = header.difference(*found.values())
    found[Kind.BODY], is_whole = terms(looked.body_texts(), MOST_TERMS)
    return Said({kind: some for kind, some in found.items() if some}, is_all and is_whole)


class Indexer:
    """Writes the tables of the index; `index` is for whoever wants a mailbox to be there now."""

    def __init__(self, server: IServer) -> None:
        self._server = server
        self._waiting: set[int] = set()         # rows of mailboxes
        self._came = 0.0                        # when something came last, by the clock
        self._running = False
        self._working: Deferred[None] | None = None
        self._pause: Deferred[None] | None = None
        self._listening: Any = None
        self._tidying = LoopingCall(self._tidy)

    def start(self) -> None:
        """Begin with what was left undone, then with what comes."""
        self._running = True
        database: Database = self._server.database
        self._listening = database.writer.on_news(self._heard)
        self._work(self._catch_up())
        self._tidying.clock = self._server.clock
        self._tidying.start(TIDYING, now=False)

    async def stop(self) -> None:
        """End after the step at hand."""
        self._running = False
        if self._tidying.running:
            self._tidying.stop()
        listening, self._listening = self._listening, None
        if listening is not None:
            listening()
        pause, self._pause = self._pause, None
        if pause is not None:
            pause.cancel()
        if self._working is not None:
            await self._working

    def _heard(self, news: News) -> None:
        if not news.contents:
            return
        self._came = self._server.clock.seconds()
        self._waiting |= news.mailboxes
        if self._working is None and self._running:
            self._work(self._follow())

    def _work(self, work: Any) -> None:
        ended: Deferred[None] = Deferred()

        def finish(result: Any) -> None:
            self._working = None
            if result is not None and self._running:
                # Those are looked at by whoever searches.
                log.failure("some messages are not in the index yet", result)
            if self._waiting and self._running:
                self._work(self._follow())
            ended.callback(None)

        self._working = ended
        Deferred.fromCoroutine(work).addBoth(finish)

    async def _follow(self) -> None:
        """Mailboxes in which something came, once it is quiet."""
        clock = self._server.clock
        began = clock.seconds()
        while self._running and self._waiting:
            await self._rest(began)
            if self._running and self._waiting:
                await self.index(self._waiting.pop(), FEW)

    async def _rest(self, began: float) -> None:
        """Until nothing more comes, or it has waited for long."""
        clock = self._server.clock
        while self._running:
            now = clock.seconds()
            quiet = now - self._came
            if quiet >= QUIET or now - began >= LONGEST:
                return
            await self._wait(max(QUIET - quiet, 0.01))

    async def _catch_up(self) -> None:
        await self._wait(QUIET)
        after: int | None = 0
        while self._running and after is not None:
            some, after = await self._server.database.read(searching.waiting, after, MOST_MAILBOXES)
            for row in some:
                if self._running:
                    await self.index(row, FEW)
                    await self._wait(0.01)

    async def _tidy(self) -> None:
        try:
            await self.tidy()
        except Exception:
            log.failure("the index cannot be tidied up now")

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

    # -- one mailbox

    async def index(self, row: int, few: int = 0) -> int:
        """Put all of a mailbox there that is not yet, unless it is not more than a few; how many it were."""
        database: Database = self._server.database
        done = 0
        while True:
            if few:
                await self._rest(self._server.clock.seconds())
            after = await database.read(searching.last, row)
            uids, octets = await database.read(searching.behind, row, after, AT_ONCE)
            if not uids or (len(uids) <= few and octets <= FEW_OCTETS and few):
                return done
            growing, last = await self._read(row, uids)
            piece = await self._server.in_thread(growing.piece, uids[0], last)
            if not await database.write(searching.put, row, after, piece, size=piece.octets):
                return done                     # another process was at it, or the mailbox has gone
            done += len(piece.uids)
            await self._join(row)
            if few and not self._running:
                return done

    async def _read(self, row: int, uids: Sequence[int]) -> tuple[Growing, int]:
        """What these messages say, or so many of them as may be in memory; and the UID of the last."""
        box = SqlMailbox.of_row(self._server, row)
        growing = Growing()

        def add(uid: int, prefix: bytes, octets: Any) -> None:
            growing.add(uid, said(prefix, octets))

        async for step in box.scan(ranges_of(uids), add, SCANNED):
            if growing.size > MOST_WORDS:
                return growing, step[-1][0]
        return growing, uids[-1]

    async def _join(self, row: int) -> None:
        """Make one of the last pieces where there are many small ones."""
        database: Database = self._server.database
        there = await database.read(searching.pieces, row)
        firsts = to_join(there)
        if firsts:
            some = await database.read(searching.load, row, firsts)
            if len(some) == len(firsts):
                piece = await self._server.in_thread(joined, some, None)
                await database.write(searching.replace, row, firsts, piece, size=piece.octets)

    # -- keeping

    async def tidy(self) -> None:
        """Forget what is about mailboxes that are gone; make the index of those anew of which much is gone."""
        database: Database = self._server.database
        for row in await database.read(searching.orphans):
            await database.write(searching.forget, row)
        for row in await database.read(searching.worn, WORN):
            for first, last, size in await database.read(searching.pieces, row):
                left = await database.read(searching.alive, row, first, last)
                if len(left) < size:
                    some = await database.read(searching.load, row, [first])
                    if some:
                        piece = await self._server.in_thread(joined, some, frozenset(left)) if left else None
                        await database.write(
                            searching.replace, row, [first], piece, size=piece.octets if piece is not None else 0
                        )


def to_join(pieces: Sequence[tuple[int, int, int]]) -> list[int]:
    """The first UIDs of the last pieces that shall become one."""
    for level in LEVELS:
        some: list[int] = []
        messages = 0
        for first, _, size in reversed(pieces):
            if size >= level or messages + size > MOST_MESSAGES:
                break
            some.append(first)
            messages += size
        if len(some) > 1 and (len(some) >= ALIKE or messages >= level):
            return some[::-1]
    return []
