"""Python's cyclic collector, spared what it need not look at."""

from __future__ import annotations

import gc


def spare() -> None:
    """Let it look at what sessions make, and seldom: a message makes no circles of its own.

    What was imported stays as long as the process, and looking through it took a twentieth of each message's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 20)
