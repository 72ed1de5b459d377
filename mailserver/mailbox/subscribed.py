"""What an account subscribed to, in Dovecot's file ``subscriptions``.

Its second version begins with ``V<TAB>2`` and an empty line, and has TABs between the levels of a name; the first is
names alone, with dots between levels.  Either is kept as it is found.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from twisted.logger import Logger

from mailserver.errors import OverQuota
from mailserver.mailbox.dotlock import dotlock
from mailserver.mailbox.maildirnames import folder_name, mailbox_name
from mailserver.mailbox.uidlist import write_durably

log = Logger()

FILE = "subscriptions"
MOST = 10_000               # names of one account
LARGEST = 1 << 24           # octets that are read of the file
_HEAD = "V\t2\n\n"
# What Dovecot writes for octets that would break its lines ("tab-escaped").
_ESCAPES = {"\x011": "\x01", "\x01t": "\t", "\x01r": "\r", "\x01n": "\n", "\x010": "\0"}


def read(base: Path) -> list[str]:
    """The names; what is none is passed over."""
    return sorted({name for name in map(_name, _lines(base)[1]) if name is not None})


def change(base: Path, names: Collection[str], wanted: bool, now: float) -> None:
    """Subscribe to names, or not any more; raises `OverQuota`, and `OSError`."""
    with dotlock(base / FILE, now):
        is_new, lines = _lines(base)
        known = {_name(line) for line in lines}
        if wanted:
            more = [name for name in names if name not in known]
            if len(lines) + len(more) > MOST:
                raise OverQuota(f"an account may have {MOST} subscriptions")
            lines += [_line(name, is_new) for name in more]
        else:
            lines = [line for line in lines if _name(line) not in names]
        text = (_HEAD if is_new else "") + "".join(f"{line}\n" for line in lines)
        write_durably(base / FILE, os.fsencode(text))


def _lines(base: Path) -> tuple[bool, list[str]]:
    """Whether it is of the second version, and its lines."""
    try:
        with open(base / FILE, "rb") as file:
            text = os.fsdecode(file.read(LARGEST))
    except FileNotFoundError:
        return True, []
    is_new = text.startswith("V\t2\n")
    return is_new, [line for line in text.removeprefix("V\t2\n").split("\n") if line]


def _name(line: str) -> str | None:
    """The mailbox that a line names, of either version: a dot inside a level is not there in Maildir++."""
    line = line.replace("\t", ".")
    for escape, octet in _ESCAPES.items():
        line = line.replace(escape, octet)
    if line == "INBOX":
        return line
    return mailbox_name(f".{line}")


def _line(name: str, is_new: bool) -> str:
    plain = folder_name(name)[1:]
    return plain.replace(".", "\t") if is_new else plain
