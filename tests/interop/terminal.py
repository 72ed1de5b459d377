"""A terminal without a person, for programs that insist on one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


def in_terminal(words: Sequence[str], cwd: Path, environment: Mapping[str, str], patience: float = 60.0) -> str:
    """Run a program in a terminal of 120 columns until it ends; returns what it showed, escape sequences and all.

    Raises `AssertionError` when it does not end.
    """
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
    process = subprocess.Popen(
        words, stdin=its, stdout=its, stderr=its, cwd=cwd, start_new_session=True,
        env={**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", **environment},
    )
    os.close(its)
    shown, until = b"", time.monotonic() + patience
    try:
        while time.monotonic() < until:
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    octets = os.read(ours, 65536)
                except OSError:         # EIO: the last of those who had it has gone
                    break
                if not octets:
                    break
                shown += octets
            elif process.poll() is not None:
                break
        else:
            raise AssertionError(f"{words[0]} does not end; it shows {shown[-2000:]!r}")
        process.wait(5)
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        os.close(ours)
    return shown.decode("utf-8", "replace")
