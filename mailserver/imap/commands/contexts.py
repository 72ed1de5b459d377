"""CANCELUPDATE: what a search has found is kept up to date no more (RFC 5267 4.3.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mailserver.imap.error import ImapError
from mailserver.imap.reader import Reader

MOST_TAGS = 100


@dataclass(frozen=True, slots=True)
class CancelUpdate:
    """The tags of searches; one that nobody knows has nothing to be cancelled."""

    tags: tuple[str, ...]


def _cancel(reader: Reader) -> CancelUpdate:
    tags = []
    while reader.took(b" ") and not reader.ended:
        if not reader.follows(b'"'):
            raise ImapError("a tag stands in quotes")
        tags.append(reader.string().decode("latin-1"))
        if len(tags) > MOST_TAGS:
            raise ImapError("too many tags")
    if not tags:
        raise ImapError("there should be a tag, in quotes")
    return CancelUpdate(tuple(tags))


PARSERS: Mapping[str, Callable[[Reader], object]] = {"CANCELUPDATE": _cancel}
