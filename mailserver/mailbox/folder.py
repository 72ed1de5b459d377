"""One Maildir on the disk.  Everything here blocks: call it in a thread."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from twisted.logger import Logger

from mailserver.content import CHUNK
from mailserver.errors import NotFound
from mailserver.ident import spell
from mailserver.interfaces import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, Delivery, Message
from mailserver.mailbox import uidlist
from mailserver.mailbox.lineends import LineEnds
from mailserver.mailbox.uidlist import UidList, write_durably
from mailserver.store.contents import sync_folder
from mailserver.store.engine import flock

log = Logger()

_FLAGS = {"D": DRAFT, "F": FLAGGED, "R": ANSWERED, "S": SEEN, "T": DELETED}
_OURS = ".mailserver"                   # how the names of our own files end: they hold the octets as they are sent
_LEFTOVER = 36 * 3600                   # seconds after which a file in tmp/ is nobody's (maildir(5))
_SENT_SIZE = re.compile(r",W=([0-9]+)")


@dataclass(frozen=True, slots=True)
class Listed:
    """A message of a listing, and the file in which it was then."""

    message: Message
    name: str                           # without its flags
    path: str


class Folder:
    """``tmp``, ``new`` and ``cur``, and beside them what we must remember."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._uids = path / "mailserver-uids"
        self._removing = path / "mailserver-removing"       # a removal that is decided and may not be done yet

    def exists(self) -> bool:
        """Whether it is there."""
        return (self.path / "cur").is_dir()

    def make(self) -> None:
        """Make it durably, if it is missing."""
        for part in ("tmp", "new", "cur"):
            _make_folder(self.path / part)
        marker = self.path / "maildirfolder"                # Maildir++: this belongs to the Maildir above it
        if self.path.name.startswith(".") and not marker.exists():
            marker.touch(mode=0o600)

    # -- delivering

    def deliver(self, delivery: Delivery) -> None:
        """tmp, fsync, rename, fsync; a file of that name in new/ or cur/ means that it was delivered before."""
        self.make()
        name = f"{int(delivery.received)}.{spell(delivery.key)}{_OURS}"
        if self._find(name) is not None:
            return
        temporary = self.path / "tmp" / f"{name}.{secrets.token_hex(4)}"
        try:
            _write_new(temporary, delivery)
            letters = "".join(letter for letter, flag in sorted(_FLAGS.items()) if delivery.flags & flag)
            final = self.path / "cur" / f"{name}:2,{letters}" if letters else self.path / "new" / name
            os.rename(temporary, final)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(final.parent)

    # -- listing

    def listing(self, now: float) -> tuple[int, list[Listed]]:
        """UIDVALIDITY and all messages, by UID; what has no UID yet gets the next one, durably, before it is told."""
        self.make()
        with self._locked():
            hidden = self._finish_removing()
            self._clean(now)
            files = self._scan()
            known = uidlist.read(self._uids)
            if known is None:
                known = UidList(max(1, int(now) & 0xFFFFFFFF))
            if not known.rows.keys() <= files.keys():
                files |= self._scan()       # another program may have renamed one while we looked
            stats = {name: stat for name, path in files.items() if name not in hidden and (stat := _stat(path))}
            gone = known.rows.keys() - stats.keys()
            new = sorted(stats.keys() - known.rows.keys(), key=lambda name: (stats[name].st_mtime_ns, name))
            for name in gone:
                del known.rows[name]
            for name in new:
                known.add(name, _sent_size(name, files[name]))
            if gone or new:
                known.write(self._uids)
        listed = []
        for name, row in known.rows.items():
            stat, path = stats[name], files[name]
            size = stat.st_size if row.size is None else row.size
            flags = sum(_FLAGS.get(letter, 0) for letter in set(path.rpartition(":2,")[2])) if ":2," in path else 0
            listed.append(Listed(Message(row.uid, size, stat.st_mtime, flags), name, path))
        return known.validity, listed

    def _scan(self) -> dict[str, str]:
        """The paths of all files in new/ and cur/, by their names without flags."""
        files = {}
        for part in ("new", "cur"):
            with os.scandir(self.path / part) as entries:
                for entry in entries:
                    # No symbolic links: they would lead to the files of others.
                    # A line feed would break the lines of the list.
                    name = entry.name
                    if name[0] != "." and "\n" not in name and entry.is_file(follow_symlinks=False):
                        files[name.partition(":")[0]] = entry.path
        return files

    def _clean(self, now: float) -> None:
        with os.scandir(self.path / "tmp") as entries:
            for entry in entries:
                stat = _stat(entry.path)
                if stat is not None and stat.st_mtime < now - _LEFTOVER:
                    _unlink(entry.path)

    def _locked(self) -> AbstractContextManager[None]:
        return flock(self.path / "mailserver-uids.lock")

    # -- reading

    def open(self, listed: Listed) -> OpenFile:
        """A message's file, wherever it is by now; raises `NotFound`."""
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        ends = None if listed.name.endswith(_OURS) else LineEnds()
        try:
            return OpenFile(os.open(listed.path, flags), ends)
        except FileNotFoundError:
            pass
        path = self._find(listed.name)
        try:
            if path is not None:
                return OpenFile(os.open(path, flags), ends)
        except FileNotFoundError:
            pass
        raise NotFound(f"there is no message {listed.message.uid} in this mailbox")

    def read(self, listed: Listed, count: int | None = None) -> bytes:
        """The first `count` octets, or all; raises `NotFound`."""
        with self.open(listed) as file:
            octets = b""
            while count is None or len(octets) < count:
                piece = file.read()
                if not piece:
                    break
                octets += piece
        return octets[:count]

    def read_many(self, wanted: Collection[Listed]) -> dict[int, bytes]:
        """Whole messages, by UID; those that are gone are left out."""
        found = {}
        for listed in wanted:
            try:
                found[listed.message.uid] = self.read(listed)
            except NotFound:
                continue
        return found

    def _find(self, name: str) -> str | None:
        """The path of the file of this name, whatever its flags."""
        plain = self.path / "new" / name
        if plain.exists():
            return str(plain)
        names = os.listdir(self.path / "cur")
        if name in "\0".join(names):                        # far faster than looking at each
            for each in names:
                if each.partition(":")[0] == name:
                    return str(self.path / "cur" / each)
        return None

    # -- removing

    def remove(self, wanted: Collection[Listed]) -> None:
        """All or none: it is written down what goes, and from then on it is gone, even if we are killed meanwhile."""
        if not wanted:
            return
        with self._locked():
            names = self._finish_removing() | {listed.name for listed in wanted}
            write_durably(self._removing, os.fsencode("\n".join(sorted(names))))
            self._finish_removing({listed.name: listed.path for listed in wanted})

    def _finish_removing(self, paths: dict[str, str] | None = None) -> set[str]:
        """Remove what was to be removed, which may lie at `paths`; returns the names that are still there."""
        try:
            names = os.fsdecode(self._removing.read_bytes()).split("\n")
        except FileNotFoundError:
            return set()
        try:
            left = set(names)
            for name, path in (paths or {}).items():
                if name in left and _unlink(path):
                    left.remove(name)
            if left:
                for name, path in self._scan().items():
                    if name in left:
                        _unlink(path)
            for part in ("new", "cur"):
                sync_folder(self.path / part)
            self._removing.unlink(missing_ok=True)
        except OSError as error:
            log.error("removed mail stays in {path}: {words}", path=str(self.path), words=error.strerror)
            return set(names)
        return set()


