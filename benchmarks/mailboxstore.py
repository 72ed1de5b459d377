"""How long the mailbox store takes for what IMAP asks of a mailbox with 10,000 messages, without any network.

    python -m benchmarks.mailboxstore [--messages 10000] [--octets 4096] [--folder DIR] [--postgresql URL]

Prints a line for each question: milliseconds, the median of a few runs and the quickest, as a session waits for them
(threads, the commit and its fsync included), and what was hoped for.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.internet import defer, task

from benchmarks.table import NONE, Table
from mailserver.content import Content
from mailserver.ident import Ids
from mailserver.imapstore import Appended, Flags, Wanted
from mailserver.interfaces import DELETED, INBOX, SEEN
from mailserver.keeping import Keeping
from mailserver.mailbox.sql import Sql, SqlOptions
from mailserver.retaining import let_go
from mailserver.store.database import Database
from mailserver.testing.standin import StandIn

ALL = [(1, 0xFFFFFFFF)]
RUNS = 5
AT_ONCE = 500               # messages of one append, when the mailbox is filled
SINGLE = 500                # appends of one message each

new_id = Ids(time.time)


def a_message(number: int, octets: int) -> bytes:
    """A message as people write them: two parts, no two alike."""
    header = (
        f"Return-Path: <carol{number % 97}@example.net>\r\nReceived: from mx.example.net by mx.example.org;\r\n"
        f" Tue, 24 Nov 2026 12:00:{number % 60:02} +0000\r\nFrom: Carol Jones <carol{number % 97}@example.net>\r\n"
        f"To: Bob <bob@example.org>\r\nSubject: Re: the meeting of {number % 1000}\r\n"
        f"Date: Tue, 24 Nov 2026 12:{number // 60 % 60:02}:{number % 60:02} +0000\r\n"
        f"Message-ID: <{number}@example.net>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/alternative; boundary="b1"\r\n\r\n'
    )
    start = f"{header}--b1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nNumber {number}\r\n".encode()
    middle = b"\r\n--b1\r\nContent-Type: text/html\r\n\r\n<p>Hello</p>\r\n--b1--\r\n"
    line = b"A line of a message as people write them, seventy octets or so long.\r\n"
    room = max(0, octets - len(start) - len(middle))
    return start + (line * (room // len(line) + 1))[:room] + middle


class Bench:
    """One store on one database."""

    def __init__(self, folder: Path, url: str | None, messages: int, octets: int) -> None:
        self.server = StandIn(folder, now=time.time())
        folder.mkdir(parents=True, exist_ok=True)
        self.server._database = Database(url, folder)
        self.server._database.open(migrate=True)
        with self.server.building():
            self.store: Any = Sql(SqlOptions(), self.server)
        self.bob = self.server.add_account(f"bob{new_id()}@example.org")
        self.messages, self.octets = messages, octets
        self.rows: list[list[str]] = []

    async def append(self, name: str, numbers: range) -> None:
        await self.store.append(self.bob, name, [
            Appended(new_id(), Content.of(a_message(each, self.octets)), Flags(), time.time()) for each in numbers
        ])

    async def fill(self, name: str) -> Any:
        """A mailbox with all of them."""
        await self.store.create(self.bob, name)
        for start in range(0, self.messages, AT_ONCE):
            await self.append(name, range(start, min(self.messages, start + AT_ONCE)))
        return await self.store.open(self.bob, name)

    async def time(
        self, what: str, hoped: int | None, run: Callable[[int], Awaitable[Any]], runs: int = RUNS,
        before: Callable[[int], Awaitable[Any]] | None = None,
    ) -> None:
        """Run it some times; `before` is not counted."""
        took = []
        for number in range(runs):
            if before is not None:
                await before(number)
            began = time.perf_counter()
            await run(number)
            took.append((time.perf_counter() - began) * 1000)
        self.rows.append([
            what, f"{statistics.median(took):.1f}", f"{min(took):.1f}", NONE if hoped is None else f"{hoped}",
        ])

    async def all(self, listing: Any) -> None:
        async for _ in listing:
            pass

    async def run(self) -> None:
        store, bob = self.store, self.bob
        box = await self.fill("Big")
        rendered = Wanted(("uid", "flags", "received", "size", "envelope"), _render)
        await self.time("envelopes of all, for the first time", None, lambda _: self.all(box.rows(ALL, rendered)), 1)
        await self.time("load", 10, lambda _: box.load())
        await self.time("envelopes of all", 40, lambda _: self.all(box.rows(ALL, rendered)))
        uids = random.Random(1).sample(range(1, self.messages + 1), self.messages // 10)
        some = [(uid, uid) for uid in sorted(uids)]
        await self.time("envelopes of a tenth, each a range", None, lambda _: self.all(box.rows(some, rendered)))
        await self.time("scan of all", 120, lambda _: self.all(box.scan(ALL, _find)))
        await self.time("store \\Seen on all, and off", 25,
                        lambda run: box.store(ALL, "-" if run % 2 else "+", Flags(SEEN)))
        await self.time("changes of all", None, lambda _: box.changes(1))
        await self.time("status", None, lambda _: store.status(bob))
        for number in range(RUNS):
            await store.create(bob, f"Copy{number}")
        await self.time("copy of all", 60, lambda run: box.copy(ALL, bob, f"Copy{run}"))
        copies = [await store.open(bob, f"Copy{number}") for number in range(RUNS)]
        for number in range(RUNS):
            await store.create(bob, f"Moved{number}")
        await self.time("move of all", 80, lambda run: copies[run].copy(ALL, bob, f"Moved{run}", True))
        moved = [await store.open(bob, f"Moved{number}") for number in range(RUNS)]
        await self.time("expunge of all, copies of which are left", None, lambda run: moved[run].expunge(),
                        before=lambda run: moved[run].store(ALL, "+", Flags(DELETED)))
        await box.store(ALL, "+", Flags(DELETED))
        await self.time("expunge of all, with their contents", None, lambda _: box.expunge(), 1)
        await self._kept()
        await self._single()

    async def _kept(self) -> None:
        """The same where what is removed can be brought back: and that, and letting it go."""
        box = await self.fill("Kept")
        self.server.keeping = Keeping()
        await self.time("expunge of all, which are kept", None, lambda _: box.expunge(), before=self._marked(box))
        self.server.keeping = Keeping(undelete=0.0)
        await self.time(
            "letting go of them", None, lambda _: let_go(self.server.database, self.server.keeping, time.time()), 1
        )

    def _marked(self, box: Any) -> Callable[[int], Awaitable[None]]:
        """All messages of a mailbox are there and \\Deleted, after the first time brought back."""
        async def before(run: int) -> None:
            began = time.perf_counter()
            after = None
            while run and (some := await self.store.removed(self.bob, "Kept", after=after)):
                after = some[-1].key
                await self.store.restore(self.bob, some, "Kept")
            if run == 1:
                took = (time.perf_counter() - began) * 1000
                self.rows.append(["restore of all, 500 at a time", f"{took:.1f}", f"{took:.1f}", NONE])
            await box.store(ALL, "+", Flags(DELETED))

        return before

    async def _single(self) -> None:
        """Appends one after the other, and from eight sessions at once."""
        for sessions in (1, 8):
            began = time.perf_counter()

            async def work() -> None:
                for number in range(SINGLE):
                    await self.append(INBOX, range(number, number + 1))

            await defer.gatherResults([defer.Deferred.fromCoroutine(work()) for _ in range(sessions)])
            rate = SINGLE * sessions / (time.perf_counter() - began)
            self.rows.append([f"append of one, {sessions} at once: a second", f"{rate:.0f}", NONE, "1000"])


def _render(rows: Any) -> bytes:
    return b"".join([b"* %d FETCH (UID %d RFC822.SIZE %d ENVELOPE %b)\r\n" % (uid, uid, size, bytes(envelope))
                     for uid, _, _, size, envelope in rows])


def _find(uid: int, prefix: bytes, content: Any) -> bool:
    return bool(content.find(b"no such words") >= 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--octets", type=int, default=4096)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--postgresql")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="mailboxstore-"))

    async def run(clock: Any) -> None:
        bench = Bench(folder / "data", given.postgresql, given.messages, given.octets)
        try:
            await bench.run()
        finally:
            await bench.server.stop()
            if given.folder is None:
                shutil.rmtree(folder, ignore_errors=True)
        head = ("question", "ms\nmedian", "ms\nquickest", "hoped\nfor")
        print(Table(f"{given.messages} messages of {given.octets} octets", head, bench.rows).as_text())

    task.react(lambda clock: defer.Deferred.fromCoroutine(run(clock)))


if __name__ == "__main__":
    main()
