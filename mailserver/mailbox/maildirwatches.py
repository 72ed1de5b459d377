"""Who is told when a Maildir changes: at once of what this process does, and by a look at its folders of the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

log = Logger()

LOOK = 0.5          # seconds between two looks
Look = Callable[[Sequence[Any]], Awaitable[Mapping[str, Any]]]


class MaildirWatches:
    """Callbacks by the GUID of a mailbox; `look` says of each of these something that changes when it does."""

    def __init__(self, clock: Any, look: Look) -> None:
        self._clock = clock
        self._look = look
        self._boxes: dict[str, Any] = {}
        self._callbacks: dict[str, list[Callable[[], None]]] = {}
        self._known: dict[str, Any] = {}
        self._loop: LoopingCall | None = None

    def watch(self, box: Any, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back when this mailbox changes; call the result to end that.

        The first look calls back in any case: it cannot know what the caller has seen.
        """
        guid = box.guid
        self._known.pop(guid, None)
        self._boxes[guid] = box
        self._callbacks.setdefault(guid, []).append(callback)
        if self._loop is None:
            self._loop = LoopingCall(self._compare)
            self._loop.clock = self._clock
            self._loop.start(LOOK, now=False)

        def end() -> None:
            left = self._callbacks.get(guid, [])
            if callback in left:
                left.remove(callback)
            if not left:
                for each in (self._callbacks, self._known, self._boxes):
                    each.pop(guid, None)
            if not self._callbacks:
                self.stop()

        return end

    def stop(self) -> None:
        """Look no more, until somebody watches."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.stop()

    def tell(self, guid: str) -> None:
        """It has changed."""
        for callback in list(self._callbacks.get(guid, ())):
            try:
                callback()
            except Exception:
                log.failure("a session did not take the news")

    def tell_name(self, account_id: int, name: str) -> None:
        """The mailbox of this name has changed."""
        for guid, box in list(self._boxes.items()):
            if box.account.id == account_id and box.name == name:
                self.tell(guid)

    async def _compare(self) -> None:
        boxes = list(self._boxes.items())
        try:
            found = await self._look([box for _, box in boxes])
        except Exception as error:
            log.warn("it is not known whether mailboxes have changed: {words}", words=str(error))
            return
        for guid, _ in boxes:
            now, before = found.get(guid), self._known.get(guid, self)
            if guid in self._callbacks:
                self._known[guid] = now
                if now != before:
                    self.tell(guid)
