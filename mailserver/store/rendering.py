"""FETCH lines that SQLite writes by itself: what is stored as it is sent need not pass through the interpreter.

Whatever it cannot write is left to who asks, as is all on PostgreSQL.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from mailserver.store.digests import VERSION
from mailserver.store.statements import each_row, fetch

_CRLF = "x'0D0A'"

# How an item is written, by the name that the answer has for it.
PLAIN = {
    "UID": "message.uid",
    "RFC822.SIZE": "message.size",
    "MODSEQ": "'(' || message.modseq || ')'",
}
OF_DIGEST = {"ENVELOPE": "digest.envelope", "BODY": "digest.body", "BODYSTRUCTURE": "digest.structure"}
WHOLE = {"BODY[]", "RFC822"}
_OCTETS = f"'{{' || message.size || '}}' || {_CRLF} || message.prefix || content.data"


def can_write(names: Sequence[str]) -> bool:
    """Whether all these items can be written here."""
    return all(name in PLAIN or name in OF_DIGEST or name in WHOLE or name == "FLAGS" for name in names)


def lines(
    connection: Connection, mailbox_id: int, numbers: Sequence[int], uids: Sequence[int], names: Sequence[str],
    flags: Mapping[int, bytes],
) -> bytes | None:
    """The lines of messages, by UID, with their sequence numbers; those that are gone are left out.

    `flags` says how flags are spelled.  None: some of it cannot be written here.
    """
    if connection.dialect.name != "sqlite":
        return None
    if uids[-1] - uids[0] + 1 == len(uids) and numbers[-1] - numbers[0] + 1 == len(numbers):
        # None is missing: the number follows from the UID, and the rows lie side by side.
        number, source, where = f"(message.uid + {numbers[0] - uids[0]})", "message", "message.uid BETWEEN ? AND ?"
        chosen: list[object] = [mailbox_id, uids[0], uids[-1]]
    else:
        number, source, where, chosen = _asked(mailbox_id, numbers, uids)
    line, joins, spellings = _line(number, names, flags)
    text = (
        "SELECT COUNT(*), COUNT(line), CAST(group_concat(line, '') AS BLOB) FROM ("
        f"SELECT {line} AS line FROM {source}{joins} WHERE message.mailbox_id = ? AND {where})"
    )
    found, written, octets = fetch(connection, text, [*spellings, *chosen])[0]
    if found != written:
        return None
    return bytes(octets) if octets is not None else b""


def each_line(
    connection: Connection, mailbox_id: int, numbers: Sequence[int], uids: Sequence[int], names: Sequence[str],
    flags: Mapping[int, bytes], most: int,
) -> dict[int, bytes] | None:
    """The same by UID, b"" for those that are gone; only the first of them when they have more than `most` octets.

    It also ends before one that cannot be written; None: that is the first.
    """
    number, source, where, chosen = _asked(mailbox_id, numbers, uids)
    line, joins, spellings = _line(number, names, flags)
    text = (
        f"SELECT message.uid, CAST({line} AS BLOB) FROM {source}{joins}"
        f" WHERE message.mailbox_id = ? AND {where}"
    )
    found: dict[int, bytes] = {}
    last, size = uids[-1], 0
    for uid, octets in each_row(connection, text, [*spellings, *chosen]):
        if octets is None:
            last = uid - 1
            break
        found[uid] = octets
        size += len(octets)
        if size > most:
            last = uid
            break
    known = {uid: found.get(uid, b"") for uid in uids if uid <= last}
    return known or None


def _asked(mailbox_id: int, numbers: Sequence[int], uids: Sequence[int]) -> tuple[str, str, str, list[object]]:
    """Of messages that are named one by one: the number, what is read, under which condition, and its parameters."""
    asked = json.dumps(list(zip(numbers, uids, strict=True)))
    return (
        "(asked.value ->> 0)", "json_each(?) AS asked CROSS JOIN message", "message.uid = asked.value ->> 1",
        [asked, mailbox_id],
    )


def _line(number: str, names: Sequence[str], flags: Mapping[int, bytes]) -> tuple[str, str, list[object]]:
    """The expression of a line, the tables that it needs, and its parameters."""
    parameters: list[object] = []
    values = []
    for name in names:
        if name == "FLAGS":
            values.append(f"CASE message.flags {'WHEN ? THEN ? ' * len(flags)}END" if flags else "NULL")
            parameters += [each for value, spelled in flags.items() for each in (value, spelled.decode("ascii"))]
        else:
            values.append(PLAIN.get(name) or OF_DIGEST.get(name) or _OCTETS)
    items = " || ' ".join(f"{name} ' || {value}" for name, value in zip(names, values, strict=True))
    joins = ""
    if OF_DIGEST.keys() & set(names):
        joins += f" LEFT JOIN digest ON digest.content_id = message.content_id AND digest.version = {VERSION}"
    if WHOLE & set(names):
        joins += " LEFT JOIN content ON content.id = message.content_id"
    return f"'* ' || {number} || ' FETCH ({items} || ')' || {_CRLF}", joins, parameters
