"""Mailboxes are made, renamed, removed and subscribed to; and how much they may hold (RFC 9051 6.3, RFC 9208)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mailserver.errors import NotFound
from mailserver.imap import listings
from mailserver.imap.commands import mailboxes
from mailserver.imap.error import ImapError
from mailserver.imap.names import SEPARATOR
from mailserver.imapstore import SPECIAL_USES
from mailserver.interfaces import INBOX, Account
from mailserver.session.imap import places
from mailserver.session.imap.places import Place
from mailserver.session.imap.reply import Reply
from mailserver.sharing import ISharing

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

ROOT = ""               # the quota root of what the account has; of others it is their address
KIB = 1024


def account(session: ImapSession) -> Account:
    """Whose session it is."""
    assert session.account is not None
    return session.account


async def create(session: ImapSession, command: mailboxes.Create) -> Reply:
    """A new mailbox, perhaps for a special use (RFC 6154 3)."""
    if command.mailbox == INBOX:
        raise ImapError("INBOX is always there", "NO", "ALREADYEXISTS")
    uses = {use.casefold(): use for use in SPECIAL_USES}
    wanted = [uses.get(each.casefold()) for each in command.uses]
    if None in wanted or len(wanted) > 1:
        raise ImapError("a mailbox here has one use, of those that there are", "NO", "USEATTR")
    place = await places.new(session, command.mailbox)
    if place.is_shared and wanted:
        raise ImapError("a mailbox of others has no use", "NO", "USEATTR")
    made = await session.policy.store.create(place.owner, place.own_name, (wanted or [""])[0] or "")
    return Reply("made", code=f"MAILBOXID ({made.id})")


async def delete(session: ImapSession, command: mailboxes.Delete) -> Reply:
    """A mailbox and its messages; what lies below its name stays."""
    place = await places.place(session, command.mailbox, "x")
    if place.own_name == INBOX:
        raise ImapError("INBOX cannot be deleted", "NO", "CANNOT")
    if session.selected is not None and session.selected.name == command.mailbox:
        session.unselect()
    await session.policy.store.delete(place.owner, place.own_name)
    session.policy.boards.forget_names()
    return Reply("deleted")


async def rename(session: ImapSession, command: mailboxes.Rename) -> Reply:
    """Another name, for all below it too."""
    if command.to == INBOX:
        raise ImapError("INBOX is always there", "NO", "ALREADYEXISTS")
    old = await places.place(session, command.mailbox, "x")
    new = await places.new(session, command.to)
    if new.owner.id != old.owner.id:
        raise ImapError("it stays with its owner; its messages can be copied", "NO", "CANNOT")
    if old.is_shared and old.own_name == INBOX:
        raise ImapError("INBOX cannot be renamed by others", "NO", "CANNOT")
    await session.policy.store.rename(old.owner, old.own_name, new.own_name)
    session.policy.boards.forget_names()
    selected = session.selected
    if selected is not None and command.mailbox != INBOX and f"{selected.name}/".startswith(f"{command.mailbox}/"):
        selected.name = command.to + selected.name[len(command.mailbox):]
        own_name = new.own_name + selected.place.own_name[len(old.own_name):]
        selected.place = replace(selected.place, name=selected.name, own_name=own_name)
    return Reply("renamed")


async def subscribe(session: ImapSession, command: mailboxes.Subscribe) -> Reply:
    """The mailbox need not exist (RFC 9051 6.3.7), unless it would be somebody else's (RFC 4314 4)."""
    await places.place(session, command.mailbox, "l")
    await session.policy.store.subscribe(account(session), command.mailbox)
    return Reply("subscribed")


async def unsubscribe(session: ImapSession, command: mailboxes.Unsubscribe) -> Reply:
    """RFC 9051 6.3.8."""
    await session.policy.store.subscribe(account(session), command.mailbox, wanted=False)
    return Reply("not subscribed any more")


async def namespace(session: ImapSession, command: mailboxes.Namespace) -> Reply:
    """One's own mailboxes, and where those of others are."""
    policy = session.policy
    if not ISharing.providedBy(policy.store):
        return Reply("that is all", [listings.namespaces(utf8=session.wire.utf8)])
    others, shared = ([f"{each}{SEPARATOR}"] for each in (policy.other_users, policy.shared))
    return Reply("that is all", [listings.namespaces([""], others, shared, session.wire.utf8)])


async def get_quota(session: ImapSession, command: mailboxes.GetQuota) -> Reply:
    """How much there is, and may be."""
    usage = await _usage(session, account(session)) if command.root == ROOT else {}
    if command.root != ROOT:
        for place, _ in await places.others(session):
            if "r" in place.rights and _root(place) == command.root:
                usage = await _usage(session, place.owner)
                break
    if not usage:
        raise NotFound("there is no such quota root")
    return Reply("that is all", [listings.quota(command.root, usage)])


async def get_quota_root(session: ImapSession, command: mailboxes.GetQuotaRoot) -> Reply:
    """All mailboxes count together; where nothing has a limit, there is no root.

    A QUOTA names at least one resource (RFC 9208 7); at an empty one Thunderbird logs out.
    """
    place = await places.place(session, command.mailbox, "r")
    if not await session.policy.store.status(place.owner, {place.own_name}):
        raise places.missing(command.mailbox)
    usage, root = await _usage(session, place.owner), _root(place)
    lines = [listings.quota_roots(command.mailbox, [root] if usage else [], session.wire.utf8)]
    if usage:
        lines.append(listings.quota(root, usage))
    return Reply("that is all", lines)


async def set_quota(session: ImapSession, command: mailboxes.SetQuota) -> Reply:
    """The operator says how much it is."""
    raise ImapError("only the operator sets quotas", "NO", "NOPERM")


def _root(place: Place) -> str:
    """All that its owner has counts together."""
    if not place.is_shared:
        return ROOT
    address = place.owner.address
    return str(address) if address.local else f"@{address.domain}"


async def _usage(session: ImapSession, owner: Account) -> dict[str, tuple[int, int]]:
    """STORAGE in units of 1,024 octets (RFC 9208 5.1); what has no limit is not listed."""
    found = await session.policy.store.quota(owner)
    usage = {}
    if found.most_octets:
        usage["STORAGE"] = (-(-found.octets // KIB), found.most_octets // KIB)
    if found.most_messages:
        usage["MESSAGE"] = (found.messages, found.most_messages)
    return usage
