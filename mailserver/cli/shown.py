"""How commands show what they found: JSON for programs, columns for people."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import click

# Controls (C1), what turns lines around or ends them, halves of surrogate pairs.
_NOT_SHOWN = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
FIRST = 1000                # rows whose widths are those of all

as_json = click.option("--json", "json_wanted", is_flag=True, help="Show JSON.")


def show_json(value: Any) -> None:
    """One JSON document."""
    click.echo(_json(value, 2))


def show_json_array(values: Iterable[Any]) -> None:
    """One JSON array, a line each, while its values come: it may be long."""
    before = "["
    for each in values:
        click.echo(f"{before}\n  {_json(each)}", nl=False)
        before = ","
    click.echo("[]" if before == "[" else "\n]")


def _json(value: Any, indent: int | None = None) -> str:
    """With words as they are, and everything else beyond ASCII as JSON can also spell it: no terminal obeys that."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _NOT_SHOWN.sub(lambda found: json.dumps(found[0])[1:-1], text)


def show_rows(heads: Sequence[str], rows: Iterable[Sequence[Any]], nothing: str) -> None:
    """As `show_table`, while the rows come; those behind the first thousand stand as wide as these."""
    coming = iter(rows)
    first = [[plain(each) for each in row] for row in islice(coming, FIRST)]
    show_table(heads, first, nothing)
    widths = [max(map(len, column)) for column in zip(heads, *first, strict=True)]
    for row in coming:
        click.echo("  ".join(plain(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def show_table(heads: Sequence[str], rows: Iterable[Sequence[Any]], nothing: str) -> None:
    """Columns under their heads; `nothing` is said when there is no row."""
    cells = [[plain(each) for each in row] for row in rows]
    if not cells:
        click.echo(nothing)
        return
    if sys.stdout.isatty():
        _show_rich(heads, cells)
        return
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    for row in [list(heads), *cells]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _show_rich(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def show_pairs(pairs: Iterable[tuple[str, Any]]) -> None:
    """Names and values, one a line; names of those that have no value are left out."""
    told = [(name, plain(value)) for name, value in pairs if value not in (None, "")]
    width = max((len(name) for name, _ in told), default=0)
    for name, value in told:
        click.echo(f"{name.ljust(width)}  {value}")


def plain(value: Any) -> str:
    """A text that cannot do anything to a terminal: what strangers sent is shown too."""
    text = str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def when(seconds: float) -> str:
    """A time since the epoch, as the clock on the wall here shows it."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def plural(count: int, one: str, many: str) -> str:
    """"1 entry", "2 entries"."""
    return f"{count} {one if count == 1 else many}"


def period(seconds: float) -> str:
    """A length of time, in its largest whole unit: "5 min", "4 h", "5 days"."""
    for length, one, many in ((86400.0, "day", "days"), (3600.0, "h", "h"), (60.0, "min", "min")):
        if seconds >= length and seconds % length == 0:
            return plural(int(seconds / length), one, many)
    return f"{seconds:g} s"
