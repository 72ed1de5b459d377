"""One Maildir on the disk.  Everything here blocks: call it in a thread."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from twisted.logger import Logger

from mailserver.ident import spell
from mailserver.imapstore import Appended
from mailserver.interfaces import Delivery
from mailserver.mailbox.mailfile import OURS, OpenFile, base_name, flag_letters, with_letters, write_new
from mailserver.store.contents import sync_folder

log = Logger()

_LEFTOVER = 36 * 3600                   # seconds after which a file in tmp/ is nobody's (maildir(5))


class Folder:
    """``tmp``, ``new`` and ``cur``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        """Whether it is there; a link is not, for it would lead to the folders of others."""
        return _is_folder(self.path / "cur") and (not self.path.name.startswith(".") or _is_folder(self.path))

    def make(self) -> None:
        """Make it durably, if it is missing."""
        mode = self.mode()
        make_folder(self.path, mode)
        marker = self.path / "maildirfolder"                # Maildir++: this belongs to the Maildir above it
        if self.path.name.startswith(".") and not marker.exists():
            marker.touch(mode=0o600)
        for part in ("tmp", "new", "cur"):
            make_folder(self.path / part, mode)

    def mode(self) -> int:
        """Who may see it: those who may see the Maildir above it, for Dovecot renames nothing that differs there."""
        if not self.path.name.startswith("."):
            return 0o700
        try:
            return stat.S_IMODE(os.stat(self.path.parent).st_mode) & 0o777
        except FileNotFoundError:
            return 0o700

    # -- writing

    def deliver(self, delivery: Delivery) -> None:
        """tmp, fsync, rename, fsync; a file of that name in new/ or cur/ means that it was delivered before."""
        self.make()
        name = f"{int(delivery.received)}.{spell(delivery.key)}{OURS}"
        if self.find(name) is not None:
            return
        temporary = self.path / "tmp" / f"{name}.{secrets.token_hex(4)}"
        try:
            write_new(temporary, _octets(delivery), delivery.received, len)
            letters = flag_letters(delivery.flags)
            final = self.path / "cur" / with_letters(name, letters) if letters else self.path / "new" / name
            os.rename(temporary, final)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(final.parent)

    def prepare(self, message: Appended) -> tuple[Path, str]:
        """Write a message into tmp/, durably; where it is, and how it is to be called."""
        bare, before, size = 0, b"", 0

        def count(octets: bytes) -> None:
            nonlocal bare, before, size
            bare += octets.count(b"\n") - octets.count(b"\r\n") - (before == b"\r" and octets[:1] == b"\n")
            before, size = octets[-1:] or before, size + len(octets)

        name = f"{int(message.received)}.{spell(message.id)}{OURS}"
        temporary = self.path / "tmp" / f"{name}.{secrets.token_hex(4)}"
        try:
            write_new(temporary, message.content.chunks(), message.received, count)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        # S and W as Dovecot has them: octets of the file, and as Dovecot would send it.
        return temporary, f"{name},S={size},W={size + bare}"

    # -- looking

    def scan(self) -> dict[str, str]:
        """All files in new/ and cur/: ``new/x`` or ``cur/x:2,S``, by their names without flags."""
        files = {}
        for part in ("new", "cur"):
            with os.scandir(self.path / part) as entries:
                for entry in entries:
                    # No symbolic links: they would lead to the files of others.
                    # A line feed would break the lines of the list.
                    name = entry.name
                    if name[0] not in ".:" and "\n" not in name and entry.is_file(follow_symlinks=False):
                        files[base_name(name)] = f"{part}/{name}"
        return files

    def clean(self, now: float) -> None:
        """Remove from tmp/ what nobody will finish."""
        with os.scandir(self.path / "tmp") as entries:
            for entry in entries:
                try:
                    if entry.stat(follow_symlinks=False).st_mtime < now - _LEFTOVER:
                        os.unlink(entry.path)
                except OSError as error:
                    log.warn("{path} stays: {words}", path=entry.path, words=error.strerror)

    def find(self, base: str) -> str | None:
        """Where the file of this name is (``cur/x:2,S``), whatever its flags."""
        if os.path.lexists(self.path / "new" / base):
            return f"new/{base}"
        for part in ("cur", "new"):         # some programs leave files with flags in new/
            names = os.listdir(self.path / part)
            if base in "\0".join(names):                    # far faster than looking at each
                for each in names:
                    if base_name(each) == base:
                        return f"{part}/{each}"
        return None

    def open(self, place: str) -> OpenFile | None:
        """The file that was at `place`, wherever it is by now; None: it is gone.  Raises `OSError`."""
        base = base_name(place.partition("/")[2])
        for _ in range(3):
            try:
                return OpenFile(self.path / place, base)
            except FileNotFoundError:
                found = self.find(base)
                if found is None:
                    return None
                place = found
        return None


def make_folder(path: Path, mode: int = 0o700) -> None:
    """Make a folder, and those above it, for us alone, and their names durable."""
    if path.is_dir():
        return
    make_folder(path.parent)
    try:
        path.mkdir(mode=0o700)
        if mode != 0o700:
            path.chmod(mode)
    except FileExistsError:
        return
    sync_folder(path.parent)


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _octets(delivery: Delivery) -> Iterator[bytes]:
    yield delivery.prefix
    yield from delivery.content.chunks()
