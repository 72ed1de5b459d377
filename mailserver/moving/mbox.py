"""A file of messages as a source: mbox, in the forms of mboxo and mboxrd (RFC 4155, and what programs write)."""

from __future__ import annotations

import hashlib
import re
import tempfile
import time
from calendar import timegm
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from mailserver.content import CHUNK, LARGE
from mailserver.errors import NotFound
from mailserver.imapstore import Flags
from mailserver.interfaces import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN
from mailserver.mailbox.keywords import is_keyword
from mailserver.mailbox.lineends import LineEnds
from mailserver.mime import dates
from mailserver.moving.source import Folder, Item

LETTERS = {"R": SEEN, "A": ANSWERED, "F": FLAGGED, "D": DELETED, "T": DRAFT}
LONGEST_LINE = 64 * 1024    # octets of a line that are looked at for what it is
_FROM = re.compile(rb"From \S.* [0-9]{4}\s*\Z|From .*[0-9]{1,2}:[0-9]{2}")
_QUOTED = re.compile(rb">+From ")
_STATUS = re.compile(rb"(?im)^(Status|X-Status|X-Keywords):[ \t]*([^\r\n]*)\r?\n")


class Mbox:
    """See `mailserver.moving.source.Source`.  A message is known by what it says, so that a file may grow."""

    def __init__(self, path: Path, mailbox: str) -> None:
        """Raises `NotFound` when there is no such file, or when it does not begin as one."""
        if not path.is_file():
            raise NotFound(f"{path} is no file")
        with open(path, "rb") as file:
            start = file.read(5)
        if start and start != b"From ":
            raise NotFound(f"{path} is no mbox: it does not begin with \"From \"")
        self.identity = f"mbox:{path.resolve()}"
        self.total = path.stat().st_size
        self.skipped: list[tuple[str, str]] = []
        self._path = path
        self._mailbox = mailbox

    def folders(self) -> list[Folder]:
        return [Folder(self._mailbox)]

    def items(self, is_done: Callable[[str], bool], advance: Callable[[int], None]) -> Iterator[Item]:
        seen: dict[str, int] = {}
        with open(self._path, "rb") as file:
            for postmark, body, size in _messages(file):
                advance(size)
                with body:
                    digest = hashlib.sha256()
                    body.seek(0)
                    head = body.read(LARGE)
                    body.seek(0)
                    while piece := body.read(CHUNK):
                        digest.update(piece)
                    # The same message twice in one file is two.
                    mark = digest.hexdigest()[:40]
                    seen[mark] = seen.get(mark, 0) + 1
                    key = f"{mark} {seen[mark]}"
                    if not is_done(key):
                        yield Item(key, self._mailbox, _flags(head), _received(postmark, head), _reader(body))


def _messages(file: IO[bytes]) -> Iterator[tuple[bytes, IO[bytes], int]]:
    """The line that begins each, the message with CRLF, and how many octets it took up."""
    postmark, body, size = b"", None, 0
    is_start, is_blank, ends = True, True, LineEnds()
    held = b""                  # the empty line before the next message, which belongs to neither
    while line := file.readline(LONGEST_LINE):
        begins = is_start and is_blank and line.startswith(b"From ") and (body is None or _FROM.match(line))
        if begins:
            if body is not None:
                yield postmark, body, size
            postmark, size, held, ends = line, 0, b"", LineEnds()
            body = tempfile.SpooledTemporaryFile(LARGE)     # noqa: SIM115  who is given it closes it
        elif body is not None:
            if is_start and _QUOTED.match(line):
                line = line[1:]
            body.write(ends.feed(held))
            held = line if is_start and line in (b"\n", b"\r\n") else b""
            if not held:
                body.write(ends.feed(line))
        size += len(line)
        is_blank = is_start and line in (b"\n", b"\r\n")
        is_start = line.endswith(b"\n")
    if body is not None:
        yield postmark, body, size


def _flags(head: bytes) -> Flags:
    """Of the fields that mail programs keep them in."""
    end = head.find(b"\r\n\r\n")
    system, words = 0, list[str]()
    for name, value in _STATUS.findall(head[: end + 2] if end >= 0 else head):
        if name.lower() == b"x-keywords":
            words += [word for word in value.decode("utf-8", "replace").replace(",", " ").split() if is_keyword(word)]
        else:
            system |= sum({LETTERS[letter] for letter in value.decode("latin-1") if letter in LETTERS})
    return Flags(system, words)


def _received(postmark: bytes, head: bytes) -> float:
    """What the line says that begins it, else what the message says itself."""
    words = postmark.decode("latin-1").split()
    for count in (5, 6):
        try:
            return float(timegm(time.strptime(" ".join(words[-count:][:5]), "%a %b %d %H:%M:%S %Y")))
        except (ValueError, OverflowError):
            continue
    found = re.search(rb"(?im)^Date:[ \t]*([^\r\n]*)", head)
    sent = dates.sent(found[1]) if found is not None else None
    return float(sent) if sent is not None else time.time()


def _reader(body: IO[bytes]) -> Callable[[], Iterator[bytes]]:
    def octets() -> Iterator[bytes]:
        body.seek(0)
        while piece := body.read(CHUNK):
            yield piece

    return octets
