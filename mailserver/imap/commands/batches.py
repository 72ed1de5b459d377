"""UIDBATCHES: ranges of UIDs with so many messages each (draft-ietf-mailmaint-imap-uidbatches)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mailserver.imap.error import ImapError
from mailserver.imap.reader import Reader


@dataclass(frozen=True, slots=True)
class UidBatches:
    """`size` messages in each batch; which batches, counted from the newest messages: None all."""

    size: int
    batches: tuple[int, int] | None = None


def _uid_batches(reader: Reader) -> UidBatches:
    reader.space()
    size = reader.number(least=1)
    if not reader.took(b" "):
        return UidBatches(size)
    first = reader.number(least=1)
    reader.expect(b":")
    last = reader.number(least=1)
    if first > last:
        raise ImapError("batches are counted from the first to the last", code="CLIENTBUG")
    return UidBatches(size, (first, last))


PARSERS: Mapping[str, Callable[[Reader], object]] = {"UIDBATCHES": _uid_batches}
