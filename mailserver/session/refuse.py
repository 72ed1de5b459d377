"""A host that takes no mail says so at once (RFC 7504): who hears 521 does not come back for days."""

from __future__ import annotations

from mailserver.envelope import Client, Tls
from mailserver.net.answer import About, Answer, Then
from mailserver.reply import NO_MAIL_HERE


class NoMail:
    """A `mailserver.net.answer.Talker` that greets with 521."""

    buffered = 0
    patience = 0.0

    async def greeting(self) -> Answer:
        return Answer(NO_MAIL_HERE.encode(), Then.LINGER)

    def spoke_first(self) -> None:
        pass

    def receive(self, data: bytes) -> None:
        pass

    async def next(self) -> Answer | None:
        return None

    def hurry(self) -> None:
        pass

    def tls_started(self, tls: Tls) -> None:
        pass

    def timed_out(self) -> bytes:
        return b""

    def stopping(self) -> bytes:
        return b""

    def dismissed(self) -> bytes:
        return b""

    def about(self) -> About:
        return About(0, Client("", service="no-mail"), "refused")

    def too_many(self) -> bytes:
        return NO_MAIL_HERE.encode()

    def failed(self) -> bytes:
        return NO_MAIL_HERE.encode()

    def lost(self) -> None:
        pass
