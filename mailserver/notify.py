"""Telling the service manager how we are (sd_notify(3))."""

from __future__ import annotations

import os
import socket
import time


def notify(state: str) -> None:
    """Send a state, "READY=1", to the manager that started us; nothing happens where there is none."""
    where = os.environ.get("NOTIFY_SOCKET", "")
    if not where.startswith(("/", "@")):
        return
    lines = [state, f"MAINPID={os.getpid()}"]
    if state == "RELOADING=1":
        # systemd.service(5), Type=notify-reload: the manager must know which READY=1 is the one after it.
        lines.append(f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
            line.connect(where.replace("@", "\0", 1) if where[0] == "@" else where)
            line.send("\n".join(lines).encode())
    except OSError:
        pass            # the manager has gone, and we go on
