"""``diary``: writes down in a file which mail did not reach whom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import attrs
from zope.interface import implementer

from mailserver.events import Event
from mailserver.interfaces import IListener, IServer


@attrs.frozen
class DiaryOptions:
    """The key of its table: the name of `file`, in the folder of this plugin in the server's data."""

    file: str = "failures.txt"


@implementer(IListener)
class Diary:
    """Only the kinds of events that it names are told to it, a few at a time."""

    Options = DiaryOptions
    kinds = frozenset({"bounced", "expired"})

    def __init__(self, options: DiaryOptions, server: IServer) -> None:
        self._path = server.data / "diary" / options.file
        self._server = server

    async def happened(self, events: Sequence[Event]) -> None:
        lines = "".join(f"{line(each)}\n" for each in events)
        await self._server.in_thread(append, self._path, lines)      # a disk is waited for in a thread


def line(event: Event) -> str:
    """A line about one event: when, who did not get whose mail, and why."""
    at = datetime.fromtimestamp(event.at, UTC).isoformat(timespec="seconds")
    why = str(event.more.get("reply", "")).replace("\n", " ")
    return f"{at} <{event.recipient}> did not get mail from <{event.sender}>: {why or 'nobody knows why'}"


def append(path: Path, text: str) -> None:
    """Put a text at the end of a file, which is made when it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
