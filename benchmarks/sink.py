"""Postfix's ``smtp-sink``, which throws everything away: the ceiling, as high as the load itself goes."""

from __future__ import annotations

import os
import re

from benchmarks.larder import Larder, Unavailable
from benchmarks.load import postfix_program
from benchmarks.peer import Program
from benchmarks.postfix import Postfix


class Sink(Program):
    """One process."""

    name = "smtp-sink"
    settings = "the ceiling: keeps nothing"
    has_tls = False
    stores = False
    most_idle = 0

    @classmethod
    def version(cls, larder: Larder) -> str:
        if postfix_program("smtp-sink") is None:
            raise Unavailable("smtp-sink is missing: apt install postfix (its daemon need not run)")
        return Postfix.version(larder)

    def prepare(self) -> list[str]:
        program = postfix_program("smtp-sink")
        assert program is not None
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        return [program, "-c", *user, f"127.0.0.1:{self.port}", "1000"]

    def delivered(self) -> int:
        """It counts aloud, and each number wipes out the one before it."""
        return last_count((self.folder / "log").read_bytes())


def last_count(said: bytes) -> int:
    """The last number that ``smtp-sink -c`` has told of messages."""
    told = re.findall(rb"mesg=(\d+)", said)
    return int(told[-1]) if told else 0
