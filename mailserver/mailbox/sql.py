"""``sql``: mailboxes in the server's own database, where acceptance is delivery."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from zope.interface import implementer

from mailserver.errors import NotFound
from mailserver.interfaces import Account, Delivery, IMailbox, IServer, ITransactionalStore, Message, NoOptions
from mailserver.store import contents, messages
from mailserver.store.database import Database


@implementer(ITransactionalStore)
class Sql:
    """The tables ``mailbox`` and ``message``."""

    Options = NoOptions

    def __init__(self, options: NoOptions, server: IServer) -> None:
        self._server = server
        self._database: Database = server.database

    def write(self, connection: Any, deliveries: Sequence[Delivery]) -> None:
        messages.insert_deliveries(connection, deliveries)

    async def deliver(self, delivery: Delivery) -> None:
        await self._database.write(_deliver, delivery, size=len(delivery.content.beginning))

    async def mailboxes(self, account: Account) -> Sequence[str]:
        return await self._database.read(messages.mailboxes, account.id)

    async def open(self, account: Account, name: str) -> Any:
        found = await self._database.read(messages.find_mailbox, account.id, name)
        if found is None:
            raise NotFound(f"there is no mailbox {name}")
        return SqlMailbox(self._server, name, *found)


@implementer(IMailbox)
class SqlMailbox:
    """One mailbox; its rows are read in the readers' threads."""

    def __init__(self, server: IServer, name: str, id: int, uidvalidity: int) -> None:
        self.name = name
        self.uidvalidity = uidvalidity
        self._id = id
        self._server = server
        self._database: Database = server.database

    async def messages(self) -> Sequence[Message]:
        return await self._database.read(messages.listing, self._id)

    async def read(self, uid: int) -> AsyncIterator[bytes]:
        prefix, whole, content_id = await self._database.read(_find, self._id, uid)
        if whole is not None:
            yield prefix + whole
            return
        yield prefix
        async for octets in contents.stream(self._database, content_id, self._server.in_thread):
            yield octets

    async def beginning(self, uid: int, count: int) -> bytes:
        return await self._database.read(partial(_beginning, folder=self._database.contents), self._id, uid, count)

    async def read_many(self, uids: Collection[int]) -> Mapping[int, bytes]:
        return await self._database.read(messages.read_many, self._id, uids)

    async def remove(self, uids: Collection[int]) -> None:
        await self._database.write(messages.remove, self._database.contents, self._id, uids)


def _find(connection: Any, mailbox_id: int, uid: int) -> tuple[bytes, bytes | None, int]:
    prefix, content_id = messages.find_message(connection, mailbox_id, uid)
    return prefix, contents.load(connection, content_id).whole, content_id


def _beginning(connection: Any, mailbox_id: int, uid: int, count: int, *, folder: Any) -> bytes:
    prefix, content_id = messages.find_message(connection, mailbox_id, uid)
    if len(prefix) >= count:
        return prefix[:count]
    return prefix + contents.beginning(connection, folder, content_id, count - len(prefix))


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
