"""Searches that have a name (RFC 5466): read, and put in the place of their names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice

from mailserver.imap.commands.keys import And, Filter, Key, Not, Or
from mailserver.imap.commands.program import DEEPEST, MOST_KEYS, read_program
from mailserver.imap.error import ImapError
from mailserver.imap.reader import Reader

MOST_PASSES = 8             # filters within filters (RFC 5466 3.1 wants 3 at the least)

_NAME: re.Pattern[str] = re.compile(r"[^\x00-\x20(){%*\"\\\]/\x7f-\U0010ffff]+")


def is_name(name: str) -> bool:
    """Whether a filter may be called so (RFC 5466 4)."""
    return _NAME.fullmatch(name) is not None


def read_filter(value: bytes) -> Key:
    """The search that a filter stands for; raises `ImapError` unless it is a whole one."""
    reader = Reader(value)
    key = read_program(reader)
    reader.end()
    return key


def check(name: str, value: bytes) -> None:
    """Whether somebody may call a search so (RFC 5466 3.2); raises `ImapError`."""
    if not is_name(name):
        raise ImapError("no filter can have that name", "NO", "CANNOT")
    try:
        read_filter(value)
    except ImapError as error:
        raise ImapError(f"that is not a whole search: {error}", "NO", "CANNOT") from None


def named(key: Key) -> set[str]:
    """The filters that a search speaks of."""
    return {each.name for each in _leaves(key) if isinstance(each, Filter)}


def _leaves(key: Key) -> Iterator[Key]:
    todo = [key]
    while todo:
        each = todo.pop()
        if isinstance(each, (And, Or)):
            todo += each.keys
        elif isinstance(each, Not):
            todo.append(each.key)
        else:
            yield each


def inserted(key: Key, meanings: Mapping[str, Key]) -> Key:
    """A search with these meanings in the place of names, each as if it stood in brackets.

    Raises `ImapError` for one that has grown too large or too deep.
    """
    made = _inserted(key, meanings)
    if len(list(islice(_leaves(made), MOST_KEYS + 1))) > MOST_KEYS or _depth(made) > 2 * DEEPEST:
        raise ImapError("that is too much for one search", "NO", "LIMIT")
    return made


def _inserted(key: Key, meanings: Mapping[str, Key]) -> Key:
    if isinstance(key, Filter):
        return meanings.get(key.name, key)
    if isinstance(key, Not):
        return Not(_inserted(key.key, meanings))
    if isinstance(key, And):
        return And(tuple(_inserted(each, meanings) for each in key.keys))
    if isinstance(key, Or):
        return Or(tuple(_inserted(each, meanings) for each in key.keys))
    return key


def _depth(key: Key) -> int:
    deepest, todo = 0, [(key, 1)]
    while todo:
        each, depth = todo.pop()
        deepest = max(deepest, depth)
        if isinstance(each, (And, Or)):
            todo += [(one, depth + 1) for one in each.keys]
        elif isinstance(each, Not):
            todo.append((each.key, depth + 1))
    return deepest