class OpenFile:
    """A message's file, read from its beginning in pieces of a bounded size."""

    __slots__ = ("_descriptor", "_ends")

    def __init__(self, descriptor: int, ends: LineEnds | None) -> None:
        self._descriptor = descriptor
        self._ends = ends

    def __enter__(self) -> OpenFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def read(self) -> bytes:
        """The next piece; empty behind the last."""
        octets = os.read(self._descriptor, CHUNK)
        return octets if self._ends is None else self._ends.feed(octets)

    def close(self) -> None:
        """Close the file; may be called again."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _make_folder(path: Path) -> None:
    """Make a folder, and those above it, and their names durable."""
    if path.is_dir():
        return
    _make_folder(path.parent)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return
    sync_folder(path.parent)


def _octets(delivery: Delivery) -> Iterator[bytes]:
    yield delivery.prefix
    yield from delivery.content.chunks()


def _write_new(path: Path, delivery: Delivery) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        for octets in _octets(delivery):
            view = memoryview(octets)
            while view:
                view = view[os.write(descriptor, view):]
        os.utime(descriptor, (delivery.received, delivery.received))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _unlink(path: str) -> bool:
    """Remove a file; whether it was there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def _sent_size(name: str, path: str) -> int | None:
    """How many octets are sent of a file that another program wrote; None for one of ours."""
    if name.endswith(_OURS):
        return None
    told = _SENT_SIZE.search(name)              # Dovecot writes it into the name
    if told is not None:
        return int(told[1])
    ends, size = LineEnds(), 0
    try:
        with OpenFile(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), ends) as file:
            while piece := file.read():
                size += len(piece)
    except FileNotFoundError:
        pass
    return size
