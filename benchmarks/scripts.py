"""Servers that are a short program of ours around a library: aiosmtpd and twisted.mail, both without a queue."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import twisted
from benchmarks.larder import Larder
from benchmarks.peer import LARGEST, Program, make_maildirs

AIOSMTPD = "aiosmtpd==1.4.6"
ROOT = Path(__file__).parent.parent


class _Script(Program):
    program: str
    settings = "one process, Maildir with fsync before the reply"

    def environment(self) -> Mapping[str, str]:
        return {"PYTHONPATH": str(ROOT)}

    def prepare(self) -> list[str]:
        make_maildirs(self.mailboxes, self.names)
        certificate, key = self.certificate()
        words = [str(self.port), str(self.mailboxes), str(certificate), str(key)]
        return [str(self.python()), "-m", f"benchmarks.programs.{self.program}", *words, *self.more()]

    def python(self) -> Path:
        return Path(sys.executable)

    def more(self) -> list[str]:
        return []


class Aiosmtpd(_Script):
    """From PyPI, in an environment of its own."""

    name = "aiosmtpd"
    program = "aiosmtpd_maildir"
    slow = 2

    @classmethod
    def version(cls, larder: Larder) -> str:
        return subprocess.run(
            [larder.python(AIOSMTPD), "-c", "import aiosmtpd; print(aiosmtpd.__version__)"],
            check=True, capture_output=True, text=True,
        ).stdout.strip()

    def python(self) -> Path:
        return self.larder.python(AIOSMTPD)

    def more(self) -> list[str]:
        return [str(LARGEST)]


class TwistedMail(_Script):
    """The Twisted that this server runs on."""

    name = "twisted.mail"
    program = "twisted_maildir"

    @classmethod
    def version(cls, larder: Larder) -> str:
        return str(twisted.__version__)
