"""Who is told when a mailbox in the database, or an account, changes: by this process or by another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from mailserver.interfaces import IServer
from mailserver.store.database import Database
from mailserver.store.news import News

log = Logger()

LOOK = 0.5          # seconds between two looks at what other processes have changed


class Watches:
    """Callbacks by the row of a mailbox, or of an account: at once for what this process commits, and by a look.

    `question` is what a look asks the database: it says of each of many rows what differs once that has changed.
    `told` are the rows that the news of a transaction are about.
    """

    def __init__(
        self, server: IServer, question: Callable[..., Mapping[int, Any]], told: Callable[[News], set[int]]
    ) -> None:
        self._server = server
        self._question = question
        self._told = told
        self._callbacks: dict[int, list[Callable[[], None]]] = {}
        self._known: dict[int, Any] = {}        # what a look has seen last
        self._look: LoopingCall | None = None
        self._listening: Callable[[], None] | None = None

    def watch(self, row: int, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back when this row changes; call the result to end that.

        The first look calls back in any case: it cannot know what the caller has seen.
        """
        self._known.pop(row, None)
        self._callbacks.setdefault(row, []).append(callback)
        self._begin()

        def end() -> None:
            left = self._callbacks.get(row, [])
            if callback in left:
                left.remove(callback)
            if not left:
                self._callbacks.pop(row, None)
                self._known.pop(row, None)
            if not self._callbacks:
                self.stop()

        return end

    def stop(self) -> None:
        """Tell nobody any more, until somebody watches."""
        look, self._look = self._look, None
        if look is not None:
            look.stop()
        listening, self._listening = self._listening, None
        if listening is not None:
            listening()

    def _begin(self) -> None:
        if self._listening is None:
            database: Database = self._server.database
            self._listening = database.writer.on_news(self._heard)
        if self._look is None:
            self._look = LoopingCall(self._compare)
            self._look.clock = self._server.clock
            self._look.start(LOOK, now=False)

    def _heard(self, news: News) -> None:
        for row in self._told(news) & self._callbacks.keys():
            self._tell(row)

    async def _compare(self) -> None:
        rows = list(self._callbacks)
        try:
            found: Mapping[int, Any] = await self._server.database.read(self._question, rows)
        except Exception as error:
            log.warn("it is not known whether mailboxes have changed: {words}", words=str(error))
            return
        for row in rows:
            now, before = found.get(row, ()), self._known.get(row)
            if row in self._callbacks:
                self._known[row] = now
                if now != before:           # the first look tells as well: something may have come before it
                    self._tell(row)

    def _tell(self, row: int) -> None:
        for callback in list(self._callbacks.get(row, ())):
            try:
                callback()
            except Exception:
                log.failure("a session did not take the news")

