"""``maildir``: mail in Maildir folders, a file a message, as other programs read it."""

from __future__ import annotations

import re
import string
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from zope.interface import implementer

from mailserver.errors import NotFound, TemporaryFailure
from mailserver.interfaces import INBOX, Account, Delivery, IMailbox, IMailboxStore, IServer, Message
from mailserver.mailbox.folder import Folder, Listed

_UNSAFE = re.compile(r"[^A-Za-z0-9_@+=~,\- \u0080-\U0010ffff.]")
_DOTS = re.compile(r"^\.|(?<=\.)\.")
_QUOTED = re.compile(r"%([0-9A-F]{2})")


def _template(instance: Any, attribute: Any, value: str) -> None:
    try:
        names = sorted(name for _, name, _, _ in string.Formatter().parse(value) if name is not None)
    except ValueError as error:
        raise ValueError(f'"path": {error}') from None
    if names != ["domain", "local"]:
        raise ValueError('"path" needs {domain} and {local} in it, once each, and nothing else in braces')


@attrs.frozen
class MaildirOptions:
    """`path` is where an account's Maildir lies: ``/srv/mail/{domain}/{local}``; relative paths lie below the data."""

    path: str = attrs.field(default="maildir/{domain}/{local}", validator=_template)


@implementer(IMailboxStore)
class Maildir:
    """INBOX is the Maildir itself, every other mailbox a folder ``.Name`` in it (Maildir++)."""

    Options = MaildirOptions

    def __init__(self, options: MaildirOptions, server: IServer) -> None:
        self._options = options
        self._server = server

    async def deliver(self, delivery: Delivery) -> None:
        await self._ask(delivery.account, self._deliver, delivery)

    def _deliver(self, delivery: Delivery) -> None:
        if delivery.mailbox != INBOX:
            self._folder(delivery.account, INBOX).make()
        self._folder(delivery.account, delivery.mailbox).deliver(delivery)

    async def mailboxes(self, account: Account) -> Sequence[str]:
        names: Sequence[str] = await self._ask(account, _mailboxes, self._folder(account, INBOX).path)
        return names

    async def open(self, account: Account, name: str) -> Any:
        mailbox = MaildirMailbox(self._server, self._folder(account, name), name)
        await self._ask(account, mailbox.look)
        return mailbox

    async def _ask(self, account: Account, work: Any, *args: Any) -> Any:
        return await in_thread(self._server, f"the Maildir of {account.address}", work, *args)

    def _folder(self, account: Account, mailbox: str) -> Folder:
        # One folder for all spellings of an address.
        local, _, domain = account.address.key.rpartition("@")
        base = self._server.data / self._options.path.format(domain=safe_name(domain), local=safe_name(local))
        return Folder(base if mailbox == INBOX else base / folder_name(mailbox))


@implementer(IMailbox)
class MaildirMailbox:
    """One Maildir as it was when it was listed; files that other programs renamed since are found again."""

    def __init__(self, server: IServer, folder: Folder, name: str) -> None:
        self.name = name
        self.uidvalidity = 0
        self._server = server
        self._folder = folder
        self._listed: dict[int, Listed] = {}

    def look(self) -> None:
        """See what is there; blocks.  Raises `NotFound`."""
        if self.name != INBOX and not self._folder.exists():
            raise NotFound(f"there is no mailbox {self.name}")
        self.uidvalidity, listed = self._folder.listing(self._server.now())
        self._listed = {each.message.uid: each for each in listed}

    async def messages(self) -> Sequence[Message]:
        await self._ask(self.look)
        return [each.message for each in self._listed.values()]

    async def read(self, uid: int) -> AsyncIterator[bytes]:
        file = await self._ask(self._folder.open, self._pick(uid))
        try:
            while octets := await self._ask(file.read):
                yield octets
        finally:
            file.close()

    async def beginning(self, uid: int, count: int) -> bytes:
        octets: bytes = await self._ask(self._folder.read, self._pick(uid), count)
        return octets

    async def read_many(self, uids: Collection[int]) -> Mapping[int, bytes]:
        found: Mapping[int, bytes] = await self._ask(self._folder.read_many, self._some(uids))
        return found

    async def remove(self, uids: Collection[int]) -> None:
        await self._ask(self._folder.remove, self._some(uids))

    async def _ask(self, work: Any, *args: Any) -> Any:
        return await in_thread(self._server, f"the Maildir {self._folder.path}", work, *args)

    def _pick(self, uid: int) -> Listed:
        try:
            return self._listed[uid]
        except KeyError:
            raise NotFound(f"there is no message {uid} in this mailbox") from None

    def _some(self, uids: Collection[int]) -> list[Listed]:
        return [self._listed[uid] for uid in uids if uid in self._listed]


async def in_thread(server: IServer, what: str, work: Any, *args: Any) -> Any:
    """What blocking `work` returns; what the disk says instead is "not now"."""
    try:
        return await server.in_thread(work, *args)
    except OSError as error:
        raise TemporaryFailure(f"{what} cannot be used: {error.strerror}") from error


def safe_name(text: str) -> str:
    """A file name that stays where it is put: what could lead elsewhere is written %XX."""
    safe = _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", text)
    return _DOTS.sub("%2E", safe) or "%"


def folder_name(mailbox: str) -> str:
    """The Maildir++ folder of a mailbox: ``.Lists.cats`` for Lists/cats."""
    return "." + ".".join(safe_name(part).replace(".", "%2E") for part in mailbox.split("/"))


def mailbox_name(folder: str) -> str:
    """The mailbox that `folder_name` made this of."""
    parts = folder[1:].split(".")
    return "/".join("" if part == "%" else _QUOTED.sub(lambda found: chr(int(found[1], 16)), part) for part in parts)


def _mailboxes(base: Path) -> list[str]:
    try:
        names = [each.name for each in base.iterdir() if each.name.startswith(".") and Folder(each).exists()]
    except FileNotFoundError:
        names = []
    return [INBOX, *sorted(map(mailbox_name, names))]
