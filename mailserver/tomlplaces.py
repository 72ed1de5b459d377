"""Where each key of a TOML file stands, which `tomllib` does not tell.

The scanner follows the text only as far as keys go; the file has been read by `tomllib` before, so it is right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file; lines and columns count from one."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


_BARE = re.compile(r"[A-Za-z0-9_\-]+")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_STRING = re.compile(
    r'"""(?:[^\\"]|\\[\s\S]|"{1,2}(?!"))*"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
)
_SCALAR = re.compile(r"[^,\]}\s#]+(?:[ ][0-9][^,\]}\s#]*)?")       # a date and its time may have a space between


def places(text: str, file: str) -> dict[Path, Place]:
    """The place of each key and table: ``("listen", 0, "tls")`` for the key ``tls`` of the first ``[[listen]]``."""
    return _Scanner(text, file).run()


class _Scanner:
    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.at = 0
        self.found: dict[Path, Place] = {}
        self.counts: dict[Path, int] = {}       # of the tables of an array

    def run(self) -> dict[Path, Place]:
        table: Path = ()
        while True:
            self.skip(_BLANK)
            if self.at >= len(self.text):
                return self.found
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)

    def skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()

    def place(self, at: int) -> Place:
        line = self.text.count("\n", 0, at) + 1
        return Place(self.file, line, at - (self.text.rfind("\n", 0, at) + 1) + 1)

    def note(self, path: Path, at: int) -> None:
        self.found.setdefault(path, self.place(at))

    def header(self) -> Path:
        start = self.at
        is_array = self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        path = self.resolve(self.key())
        self.at += 2 if is_array else 1
        if is_array:
            number = self.counts[path] = self.counts.get(path, -1) + 1
            path = (*path, number)
        self.note(path, start)
        return path

    def resolve(self, names: list[str]) -> Path:
        """The path of a header, where the name of an array stands for its newest table."""
        path: Path = ()
        for name in names[:-1]:
            path = (*path, name)
            if path in self.counts:
                path = (*path, self.counts[path])
        return (*path, names[-1])

    def key(self) -> list[str]:
        names: list[str] = []
        while True:
            self.skip(_SPACE)
            found = _BARE.match(self.text, self.at) or _STRING.match(self.text, self.at)
            if found is None:
                self.at += 1
                return [*names, ""]
            name = found[0]
            names.append(name[1:-1] if name[0] in "\"'" else name)
            self.at = found.end()
            self.skip(_SPACE)
            if self.text[self.at : self.at + 1] != ".":
                return names
            self.at += 1

    def pair(self, table: Path) -> None:
        start = self.at
        path = (*table, *self.key())
        self.note(path, start)
        self.skip(_SPACE)
        self.at += 1                            # the equals sign
        self.skip(_SPACE)
        self.value(path)

    def value(self, path: Path) -> None:
        first = self.text[self.at : self.at + 1]
        if first == "[":
            self.at += 1
            number = 0
            while True:
                self.skip(_BLANK)
                if self.text[self.at : self.at + 1] in ("]", ""):
                    self.at += 1
                    return
                if self.text[self.at] == ",":
                    self.at += 1
                    continue
                self.note((*path, number), self.at)
                self.value((*path, number))
                number += 1
        elif first == "{":
            self.at += 1
            while True:
                self.skip(_BLANK)
                if self.text[self.at : self.at + 1] in ("}", ""):
                    self.at += 1
                    return
                if self.text[self.at] == ",":
                    self.at += 1
                    continue
                self.pair(path)
        else:
            found = _STRING.match(self.text, self.at) or _SCALAR.match(self.text, self.at)
            self.at = found.end() if found is not None else self.at + 1
