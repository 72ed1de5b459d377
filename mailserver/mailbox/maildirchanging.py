"""What a session changes in a Maildir: flags are a file's name, and messages come, go and move as files.

The files change first, then the index is brought to them.  What is more than one file is decided in the index before,
so that all of it happens, or nothing.  The locks of the accounts are held, and everything blocks.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mailserver.errors import AlreadyExists, NotFound, OverQuota
from mailserver.imapstore import SYSTEM, Appended, Copied, Flags, Ranges, Stored
from mailserver.interfaces import DELETED, INBOX
from mailserver.mailbox import keywords, maildirsync, uidlist
from mailserver.mailbox.dotlock import dotlock
from mailserver.mailbox.folder import Folder
from mailserver.mailbox.home import Home
from mailserver.mailbox.maildirindex import Entry, Row
from mailserver.mailbox.mailfile import OURS, base_name, flag_letters, is_ours, letters_of, with_letters
from mailserver.store.contents import sync_folder

_ALL = [(1, 0xFFFFFFFF)]
_SYSTEM = frozenset("DFRST")
Steps = list[tuple[Path, Path | None]]


@dataclass(frozen=True, slots=True)
class Box:
    """Which mailbox a session means."""

    home: Home
    guid: str
    uidvalidity: int

    def now(self) -> Row:
        """As it is now; raises `NotFound`."""
        return self.home.row(self.guid, self.uidvalidity)


# -- flags


def store(box: Box, uids: Ranges, how: str, flags: Flags, unchanged_since: int | None) -> Stored:
    """See `mailserver.imapstore.IImapMailbox`; killed in the midst of it, some have the flags, and no answer came."""
    home, row = box.home, box.now()
    folder = home.folder(row.folder)
    entries = home.index.entries(row.id, uids)
    modified: list[int] = []
    if unchanged_since is not None:
        modified = [each.uid for each in entries if each.modseq > unchanged_since]
        entries = [each for each in entries if each.modseq <= unchanged_since]
    wanted = flag_letters(flags.system & SYSTEM)
    if entries or how != "-":
        wanted |= _letters(home, folder, flags.keywords, makes=how != "-" and bool(entries))
    touched = []
    parts: set[str] = set()
    for each in entries:
        was = _relabel(folder, each.place, how, wanted)
        if was:
            touched.append(each.uid)
            parts |= {was, "cur"}
    for part in parts:
        sync_folder(folder.path / part)
    row = home.sync(row.folder)
    now = {each.uid: each.flags for each in home.index.entries(row.id, uids)} if touched else {}
    return Stored([(uid, now[uid]) for uid in touched if uid in now], modified, row.modseq, row.names)


def _relabel(folder: Folder, place: str, how: str, wanted: set[str]) -> str:
    """Give a file the letters that it is to have, in cur/; where it was (new, cur) when that changed anything."""
    for _ in range(3):
        part, _, name = place.partition("/")
        had = letters_of(name)
        if how == "+":
            letters = had | wanted
        elif how == "-":
            letters = had - wanted
        else:                               # letters that are neither flags nor keywords are somebody else's
            letters = wanted | {each for each in had if each not in _SYSTEM and not "a" <= each <= "z"}
        if letters == had:
            return ""
        try:
            os.rename(folder.path / place, folder.path / "cur" / with_letters(base_name(name), letters))
            return part
        except FileNotFoundError:           # another program has just renamed it
            found = folder.find(base_name(name))
            if found is None:
                return ""
            place = found
    return ""


def _letters(home: Home, folder: Folder, names: object, makes: bool) -> set[str]:
    """The letters of keywords in a folder, which get new ones if need be."""
    wanted: list[str] = list(names)  # type: ignore[call-overload]
    if not wanted:
        return set()
    known, letters = keywords.letters_of(keywords.read(folder.path), wanted)
    if len(known) == len(keywords.read(folder.path)):
        return letters
    if not makes:
        return letters & keywords.read(folder.path).keys()
    with dotlock(folder.path / maildirsync.UIDS, home.times.disk_seconds):
        before = keywords.read(folder.path)
        known, letters = keywords.letters_of(before, wanted)
        if known != before:
            keywords.write(folder.path, known)
    return letters


def claim_recent(box: Box, until: int) -> None:
    """Whoever looks at messages moves them from new/ to cur/ (maildir(5))."""
    home, row = box.home, box.now()
    folder = home.folder(row.folder)
    moved = []
    for each in home.index.entries(row.id, [(row.recent, until - 1)]) if until > row.recent else []:
        if each.place.startswith("new/"):
            name = each.place[4:]
            place = f"cur/{name if ':2,' in name else with_letters(name, set())}"
            try:
                os.rename(folder.path / each.place, folder.path / place)
            except FileNotFoundError:
                continue                    # the next look finds where it is
            moved.append((os.fsencode(place), row.id, each.uid))
    with home.index.transaction():
        home.index.run_many("UPDATE message SET place = ? WHERE mailbox_id = ? AND uid = ?", moved)
        home.index.run("UPDATE mailbox SET recent = ? WHERE id = ? AND recent < ?", (until, row.id, until))


# -- expunge


def expunge(box: Box, uids: Ranges | None, only_deleted: bool = True) -> tuple[list[int], int]:
    """Those that are \\Deleted, or all of these."""
    home, row = box.home, box.now()
    going = [each for each in home.index.entries(row.id, uids) if not only_deleted or each.flags & DELETED]
    if not going:
        return [], row.modseq
    folder = home.folder(row.folder)
    _carry_out(home, [(folder.path / each.place, None) for each in going])
    return [each.uid for each in going], home.sync(row.folder).modseq


def _carry_out(home: Home, steps: Steps) -> None:
    if len(steps) > 1:
        home.index.decide(steps)
    home.finish(steps)


# -- append


def append(
    home: Home, name: str, messages: Sequence[Appended], replaces: tuple[Box, int] | None, limits: tuple[int, int]
) -> Copied:
    """All of them, or none; what is replaced goes with it."""
    row = home.find(name)
    folder = home.folder(row.folder)
    going: list[tuple[Path, Path | None]] = []
    freed, source = (0, 0), None
    if replaces is not None:
        source = replaces[0].now()
        entry = replaces[0].home.index.entry(source.id, replaces[1])
        if entry is None:
            raise NotFound("what was to be replaced is gone")
        going = [(replaces[0].home.folder(source.folder).path / entry.place, None)]
        if replaces[0].home is home:
            freed = (entry.size, 1)
    home.need_room(limits, sum(each.content.size for each in messages) - freed[0], len(messages) - freed[1])
    ready: list[tuple[Path, str, set[str]]] = []
    try:
        for each in messages:
            temporary, base = folder.prepare(each)
            ready.append((temporary, base, set()))
        for (_, _, letters), each in zip(ready, messages, strict=True):
            letters |= flag_letters(each.flags.system & SYSTEM)
            letters |= _letters(home, folder, each.flags.keywords, makes=True)
        sync_folder(folder.path / "tmp")
        targets = _place(home, row, [(*each, ()) for each in ready], going)
    except BaseException:
        for temporary, _, _ in ready:
            temporary.unlink(missing_ok=True)
        raise
    home.sync(row.folder)
    if replaces is not None and source is not None:
        replaces[0].home.sync(source.folder)
    return Copied(row.uidvalidity, [], targets)


def _place(
    home: Home, row: Row, ready: Sequence[tuple[Path, str, set[str], tuple[str, ...]]], going: Steps
) -> list[int]:
    """Files that are ready come into cur/ under these names and with the next UIDs, which are returned."""
    folder = home.folder(row.folder)
    path = folder.path / maildirsync.UIDS
    with dotlock(path, home.times.disk_seconds):
        found = uidlist.read(path)
        if found is None or (found.guid, found.validity) != (row.guid, row.uidvalidity):
            raise NotFound("the mailbox was made anew")
        found.following = max(found.following, row.uidnext)
        if found.following + len(ready) > 0xFFFFFFFF:
            raise OverQuota("this mailbox has no more UIDs; make another")
        steps: Steps = [(file, folder.path / "cur" / with_letters(base, letters)) for file, base, letters, _ in ready]
        _carry_out(home, steps + going)
        # What another program has put there meanwhile gets its UID behind these.
        added = {base: found.add(base, *fields) for _, base, _, fields in ready}
        uidlist.append(path, added)
    return [each.uid for each in added.values()]


# -- copy and move


def copy(box: Box, uids: Ranges, home: Home, name: str, move: bool, limits: tuple[int, int]) -> Copied:
    """To a mailbox of `home`, which may be another account's: as another name of the same file, where that can be."""
    source, to = box.now(), home.find(name)
    here, there = box.home.folder(source.folder), home.folder(to.folder)
    entries = box.home.index.entries(source.id, uids)
    if not entries:
        return Copied(to.uidvalidity, [], [])
    if not (move and box.home is home):
        home.need_room(limits, sum(each.size for each in entries), len(entries))
    known = uidlist.read(here.path / maildirsync.UIDS)
    translated = _translation(box.home, here, home, there, entries)
    ready: list[tuple[Path, str, set[str], tuple[str, ...]]] = []
    copied: list[Entry] = []
    made: list[Path] = []
    try:
        for each in entries:
            name_here = each.place.partition("/")[2]
            base = base_name(name_here)
            listed = known.rows.get(base) if known is not None else None
            guid = (listed.get("G") if listed is not None else None) or base
            size = (f"W{each.size}",) if ",W=" not in base and not is_ours(base) else ()
            called = _copy_name(base, each.received)
            letters = {translated.get(letter, letter) for letter in letters_of(name_here)} - {""}
            at = here.path / each.place
            if not move or not _same_disk(here, there):
                linked = there.path / "tmp" / f"{called}.{secrets.token_hex(4)}"
                if not _link(here, each.place, linked):
                    continue
                made.append(linked)
                at = linked
            elif not at.exists():
                found = here.find(base)
                if found is None:
                    continue
                at = here.path / found
            ready.append((at, called, letters, (*size, f"G{guid}")))
            copied.append(each)
        if not ready:
            return Copied(to.uidvalidity, [], [])
        going: Steps = [(here.path / each.place, None) for each in copied] if move and made else []
        targets = _place(home, to, ready, going)
    except BaseException:
        for each_made in made:
            each_made.unlink(missing_ok=True)
        raise
    saved = home.sync(to.folder)
    if move:
        sync_folder(here.path / "cur")
        box.home.sync(source.folder)
    _pass_on(box.home, copied, home, saved, targets)
    return Copied(to.uidvalidity, [each.uid for each in copied], targets)


