"""Tables for the terminal and for the documentation.

A head or a cell is a text; a head may have two lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

NONE = "-"                  # where there is no figure


@dataclass(frozen=True, slots=True)
class Table:
    """A title, a row of heads, and rows; the first column is text, the others figures unless `is_text`."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    is_text: bool = False

    def as_text(self) -> str:
        """For the terminal."""
        halves = [each.partition("\n") for each in self.head]
        lines = [[each[0] for each in halves], [each[2] for each in halves], *self.rows]
        if not any(lines[1]):
            del lines[1]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.head))]
        return "\n".join([self.title, *(
            "  ".join(
                cell.ljust(width) if self.is_text or not column else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )]) + "\n"

    def as_rst(self) -> str:
        """For the documentation."""
        lines = [f".. list-table:: {self.title}", "   :header-rows: 1", ""]
        for row in (self.head, *self.rows):
            cells = [cell.replace("\n", " ") for cell in row]
            lines += [f"   {'*' if not number else ' '} - {cell}".rstrip() for number, cell in enumerate(cells)]
        return "\n".join(lines) + "\n"


def middle(figures: Sequence[float | None], form: str) -> str:
    """The median of the figures there are."""
    there = [each for each in figures if each is not None]
    return format(median(there), form) if there else NONE


def most(figures: Sequence[float | None], form: str) -> str:
    """The largest of the figures there are."""
    there = [each for each in figures if each is not None]
    return format(max(there), form) if there else NONE


def ratio(ours: Sequence[float | None], others: Sequence[Sequence[float | None]], lowest: bool = False) -> str:
    """Our median against the best median of the others: the highest, or the lowest."""
    mine = [each for each in ours if each is not None]
    medians = [median(there) for each in others if (there := [figure for figure in each if figure is not None])]
    if not mine or not medians:
        return NONE
    return f"{median(mine) / (min(medians) if lowest else max(medians)):.2f}"
