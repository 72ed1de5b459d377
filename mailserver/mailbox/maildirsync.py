"""The index is brought to what the files of a folder say, whoever changed them; new files get their UIDs.

The files and ``dovecot-uidlist`` are the truth.  A file that is renamed while the folder is read may be missed by that
reading: what was known is missing only when a second reading does not find it either.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

from twisted.logger import Logger

from mailserver.errors import NotFound, OverQuota
from mailserver.imapstore import KEYWORD, MOST_KEYWORDS
from mailserver.mailbox import keywords, uidlist
from mailserver.mailbox.dotlock import dotlock
from mailserver.mailbox.folder import Folder
from mailserver.mailbox.maildirindex import Entry, Index, Row
from mailserver.mailbox.mailfile import OpenFile, base_name, is_ours, letters_of, system_flags, told_size
from mailserver.mailbox.uidlist import UidList

log = Logger()

UIDS = "dovecot-uidlist"
_FORMER = "mailserver-uids"             # where earlier versions of this program kept the list
_DEAD = 100                             # lines of files that are gone, from which on the list may be written anew
_MOST_LISTS = 3                         # of an account that are kept in memory
_CLOSE = 50_000_000                     # nanoseconds in which two changes may have the same date
_CLOSE_COARSE = 2_000_000_000           # the same where the disk knows seconds only
Stamp = tuple[tuple[int, int, int], ...]
Known = dict[int, tuple[str, int, int]]     # by UID: place, flags and mod-sequence, as the index has them
Lists = dict[bytes, tuple[tuple[int, int, int], UidList]]


@dataclass(frozen=True, slots=True)
class Times:
    """`now`: the server's seconds; `disk`: nanoseconds, as the disk dates a file that is written now."""

    now: float
    disk: int

    @property
    def disk_seconds(self) -> float:
        """For comparing with a file's date."""
        return self.disk / 1e9


def stamp(folder: Folder) -> Stamp:
    """What changes when anything in the folder does."""
    found = []
    for name in ("new", "cur", UIDS, keywords.FILE):
        try:
            stat = os.stat(folder.path / name)
            found.append((stat.st_mtime_ns, stat.st_ino, stat.st_size if name not in ("new", "cur") else 0))
        except FileNotFoundError:
            found.append((0, 0, 0))
    return tuple(found)


def is_settled(stamp: Stamp, times: Times) -> bool:
    """Whether a later change would give another stamp."""
    newest = max(date for date, _, _ in stamp)
    return newest < times.disk - (_CLOSE if newest % 1_000_000_000 else _CLOSE_COARSE)


def sync(
    index: Index, key: bytes, folder: Folder, times: Times, new_validity: Callable[[], int],
    holds: Callable[[Row], bool], lists: Lists,
) -> Row:
    """The row of the mailbox `key` as its files are now; `holds` says whether another one is still where it was.

    `lists` are those that were read before, which need not be read again while the files are the same.
    """
    row = index.mailbox("folder", key)
    _take_over(folder)
    found = _list(folder, key, lists)
    files = folder.scan()
    row, rival = _same(index, key, row, found, holds)
    known = {} if row is None else index.known(row.id)
    if not _is_complete(found, files, row, known) or rival:
        with dotlock(folder.path / UIDS, times.disk_seconds):
            found = uidlist.read(folder.path / UIDS)
            files = folder.scan()
            row, rival = _same(index, key, row, found, holds)
            known = {} if row is None else index.known(row.id)
            if _misses(found, files, row, known):
                files |= folder.scan()
            found = _number(folder, found, files, row, known, new_validity, rival)
    elif _misses(found, files, row, known):
        files |= folder.scan()
    assert found is not None
    return _write(index, key, folder, found, files, row, known, times)


