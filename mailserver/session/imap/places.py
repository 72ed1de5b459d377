"""Where a mailbox is that a session names: whose it is, and what may be done there (RFC 4314, RFC 2342)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mailserver.address import domain_key
from mailserver.errors import NotFound
from mailserver.imap.error import ImapError
from mailserver.imap.names import SEPARATOR
from mailserver.imap.rights import RIGHTS, changeable
from mailserver.imapstore import Status
from mailserver.interfaces import Account
from mailserver.session.imap.board import Board
from mailserver.sharing import Into, ISharing

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession


@dataclass(frozen=True, slots=True)
class Place:
    """A mailbox: `name` is what the session calls it, `own_name` what its owner does."""

    name: str
    owner: Account
    own_name: str
    rights: str = RIGHTS
    is_shared: bool = False         # it is somebody else's
    viewer: Account | None = None   # whose own \\Seen is looked at; None: the owner's

    def need(self, rights: str) -> None:
        """Raises `ImapError` without all of these; `NotFound` for who may not even know that it is there."""
        if all(each in self.rights for each in rights):
            return
        if "l" not in self.rights:
            raise missing(self.name)
        raise ImapError("you have no right to do that here", "NO", "NOPERM")

    @property
    def into(self) -> Into:
        """To put messages there."""
        return Into(self.owner, self.own_name, changeable(self.rights), self.viewer)

    @property
    def is_only_read(self) -> bool:
        """Whether nothing can be changed that others see (RFC 4314 5.2)."""
        return set(self.rights).isdisjoint("iewt" if self.viewer is not None else "iewts")


def missing(name: str) -> NotFound:
    """The same words for what is not there and for what is hidden."""
    return NotFound(f"there is no mailbox {name}")


def is_reserved(session: ImapSession, name: str) -> bool:
    """Whether a name is one of those under which mailboxes of others are shown."""
    policy = session.policy
    return name.partition(SEPARATOR)[0] in (policy.other_users, policy.shared) and ISharing.providedBy(policy.store)


async def find(session: ImapSession, name: str) -> Place | None:
    """The place of a name; None when it is nobody's, or hidden.  One's own mailboxes need not be there."""
    account, store = _account(session), session.policy.store
    if not is_reserved(session, name):
        return Place(name, account, name)
    if await store.rights(account, account, name) is not None:
        return Place(name, account, name)           # of a time before such names were those of others
    whose = await _whose(session, name)
    if whose is None:
        return None
    owner, own_name = whose
    rights = await store.rights(account, owner, own_name)
    if not rights:
        return None
    return Place(name, owner, own_name, rights, True, account if session.policy.own_seen else None)


async def place(session: ImapSession, name: str, rights: str) -> Place:
    """The place of a name where one has these rights; raises `NotFound`, and `ImapError` (NOPERM)."""
    found = await find(session, name)
    if found is None:
        raise missing(name)
    found.need(rights)
    return found


async def new(session: ImapSession, name: str) -> Place:
    """Where a mailbox of this name would be; raises `ImapError` for who may not make it (RFC 4314 4, CREATE)."""
    account = _account(session)
    if not is_reserved(session, name):
        return Place(name, account, name)
    whose = await _whose(session, name)
    if whose is not None and "k" in await session.policy.store.parent_rights(account, *whose):
        return Place(name, *whose, is_shared=True)
    raise ImapError("you may not make a mailbox there", "NO", "NOPERM")


async def again(session: ImapSession, known: Place) -> Place:
    """The same with the rights of now, which may be none."""
    rights = await session.policy.store.rights(_account(session), known.owner, known.own_name)
    return replace(known, rights=rights or "")


async def board(session: ImapSession, known: Place) -> Board:
    """Its messages; raises `NotFound`."""
    return await session.policy.boards.open(known.owner, known.own_name, known.viewer)


async def others(session: ImapSession) -> Sequence[tuple[Place, Status]]:
    """The mailboxes of others that the session may see, by the names that it has for them."""
    account, store = _account(session), session.policy.store
    if not ISharing.providedBy(store):
        return ()
    viewer = account if session.policy.own_seen else None
    found = []
    for each in await store.shared(account):
        if "l" in each.rights:
            name = _named(session, each.owner, each.status.name)
            known = Place(name, each.owner, each.status.name, each.rights, True, viewer)
            found.append((known, replace(each.status, name=name)))
    return found


async def _whose(session: ImapSession, name: str) -> tuple[Account, str] | None:
    """The owner of a reserved name, and how he calls it.  Each mailbox has one such name."""
    account = _account(session)
    root, _, rest = name.partition(SEPARATOR)
    if root == session.policy.shared:
        address, own_name = f"@{domain_key(account.address.domain)}", rest
    else:
        address, _, own_name = rest.partition(SEPARATOR)
        address = _unescaped(address)
    if not own_name:
        return None
    owner: Account | None = await session.policy.store.owner(address)
    if owner is None or owner.id == account.id or _named(session, owner, own_name) != name:
        return None
    return owner, own_name


def _named(session: ImapSession, owner: Account, own_name: str) -> str:
    """How a session calls a mailbox of somebody else."""
    policy, address = session.policy, owner.address
    if address.local:
        return SEPARATOR.join((policy.other_users, _escaped(str(address)), own_name))
    domain = domain_key(address.domain)
    if domain == domain_key(_account(session).address.domain):
        return f"{policy.shared}{SEPARATOR}{own_name}"
    return SEPARATOR.join((policy.other_users, f"@{domain}", own_name))


def _escaped(address: str) -> str:
    """A local part may hold what is between the levels of a name."""
    return address.replace("=", "=3D").replace(SEPARATOR, "=2F")


def _unescaped(level: str) -> str:
    return level.replace("=2F", SEPARATOR).replace("=3D", "=")


def _account(session: ImapSession) -> Account:
    assert session.account is not None
    return session.account
