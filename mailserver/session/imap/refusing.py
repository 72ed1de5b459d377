"""What went wrong, as an IMAP client hears it (RFC 9051 7.1)."""

from __future__ import annotations

from twisted.logger import Logger

from mailserver.errors import AlreadyExists, NotFound, OverQuota, PermanentFailure, TemporaryFailure
from mailserver.ident import spell
from mailserver.imap.error import ImapError
from mailserver.net.answer import Then
from mailserver.session.imap.reply import Reply

log = Logger()


def refusal(error: Exception, id: int) -> Reply:
    """What the peer hears of what went wrong; `id` is the conversation's, and stands in the log with a surprise."""
    if isinstance(error, ImapError):
        if error.fatal:
            return Reply(str(error), condition="BYE", then=Then.LINGER)
        return Reply(str(error), condition=error.condition, code=error.code)
    if isinstance(error, NotFound):
        return Reply(str(error), condition="NO", code="NONEXISTENT")
    if isinstance(error, AlreadyExists):
        return Reply(str(error), condition="NO", code="ALREADYEXISTS")
    if isinstance(error, OverQuota):
        return Reply(str(error), condition="NO", code="OVERQUOTA")
    if isinstance(error, PermanentFailure):
        return Reply(str(error), condition="NO", code="CANNOT")
    if isinstance(error, TemporaryFailure):
        log.warn("{id}: not now: {error}", id=spell(id), error=str(error))
        return Reply(f"not now, try again later ({spell(id)})", condition="NO", code="UNAVAILABLE")
    log.failure("{id}: IMAP command failed", id=spell(id))
    return Reply(f"not now, try again later ({spell(id)})", condition="NO", code="SERVERBUG")
