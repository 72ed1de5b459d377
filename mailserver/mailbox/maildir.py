"""``maildir``: mail in Maildir folders, a file a message, as other programs read it."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import attrs
from zope.interface import implementer

from mailserver.content import CHUNK
from mailserver.errors import NotFound, TemporaryFailure
from mailserver.ident import spell
from mailserver.interfaces import (
    ANSWERED,
    DELETED,
    DRAFT,
    FLAGGED,
    INBOX,
    SEEN,
    Account,
    Delivery,
    IMailbox,
    IMailboxStore,
    IServer,
    Message,
)
from mailserver.store.contents import sync_folder
from mailserver.store.engine import flock

_FLAGS = {"D": DRAFT, "F": FLAGGED, "R": ANSWERED, "S": SEEN, "T": DELETED}
_UIDS = "mailserver-uids"               # "3 V<uidvalidity> N<next uid>", then "<uid> :<file name without flags>"
_LEFTOVER = 36 * 3600                   # seconds after which a file in tmp/ is nobody's


def _template(instance: Any, attribute: Any, value: str) -> None:
    if "{domain}" not in value or "{local}" not in value:
        raise ValueError('"path" needs {domain} and {local} in it')


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
        folder = self._folder(delivery.account, delivery.mailbox)
        await self._server.in_thread(_deliver, folder, delivery)

    async def mailboxes(self, account: Account) -> Sequence[str]:
        return await self._server.in_thread(_mailboxes, self._folder(account, INBOX))

    async def open(self, account: Account, name: str) -> Any:
        folder = self._folder(account, name)
        if name != INBOX and not folder.is_dir():
            raise NotFound(f"there is no mailbox {name}")
        uidvalidity, rows = await self._server.in_thread(_listing, folder, self._server.now())
        return MaildirMailbox(self._server.in_thread, folder, name, uidvalidity, rows)

    def _folder(self, account: Account, mailbox: str) -> Path:
        address = account.address
        path = self._options.path.format(domain=safe_name(address.domain), local=safe_name(address.local.lower()))
        base = self._server.data / path
        return base if mailbox == INBOX else base / f".{safe_name(mailbox)}"


@dataclass(frozen=True, slots=True)
class _Row:
    message: Message
    name: str                   # of the file, without its flags


@implementer(IMailbox)
class MaildirMailbox:
    """One Maildir as it was when it was opened; files that other programs renamed since are found again."""

    def __init__(
        self, in_thread: Callable[..., Any], folder: Path, name: str, uidvalidity: int, rows: Sequence[_Row]
    ) -> None:
        self.name = name
        self.uidvalidity = uidvalidity
        self._in_thread = in_thread
        self._folder = folder
        self._rows = {row.message.uid: row for row in rows}

    async def messages(self) -> Sequence[Message]:
        self.uidvalidity, rows = await self._in_thread(_listing, self._folder, time.time())
        self._rows = {row.message.uid: row for row in rows}
        return [row.message for row in rows]

    async def read(self, uid: int) -> AsyncIterator[bytes]:
        descriptor = await self._in_thread(self._open, uid)
        try:
            start = 0
            while octets := await self._in_thread(os.pread, descriptor, CHUNK, start):
                start += len(octets)
                yield octets
        finally:
            os.close(descriptor)

    async def beginning(self, uid: int, count: int) -> bytes:
        descriptor = await self._in_thread(self._open, uid)
        try:
            octets: bytes = await self._in_thread(os.pread, descriptor, count, 0)
            return octets
        finally:
            os.close(descriptor)

    async def remove(self, uids: Collection[int]) -> None:
        await self._in_thread(self._remove, list(uids))

    def _open(self, uid: int) -> int:
        row = self._rows.get(uid)
        path = _find(self._folder, row.name) if row is not None else None
        if path is None:
            raise NotFound(f"there is no message {uid} in this mailbox")
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound(f"there is no message {uid} in this mailbox") from None

    def _remove(self, uids: list[int]) -> None:
        for uid in uids:
            row = self._rows.get(uid)
            path = _find(self._folder, row.name) if row is not None else None
            if path is not None:
                path.unlink(missing_ok=True)
        for part in ("new", "cur"):
            sync_folder(self._folder / part)


def safe_name(text: str) -> str:
    """A file name that stays where it is put: what could lead elsewhere is written %XX."""
    safe = re.sub(r"[^A-Za-z0-9_@+=~,\- \u0080-\U0010ffff.]", lambda found: f"%{ord(found[0]):02X}", text)
    return re.sub(r"^\.|(?<=\.)\.", "%2E", safe) or "%"


# -- in threads


def _make(folder: Path) -> None:
    for part in ("tmp", "new", "cur"):
        (folder / part).mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.name.startswith("."):
        (folder / "maildirfolder").touch()


def _find(folder: Path, name: str) -> Path | None:
    """The file of this name in new/ or cur/, whatever its flags."""
    plain = folder / "new" / name
    if plain.exists():
        return plain
    for path in (folder / "cur").glob(f"{name}*"):
        if path.name.partition(":")[0] == name:
            return path
    return plain if plain.exists() else None        # it may have moved while we looked


def _deliver(folder: Path, delivery: Delivery) -> None:
    """tmp, fsync, rename, fsync: found in new/ or cur/ means delivered."""
    try:
        _make(folder)
        name = f"{int(delivery.received)}.{spell(delivery.key)}.mailserver"
        if _find(folder, name) is not None or name in {each for _, each in _uids(folder)[2]}:
            return
        temporary = folder / "tmp" / f"{name}.{secrets.token_hex(4)}"
        try:
            with open(temporary, "xb", buffering=0) as file:
                os.fchmod(file.fileno(), 0o600)
                for octets in (delivery.prefix, *([] if delivery.content.is_large else [delivery.content.beginning])):
                    file.write(octets)
                if delivery.content.is_large:
                    for octets in delivery.content.chunks():
                        file.write(octets)
                os.fsync(file.fileno())
            os.utime(temporary, (delivery.received, delivery.received))
            flags = "".join(letter for letter, flag in sorted(_FLAGS.items()) if delivery.flags & flag)
            final = folder / "cur" / f"{name}:2,{flags}" if flags else folder / "new" / name
            os.rename(temporary, final)
            sync_folder(final.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise TemporaryFailure(f"the Maildir {folder} takes nothing: {error.strerror}") from None


def _mailboxes(base: Path) -> list[str]:
    found = [INBOX]
    if base.is_dir():
        found += [
            re.sub(r"%([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), entry.name[1:])
            for entry in sorted(os.scandir(base), key=lambda each: each.name)
            if entry.name.startswith(".") and (Path(entry.path) / "cur").is_dir()
        ]
    return found


def _uids(folder: Path) -> tuple[int, int, list[tuple[int, str]]]:
    """UIDVALIDITY, the next UID, and the UIDs given so far."""
    try:
        text = (folder / _UIDS).read_text("utf-8", "surrogateescape")
    except FileNotFoundError:
        return 0, 1, []
    first, *lines = text.split("\n")
    found = re.fullmatch(r"3 V(\d+) N(\d+)", first)
    if found is None:
        return 0, 1, []
    rows = []
    for line in lines:
        uid, colon, name = line.partition(" :")
        if colon and uid.isdigit():
            rows.append((int(uid), name))
    return int(found[1]), int(found[2]), rows


def _listing(folder: Path, now: float) -> tuple[int, list[_Row]]:
    """All messages; what has no UID yet gets the next one, which is written down before it is told."""
    _make(folder)
    with flock(folder / f"{_UIDS}.lock"):
        _clean(folder, now)
        files: dict[str, os.DirEntry[str]] = {}
        for part in ("new", "cur"):
            for entry in os.scandir(folder / part):
                if not entry.name.startswith("."):
                    files[entry.name.partition(":")[0]] = entry
        uidvalidity, following, known = _uids(folder)
        if not uidvalidity:
            uidvalidity = int(now) & 0xFFFFFFFF
        rows = [(uid, name) for uid, name in known if name in files]
        news = sorted(files.keys() - {name for _, name in known}, key=lambda name: (files[name].stat().st_mtime, name))
        for name in news:
            rows.append((following, name))
            following += 1
        if news or len(rows) != len(known):
            _write_uids(folder, uidvalidity, following, rows)
    listed = []
    for uid, name in rows:
        try:
            stat = files[name].stat()
        except FileNotFoundError:
            continue
        letters = files[name].name.partition(":2,")[2]
        flags = sum(_FLAGS.get(letter, 0) for letter in set(letters))
        listed.append(_Row(Message(uid, stat.st_size, stat.st_mtime, flags), name))
    return uidvalidity, listed


def _write_uids(folder: Path, uidvalidity: int, following: int, rows: Sequence[tuple[int, str]]) -> None:
    temporary = folder / f"{_UIDS}.new"
    with open(temporary, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(f"3 V{uidvalidity} N{following}\n")
        file.writelines(f"{uid} :{name}\n" for uid, name in rows)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, folder / _UIDS)
    sync_folder(folder)


def _clean(folder: Path, now: float) -> None:
    for entry in os.scandir(folder / "tmp"):
        if entry.stat().st_mtime < now - _LEFTOVER:
            os.unlink(entry.path)
