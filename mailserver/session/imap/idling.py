"""IDLE (RFC 2177): what is new is told until the peer says something."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailserver.errors import NotFound, TemporaryFailure
from mailserver.imap import responses

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

log = Logger()

LONGEST = 1860.0            # seconds, after which the peer has to say something; it does so in 29 minutes (RFC 2177 3)


class Idling:
    """One IDLE; `end` is called when the peer has said something, or is gone, or the server stops."""

    __slots__ = ("_ended", "_session", "_woken", "tag")

    def __init__(self, session: ImapSession, tag: str) -> None:
        self.tag = tag
        self._session = session
        self._ended = False
        self._woken: Deferred[None] | None = None

    def end(self) -> None:
        """Nothing more is told."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        woken, self._woken = self._woken, None
        if woken is not None:
            woken.callback(None)

    async def stream(self) -> AsyncIterator[bytes]:
        """What is to be told, as it comes."""
        session, selected = self._session, self._session.selected
        late = session.policy.world.clock.callLater(LONGEST, self.end)
        if selected is not None:
            selected.board.listen(self, self._wake)
        try:
            while not self._ended:
                if selected is not None:
                    if selected.board.is_gone:
                        return
                    lines = session.told(may_expunge=True)
                    if lines:
                        yield b"".join(lines)
                        continue
                if not self._ended:
                    self._woken = Deferred()
                    await self._woken
        except (NotFound, TemporaryFailure) as error:
            yield responses.status("OK", f"not now: {error}")
        finally:
            if late.active():
                late.cancel()
            if selected is not None:
                selected.board.listen_no_more(self)
