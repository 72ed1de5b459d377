"""BURL (RFC 4468): a content, or a piece of one, that lies in a mailbox here already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.logger import Logger

from mailserver import reply as replies
from mailserver.errors import TemporaryFailure
from mailserver.imap.urls import BadUrl
from mailserver.interfaces import Account
from mailserver.session.links import ForeignUrl, Links
from mailserver.smtp.commands import Burl, Chunk, Command
from mailserver.smtp.server import ServerWire

if TYPE_CHECKING:
    from mailserver.session.intake import Intake

log = Logger()


async def fetched(wire: ServerWire, intake: Intake, links: Links, account: Account, command: Burl) -> Command:
    """The end of a BDAT, as which it goes on, with the reply as its fault when there is nothing to be had.

    The URL has to say that the one who submits may send what it leads to; only mailboxes of this server are looked
    into, and nothing is asked of others.  Raises `TemporaryFailure`.
    """
    wire.advance(command)
    try:
        led = await links.authorized(command.url.encode("ascii"), account, submits=True)
        found = await led.located()
        if not wire.has_room(found.size):
            return wire.found_all(replies.TOO_BIG)
        async for octets in found.octets():
            piece = wire.found(octets)
            assert isinstance(piece, Chunk)
            if intake.transaction is None:
                raise TemporaryFailure("the peer has gone")
            if not octets.isascii():
                intake.is_8bit()
            if not await intake.keep(piece.octets):
                return wire.found_all(replies.NOT_NOW)
    except ForeignUrl:
        return wire.found_all(replies.FOREIGN_URL)
    except BadUrl as error:
        log.info("{login}: BURL: {words}", login=str(account.address), words=str(error))
        return wire.found_all(replies.BAD_URL)
    return wire.found_all()
