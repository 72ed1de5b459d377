"""How far something long is, on standard error: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

EVERY = 5.0             # seconds between two lines


@contextmanager
def progress(total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """The function to be told how much more is done, of `total` of a unit."""
    if sys.stderr.isatty():
        with click.progressbar(length=total, show_eta=True, show_pos=True, file=sys.stderr) as bar:
            yield bar.update
        return
    began = said = time.monotonic()
    done = 0

    def advance(more: int) -> None:
        nonlocal done, said
        done += more
        now = time.monotonic()
        if now - said >= EVERY and done:
            said = now
            left = max(0.0, (total - done) * (now - began) / done)
            click.echo(f"{done} of {total} {unit}, about {left:.0f} s to go", err=True)

    yield advance