def _list(folder: Folder, key: bytes, lists: Lists) -> UidList | None:
    now = stamp(folder)[2]
    had = lists.get(key)
    if had is not None and had[0] == now:
        return had[1]
    found = uidlist.read(folder.path / UIDS)
    lists.pop(key, None)
    if found is not None:
        lists[key] = now, found
        if len(lists) > _MOST_LISTS:
            del lists[next(iter(lists))]
    return found


def _take_over(folder: Folder) -> None:
    former = folder.path / _FORMER
    if former.exists() and not (folder.path / UIDS).exists():
        os.rename(former, folder.path / UIDS)


def _same(
    index: Index, key: bytes, row: Row | None, found: UidList | None, holds: Callable[[Row], bool]
) -> tuple[Row | None, bool]:
    """The row that speaks of this list, and whether another mailbox says that it is the one with this GUID."""
    if found is None:
        return None, False
    if row is not None and (row.guid, row.uidvalidity) == (found.guid, found.validity):
        return row, False
    other = index.mailbox("guid", found.guid)
    if other is None or other.folder == key:
        return None, False
    if holds(other):
        return None, True
    if other.uidvalidity != found.validity:
        return None, False
    with index.transaction():                   # another program has renamed it
        if row is not None:
            index.drop_mailbox(row.id)
        index.run("UPDATE mailbox SET folder = ? WHERE id = ?", (key, other.id))
    return replace(other, folder=key), False


def _is_complete(found: UidList | None, files: dict[str, str], row: Row | None, known: Known) -> bool:
    """Whether each file has a UID that it can have, and the list need not be written."""
    if found is None or not found.guid or not found.is_whole:
        return False
    rows = found.rows
    if not files.keys() <= rows.keys() or len(rows) - len(files) > max(_DEAD, len(files)):
        return False
    return row is None or not any(rows[name].uid < row.uidnext and rows[name].uid not in known for name in files)


def _misses(found: UidList | None, files: dict[str, str], row: Row | None, known: Known) -> bool:
    """Whether a file is not there that ought to be."""
    if found is None:
        return False
    uidnext = 0 if row is None else row.uidnext
    return any(
        name not in files and (each.uid in known or each.uid >= uidnext) for name, each in found.rows.items()
    )


def _number(
    folder: Folder, found: UidList | None, files: dict[str, str], row: Row | None, known: Known,
    new_validity: Callable[[], int], rival: bool,
) -> UidList:
    """Give UIDs to what has none, durably; the dotlock is held."""
    only_more = found is not None and bool(found.guid) and not rival and found.is_whole
    if found is None:
        found = UidList(new_validity())
    if not found.guid or rival:
        found.guid = secrets.token_hex(16)
    if row is not None:
        found.following = max(found.following, row.uidnext)
        for name in files:
            # One that came back when we had said that it is gone is another message (RFC 9051 2.3.1.1).
            if name in found.rows and found.rows[name].uid < row.uidnext and found.rows[name].uid not in known:
                del found.rows[name]
                only_more = False
    new = sorted((_date(folder, files[name]), name) for name in files if name not in found.rows)
    if found.following + len(new) > 0xFFFFFFFF:
        raise OverQuota("this mailbox has no more UIDs; make another")
    added = {name: found.add(name) for _, name in new}
    if only_more and len(found.rows) - len(files) <= max(_DEAD, len(files)):
        if added:
            uidlist.append(folder.path / UIDS, added)
        return found
    found.rows = {name: each for name, each in found.rows.items() if name in files}
    found.write(folder.path / UIDS)
    return found


def _date(folder: Folder, place: str) -> int:
    try:
        return os.stat(folder.path / place, follow_symlinks=False).st_mtime_ns
    except OSError:
        return 0


