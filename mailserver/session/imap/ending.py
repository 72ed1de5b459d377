"""How an answer ends: what is new in the chosen mailbox, then the tagged line (RFC 9051 7)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

from twisted.logger import Logger

from mailserver.errors import TemporaryFailure
from mailserver.ident import spell
from mailserver.imap import responses
from mailserver.imap.error import ImapError
from mailserver.net.answer import Answer, Over, Then
from mailserver.session.imap import annotating
from mailserver.session.imap.bodies import Interrupted
from mailserver.session.imap.reply import Reply
from mailserver.session.imap.telling import Telling, tell

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

log = Logger()


async def end(session: ImapSession, tag: str, reply: Reply, is_own: bool = False) -> Answer:
    """The answer that a reply comes to."""
    if reply.stream is None and not session.follows:
        end, goes_on = await end_of(session, tag, reply)
        return Answer(b"".join([*reply.lines, end]), reply.then if goes_on else Then.LINGER)
    telling = Telling(reply.may_expunge, reply.quiet, reply.with_uid, is_own or reply.is_news)
    return Answer(b"".join(reply.lines), reply.then, _streamed(session, tag, reply, telling))


def tagged(tag: str, reply: Reply) -> bytes:
    """The line that ends an answer."""
    if reply.condition == "BYE":
        return responses.status("BYE", reply.text, reply.code)
    return responses.status(reply.condition, reply.text, reply.code, tag)


async def _streamed(session: ImapSession, tag: str, reply: Reply, telling: Telling) -> AsyncIterator[bytes]:
    session.is_streaming, stream = True, reply.stream
    try:
        if stream is not None:
            async for piece in stream:
                yield piece
        if not session.follows:
            end, goes_on = await end_of(session, tag, reply)
            yield end
            if not goes_on:
                raise Over
        else:
            async for piece in _following(session, tag, reply, telling):
                yield piece
    except (Interrupted, Over):
        raise           # in the middle of an answer there is nothing to be said
    except Exception as error:
        refusal = session.refusal(error)
        yield tagged(tag, refusal)
        if refusal.then is not Then.GO_ON:
            raise Over from None
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()
    session.is_streaming = False


async def _following(session: ImapSession, tag: str, reply: Reply, telling: Telling) -> AsyncIterator[bytes]:
    """The same as `end_of`, of a session that has said what it wants to hear of."""
    code = reply.code
    try:
        if reply.condition != "BYE" and reply.then is Then.GO_ON:
            async for piece in tell(session, telling):
                yield piece
    except TemporaryFailure as error:
        log.warn("{id}: what is new has to wait: {error}", id=spell(session.id), error=str(error))
        code = "" if code.startswith("HIGHESTMODSEQ") else code
    except ImapError as error:
        yield tagged(tag, reply) + responses.failure(error)
        raise Over from None
    yield tagged(tag, replace(reply, code=code))


async def end_of(session: ImapSession, tag: str, reply: Reply) -> tuple[bytes, bool]:
    """What is new and the tagged end, and whether the conversation goes on.

    What a command has done is done, though nobody can look at the mailbox now: after a NO it would be done again.
    """
    try:
        told = await _news(session, reply)
    except TemporaryFailure as error:
        log.warn("{id}: what is new has to wait: {error}", id=spell(session.id), error=str(error))
        # Of changes that it was not told of the peer must not believe that it has heard (RFC 7162 3.2.7).
        code = "" if reply.code.startswith("HIGHESTMODSEQ") else reply.code
        return tagged(tag, replace(reply, code=code)), True
    except ImapError as error:
        return tagged(tag, reply) + responses.failure(error), False
    return b"".join([*told, tagged(tag, reply)]), True


async def _news(session: ImapSession, reply: Reply) -> list[bytes]:
    if reply.condition == "BYE":
        return []
    annotations = await annotating.news(session)
    if session.selected is None:
        return annotations
    await session.selected.refresh()
    if session.selected is None:               # the peer has gone meanwhile
        return annotations
    return annotations + session.told(reply.may_expunge, reply.quiet, reply.with_uid)
