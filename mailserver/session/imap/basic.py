"""Commands about the conversation itself (RFC 9051 6.1, 6.2, 6.3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailserver.imap import responses
from mailserver.imap.commands import connection
from mailserver.imap.error import ImapError
from mailserver.net.answer import Then
from mailserver.session.imap import annotating
from mailserver.session.imap.capabilities import switches
from mailserver.session.imap.reply import Reply

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

SPELLED = {"IMAP4REV2": "IMAP4rev2"}       # as clients compare it that know no better


async def noop(session: ImapSession, command: connection.Noop) -> Reply:
    """What is new comes with any answer."""
    return Reply("nothing done")


async def capability(session: ImapSession, command: connection.Capability) -> Reply:
    """What can be done now."""
    return Reply("that is all", [responses.capability(session.capabilities())])


async def logout(session: ImapSession, command: connection.Logout) -> Reply:
    """The end."""
    session.unselect()
    return Reply("logged out", [responses.status("BYE", "until next time")], then=Then.CLOSE)


async def identify(session: ImapSession, command: connection.Id) -> Reply:
    """Which program this is (RFC 2971)."""
    return Reply("nice to meet you", [responses.identity([("name", "mailserver")])])


async def start_tls(session: ImapSession, command: connection.StartTls) -> Reply:
    """RFC 9051 6.2.1."""
    if session.client.tls is not None:
        raise ImapError("TLS is on already")
    if not session.policy.tls:
        raise ImapError("TLS is not available", "NO", "CANNOT")
    return Reply("begin TLS", then=Then.START_TLS)


async def enable(session: ImapSession, command: connection.Enable) -> Reply:
    """Those that are known are switched on (RFC 9051 6.3.1)."""
    known = switches(session.policy.store)
    words = [
        each for each in dict.fromkeys(command.capabilities) if each in known and each not in session.enabled
    ]
    session.enable(frozenset(words))
    if "METADATA" in words:
        await annotating.listen(session)
    return Reply("enabled", [responses.enabled([SPELLED.get(each, each) for each in words])])


async def unauthenticate(session: ImapSession, command: connection.Unauthenticate) -> Reply:
    """RFC 8437."""
    session.log_out()
    return Reply("logged out")


async def compress(session: ImapSession, command: connection.Compress) -> Reply:
    """RFC 4978."""
    if command.algorithm != "DEFLATE":
        raise ImapError("there is only DEFLATE")
    session.compress()
    return Reply("DEFLATE begins", may_expunge=False)
