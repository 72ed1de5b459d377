"""Runs what the documentation shows: files are written, commands typed, and what they say is compared.

A page is one session in one empty folder, from its beginning to its end:

* a code block with a ``:caption:`` is a file of that name (``at the end of NAME`` adds to it);
* in a ``console`` block, ``$ `` begins a command, ``> `` continues it, and what follows is what it says;
* ``...`` in what it says stands for anything; ids, times and numbers of milliseconds are those of the day,
  and an id that was shown once stands for the same message later on;
* ports 20000 to 21999, and those of ``mailserver dev``, are moved to ports that are free.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cli.commands import ROOT, STANDARD, environment, free_base

PATIENCE = 60.0         # seconds for one command
DEV = {"1025": 25, "1587": 587, "1143": 143, "1110": 110, "8025": 80}
# What differs from day to day: what it looks like, and what it is compared as.
VARIES = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}", "TIME"),
    (r"\d+\.\d+ ms", "MS"),
    (r"(?<=127\.0\.0\.1 )port \d+", "PORT"),
)
LOG = r"(?:>|--logfile=) ?([\w.]+)"        # where the log of a server in the background goes
ID = r"\b[0-9][0-9A-Z]{12}\b"


@dataclass(frozen=True)
class Block:
    """A code block: where it stands, its language, the file that it is, its lines."""

    line: int
    language: str
    caption: str | None
    lines: tuple[str, ...]


def blocks(text: str) -> Iterator[Block]:
    """The code blocks of a page of reStructuredText."""
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        found = re.fullmatch(r"( *)\.\. code-block:: (\S+)", lines[number])
        number += 1
        if found is None:
            continue
        began, indent, caption, content = number, len(found[1]), None, []
        while number < len(lines) and (not lines[number].strip() or _indent(lines[number]) > indent):
            content.append(lines[number])
            number += 1
        while content and (option := re.fullmatch(r" *:(\w+):(.*)", content[0])):
            caption = option[2].strip() if option[1] == "caption" else caption
            content.pop(0)
        while content and not content[-1].strip():
            content.pop()
        while content and not content[0].strip():
            content.pop(0)
        depth = min((_indent(line) for line in content if line.strip()), default=0)
        yield Block(began, found[2], caption, tuple(line[depth:] for line in content))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


class Session:
    """A shell in a folder."""

    def __init__(self, folder: Path, packages: Sequence[Path] = ()) -> None:
        self.folder = folder
        self.ids: dict[str, str] = {}           # as shown: as they are
        # The first server, the second, and the developer's, one above the other.
        second, third = (1000 + port for port in STANDARD), (2000 + port for port in DEV.values())
        self._base = free_base((*STANDARD, 80, *second, *third))
        self._dev: int | None = None
        programs = folder / ".programs"
        programs.mkdir(parents=True)
        for name, module in (
            ("mailserver", "-m mailserver"), ("python", ""), ("twist", "-m twisted"),
            ("twistd", "-c 'from twisted.scripts.twistd import run; run()'"),
        ):
            (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
            (programs / name).chmod(0o755)
        env = environment()
        env["PYTHONPATH"] = os.pathsep.join((*map(str, packages), env["PYTHONPATH"]))
        path = os.pathsep.join((str(programs), env.get("PATH", ""), "/usr/sbin"))
        self._shell = subprocess.Popen(
            ["bash", "--norc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder,
            text=True, start_new_session=True,
            env={**env, "PATH": path, "COLUMNS": "200", "PYTHONUNBUFFERED": "1"},
        )

    def close(self) -> None:
        """End the shell, and what it left running."""
        assert self._shell.stdin is not None and self._shell.stdout is not None
        self._shell.stdin.write("kill $(jobs -p) 2>/dev/null; wait\n")
        self._shell.stdin.close()
        self._shell.wait(PATIENCE)
        self._shell.stdout.close()

    def play(self, page: Path) -> list[str]:
        """Do what a page shows; returns what is not as it says."""
        wrong = []
        for block in blocks(page.read_text("utf-8")):
            if block.caption:
                self._write(block)
            elif block.language == "console":
                wrong += [f"{page.relative_to(ROOT)}:{block.line}: {each}" for each in self._type(block)]
        return wrong

    def _write(self, block: Block) -> None:
        assert block.caption is not None
        name = block.caption.removeprefix("at the end of ")
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "a" if name != block.caption else "w") as written:
            written.write("\n" * (name != block.caption) + self._real("\n".join(block.lines)) + "\n")

    def _type(self, block: Block) -> Iterator[str]:
        steps: list[tuple[str, list[str]]] = []
        for line in block.lines:
            if line.startswith("$ "):
                steps.append((line[2:], []))
            elif line.startswith("> "):
                steps[-1] = (f"{steps[-1][0]}\n{line[2:]}", steps[-1][1])
            else:
                steps[-1][1].append(line)
        for command, expected in steps:
            code, said = self._run(self._real(command))
            if not self._as_shown("\n".join(expected), self._shown(said).rstrip("\n")):
                yield f"$ {command}\nshould say\n" + "\n".join(expected) + f"\nbut says\n{said}"
            elif code and not expected:
                yield f"$ {command}\nends with {code}"

    def _run(self, command: str) -> tuple[int, str]:
        """One command's exit code and output."""
        assert self._shell.stdin is not None and self._shell.stdout is not None
        log = self.folder / re.findall(LOG, command)[-1] if command.endswith("&") else None
        if log is not None:
            log.unlink(missing_ok=True)
        self._shell.stdin.write(f"{command}\necho; echo =done= $?\n")
        self._shell.stdin.flush()
        timer = threading.Timer(PATIENCE, self._shell.kill)
        timer.start()
        lines = []
        try:
            while not (line := self._shell.stdout.readline()).startswith("=done="):
                if not line:
                    raise AssertionError(f"$ {command}\nnever ended, but said\n{''.join(lines)}")
                lines.append(line)
        finally:
            timer.cancel()
        if log is not None:
            self._wait_for_server(command, log)
        return int(line.split()[1]), "".join(lines)[:-1]

    def _wait_for_server(self, command: str, file: Path) -> None:
        """A server in the background writes its log to a file, as a page shows it; wait until it listens."""
        until = time.monotonic() + PATIENCE
        while "pop3 on" not in (said := file.read_text() if file.exists() else ""):
            if time.monotonic() > until or "Traceback" in said:
                raise AssertionError(f"$ {command}\ndoes not listen: {said}")
            time.sleep(0.05)

    # -- between what is shown and what is

    def _real(self, text: str) -> str:
        """Commands and files as shown, with ports that are free and ids that are known."""
        text = re.sub(r"\b2([01])(\d{3})\b", lambda found: self._port(int(found[1]), int(found[2])), text)
        if "mailserver dev" in text:
            self._dev = self._base + 2000
            text = text.replace("mailserver dev", f"mailserver dev --port-base {self._dev}")
        if self._dev is not None:
            for shown, port in DEV.items():
                text = re.sub(rf"\b{shown}\b", str(self._dev + port), text)
        return re.sub(ID, lambda found: self.ids.get(found[0], found[0]), text)

    def _port(self, house: int, port: int) -> str:
        return str(self._base + 1000 * house + port)

    def _shown(self, text: str) -> str:
        """Output with the ports that a page shows."""
        # The houses' ports are a thousand apart, here as on the pages; in one pass, for what it makes are ports, too.
        def shown_port(found: re.Match[str]) -> str:
            offset = int(found[0]) - self._base
            return str(20000 + offset) if 0 <= offset < 2000 else found[0]

        text = re.sub(r"\b\d{5}\b", shown_port, text)
        if self._dev is not None:
            for shown, port in DEV.items():
                text = text.replace(str(self._dev + port), shown)
        return text

    def _as_shown(self, expected: str, said: str) -> bool:
        """Whether it says so; learns the ids that are shown for the first time."""
        for pattern, name in VARIES:
            expected, said = re.sub(pattern, name, expected), re.sub(pattern, name, said)
        # Tables are as wide as what stands in them.
        expected, said = re.sub(r" {2,}", "  ", expected), re.sub(r" {2,}", "  ", said)
        pattern, new = "", []
        for part in re.split(rf"({ID}|^\.\.\.\n|\.\.\.)", expected, flags=re.MULTILINE):
            if part.startswith("..."):          # with its line end, when it stands for whole lines
                pattern += ".*"
            elif re.fullmatch(ID, part):
                if part in self.ids:
                    pattern += self.ids[part]
                elif part in new:
                    pattern += rf"\{new.index(part) + 1}"
                else:
                    new.append(part)
                    pattern += f"({ID})"
            else:
                pattern += re.escape(part)
        found = re.fullmatch(pattern, said, re.DOTALL)
        if found is not None:
            self.ids.update(zip(new, found.groups(), strict=True))
        return found is not None