def _write(
    index: Index, key: bytes, folder: Folder, found: UidList, files: dict[str, str], row: Row | None,
    known: Known, times: Times,
) -> Row:
    """Into the index, as one change of the mailbox."""
    letters = keywords.read(folder.path)
    names = list(row.names if row is not None else ())
    places = {name.casefold(): bit for bit, name in enumerate(names)}
    for name in letters.values():
        if name.casefold() not in places and len(names) < MOST_KEYWORDS:
            places[name.casefold()] = len(names)
            names.append(name)
    bits = {each: 1 << (KEYWORD + places[name.casefold()]) for each, name in letters.items()
            if name.casefold() in places}
    modseq = 0 if row is None else row.modseq + 1
    new: list[Entry] = []
    moved: list[tuple[str, int, int, int]] = []
    changed = False
    here: set[int] = set()
    for name, place in files.items():
        listed = found.rows.get(name)
        if listed is None:
            continue                            # it came while we looked: the next look finds it
        uid = listed.uid
        here.add(uid)
        had = known.get(uid)
        if had is not None and had[0] == place and not bits and not had[1] >> KEYWORD:
            continue
        marks = letters_of(place)
        flags = system_flags(marks)
        for each in marks & bits.keys():
            flags |= bits[each]
        if had is None:
            entry = _entry(folder, place, listed, flags, modseq, times)
            if entry is not None:
                new.append(entry)
        elif had[1] != flags:
            moved.append((place, flags, modseq, uid))
            changed = True
        elif had[0] != place:
            moved.append((place, flags, had[2], uid))
    gone = sorted(known.keys() - here)
    uidnext = max(found.following, 0 if row is None else row.uidnext)
    words = " ".join(names)
    if row is not None and not (new or moved or gone) and (uidnext, words) == (row.uidnext, row.keywords):
        return row
    with index.transaction():
        if row is None:
            old = index.mailbox("folder", key) or index.mailbox("guid", found.guid)
            while old is not None:
                index.drop_mailbox(old.id)
                old = index.mailbox("folder", key) or index.mailbox("guid", found.guid)
            recent = min((each.uid for each in new if each.place.startswith("new/")), default=uidnext if new else 1)
            row = index.make_mailbox(key, found.guid, found.validity, uidnext, recent, times.now)
            new = [replace(each, modseq=row.modseq) for each in new]
            modseq = row.modseq
        elif not (new or gone or changed):
            modseq = row.modseq
        index.insert(row.id, new)
        index.run_many(
            "UPDATE message SET place = ?, flags = ?, modseq = ? WHERE mailbox_id = ? AND uid = ?",
            [(os.fsencode(place), flags, each, row.id, uid) for place, flags, each, uid in moved],
        )
        if gone:
            index.expunge(row.id, gone, modseq, times.now)
        index.run("UPDATE mailbox SET uidnext = ?, modseq = ?, keywords = ? WHERE id = ?",
                  (uidnext, modseq, words, row.id))
        if new or gone or changed:
            index.count(row.id)
    written = index.mailbox("folder", key)
    if written is None:
        raise NotFound("the mailbox has just gone")
    return written


def _entry(
    folder: Folder, place: str, listed: uidlist.Row, flags: int, modseq: int, times: Times
) -> Entry | None:
    """A message that was not known; None when its file is gone already."""
    base = base_name(place.partition("/")[2])
    try:
        stat = os.stat(folder.path / place, follow_symlinks=False)
        size, is_sure = stat.st_size, 1
        if not is_ours(base):
            told = told_size(base) or listed.size
            if told is not None and stat.st_size <= told <= 2 * stat.st_size:
                size, is_sure = told, 0
            else:
                with OpenFile(folder.path / place, base) as file:
                    size = file.measure()
    except FileNotFoundError:
        return None
    except OSError as error:
        log.error("{path} cannot be read: {words}", path=str(folder.path / place), words=error.strerror)
        size, is_sure = stat.st_size, 0
    return Entry(
        listed.uid, place, flags, modseq, size, is_sure, stat.st_mtime, times.now, content_id(listed.get("G") or base)
    )


def content_id(guid: str) -> int:
    """A number of the content (EMAILID): it goes with a message that is copied or moved, as its GUID does."""
    return int.from_bytes(hashlib.blake2b(os.fsencode(guid), digest_size=8).digest(), "big") >> 1
