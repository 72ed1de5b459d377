"""Mailboxes are made, renamed, removed and subscribed to; and how much they may hold (RFC 9051 6.3, RFC 9208)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailserver.errors import NotFound
from mailserver.imap import listings
from mailserver.imap.commands import mailboxes
from mailserver.imap.error import ImapError
from mailserver.imapstore import SPECIAL_USES
from mailserver.interfaces import INBOX, Account
from mailserver.session.imap.reply import Reply
from mailserver.session.imap.surroundings import Surroundings

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

ROOT = ""               # the one quota root: all that the account has
KIB = 1024


def account(session: ImapSession) -> Account:
    """Whose session it is."""
    assert session.account is not None
    return session.account


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
    made = await session.policy.store.create(account(session), command.mailbox, (wanted or [""])[0] or "")
    if (around := _around(session)) is not None:
        around.made(made)
    return Reply("made", code=f"MAILBOXID ({made.id})")


async def delete(session: ImapSession, command: mailboxes.Delete) -> Reply:
    """A mailbox and its messages; what lies below its name stays."""
    if command.mailbox == INBOX:
        raise ImapError("INBOX cannot be deleted", "NO", "CANNOT")
    if session.selected is not None and session.selected.name == command.mailbox:
        session.unselect()
    await session.policy.store.delete(account(session), command.mailbox)
    session.policy.boards.forget_names()
    if (around := _around(session)) is not None:
        around.dropped(command.mailbox)
    return Reply("deleted")


async def rename(session: ImapSession, command: mailboxes.Rename) -> Reply:
    """Another name, for all below it too."""
    if command.to == INBOX:
        raise ImapError("INBOX is always there", "NO", "ALREADYEXISTS")
    await session.policy.store.rename(account(session), command.mailbox, command.to)
    session.policy.boards.forget_names()
    selected = session.selected
    if selected is not None and command.mailbox != INBOX and f"{selected.name}/".startswith(f"{command.mailbox}/"):
        selected.name = command.to + selected.name[len(command.mailbox):]
    if (around := _around(session)) is not None and command.mailbox != INBOX:
        around.renamed(command.mailbox, command.to)
    return Reply("renamed")


async def subscribe(session: ImapSession, command: mailboxes.Subscribe) -> Reply:
    """The mailbox need not exist (RFC 9051 6.3.7)."""
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
    """One's own mailboxes, and nothing else."""
    return Reply("that is all", [listings.namespaces(utf8=session.wire.utf8)])


async def get_quota(session: ImapSession, command: mailboxes.GetQuota) -> Reply:
    """How much there is, and may be."""
    usage = await _usage(session) if command.root == ROOT else {}
    if not usage:
        raise NotFound("there is no such quota root")
    return Reply("that is all", [listings.quota(ROOT, usage)])


async def get_quota_root(session: ImapSession, command: mailboxes.GetQuotaRoot) -> Reply:
    """All mailboxes count together; where nothing has a limit, there is no root.

    A QUOTA names at least one resource (RFC 9208 7); at an empty one Thunderbird logs out.
    """
    if not await session.policy.store.status(account(session), {command.mailbox}):
        raise NotFound("there is no such mailbox")
    usage = await _usage(session)
    lines = [listings.quota_roots(command.mailbox, [ROOT] if usage else [], session.wire.utf8)]
    if usage:
        lines.append(listings.quota(ROOT, usage))
    return Reply("that is all", lines)


async def set_quota(session: ImapSession, command: mailboxes.SetQuota) -> Reply:
    """The operator says how much it is."""
    raise ImapError("only the operator sets quotas", "NO", "NOPERM")


async def _usage(session: ImapSession) -> dict[str, tuple[int, int]]:
    """STORAGE in units of 1,024 octets (RFC 9208 5.1); what has no limit is not listed."""
    found = await session.policy.store.quota(account(session))
    usage = {}
    if found.most_octets:
        usage["STORAGE"] = (-(-found.octets // KIB), found.most_octets // KIB)
    if found.most_messages:
        usage["MESSAGE"] = (found.messages, found.most_messages)
    return usage
