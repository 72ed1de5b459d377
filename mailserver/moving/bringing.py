"""Messages of a source come into an account: each once, however often it is tried, and whatever ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from mailserver.content import LARGE, Content
from mailserver.errors import AlreadyExists, OverQuota, PermanentFailure
from mailserver.ident import Ids
from mailserver.imapstore import Appended
from mailserver.interfaces import Account
from mailserver.moving.source import Damaged, Item, Source
from mailserver.store import changing, imported, mailboxes
from mailserver.store.contents import LargeFile
from mailserver.store.database import Database

MOST_MESSAGES = 200                 # of one transaction
MOST_OCTETS = 4 * 1024 * 1024       # of them that are in memory


@dataclass
class Report:
    """What came of it; `skipped` is what could not be brought, and why."""

    messages: int = 0
    octets: int = 0
    mailboxes: set[str] = field(default_factory=set)
    known: int = 0                  # that had been brought before
    skipped: list[tuple[str, str]] = field(default_factory=list)


class Bringing:
    """One import.  `most` are the octets that a message may have (0 any); `advance` is told how far it is."""

    def __init__(
        self, database: Database, account: Account, source: Source, usual: tuple[int, int], most: int,
        advance: Callable[[int], None],
    ) -> None:
        self._database = database
        self._account = account
        self._source = source
        self._usual = usual
        self._most = most
        self._advance = advance
        self._ids = Ids(time.time)
        self._done: set[str] = set()
        self.report = Report()

    def run(self) -> Report:
        """All that is not done yet.  Raises `OverQuota` when there is no room any more; what came until then stays."""
        with self._database.reading() as connection:
            self._done = imported.every(connection, self._account.id, self._source.identity)
        for each in self._source.folders():
            self._make(each.name, each.special_use, each.subscribed)
        batch: list[tuple[Item, Content, LargeFile | None]] = []
        try:
            for item, content, file in self._read():
                if batch and (
                    batch[0][0].mailbox != item.mailbox or len(batch) >= MOST_MESSAGES
                    or sum(len(each.beginning) for _, each, _ in batch) + len(content.beginning) > MOST_OCTETS
                ):
                    some, batch = batch, []
                    batch.append((item, content, file))
                    self._write(some)
                else:
                    batch.append((item, content, file))
            if batch:
                some, batch = batch, []
                self._write(some)
        finally:
            for _, _, left in batch:
                if left is not None:
                    left.remove()
        self.report.skipped += self._source.skipped
        return self.report

    def _is_done(self, key: str) -> bool:
        if key not in self._done:
            return False
        self.report.known += 1
        return True

    def _make(self, name: str, special_use: str, is_subscribed: bool) -> None:
        self.report.mailboxes.add(name)
        with self._database.transaction() as connection:
            if mailboxes.find_mailbox(connection, self._account.id, name) is None:
                try:
                    mailboxes.create(connection, self._account.id, name, special_use, time.time())
                except AlreadyExists:
                    mailboxes.create(connection, self._account.id, name, "", time.time())     # the use is another's
                is_subscribed = True
            if is_subscribed:
                mailboxes.subscribe(connection, self._account.id, name, True)

    def _read(self) -> Iterator[tuple[Item, Content, LargeFile | None]]:
        for item in self._source.items(self._is_done, self._advance):
            try:
                content, file = self._content(item)
            except Damaged as error:
                self.report.skipped.append((item.key.replace("\n", ": "), str(error)))
                continue
            yield item, content, file

    def _content(self, item: Item) -> tuple[Content, LargeFile | None]:
        """Its octets: in memory, or in a file of the server's when they are many."""
        gathered: list[bytes] = []
        size, file, start = 0, None, b""
        try:
            for piece in item.octets():
                size += len(piece)
                if self._most and size > self._most:
                    raise Damaged(f"it has more than {self._most} octets, which is as many as a message may have")
                if file is not None:
                    file.write(piece)
                    continue
                gathered.append(piece)
                if size > LARGE:
                    whole = b"".join(gathered)
                    gathered, start = [], whole[:LARGE]
                    file = LargeFile(self._database.contents, f"{self._ids():x}")
                    file.write(whole)
            if file is None:
                return Content.of(b"".join(gathered)), None
            count, path = file.seal()
            return Content(count, start, str(path)), file
        except BaseException:
            if file is not None:
                file.remove()
            raise

    def _write(self, batch: Sequence[tuple[Item, Content, LargeFile | None]]) -> None:
        messages = [
            Appended(_id_of(content, self._ids), content, item.flags, item.received) for item, content, _ in batch
        ]
        try:
            with self._database.transaction() as connection:
                changing.append(
                    connection, self._database.contents, (self._account.id, batch[0][0].mailbox), messages,
                    time.time(), None, self._usual,
                )
                imported.put(
                    connection, self._account.id, self._source.identity, [item.key for item, _, _ in batch]
                )
        except (OverQuota, PermanentFailure):
            for _, _, file in batch:
                if file is not None:
                    file.remove()
            raise
        self.report.messages += len(batch)
        self.report.octets += sum(content.size for _, content, _ in batch)


def _id_of(content: Content, ids: Callable[[], int]) -> int:
    """A large content's file is named by it."""
    if content.path is None:
        return ids()
    return int(content.path.rpartition("/")[2], 16)
