"""The UIDs of a Maildir's files, in the file that Dovecot keeps of them: ``dovecot-uidlist``, version 3.

Its first line says ``3 V<UIDVALIDITY> N<next UID> G<GUID of the mailbox>``, each further line the UID of a file, what
else is known of it (``W``: its size as it is sent, ``G``: its GUID when that is not the file's name), and its name.
Lines may be appended; otherwise the file is replaced.  Who does either holds its dotlock.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from twisted.logger import Logger

from mailserver.store.contents import sync_folder

log = Logger()

_HEAD = re.compile(r"3 (?=.*\bV(\d{1,10})\b)(?=.*\bN(\d{1,10})\b)(.*)")
_HEAD_1 = re.compile(r"1 (\d{1,10}) (\d{1,10})()")             # Courier's, and of the first Dovecot
_GUID = re.compile(r"\bG([0-9a-f]{32})\b")
_LARGEST = 0xFFFFFFFF


@dataclass(slots=True)
class Row:
    """One file's UID, and the fields that stand behind it."""

    uid: int
    fields: tuple[str, ...] = ()

    def get(self, key: str) -> str | None:
        """The value of the field with this letter."""
        return next((each[1:] for each in self.fields if each[:1] == key), None)

    @property
    def size(self) -> int | None:
        """Octets as it is sent, where that is said."""
        told = self.get("W")
        return int(told) if told is not None and re.fullmatch(r"[0-9]{1,18}", told) else None


@dataclass(slots=True)
class UidList:
    """UIDs by file name, without the flags behind the colon; in ascending order."""

    validity: int
    following: int = 1                                      # the next UID
    guid: str = ""
    more: tuple[str, ...] = ()                              # what else its first line says
    rows: dict[str, Row] = field(default_factory=dict)
    is_whole: bool = True                                   # whether each line of the file was one of its kind

    def add(self, name: str, *fields: str) -> Row:
        """Give a file the next UID, in the place of one that it may have had."""
        self.rows.pop(name, None)
        row = self.rows[name] = Row(self.following, fields)
        self.following += 1
        return row

    def write(self, path: Path) -> None:
        """Make it durable, at once and whole; raises `OSError`."""
        head = [f"V{self.validity}", f"N{self.following}", *([f"G{self.guid}"] if self.guid else []), *self.more]
        lines = [f"3 {' '.join(head)}\n", *(_line(name, row) for name, row in self.rows.items())]
        write_durably(path, os.fsencode("".join(lines)))


def append(path: Path, rows: dict[str, Row]) -> None:
    """Append lines durably, or none; raises `OSError`."""
    octets = os.fsencode("".join(_line(name, row) for name, row in rows.items()))
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        try:
            if os.write(descriptor, octets) != len(octets):
                raise OSError(28, "the disk is full")
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def _line(name: str, row: Row) -> str:
    return f"{' '.join([str(row.uid), *row.fields])} :{name}\n"


def read(path: Path) -> UidList | None:
    """The list in this file; None when there is none, or none that can be read: then UIDs start anew."""
    try:
        lines = os.fsdecode(path.read_bytes()).split("\n")
    except FileNotFoundError:
        return None
    head = _HEAD.fullmatch(lines[0]) or _HEAD_1.fullmatch(lines[0])
    if head is None or not 0 < int(head[1]) <= _LARGEST or int(head[2]) > _LARGEST:
        log.error("{path} is no list of UIDs; its messages get new ones", path=str(path))
        return None
    guid = _GUID.search(head[3])
    more = tuple(each for each in head[3].split(" ") if each[:1] not in ("V", "N", "G", ""))
    found = UidList(int(head[1]), int(head[2]), guid[1] if guid else "", more)
    last, bad = 0, lines.pop() if lines[-1] else ""         # a line that has no end is not read
    for line in lines[1:]:
        words, colon, name = line.partition(" :")
        uid, *fields = words.split(" ")
        if lines[0][0] == "1":
            uid, colon, name = line.partition(" ")
            fields = []
        if not colon or not name or not re.fullmatch(r"[0-9]{1,10}", uid) or not last < int(uid) < _LARGEST:
            bad = bad or line if line or bad else ""
            continue
        last = int(uid)
        found.rows[name.partition(":")[0]] = Row(last, tuple(fields))
        found.following = max(found.following, last + 1)
    if bad:
        found.is_whole = False
        log.error("{path} has lines that are none of its kind, like {line}", path=str(path), line=bad[:200])
    return found


def write_durably(path: Path, octets: bytes) -> None:
    """Put `octets` in the place of what the file held: all of it or nothing, whatever happens; raises `OSError`."""
    temporary = path.with_name(f"{path.name}.new")
    with open(temporary, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)
    sync_folder(path.parent)
