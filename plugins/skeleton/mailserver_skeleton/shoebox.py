"""``shoebox``: each message is a file of its own, and what stands in which mailbox is rows of the server's database.

The file is there before its row, and gone after it: what a crash leaves behind takes room, but nobody reads it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Double, Integer, MetaData, Table, Text, delete, select, update
from zope.interface import implementer

from mailserver.content import CHUNK
from mailserver.errors import NotFound
from mailserver.interfaces import INBOX, Account, Delivery, IMailbox, IMailboxStore, IServer, Message, NoOptions

metadata = MetaData()

boxes = Table(
    "shoebox_box",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    Column("uidvalidity", BigInteger, nullable=False),
    Column("uidnext", BigInteger, nullable=False),
)

messages = Table(
    "shoebox_message",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("box", Text, primary_key=True),
    Column("uid", BigInteger, primary_key=True, autoincrement=False),
    Column("key", BigInteger, nullable=False, unique=True),        # the delivery's, which names the file
    Column("size", BigInteger, nullable=False),
    Column("received", Double, nullable=False),
    Column("flags", Integer, nullable=False),
)


@implementer(IMailboxStore)
class Shoebox:
    """Keeps the files in a folder of its own name, beside the server's other data."""

    Options = NoOptions

    def __init__(self, options: NoOptions, server: IServer) -> None:
        self._server = server
        self._folder = server.data / "shoebox"
        self._is_prepared = False

    async def deliver(self, delivery: Delivery) -> None:
        await self._prepared()
        size = await self._server.in_thread(self._write, delivery)
        await self._server.database.write(_insert, delivery, size, int(self._server.now()))

    async def mailboxes(self, account: Account) -> Sequence[str]:
        await self._prepared()
        names: list[str] = await self._server.database.read(_names, account.id)
        return names if INBOX in names else [INBOX, *names]

    async def open(self, account: Account, name: str) -> ShoeboxMailbox:
        await self._prepared()
        database = self._server.database
        uidvalidity = await database.read(_uidvalidity, account.id, name)
        if uidvalidity is None and name == INBOX:
            uidvalidity = await database.write(_ensure, account.id, name, int(self._server.now()))
        if uidvalidity is None:
            raise NotFound(f"there is no mailbox {name}")
        return ShoeboxMailbox(self._server, self._folder, account.id, name, uidvalidity)

    async def _prepared(self) -> None:
        """The tables and the folder are there."""
        if not self._is_prepared:
            await self._server.in_thread(self._folder.mkdir, 0o700, True, True)
            await self._server.database.write(metadata.create_all)
            self._is_prepared = True

    def _write(self, delivery: Delivery) -> int:
        """Put prefix and content into a file, durably; returns its size."""
        path = self._folder / str(delivery.key)
        new = path.with_suffix(".new")
        with open(new, "wb") as file:
            file.write(delivery.prefix)
            for octets in delivery.content.chunks():
                file.write(octets)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        new.rename(path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return size


@implementer(IMailbox)
class ShoeboxMailbox:
    """One mailbox."""

    def __init__(self, server: IServer, folder: Path, account: int, name: str, uidvalidity: int) -> None:
        self.name = name
        self.uidvalidity = uidvalidity
        self._server = server
        self._folder = folder
        self._account = account

    async def messages(self) -> Sequence[Message]:
        found: list[Message] = await self._server.database.read(_listing, self._account, self.name)
        return found

    async def read(self, uid: int) -> AsyncIterator[bytes]:
        path = await self._path(uid)
        start = 0
        while octets := await self._server.in_thread(_read, path, start, CHUNK):
            yield octets
            start += len(octets)

    async def beginning(self, uid: int, count: int) -> bytes:
        return await self._server.in_thread(_read, await self._path(uid), 0, count)

    async def read_many(self, uids: Collection[int]) -> Mapping[int, bytes]:
        keys = await self._server.database.read(_keys, self._account, self.name, uids)
        return await self._server.in_thread(self._read_all, keys)

    async def remove(self, uids: Collection[int]) -> None:
        database = self._server.database
        keys = await database.read(_keys, self._account, self.name, uids)
        await database.write(_remove, self._account, self.name, list(keys))
        await self._server.in_thread(self._unlink, keys)

    async def _path(self, uid: int) -> Path:
        keys = await self._server.database.read(_keys, self._account, self.name, [uid])
        if uid not in keys:
            raise NotFound(f"there is no message {uid} in this mailbox")
        return self._folder / str(keys[uid])

    def _read_all(self, keys: Mapping[int, int]) -> dict[int, bytes]:
        found = {}
        for uid, key in keys.items():
            try:
                found[uid] = (self._folder / str(key)).read_bytes()
            except FileNotFoundError:
                continue        # somebody removed it in this moment
        return found

    def _unlink(self, keys: Mapping[int, int]) -> None:
        for key in keys.values():
            (self._folder / str(key)).unlink(missing_ok=True)


def _read(path: Path, start: int, count: int) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(start)
            return file.read(count)
    except FileNotFoundError:
        raise NotFound("the message has just been removed") from None


# What follows runs in the threads of the database, inside its transactions, and may run again after a rollback.


def _names(connection: Connection, account: int) -> list[str]:
    return list(connection.execute(select(boxes.c.name).where(boxes.c.account == account)).scalars())


def _uidvalidity(connection: Connection, account: int, name: str) -> int | None:
    return connection.execute(
        select(boxes.c.uidvalidity).where(boxes.c.account == account, boxes.c.name == name)
    ).scalar()


def _ensure(connection: Connection, account: int, name: str, now: int) -> int:
    """The mailbox is there; returns its UIDVALIDITY, which is the time when it was made."""
    there = _uidvalidity(connection, account, name)
    if there is not None:
        return there
    connection.execute(boxes.insert().values(account=account, name=name, uidvalidity=now & 0xFFFFFFFF, uidnext=1))
    return now & 0xFFFFFFFF


def _insert(connection: Connection, delivery: Delivery, size: int, now: int) -> None:
    if connection.execute(select(messages.c.uid).where(messages.c.key == delivery.key)).first() is not None:
        return
    account, name = delivery.account.id, delivery.mailbox
    _ensure(connection, account, name, now)
    # The row of the mailbox is locked by this, so that no two messages get the same UID.
    uidnext = connection.execute(
        update(boxes).where(boxes.c.account == account, boxes.c.name == name)
        .values(uidnext=boxes.c.uidnext + 1).returning(boxes.c.uidnext)
    ).scalar_one()
    connection.execute(messages.insert().values(
        account=account, box=name, uid=uidnext - 1, key=delivery.key, size=size, received=delivery.received,
        flags=delivery.flags,
    ))


def _of(account: int, name: str) -> tuple[Any, ...]:
    return messages.c.account == account, messages.c.box == name


def _listing(connection: Connection, account: int, name: str) -> list[Message]:
    columns = messages.c.uid, messages.c.size, messages.c.received, messages.c.flags
    rows = connection.execute(select(*columns).where(*_of(account, name)).order_by(messages.c.uid))
    return [Message(*row) for row in rows]


def _keys(connection: Connection, account: int, name: str, uids: Collection[int]) -> dict[int, int]:
    rows = connection.execute(
        select(messages.c.uid, messages.c.key).where(*_of(account, name), messages.c.uid.in_(list(uids)))
    )
    return {row.uid: row.key for row in rows}


def _remove(connection: Connection, account: int, name: str, uids: list[int]) -> None:
    connection.execute(delete(messages).where(*_of(account, name), messages.c.uid.in_(uids)))
