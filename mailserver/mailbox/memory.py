"""``memory``: mailboxes that end with the process, for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zope.interface import implementer

from mailserver.content import CHUNK
from mailserver.errors import NotFound
from mailserver.interfaces import INBOX, Account, Delivery, IMailbox, IMailboxStore, IServer, Message, NoOptions


@dataclass(eq=False)
class _Box:
    uidvalidity: int
    uidnext: int = 1
    keys: set[int] = field(default_factory=set)
    messages: dict[int, tuple[Message, bytes]] = field(default_factory=dict)


@implementer(IMailboxStore)
class Memory:
    """Mail in dictionaries."""

    Options = NoOptions

    def __init__(self, options: NoOptions, server: IServer) -> None:
        self._server = server
        self._boxes: dict[tuple[int, str], _Box] = {}

    async def deliver(self, delivery: Delivery) -> None:
        octets = b"".join(await self._server.in_thread(lambda: [delivery.prefix, *delivery.content.chunks()]))
        box = self._box(delivery.account, delivery.mailbox)
        if delivery.key in box.keys:
            return
        box.keys.add(delivery.key)
        message = Message(box.uidnext, len(octets), delivery.received, delivery.flags)
        box.messages[box.uidnext] = (message, octets)
        box.uidnext += 1

    async def mailboxes(self, account: Account) -> Sequence[str]:
        self._box(account, INBOX)
        return sorted(name for id, name in self._boxes if id == account.id)

    async def open(self, account: Account, name: str) -> Any:
        if name == INBOX:
            self._box(account, INBOX)
        box = self._boxes.get((account.id, name))
        if box is None:
            raise NotFound(f"there is no mailbox {name}")
        return MemoryMailbox(name, box)

    def _box(self, account: Account, name: str) -> _Box:
        return self._boxes.setdefault((account.id, name), _Box(int(self._server.now()) & 0xFFFFFFFF))


@implementer(IMailbox)
class MemoryMailbox:
    """One of them."""

    def __init__(self, name: str, box: _Box) -> None:
        self.name = name
        self.uidvalidity = box.uidvalidity
        self._box = box

    async def messages(self) -> Sequence[Message]:
        return [message for message, _ in self._box.messages.values()]

    async def read(self, uid: int) -> AsyncIterator[bytes]:
        octets = self._octets(uid)
        for start in range(0, len(octets), CHUNK):
            yield octets[start : start + CHUNK]

    async def beginning(self, uid: int, count: int) -> bytes:
        return self._octets(uid)[:count]

    async def read_many(self, uids: Collection[int]) -> Mapping[int, bytes]:
        return {uid: self._box.messages[uid][1] for uid in uids if uid in self._box.messages}

    async def remove(self, uids: Collection[int]) -> None:
        for uid in uids:
            self._box.messages.pop(uid, None)

    def _octets(self, uid: int) -> bytes:
        try:
            return self._box.messages[uid][1]
        except KeyError:
            raise NotFound(f"there is no message {uid} in this mailbox") from None
