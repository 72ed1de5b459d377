"""The UIDs of a Maildir's files, in a file of the form that Dovecot gave it (dovecot-uidlist, version 3)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from twisted.logger import Logger

from mailserver.store.contents import sync_folder

log = Logger()

_HEAD = re.compile(r"3 (?=.*\bV(\d{1,10})\b)(?=.*\bN(\d{1,10})\b).*")


@dataclass(slots=True)
class Row:
    """One file's UID; `size` in octets as it is sent, where that is not the file's own size."""

    uid: int
    size: int | None = None


@dataclass(slots=True)
class UidList:
    """UIDs by file name, without the flags behind the colon; in ascending order."""

    validity: int
    following: int = 1                                      # the next UID
    rows: dict[str, Row] = field(default_factory=dict)

    def add(self, name: str, size: int | None) -> None:
        """Give a file the next UID."""
        self.rows[name] = Row(self.following, size)
        self.following += 1

    def write(self, path: Path) -> None:
        """Make it durable, at once and whole; raises `OSError`."""
        lines = [f"3 V{self.validity} N{self.following}\n"]
        for name, row in self.rows.items():
            lines.append(f"{row.uid} :{name}\n" if row.size is None else f"{row.uid} W{row.size} :{name}\n")
        write_durably(path, os.fsencode("".join(lines)))


def read(path: Path) -> UidList | None:
    """The list in this file; None when there is none, or none that can be read: then UIDs start anew."""
    try:
        lines = os.fsdecode(path.read_bytes()).split("\n")
    except FileNotFoundError:
        return None
    head = _HEAD.fullmatch(lines[0])
    if head is None:
        log.error("{path} is no list of UIDs; its messages get new ones", path=str(path))
        return None
    found = UidList(int(head[1]), int(head[2]))
    for line in lines[1:]:
        words, colon, name = line.partition(" :")
        uid, *fields = words.split(" ")
        if not colon or not uid.isascii() or not uid.isdigit():
            continue
        size = next((int(each[1:]) for each in fields if re.fullmatch(r"W[0-9]+", each)), None)
        found.rows[name.partition(":")[0]] = Row(int(uid), size)
        found.following = max(found.following, int(uid) + 1)
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
