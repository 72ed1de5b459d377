"""``[keeping]`` and ``[[retention]]``: for how long mail is kept, as the configuration says it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mailserver import tomlvalues as values
from mailserver.imap.error import ImapError
from mailserver.imap.patterns import Pattern
from mailserver.imapstore import SPECIAL_USES
from mailserver.keeping import Keeping, Retention
from mailserver.tomltable import TableReader, Wrong

MOST_WARNINGS = 10


def read_keeping(table: TableReader, rules: Sequence[TableReader]) -> Keeping:
    """The whole of both."""
    default = Keeping()
    undelete = table.take("undelete", default.undelete, values.duration_or_none)
    warnings = table.take("warnings", default.warnings, _percents)
    table.end()
    return Keeping(undelete, warnings, tuple(map(_retention, rules)))


def _retention(table: TableReader) -> Retention:
    rule = Retention(
        mailbox=table.take("mailbox", "", _pattern),
        special_use=table.take("special_use", "", special_use),
        older_than=table.take("older_than", 0.0, values.duration),
        at_most=table.take("at_most", 0, values.count),
    )
    table.take("action", "expunge", values.one_of(("expunge",)))
    if "mailbox" not in table.value and "special_use" not in table.value:
        table.wrong("mailbox", 'it needs "mailbox" or "special_use", which say what it is about')
    if "older_than" not in table.value and "at_most" not in table.value:
        table.wrong("older_than", 'it needs "older_than" or "at_most", which say what goes')
    table.end()
    return rule


def _pattern(value: Any) -> str:
    text = values.text(value)
    try:
        Pattern(text)
    except ImapError as error:
        raise Wrong(f"is no pattern: {error}") from None
    return "INBOX" if text.upper() == "INBOX" else text


def special_use(value: Any) -> str:
    """One of RFC 6154, with or without its backslash."""
    text = "\\" + values.text(value).removeprefix("\\").capitalize()
    if text not in SPECIAL_USES:
        raise Wrong(f"needs to be one of {', '.join(use[1:] for use in SPECIAL_USES)}, not {value!r}")
    return text


def _percents(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > MOST_WARNINGS:
        raise Wrong(f"needs to be a list of {MOST_WARNINGS} percents at the most")
    if not all(isinstance(each, int) and not isinstance(each, bool) and 1 <= each <= 100 for each in value):
        raise Wrong("needs to have whole numbers from 1 to 100 in it")
    return tuple(sorted(set(value)))
