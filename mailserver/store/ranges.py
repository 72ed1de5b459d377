"""UIDs in ranges, as conditions of a statement."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection


def within(connection: Connection, mailbox_id: int, ranges: Sequence[tuple[int, int]]) -> tuple[str, list[Any]]:
    """``uid`` lies in one of these ranges: a condition on a row of ``message``, and what stands for its marks.

    However many ranges there are, it is one statement, and each of them costs a step in the index.
    """
    if not ranges:
        return "uid IS NULL", []
    if len(ranges) == 1:
        return "uid BETWEEN ? AND ?", list(ranges[0])
    if connection.dialect.name == "sqlite":
        return (
            "uid IN (SELECT each.uid FROM json_each(?) AS span CROSS JOIN message AS each"
            " WHERE each.mailbox_id = ? AND each.uid BETWEEN span.value ->> 0 AND span.value ->> 1)"
        ), [json.dumps([list(each) for each in ranges]), mailbox_id]
    return (
        "uid IN (SELECT each.uid FROM unnest(?::bigint[], ?::bigint[]) AS span (low, high)"
        " JOIN message AS each ON each.mailbox_id = ? AND each.uid BETWEEN span.low AND span.high)"
    ), [[low for low, _ in ranges], [high for _, high in ranges], mailbox_id]


def ranges_of(uids: Iterable[int]) -> list[tuple[int, int]]:
    """The ranges of UIDs in ascending order."""
    found: list[tuple[int, int]] = []
    low = high = -1
    for uid in uids:
        if uid == high + 1:
            high = uid
        else:
            if low >= 0:
                found.append((low, high))
            low = high = uid
    if low >= 0:
        found.append((low, high))
    return found