def _pass_on(source: Home, entries: Sequence[Entry], home: Home, row: Row, targets: Sequence[int]) -> None:
    """What was counted need not be counted again."""
    sure = [(uid, each.size) for each, uid in zip(entries, targets, strict=True) if each.is_sure]
    with home.index.transaction():
        home.index.put_sizes(row.id, sure)


def _copy_name(base: str, received: float) -> str:
    """Another name for the same file: the end that tells whose line ends it has, and its sizes, stay."""
    _, comma, sizes = base.partition(",")
    return f"{int(received)}.{secrets.token_hex(10)}{OURS if is_ours(base) else '.copy'}{comma}{sizes}"


def _translation(source: Home, here: Folder, target: Home, there: Folder, entries: Sequence[Entry]) -> dict[str, str]:
    """The letters there of keywords here, "" where there is none left; of those that messages have."""
    if here.path == there.path:
        return {}
    used = set().union(*(letters_of(each.place) for each in entries))
    names = {letter: name for letter, name in keywords.read(here.path).items() if letter in used}
    result = dict.fromkeys((letter for letter in used if "a" <= letter <= "z"), "")
    _letters(target, there, list(names.values()), makes=True)
    now = {name.casefold(): letter for letter, name in keywords.read(there.path).items()}
    return result | {letter: now.get(name.casefold(), "") for letter, name in names.items()}


def _same_disk(here: Folder, there: Folder) -> bool:
    return os.stat(here.path / "cur").st_dev == os.stat(there.path / "cur").st_dev


def _link(folder: Folder, place: str, target: Path) -> bool:
    """The file under another name, or a copy of it where the disk has no such names; False: it is gone."""
    for _ in range(3):
        try:
            os.link(folder.path / place, target, follow_symlinks=False)
            return True
        except FileNotFoundError:
            found = folder.find(base_name(place.partition("/")[2]))
            if found is None:
                return False
            place = found
        except OSError:
            with open(folder.path / place, "rb") as file, open(target, "xb") as other:
                shutil.copyfileobj(file, other)
                other.flush()
                os.fsync(other.fileno())
            shutil.copystat(folder.path / place, target)
            return True
    return False


# -- INBOX


def rename_inbox(home: Home, new: str) -> None:
    """Its messages go to a new mailbox, and it stays, empty (RFC 9051 6.3.6)."""
    if new == INBOX or home.folder(home.key(new)).exists():
        raise AlreadyExists(f"there is a mailbox {new} already")
    row = home.find(INBOX)
    home.create(new, "")
    copy(Box(home, row.guid, row.uidvalidity), _ALL, home, new, True, (0, 0))
