"""Logs as one line an event, in logfmt: ``time=… level=info from=mailserver.service event="…" key=value``."""

from __future__ import annotations

import json
import re
import time
from typing import Any, TextIO

from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogBeginner
from zope.interface import implementer

_PLAIN = re.compile(r"[!#-<>-\[\]-~]+")        # what needs no quotes: printable ASCII without space, ", = and \

# Twisted tells of each port that it opens and closes: two lines for every question to the DNS.
_PORTS = re.compile(r" starting on (?:\d+|'.*')$|^\((?:UDP|TCP|UNIX) Port .* Closed\)$")


@implementer(ILogObserver)
class LineObserver:
    """Writes events to a stream; what peers sent is quoted, so that it can neither break a line nor a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_namespace") == "log_legacy" and _PORTS.search(str(event.get("log_text", ""))):
            return
        self._stream.write(line(event))
        self._stream.flush()


def line(event: LogEvent) -> str:
    """One event as a line."""
    level = event.get("log_level")
    text = formatEvent(event)
    parts = [
        f"time={time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(event.get('log_time', 0)))}",
        f"level={level.name if level is not None else 'info'}",
        f"from={_value(event.get('log_namespace', '-'))}",
        f"event={_value(text)}",
    ]
    parts += [
        f"{key}={_value(value)}"
        for key, value in event.items()
        if not key.startswith("log_") and isinstance(value, (str, int, float)) and key not in _TWISTED
    ]
    failure = event.get("log_failure")
    if failure is not None:
        parts.append(f"traceback={_value(failure.getTraceback())}")
    return " ".join(parts) + "\n"


_TWISTED = {"format", "isError", "message", "time", "system", "log", "noisy"}


def _value(value: Any) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def begin(stream: TextIO) -> None:
    """Log to a stream from now on, for the whole process."""
    globalLogBeginner.beginLoggingTo([LineObserver(stream)], redirectStandardIO=False)
