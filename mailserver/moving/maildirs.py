"""A Maildir++ as a source: Dovecot's, Courier's, or our own."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from mailserver.errors import NotFound
from mailserver.imapstore import Flags
from mailserver.mailbox import keywords, subscribed, uidlist
from mailserver.mailbox.maildirnames import mailbox_name
from mailserver.mailbox.mailfile import OpenFile, base_name, is_ours, letters_of, system_flags
from mailserver.moving.source import Damaged, Folder, Item, decoded_mailbox

LAST = 1 << 62              # stands behind all UIDs: files that nobody gave one


class Maildirs:
    """See `mailserver.moving.source.Source`; nothing is changed, and no link is followed.

    Messages come in the order of their UIDs, then of the times of their files.
    """

    def __init__(self, path: Path, into: str = "") -> None:
        """Raises `NotFound` when that is no Maildir."""
        if not (path / "cur").is_dir():
            raise NotFound(f"{path} is no Maildir: it has no folder cur")
        self.identity = f"maildir:{path.resolve()}"
        self.skipped: list[tuple[str, str]] = []
        self._path = path
        self._into = into
        self._folders = dict(self._found())
        self.total = sum(len(self._files(folder)) for folder in self._folders.values())

    def folders(self) -> list[Folder]:
        names = set(subscribed.read(self._path))
        return [Folder(decoded_mailbox(name, self._into), "", name in names) for name in self._folders]

    def items(self, is_done: Callable[[str], bool], advance: Callable[[int], None]) -> Iterator[Item]:
        for name, folder in self._folders.items():
            yield from self._items_of(name, folder, is_done, advance)

    def _found(self) -> Iterator[tuple[str, Path]]:
        yield "INBOX", self._path
        for each in sorted(os.scandir(self._path), key=lambda entry: entry.name):
            if not each.name.startswith(".") or each.name in (".", "..") or not each.is_dir(follow_symlinks=False):
                continue
            folder = self._path / each.name
            if not (folder / "cur").is_dir():
                continue
            name = mailbox_name(each.name)
            if name is None:
                self.skipped.append((each.name, "no mailbox can be called so"))
            else:
                yield name, folder

    def _files(self, folder: Path) -> list[tuple[str, str]]:
        found = []
        for part in ("new", "cur"):
            try:
                found += [(part, each.name) for each in os.scandir(folder / part) if not each.name.startswith(".")]
            except OSError as error:
                self.skipped.append((f"{folder.name}/{part}", str(error)))
        return found

    def _items_of(
        self, name: str, folder: Path, is_done: Callable[[str], bool], advance: Callable[[int], None]
    ) -> Iterator[Item]:
        known = uidlist.read(folder / "dovecot-uidlist")
        rows = known.rows if known is not None else {}
        words = keywords.read(folder)
        files = []
        for part, file in self._files(folder):
            advance(1)
            path, base = folder / part / file, base_name(file)
            try:
                about = os.lstat(path)
            except OSError as error:
                self._skip(name, file, str(error))
                continue
            if not stat.S_ISREG(about.st_mode):
                self._skip(name, file, "it is no file")
                continue
            row = rows.get(base)
            files.append((row.uid if row is not None else LAST, about.st_mtime, base, path))
        for _, received, base, path in sorted(files):
            key = f"{name}\n{os.fsencode(base).decode('utf-8', 'backslashreplace')}"
            if is_done(key):
                continue
            letters = letters_of(path.name)
            flags = Flags(system_flags(letters), [words[each] for each in sorted(letters) if each in words])
            yield Item(key, decoded_mailbox(name, self._into), flags, _received(base, received), _reader(path, base))

    def _skip(self, name: str, file: str, why: str) -> None:
        self.skipped.append((f"{name}: {file}", why))


def _received(base: str, changed: float) -> float:
    """In our own names it is what they begin with; others' files are as old as their messages."""
    seconds = base.partition(".")[0]
    return float(seconds) if is_ours(base) and seconds.isdigit() and len(seconds) < 12 else float(int(changed))


def _reader(path: Path, base: str) -> Callable[[], Iterator[bytes]]:
    def octets() -> Iterator[bytes]:
        try:
            with OpenFile(path, base) as file:
                while piece := file.read():
                    yield piece
        except OSError as error:
            raise Damaged(str(error)) from None

    return octets
