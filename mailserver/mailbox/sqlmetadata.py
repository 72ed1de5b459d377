"""Annotations of the ``sql`` store's mailboxes, and who is told when they change."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from mailserver.imapmetadata import Annotated, IMetadata
from mailserver.interfaces import Account, IServer
from mailserver.store import annotation

log = Logger()

LOOK = 0.5          # seconds between two looks at whether anything was changed


@implementer(IMetadata)
class SqlMetadata:
    """The table ``annotation``."""

    def __init__(self, server: IServer) -> None:
        self._server = server
        self._watchers: list[Callable[[], None]] = []
        self._look: LoopingCall | None = None
        self._number: int | None = None     # of the last change that was seen; None: not looked yet

    async def annotations(
        self, account: Account, mailbox: str | None, entries: Collection[str] | None = None
    ) -> Mapping[str, bytes]:
        found: Mapping[str, bytes] = await self._server.database.read(annotation.find, account.id, mailbox, entries)
        return found

    async def annotations_of_all(
        self, account: Account, entries: Collection[str]
    ) -> Mapping[str, Mapping[str, bytes]]:
        found: Mapping[str, Mapping[str, bytes]]
        found = await self._server.database.read(annotation.by_mailbox, account.id, entries)
        return found

    async def annotate(
        self, account: Account | None, mailbox: str | None, values: Mapping[str, bytes | None], by: int = 0
    ) -> None:
        await self._server.database.write(
            annotation.change, 0 if account is None else account.id, mailbox, values, by,
            size=sum(len(value or b"") for value in values.values()),
        )

    async def annotated(self, account: Account, since: int | None, by: int = 0) -> Annotated:
        found: Annotated = await self._server.database.read(annotation.changes, account.id, since, by)
        return found

    def watch_annotations(self, account: Account, callback: Callable[[], None]) -> Callable[[], None]:
        """One look for all who watch; the first calls back in any case: something may have come before it."""
        self._watchers.append(callback)
        self._number = None
        if self._look is None:
            self._look = LoopingCall(self._compare)
            self._look.clock = self._server.clock
            self._look.start(LOOK, now=False)

        def end() -> None:
            if callback in self._watchers:
                self._watchers.remove(callback)
            if not self._watchers:
                self.stop_watching()

        return end

    def stop_watching(self) -> None:
        """Tell nobody any more, until somebody watches."""
        look, self._look = self._look, None
        if look is not None:
            look.stop()

    async def _compare(self) -> None:
        try:
            number: int = await self._server.database.read(annotation.last)
        except Exception as error:
            log.warn("it is not known whether annotations have changed: {words}", words=str(error))
            return
        if number == self._number:
            return
        self._number = number
        for callback in list(self._watchers):
            try:
                callback()
            except Exception:
                log.failure("a session did not take the news")
