"""One account's Maildir++: its folders, and one lock and one index for all of them.  Everything here blocks."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from twisted.logger import Logger

from mailserver.errors import AlreadyExists, NotFound, OverQuota
from mailserver.imapstore import SPECIAL_USES, Quota, Status
from mailserver.interfaces import INBOX, Delivery
from mailserver.mailbox import maildirsync, subscribed, uidlist
from mailserver.mailbox.folder import Folder, make_folder
from mailserver.mailbox.maildirindex import Index, IndexBroken, Row
from mailserver.mailbox.maildirnames import check_name, folder_name, mailbox_name
from mailserver.mailbox.maildirsync import Lists, Stamp, Times
from mailserver.mailbox.mailfile import base_name
from mailserver.mailbox.uidlist import UidList, write_durably
from mailserver.store.contents import sync_folder

log = Logger()

USE = "mailserver-use"              # in a folder: the special use that it was made for
_LOCK = "mailserver-index.lock"
_TRASH = "mailserver-gone"          # how folders begin that are being deleted
_VALIDITY = "dovecot-uidvalidity"   # the newest UIDVALIDITY that was given, as Dovecot keeps it
MOST_MAILBOXES = 10_000             # of one account
_USE_OF = {name: use for use, name in SPECIAL_USES.items()}


class Home:
    """`base` is INBOX; `owner` the number of the account."""

    def __init__(self, base: Path, owner: int, now: Callable[[], float]) -> None:
        self.base = base
        self.owner = owner
        self.index = Index(base)
        self.times = Times(0.0, 0)
        self._now = now
        self._seen: dict[bytes, Stamp] = {}     # of folders whose files are all in the index
        self._lists: Lists = {}
        self._is_tidy = False

    # -- the lock

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else of ours changes anything meanwhile; what was decided before is done."""
        make_folder(self.base)
        handle = os.open(self.base / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            os.utime(handle)
            self.times = Times(self._now(), os.fstat(handle).st_mtime_ns)
            self.index.open()
            self._settle()
            self._tidy()
            self.finish()
            yield
        except IndexBroken as error:
            log.error("the index in {path} is made anew: {words}", path=str(self.base), words=str(error))
            self.index.throw_away()
            raise
        finally:
            os.close(handle)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """The index as it is."""
        self.times = Times(self._now(), self.times.disk)
        self.index.open()
        yield

    def close(self) -> None:
        """Nothing stays open."""
        self.index.close()

    def _settle(self) -> None:
        """A new account gets INBOX and the mailboxes for special uses; one that comes from elsewhere has its own."""
        inbox = Folder(self.base)
        if inbox.exists():
            return
        if not self.keys()[1:]:
            for name in _USE_OF:
                self._make(name, "")
            if not (self.base / subscribed.FILE).exists():
                subscribed.change(self.base, [INBOX, *_USE_OF], True, self.times.disk_seconds)
        inbox.make()

    def _tidy(self) -> None:
        """What a crash may have left: once is enough."""
        if self._is_tidy:
            return
        self._is_tidy = True
        for each in self.base.glob(f"{_TRASH}.*"):
            _remove_tree(each)
        for key in self.keys():
            self.folder(key).clean(self._now())

    def finish(self, steps: Sequence[tuple[Path, Path | None]] | None = None) -> None:
        """Do what was decided: all of it, also when we were killed in the midst of it."""
        if steps is None:
            steps = self.index.decided()
        if not steps:
            return
        folders = set()
        for source, target in steps:
            if source.is_dir():
                if target is not None:
                    os.rename(source, target)
                    folders |= {source.parent, target.parent}
                continue
            folders |= {source.parent, *([target.parent] if target is not None else [])}
            if target is None or not target.exists():
                _do(source, target)
        for each in folders:
            if each.is_dir():
                sync_folder(each)
        self.index.done()

    # -- folders

    def key(self, name: str) -> bytes:
        """The folder's name on the disk: of INBOX it is empty."""
        return b"" if name == INBOX else os.fsencode(folder_name(name))

    def folder(self, key: bytes) -> Folder:
        """Where it lies."""
        return Folder(self.base / os.fsdecode(key) if key else self.base)

    def name(self, key: bytes) -> str:
        """The mailbox of a folder."""
        return (mailbox_name(os.fsdecode(key)) or "") if key else INBOX

    def keys(self) -> list[bytes]:
        """All folders, INBOX first."""
        found = []
        with os.scandir(self.base) as entries:
            for entry in entries:
                is_one = entry.name[0] == "." and mailbox_name(entry.name) not in (None, INBOX)
                if is_one and Folder(Path(entry.path)).exists():
                    found.append(os.fsencode(entry.name))
        return [b"", *sorted(found)]

    def mailboxes(self) -> list[str]:
        """Their names."""
        return sorted(map(self.name, self.keys()))

    def sync(self, key: bytes) -> Row:
        """The mailbox as it is now; raises `NotFound`."""
        folder = self.folder(key)
        row = self.index.mailbox("folder", key)
        if not folder.exists():
            if row is not None:
                with self.index.transaction():
                    self.index.drop_mailbox(row.id)
            raise NotFound(f"there is no mailbox {self.name(key)}")
        stamp = maildirsync.stamp(folder)
        if row is not None and self._seen.get(key) == stamp:
            return row
        row = maildirsync.sync(
            self.index, key, folder, self.times, self._new_validity, self._holds, self._lists
        )
        self._seen.pop(key, None)
        if maildirsync.is_settled(stamp, self.times):
            self._seen[key] = stamp
        return row

    def row(self, guid: str, uidvalidity: int) -> Row:
        """The mailbox with this identity as it is now, wherever its folder is; raises `NotFound`."""
        for is_last in (False, True):
            row = self.index.mailbox("guid", guid)
            if row is not None:
                try:
                    row = self.sync(row.folder)
                except NotFound:
                    row = None
            if row is not None and row.guid == guid:
                break
            if is_last:
                raise NotFound("the mailbox has been deleted")
            for key in self.keys():             # the index is new, or another program has renamed the folder
                self.sync(key)
        assert row is not None
        if row.uidvalidity != uidvalidity:
            raise NotFound("the mailbox was made anew")
        return row

    def find(self, name: str) -> Row:
        """The mailbox of this name as it is now; raises `NotFound`."""
        return self.sync(self.key(name))

    def _holds(self, row: Row) -> bool:
        """Whether the folder that a row speaks of is still the one with its GUID."""
        found = uidlist.read(self.folder(row.folder).path / maildirsync.UIDS)
        return found is not None and found.guid == row.guid and self.folder(row.folder).exists()

    # -- delivery

    def deliver(self, delivery: Delivery) -> None:
        """Into new/ or cur/; nothing of the index is asked."""
        if not Folder(self.base).exists():
            with self.locked():
                pass
        folder = self.folder(self.key(delivery.mailbox))
        if not folder.exists():
            check_name(delivery.mailbox)
        folder.deliver(delivery)

    # -- making and removing

    def create(self, name: str, use: str) -> Status:
        """See `mailserver.imapstore.IImapStore`."""
        check_name(name)
        keys = self.keys()
        if name == INBOX or self.folder(self.key(name)).exists():
            raise AlreadyExists(f"there is a mailbox {name} already")
        if use:
            other = next((each for each, had in self.uses(keys).items() if had == use), None)
            if other is not None:
                raise AlreadyExists(f"{other} has this use already")
        if len(keys) >= MOST_MAILBOXES:
            raise OverQuota(f"an account may have {MOST_MAILBOXES} mailboxes")
        self._make(name, use)
        [made] = self.status({name})
        return made

    def _make(self, name: str, use: str) -> None:
        folder = self.folder(self.key(name))
        path, mode = folder.path, folder.mode()
        for part in (path, path / "tmp", path / "new"):
            part.mkdir(mode=mode, exist_ok=True)
            part.chmod(mode)
        (path / "maildirfolder").touch(mode=0o600)
        if use or (name in _USE_OF and _USE_OF[name] in self.uses(self.keys()).values()):
            write_durably(path / USE, use.encode())
        UidList(self._new_validity(), guid=secrets.token_hex(16)).write(path / maildirsync.UIDS)
        (path / "cur").mkdir(mode=mode)             # from now on it is there
        (path / "cur").chmod(mode)
        sync_folder(path)
        sync_folder(self.base)

    def _new_validity(self) -> int:
        """A UIDVALIDITY that no mailbox here had before."""
        given = [int(found, 16) for each in self.base.glob(f"{_VALIDITY}.*") if _is_hex(found := each.suffix[1:])]
        [(known,)] = self.index.fetch("SELECT MAX(uidvalidity) FROM mailbox")
        value = max(int(self.times.now), *(each + 1 for each in given), (known or 0) + 1, 1) & 0xFFFFFFFF or 1
        (self.base / f"{_VALIDITY}.{value:08x}").touch(mode=0o600)
        for each in given:
            (self.base / f"{_VALIDITY}.{each:08x}").unlink(missing_ok=True)
        (self.base / _VALIDITY).write_bytes(b"%08x" % value)
        return value

    def delete(self, name: str) -> str:
        """Returns the identity of what was deleted."""
        if name == INBOX:
            raise AlreadyExists("INBOX cannot be deleted")
        row = self.find(name)
        self._throw_away(row)
        return row.guid

    def _throw_away(self, row: Row) -> None:
        trash = self.base / f"{_TRASH}.{secrets.token_hex(8)}"
        os.rename(self.folder(row.folder).path, trash)      # at once and whole
        sync_folder(self.base)
        with self.index.transaction():
            self.index.drop_mailbox(row.id)
        _remove_tree(trash)

    def rename(self, old: str, new: str) -> None:
        """See `mailserver.imapstore.IImapStore`; not for INBOX."""
        names = {self.name(key): key for key in self.keys()}
        moved = {name: new + name[len(old):] for name in names if name == old or name.startswith(f"{old}/")}
        if not moved:
            raise NotFound(f"there is no mailbox {old}")
        if new.startswith(f"{old}/"):
            raise AlreadyExists(f"{new} lies below {old}")
        taken = sorted(set(moved.values()) & names.keys())
        if taken:
            raise AlreadyExists(f"there is a mailbox {taken[0]} already")
        for each in moved.values():
            check_name(each)
        uses, steps = self.uses(list(names.values())), []
        for name, called in moved.items():
            source, target = self.folder(names[name]).path, self.folder(self.key(called)).path
            self.sync(names[name])
            if target.exists():             # what is no mailbox, but in the way
                os.rename(target, self.base / f"{_TRASH}.{secrets.token_hex(8)}")
            if not (source / USE).exists():
                write_durably(source / USE, uses[name].encode())        # the name says it no more
            steps.append((source, target))
        self.index.decide(steps)
        self.finish(steps)
        with self.index.transaction():
            for name, called in moved.items():
                self.index.run("UPDATE mailbox SET folder = ? WHERE folder = ?", (self.key(called), names[name]))
        self._seen.clear()
        self._lists.clear()
        self._is_tidy = False

    # -- what there is

    def uses(self, keys: Collection[bytes]) -> dict[str, str]:
        """The special uses of all mailboxes, by their names; each is one mailbox's only."""
        said: dict[str, str | None] = {}
        for key in keys:
            try:
                with open(self.folder(key).path / USE, encoding="ascii", errors="replace") as file:
                    use = file.read(40).strip()
                said[self.name(key)] = use if use in SPECIAL_USES else ""
            except FileNotFoundError:
                said[self.name(key)] = None
        found, taken = {}, set()
        for name, told in sorted(said.items(), key=lambda each: (not each[1], each[0])):
            use = _USE_OF.get(name, "") if told is None else told
            found[name] = "" if use in taken else use
            taken |= {use} - {""}
        return found

    def status(self, names: Collection[str] | None) -> list[Status]:
        """Those of these names, or all, by name."""
        keys = self.keys()
        uses, found = self.uses(keys), []
        for key in keys:
            name = self.name(key)
            if names is not None and name not in names:
                continue
            try:
                row = self.sync(key)
            except NotFound:
                continue
            found.append(Status(
                name, self.id(row), row.uidvalidity, row.uidnext, row.modseq, row.messages, row.unseen, row.octets,
                self.recent(row), uses[name],
            ))
        if names is None:
            self._forget_others(keys)
        return sorted(found, key=lambda each: each.name)

    def recent(self, row: Row) -> int:
        """How many messages no session was told of."""
        if row.recent >= row.uidnext:
            return 0
        text = "SELECT COUNT(*) FROM message WHERE mailbox_id = ? AND uid >= ?"
        return int(self.index.fetch(text, (row.id, row.recent))[0][0])

    def id(self, row: Row) -> str:
        """Its MAILBOXID (RFC 8474 4.1): Dovecot's GUID, which a copied folder may share with one of somebody else."""
        return f"{self.owner:x}-{row.guid}-{row.uidvalidity:x}"

    def _forget_others(self, keys: Collection[bytes]) -> None:
        for id, key in self.index.fetch("SELECT id, folder FROM mailbox"):
            if key not in keys:
                with self.index.transaction():
                    self.index.drop_mailbox(id)

    def quota(self, limits: tuple[int, int]) -> Quota:
        """What there is, and may be."""
        for key in self.keys():
            self.sync(key)
        octets, messages = self.index.used()
        return Quota(octets, limits[0], messages, limits[1])

    def need_room(self, limits: tuple[int, int], octets: int, messages: int) -> None:
        """Raises `OverQuota`."""
        if any(limits) and not self.quota(limits).has_room(octets, messages):
            raise OverQuota("there is no room for it: the quota is used up")


def _do(source: Path, target: Path | None) -> None:
    """Rename a file or remove it, wherever its flags have brought it meanwhile."""
    for _ in range(3):
        try:
            if target is None:
                os.unlink(source)
            else:
                os.rename(source, target)
            return
        except FileNotFoundError:
            folder = Folder(source.parent.parent)
            found = folder.find(base_name(source.name)) if source.parent.name != "tmp" and folder.exists() else None
            if found is None:
                return                          # done before, or somebody else has removed it
            source = folder.path / found


def _is_hex(text: str) -> bool:
    return len(text) == 8 and all(each in "0123456789abcdef" for each in text)


def _remove_tree(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
        return
    shutil.rmtree(path, onerror=_stays)


def _stays(function: object, path: str, error: object) -> None:
    log.warn("{path} stays", path=path)
