"""Who may do what in a mailbox is said, and asked (RFC 4314 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailserver.address import domain_key
from mailserver.errors import AlreadyExists, NotFound
from mailserver.imap import listings
from mailserver.imap.commands import acl
from mailserver.imap.error import ImapError
from mailserver.imap.rights import RIGHTS, VISIBLE, spelled
from mailserver.session.imap import places
from mailserver.session.imap.places import Place
from mailserver.session.imap.reply import Reply
from mailserver.sharing import ANYONE, ISharing

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

OBSOLETE = "cd"


async def set_acl(session: ImapSession, command: acl.SetAcl) -> Reply:
    """What somebody may do from now on; the owner may always do everything."""
    return await _change(session, command.mailbox, command.who, command.how, command.rights)


async def delete_acl(session: ImapSession, command: acl.DeleteAcl) -> Reply:
    """An entry goes; that there was none is no mistake."""
    return await _change(session, command.mailbox, command.who, "=", "")


async def _change(session: ImapSession, mailbox: str, who: str, how: str, rights: str) -> Reply:
    there = await _administered(session, mailbox)
    if how != "-" and set(rights) - {"p"} and not session.policy.with_anyone and _is_many(session, who):
        raise ImapError("only the operator shares with so many; @ and your domain is all of that", "NO", "NOPERM")
    try:
        await session.policy.store.share(there.owner, there.own_name, who, how, rights)
    except AlreadyExists as error:
        raise ImapError(str(error), "NO", "CANNOT") from None
    except NotFound as error:
        raise ImapError(str(error), "NO") from None
    return Reply("it is so")


def _is_many(session: ImapSession, who: str) -> bool:
    """Whether it gives rights to people of all domains, or of another: all of them would have to see it."""
    assert session.account is not None
    if who.startswith("-"):
        return False
    own = domain_key(session.account.address.domain)
    return who.lower() == ANYONE or (who.startswith("@") and domain_key(who[1:]) != own)


async def get_acl(session: ImapSession, command: acl.GetAcl) -> Reply:
    """The owner stands first; of a public mailbox nobody is."""
    there = await _administered(session, command.mailbox)
    pairs = [(str(there.owner.address), spelled(RIGHTS))] if there.owner.address.local else []
    for each in await session.policy.store.shares(there.owner, there.own_name):
        pairs.append((each.who, spelled(each.rights)))
    return Reply("that is all", [listings.acl(command.mailbox, pairs, session.wire.utf8)])


async def list_rights(session: ImapSession, command: acl.ListRights) -> Reply:
    """Any right can be given by itself; the owner has all in any case."""
    there = await _administered(session, command.mailbox)
    try:
        who = await session.policy.store.known(command.who)
    except NotFound as error:
        raise ImapError(str(error), "NO") from None
    is_owner = who == str(there.owner.address)
    required, optional = (spelled(RIGHTS), "") if is_owner else ("", RIGHTS + OBSOLETE)
    return Reply("that is all", [
        listings.list_rights(command.mailbox, command.who, required, optional, session.wire.utf8)
    ])


async def my_rights(session: ImapSession, command: acl.MyRights) -> Reply:
    """Who has nothing there that shows it, is not told that it is there."""
    there = await places.find(session, command.mailbox)
    if there is None or set(there.rights).isdisjoint(VISIBLE):
        raise places.missing(command.mailbox)
    await _exists(session, there)
    return Reply("that is all", [listings.my_rights(command.mailbox, spelled(there.rights), session.wire.utf8)])


async def _administered(session: ImapSession, mailbox: str) -> Place:
    there = await places.place(session, mailbox, "a")
    await _exists(session, there)
    return there


async def _exists(session: ImapSession, there: Place) -> None:
    """Raises `NotFound`; also where nothing can be shared."""
    store = session.policy.store
    if not ISharing.providedBy(store):
        raise ImapError("mailboxes here cannot be shared", "NO", "CANNOT")
    if await store.rights(there.owner, there.owner, there.own_name) is None:
        raise places.missing(there.name)
