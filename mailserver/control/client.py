"""Giving an order to a server that runs on this machine, and waiting for what comes of it."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from mailserver.control.place import named
from mailserver.errors import MailserverError

PATIENCE = 120.0        # seconds for an answer: a reload builds every plugin anew


class NoServer(MailserverError):
    """Nobody is there to take an order."""


class Refused(MailserverError):
    """The server says why it does not do it."""


def ask(data: Path, order: str, **details: Any) -> Any:
    """What an order came to; raises `NoServer`, or `Refused` with the server's own words."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(PATIENCE)
        try:
            with named(data) as path:
                line.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            raise NoServer(f"no server works on {data}") from None
        except OSError as error:
            raise NoServer(f"cannot talk to the server of {data}: {error.strerror or error}") from None
        try:
            line.sendall(json.dumps({"order": order, **details}).encode() + b"\n")
            with line.makefile("rb") as answers:
                answer = answers.readline()
        except TimeoutError:
            raise NoServer(f"the server of {data} does not answer") from None
        except OSError as error:
            raise NoServer(f"the server of {data} has gone: {error.strerror or error}") from None
    if not answer.endswith(b"\n"):
        raise NoServer(f"the server of {data} has just ended")
    value = json.loads(answer)
    if "error" in value:
        raise Refused(str(value["error"]))
    return value.get("done")
