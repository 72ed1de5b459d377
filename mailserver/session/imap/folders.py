"""Mailboxes are made, renamed, removed and subscribed to; and how much they may hold (RFC 9051 6.3, RFC 9208)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mailserver.errors import AlreadyExists, NotFound
from mailserver.imap import listings, names
from mailserver.imap.commands import mailboxes
from mailserver.imap.error import ImapError
from mailserver.imap.names import SEPARATOR
from mailserver.imapstore import SPECIAL_USES, IMailboxQuotas, Quota
from mailserver.interfaces import INBOX, Account
from mailserver.session.imap import places
from mailserver.session.imap.places import Place
from mailserver.session.imap.reply import Reply
from mailserver.session.imap.surroundings import Surroundings
from mailserver.sharing import ISharing

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

ROOT = ""               # the root of all that the account has; of others it is their address, of a mailbox its name
KIB = 1024


def account(session: ImapSession) -> Account:
    """Whose session it is."""
    assert session.account is not None
    return session.account


def spelled_anew(session: ImapSession, name: str, given: str, *attributes: str) -> list[bytes]:
    """What a mailbox is called that a command has spelled otherwise (RFC 9051 6.3.9.7).

    Only a client that has said IMAP4rev2 knows what that means (RFC 5258 3).
    """
    if not given or "IMAP4REV2" not in session.enabled:
        return []
    return [listings.listed(name, attributes, session.wire.utf8, old_name=given)]


def _around(session: ImapSession) -> Surroundings | None:
    """What is told of other mailboxes: not what the session itself does to them (RFC 5465 5)."""
    return session.notifying.around if session.notifying is not None else None


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
    store = session.policy.store
    try:
        made = await store.create(place.owner, place.own_name, (wanted or [""])[0] or "")
    except AlreadyExists as error:
        if wanted and not await store.status(place.owner, {place.own_name}):
            raise ImapError(str(error), "NO", "USEATTR") from None          # it is the use that another has
        raise
    if (around := _around(session)) is not None and not place.is_shared:
        around.made(made)
    lines = spelled_anew(session, command.mailbox, command.given)
    return Reply("made", lines, f"MAILBOXID ({made.id})")


async def delete(session: ImapSession, command: mailboxes.Delete) -> Reply:
    """A mailbox and its messages; what lies below its name stays."""
    place = await places.place(session, command.mailbox, "x")
    if place.own_name == INBOX:
        raise ImapError("INBOX cannot be deleted", "NO", "CANNOT")
    await session.policy.store.delete(place.owner, place.own_name)
    session.policy.boards.forget_names()
    if session.selected is not None and session.selected.name == command.mailbox:
        session.unselect()
    if (around := _around(session)) is not None:
        around.dropped(command.mailbox)
    return Reply("deleted", spelled_anew(session, command.mailbox, command.given, "\\NonExistent"))


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
    if (around := _around(session)) is not None and command.mailbox != INBOX and not old.is_shared:
        around.renamed(command.mailbox, command.to)
    return Reply("renamed", spelled_anew(session, command.to, command.given))


async def subscribe(session: ImapSession, command: mailboxes.Subscribe) -> Reply:
    """The mailbox need not exist (RFC 9051 6.3.7), unless it would be somebody else's (RFC 4314 4)."""
    await places.place(session, command.mailbox, "l")
    await session.policy.store.subscribe(account(session), command.mailbox)
    if (around := _around(session)) is not None:
        around.subscribed(command.mailbox, wanted=True)
    return Reply("subscribed")


async def unsubscribe(session: ImapSession, command: mailboxes.Unsubscribe) -> Reply:
    """RFC 9051 6.3.8."""
    await session.policy.store.subscribe(account(session), command.mailbox, wanted=False)
    if (around := _around(session)) is not None:
        around.subscribed(command.mailbox, wanted=False)
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
    usage: dict[str, tuple[int, int]] = {}
    if command.root == ROOT:
        usage = await _usage(session, account(session))
    else:
        name = names.read(command.root.encode(), session.wire.utf8)
        if (known := await places.find(session, name)) is not None and "r" in known.rights:
            usage = await _usage_of(session, known)
        for place, _ in await places.others(session) if not usage else ():
            if "r" in place.rights and _root(place) == command.root:
                usage = await _usage(session, place.owner)
                break
    if not usage:
        raise NotFound("there is no such quota root")
    return Reply("that is all", [listings.quota(command.root, usage)])


async def get_quota_root(session: ImapSession, command: mailboxes.GetQuotaRoot) -> Reply:
    """All mailboxes count together, and one with a limit of its own is a root, too, that has its name.

    Where nothing has a limit, there is no root.

    A QUOTA names at least one resource (RFC 9208 7); at an empty one Thunderbird logs out.
    """
    place = await places.place(session, command.mailbox, "r")
    if not await session.policy.store.status(place.owner, {place.own_name}):
        raise places.missing(command.mailbox)
    own = names.encode(command.mailbox, session.wire.utf8).decode()
    roots = {own: await _usage_of(session, place), _root(place): await _usage(session, place.owner)}
    limited = {root: usage for root, usage in roots.items() if usage}
    lines = [listings.quota_roots(command.mailbox, limited, session.wire.utf8)]
    lines += [listings.quota(root, usage) for root, usage in limited.items()]
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
    """Of all that an account has."""
    return _resources(await session.policy.store.quota(owner))


async def _usage_of(session: ImapSession, place: Place) -> dict[str, tuple[int, int]]:
    """Of one mailbox; nothing where it has no limit."""
    store: Any = session.policy.store
    found = await store.mailbox_quota(place.owner, place.own_name) if IMailboxQuotas.providedBy(store) else None
    return {} if found is None else _resources(found)


def _resources(found: Quota) -> dict[str, tuple[int, int]]:
    """STORAGE in units of 1,024 octets (RFC 9208 5.1); what has no limit is not listed."""
    usage = {}
    if found.most_octets:
        usage["STORAGE"] = (-(-found.octets // KIB), found.most_octets // KIB)
    if found.most_messages:
        usage["MESSAGE"] = (found.messages, found.most_messages)
    return usage
