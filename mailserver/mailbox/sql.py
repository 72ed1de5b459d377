"""``sql``: mailboxes in the server's own database, where acceptance is delivery."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import attrs
from zope.interface import implementer

from mailserver.accesskeys import IAccessKeys
from mailserver.errors import NotFound
from mailserver.imapstore import (
    Appended,
    Copied,
    IAccountWatcher,
    IMailboxQuotas,
    IUndelete,
    Quota,
    Ranges,
    Removed,
    Status,
)
from mailserver.interfaces import INBOX, Account, Delivery, IResident, IServer, ITransactionalStore
from mailserver.mailbox.digester import Digester, digest_many
from mailserver.mailbox.indexer import Indexer
from mailserver.mailbox.sqlmailbox import SqlMailbox
from mailserver.mailbox.sqlmetadata import SqlMetadata
from mailserver.mailbox.sqlview import SqlView
from mailserver.mailbox.watches import Watches
from mailserver.sharing import Into, ISharing, Share, Shared
from mailserver.store import (
    accesskeys,
    changing,
    contents,
    mailboxes,
    mailboxquotas,
    messages,
    putting,
    restoring,
    shares,
    sharing,
    sights,
    viewing,
)
from mailserver.store.database import Database

FEW = 8                 # messages of one APPEND that are understood before they are kept


@attrs.frozen
class SqlOptions:
    """`quota_octets` and `quota_messages` are what an account may have in all its mailboxes together; 0 is no limit.

    ``mailserver user quota`` says otherwise of one account, ``mailserver domain quota`` what all accounts of a domain
    may have together, and ``mailserver mailbox quota`` what one mailbox may hold.  For who has used it up, RCPT is
    answered with 452 4.2.2; what the server itself writes (bounces) is delivered all the same.

    With `search`, what messages say is put into an index a while after they came (`mailserver.mailbox.indexer`).
    """

    quota_octets: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    quota_messages: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    search: bool = True


@implementer(
    ITransactionalStore, ISharing, IMailboxQuotas, IUndelete, IResident, IAccessKeys, IAccountWatcher
)
class Sql(SqlMetadata):
    """The tables ``mailbox`` and ``message``."""

    Options = SqlOptions

    def __init__(self, options: SqlOptions, server: IServer) -> None:
        super().__init__(server)
        self._database: Database = server.database
        self._usual = (options.quota_octets, options.quota_messages)
        self._digester = Digester(server)
        self.indexer = Indexer(server)
        self._indexes = options.search
        self._watches = Watches(server, viewing.modseqs, attrgetter("mailboxes"))
        self._accounts = Watches(server, mailboxes.marks, attrgetter("accounts"))

    def start(self) -> None:
        self._digester.start()
        if self._indexes:
            self.indexer.start()

    async def stop(self) -> None:
        self._watches.stop()
        self._accounts.stop()
        self.stop_watching()
        await self._digester.stop()
        await self.indexer.stop()

    # -- delivery

    def write(self, connection: Any, deliveries: Sequence[Delivery]) -> None:
        messages.insert_deliveries(connection, deliveries)

    async def deliver(self, delivery: Delivery) -> None:
        await self._database.write(_deliver, delivery, size=len(delivery.content.beginning))

    # -- mailboxes

    async def mailboxes(self, account: Account) -> Sequence[str]:
        return await self._database.read(mailboxes.mailboxes, account.id)

    async def open(self, account: Account, name: str) -> Any:
        found = await self._database.read(mailboxes.find_mailbox, account.id, name)
        if found is None:
            raise NotFound(f"there is no mailbox {name}")
        return SqlMailbox(self._server, self._digester, name, *found, self._usual)

    async def status(self, account: Account, names: Collection[str] | None = None) -> Sequence[Status]:
        return await self._database.read(mailboxes.status, account.id, names)

    async def create(self, account: Account, name: str, special_use: str = "") -> Status:
        return await self._database.write(mailboxes.create, account.id, name, special_use, self._server.now())

    async def delete(self, account: Account, name: str) -> None:
        now = self._server.now() if self._server.keeping.undelete > 0 else None
        await self._database.write(mailboxes.drop, self._database.contents, account.id, name, now, self._usual)

    async def rename(self, account: Account, old: str, new: str) -> None:
        rename = changing.rename_inbox if old == INBOX else mailboxes.rename
        await self._database.write(rename, account.id, old, new, self._server.now())

    async def subscriptions(self, account: Account) -> Sequence[str]:
        return await self._database.read(mailboxes.subscriptions, account.id)

    async def subscribe(self, account: Account, name: str, wanted: bool = True) -> None:
        await self._database.write(mailboxes.subscribe, account.id, name, wanted)

    async def append(
        self, account: Account, name: str, messages: Sequence[Appended], replaces: tuple[Any, int] | None = None
    ) -> Copied:
        are_few = len(messages) <= FEW
        copied = await self._database.write(
            _append if are_few else changing.append, self._database.contents, (account.id, name), messages,
            self._server.now(), None if replaces is None else (replaces[0].row, replaces[1]), self._usual,
            size=sum(len(each.content.beginning) for each in messages),
        )
        if not are_few:
            self._digester.begin([each.id for each in messages])
        return copied

    async def quota(self, account: Account) -> Quota:
        return await self._database.read(mailboxes.quota, account.id, *self._usual)

    async def has_quotas(self) -> bool:
        return any(self._usual) or await self._database.read(mailboxes.has_quotas)

    async def mailbox_quota(self, account: Account, name: str) -> Quota | None:
        return await self._database.read(mailboxquotas.named_mailbox_quota, account.id, name)

    async def removed(
        self, account: Account, name: str | None = None, since: float = 0.0, after: Any = None
    ) -> Sequence[Removed]:
        return await self._database.read(restoring.removed_messages, account.id, name, since, after)

    async def restore(self, account: Account, wanted: Sequence[Removed], into: str) -> Mapping[str, int]:
        return await self._database.write(
            restoring.restore, account.id, wanted, into, self._server.now(), self._usual
        )

    # -- what is shared

    async def owner(self, address: str) -> Account | None:
        return await self._database.read(sharing.owner, address)

    async def rights(self, account: Account, owner: Account, name: str) -> str | None:
        return await self._database.read(shares.rights, account.id, owner.id, name)

    async def parent_rights(self, account: Account, owner: Account, name: str) -> str:
        return await self._database.read(shares.parent_rights, account.id, owner.id, name)

    async def shared(self, account: Account) -> Sequence[Shared]:
        return await self._database.read(sharing.shared, account.id)

    async def unseen(self, viewer: Account, owner: Account, name: str) -> int:
        return await self._database.read(sights.unseen, viewer.id, owner.id, name)

    async def shares(self, owner: Account, name: str) -> Sequence[Share]:
        return await self._database.read(sharing.entries, owner.id, name)

    async def share(self, owner: Account, name: str, who: str, how: str, rights: str) -> None:
        await self._database.write(sharing.change, owner.id, name, who, how, rights)

    async def known(self, who: str) -> str:
        return await self._database.read(sharing.known, who)

    async def view(self, owner: Account, name: str, viewer: Account) -> Any:
        found = await self._database.read(mailboxes.find_mailbox, owner.id, name)
        if found is None:
            raise NotFound(f"there is no mailbox {name}")
        return SqlView(self._server, self._digester, name, *found, self._usual).of(viewer)

    async def put(self, mailbox: Any, uids: Ranges, into: Into, move: bool = False) -> Copied:
        return await self._database.write(
            putting.put, mailbox.row, mailbox.viewer, uids, into, self._server.now(), move, self._usual
        )

    async def bring(
        self, into: Into, messages: Sequence[Appended], replaces: tuple[Any, int] | None = None
    ) -> Copied:
        copied = await self._database.write(
            putting.bring, self._database.contents, into, messages, self._server.now(),
            None if replaces is None else (replaces[0].row, replaces[1]), self._usual,
            size=sum(len(each.content.beginning) for each in messages),
        )
        self._digester.begin([each.id for each in messages])
        return copied

    # -- news

    def watch(self, mailbox: Any, callback: Callable[[], None]) -> Callable[[], None]:
        return self._watches.watch(mailbox.row, callback)

    # -- keys for URLs

    async def access_key(self, account: Account, mailbox: Any, new: bytes) -> bytes:
        return await self._database.write(accesskeys.ensure, account.id, mailbox.row, new, self._server.now())

    async def find_access_key(self, account: Account, mailbox: Any) -> bytes | None:
        return await self._database.read(accesskeys.find, account.id, mailbox.row)

    async def forget_access_keys(self, account: Account, mailbox: Any | None = None) -> None:
        row = None if mailbox is None else mailbox.row
        await self._database.write(accesskeys.forget, account.id, row)

    def watch_account(self, account: Account, callback: Callable[[], None]) -> Callable[[], None]:
        return self._accounts.watch(account.id, callback)


def _append(
    connection: Any, folder: Path, target: tuple[int, str], messages: Sequence[Appended], now: float,
    replaces: tuple[int, int] | None, usual: tuple[int, int],
) -> Copied:
    """A few messages, understood in the same transaction."""
    small = [(each.id, each.content.beginning) for each in messages if each.content.path is None]
    return changing.append(connection, folder, target, messages, now, replaces, usual, digest_many(small))


def _deliver(connection: Any, delivery: Delivery) -> None:
    """A delivery of its own, outside acceptance: for each key once."""
    try:
        contents.load(connection, delivery.message)
    except NotFound:
        contents.insert_many(connection, [(delivery.message, delivery.content, 1)])
    else:
        if messages.is_delivered(connection, delivery):
            return
        contents.acquire(connection, delivery.message)
    messages.insert_deliveries(connection, [delivery])
