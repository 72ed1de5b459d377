"""The keywords of a Maildir folder: the letters ``a`` to ``z`` in file names, by ``dovecot-keywords``.

Each of its lines is a number (0 is ``a``) and the keyword.  Who changes it holds the lock of ``dovecot-uidlist``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from mailserver.imapstore import LARGEST_KEYWORD
from mailserver.mailbox.uidlist import write_durably

MOST = 26
FILE = "dovecot-keywords"
LARGEST_FILE = 1 << 20      # octets that are read of it
_LINE = re.compile(r"([0-9]{1,4}) (.+)")


def read(folder: Path) -> dict[str, str]:
    """Keywords by their letters; what is no keyword is passed over."""
    try:
        with open(folder / FILE, "rb") as file:
            text = file.read(LARGEST_FILE).decode("utf-8", "replace")
    except FileNotFoundError:
        return {}
    found: dict[str, str] = {}
    for line in text.split("\n"):
        parts = _LINE.fullmatch(line)
        if parts is not None and int(parts[1]) < MOST and is_keyword(parts[2]):
            found[letter(int(parts[1]))] = parts[2]
    return dict(sorted(found.items()))


def letter(number: int) -> str:
    """The letter of a number."""
    return chr(ord("a") + number)


def is_keyword(text: str) -> bool:
    """Whether it can be one."""
    return text.split() == [text] and len(text.encode("utf-8", "replace")) <= LARGEST_KEYWORD


def letters_of(known: dict[str, str], wanted: Iterable[str]) -> tuple[dict[str, str], set[str]]:
    """All keywords, with the new ones among `wanted` for which there is a letter left, and the letters of `wanted`."""
    known = dict(known)
    by_name = {name.casefold(): each for each, name in known.items()}
    letters = set()
    for name in wanted:
        found = by_name.get(name.casefold())
        if found is None:
            free = [letter(number) for number in range(MOST) if letter(number) not in known]
            if not free or not is_keyword(name):
                continue
            found = by_name[name.casefold()] = free[0]
            known[found] = name
        letters.add(found)
    return known, letters


def write(folder: Path, known: dict[str, str]) -> None:
    """Make them durable; raises `OSError`."""
    lines = (f"{ord(each) - ord('a')} {name}\n" for each, name in sorted(known.items()))
    write_durably(folder / FILE, os.fsencode("".join(lines)))
