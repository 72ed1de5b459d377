"""How fast a mailbox is read and changed by IMAP and POP3, what it costs, and how that compares with Dovecot.

    python -m benchmarks.mailbox [--only NAME ...] [--runs NAME ...] [--messages 10000] [--rounds 3] [--rst FILE]

The mailbox has messages of 4 KiB, the same octets, dates and flags on each server.  The runs:

cold    a server that has just started, and has not read this mailbox before (Dovecot's index files are deleted)
read    what clients ask for, in a session that goes on; all messages by POP3, with 200 commands said ahead
mbsync  the first time that isync's mbsync copies the mailbox
write   flags on all, COPY and MOVE of all, APPEND one by one by one connection and by eight, and in one command
idle    1,000 sessions in IDLE, in clear and inside TLS: memory for each, and the time until all have heard of a message

What a server does by itself with mail that has come (ours understands it, and makes an index) is waited for before the
first line; the cost of that shows where mail is brought, and in `benchmarks.search`.

The servers take turns, each begins each round with empty folders, and the middle of the rounds is told.  CPU and memory
are the kernel's figures for all processes of a server; the client, which looks at nothing that it hears, runs on the
same cores.  `--drop` empties the kernel's page cache before each line of `cold`, which the whole machine feels.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import measure
from benchmarks.idlers import idlers, told
from benchmarks.imap import Imap
from benchmarks.larder import Larder, Unavailable
from benchmarks.mailboxes import MAILBOXES, USERS, Mailboxes, OursMailboxes
from benchmarks.mails import SIZE, mails
from benchmarks.readings import Reading, mbsync_version, readings
from benchmarks.stage import PAGE_CACHE, Stage
from benchmarks.table import NONE, Table, middle, ratio

RUNS = ("cold", "read", "mbsync", "write", "idle")
PATIENCE = 600.0            # seconds for one command
SETTLED = 2.0               # seconds after which memory is looked at
KIB, MB = 1024, 1_000_000


@dataclass(frozen=True)
class Taken:
    """One line on one server, in seconds."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Idle:
    """Sessions in IDLE: KiB for each, and seconds until all have heard."""

    memory: float
    wall: float


@dataclass
class Bench:
    """What is measured, where, and what went wrong."""

    where: str
    larder: Larder
    messages: int
    appended: int
    idle: int
    rounds: int
    drop: bool
    runs: Sequence[str]
    failed: dict[str, str] = field(default_factory=dict)
    seen: dict[tuple[str, str], list[Taken]] = field(default_factory=dict)
    peaks: dict[str, list[float]] = field(default_factory=dict)
    idles: dict[tuple[str, str], list[Idle]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.written = list(mails(self.appended, 2))
        self.lines = [each for each in readings(self.messages, self.written) if each.run in self.runs]

    def measure(self, kind: type[Mailboxes], number: int) -> None:
        """A round of all lines on one server."""
        stage = Stage(kind, self.where, self.larder)
        try:
            stage.start()
            if self.lines:
                stage.peer.fill(mails(self.messages))
                os.sync()
                stage.settle()
                for mailbox in (b"Drawer", b"Copies", b"Moved"):
                    made = stage.peer.session(mailbox=None)
                    made.do(b"CREATE " + mailbox)
                    made.close()
            watch: measure.Watch | None = None
            for line in self.lines:
                if watch is None and line.run != "cold":        # a restart would be seen with this process among them
                    watch = measure.Watch(stage.meter)
                if f"{kind.name}, {line.what}" not in self.failed:
                    with self.noting(kind, line.what):
                        took = self.cold(stage, line) if line.run == "cold" else self.warm(stage, line)
                        self.seen.setdefault((line.what, kind.name), []).append(took)
                        say(number, line.what, kind, f"{took.wall:9.4f} s {took.cpu:9.4f} CPU s")
            if watch is not None:
                # With a session there is more than the one process whose own peak would be told.
                last = logged_in(stage.peer)
                self.peaks.setdefault(kind.name, []).append(watch.stop() / MB)
                last.close()
        finally:
            stage.close()
        if "idle" in self.runs:
            for tls in (False, True):
                self.measure_idle(kind, number, tls)

    def cold(self, stage: Stage, line: Reading) -> Taken:
        """The first that is asked of a server; SELECT is a part of it."""
        stage.start_cold(self.drop)
        session = logged_in(stage.peer)
        cpu, begun = stage.meter.cpu(), time.perf_counter()
        session.do(b"SELECT INBOX")
        line.work(stage.peer, session)
        took = Taken(time.perf_counter() - begun, stage.meter.cpu() - cpu)
        session.close()
        return took

    def warm(self, stage: Stage, line: Reading) -> Taken:
        """In a session that has selected."""
        session = logged_in(stage.peer)
        session.do(b"SELECT INBOX")
        if line.warm_up:
            line.work(stage.peer, session)
        cpu, begun = stage.meter.cpu(), time.perf_counter()
        for _ in range(line.times):
            line.work(stage.peer, session)
        took = Taken((time.perf_counter() - begun) / line.times, (stage.meter.cpu() - cpu) / line.times)
        session.close()
        return took

    def measure_idle(self, kind: type[Mailboxes], number: int, tls: bool) -> None:
        """Sessions in IDLE, on a fresh server whose mailboxes are empty."""
        what = "inside TLS" if tls else "in clear"
        if f"{kind.name}, idle {what}" in self.failed:
            return
        with self.noting(kind, f"idle {what}"):
            stage = Stage(kind, self.where, self.larder)
            try:
                stage.start()
                with idlers(stage.peer, USERS, tls):
                    time.sleep(SETTLED)
                    before = measure.memory(stage.meter)
                    with idlers(stage.peer, self.idle, tls) as sessions:
                        time.sleep(SETTLED)
                        each = (measure.memory(stage.meter) - before) / KIB / self.idle
                        result = Idle(each, told(stage.peer, sessions, self.written[0]))
            finally:
                stage.close()
            self.idles.setdefault((what, kind.name), []).append(result)
            say(number, f"idle {what}", kind, f"{result.memory:9.1f} KiB a session, all heard in {result.wall:.3f} s")

    @contextmanager
    def noting(self, kind: type[Mailboxes], what: str) -> Iterator[None]:
        """A measurement that fails is told and not repeated; the others go on."""
        try:
            yield
        except (AssertionError, OSError) as error:
            self.failed[f"{kind.name}, {what}"] = str(error).partition("\n")[0]
            print(f"FAILED: {kind.name}, {what}: {error}", flush=True)

    # -- what is told

    def tables(self, kinds: Sequence[type[Mailboxes]]) -> list[Table]:
        made = []
        if self.lines:
            title = f"A mailbox of {self.messages:,} messages: "
            made.append(self._lines(kinds, title + "seconds", "wall"))
            made.append(self._lines(kinds, title + "seconds of CPU of the server", "cpu"))
            made.append(Table("MB of memory at the most, but for what is cold", ["", "MB"], [
                [kind.name, middle(self.peaks.get(kind.name, []), ".0f")] for kind in kinds
            ]))
        if self.idles:
            rows = []
            for what in ("in clear", "inside TLS"):
                for kind in kinds:
                    there = self.idles.get((what, kind.name), [])
                    rows.append([
                        f"{kind.name}, {what}", f"{self.idle:,}" if there else NONE,
                        middle([each.memory for each in there], ",.1f"), middle([each.wall for each in there], ".3f"),
                    ])
            head = ["", "sessions", "KiB of memory\nfor each", "seconds until\nall heard"]
            made.append(Table("Sessions in IDLE", head, rows))
        return made

    def _lines(self, kinds: Sequence[type[Mailboxes]], title: str, part: str) -> Table:
        head = ["", *(kind.name for kind in kinds)]
        others = [kind for kind in kinds if kind is not OursMailboxes]
        compared = OursMailboxes in kinds and bool(others)
        if compared:
            head.append("ours :\nbest other")
        rows = []
        for line in self.lines:
            figures = {
                kind: [getattr(each, part) for each in self.seen.get((line.what, kind.name), [])] for kind in kinds
            }
            row = [line.what, *(middle(figures[kind], ".4f") for kind in kinds)]
            if compared:
                row.append(ratio(figures[OursMailboxes], [figures[kind] for kind in others], lowest=True))
            rows.append(row)
        return Table(title, head, rows)


def logged_in(peer: Mailboxes) -> Imap:
    """A session in which nothing is selected yet, with patience for long commands."""
    session = peer.session(mailbox=None)
    session.socket.settimeout(PATIENCE)
    return session


def say(number: int, what: str, kind: type[Mailboxes], result: str) -> None:
    print(f"round {number + 1}: {what:30} {kind.name:10} {result}", flush=True)


def available(kinds: Sequence[type[Mailboxes]], larder: Larder) -> tuple[dict[type[Mailboxes], str], dict[str, str]]:
    """The versions of the servers that can be had here, and the reasons why the others cannot."""
    versions: dict[type[Mailboxes], str] = {}
    missing = {}
    for kind in kinds:
        try:
            versions[kind] = kind.version(larder)
        except Unavailable as error:
            missing[kind.name] = str(error)
            print(f"left out: {kind.name}: {error}", flush=True)
    return versions, missing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [kind.name.lower() for kind in MAILBOXES]
    parser.add_argument("--only", nargs="+", choices=names, help="measure these")
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=RUNS, help="and of them this")
    parser.add_argument("--messages", type=int, default=10_000, help="in the mailbox")
    parser.add_argument("--appended", type=int, default=1000, help="messages that are appended one by one")
    parser.add_argument("--idle", type=int, default=1000, metavar="N", help="how many sessions in IDLE")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--drop", action="store_true", help="empty the page cache before each line of cold")
    parser.add_argument("--folder", default=".", help="where the mail lies, on the disk to be measured")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where the servers go that are not installed")
    parser.add_argument("--rst", type=Path, metavar="FILE", help="write the tables there too")
    options = parser.parse_args()
    most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    if options.drop and not os.access(PAGE_CACHE, os.W_OK):
        raise SystemExit("--drop: the page cache of this machine may not be emptied")
    larder = Larder(options.cache)
    wanted = [kind for kind in MAILBOXES if not options.only or kind.name.lower() in options.only]
    versions, missing = available(wanted, larder)
    if options.only and missing:
        raise SystemExit("what was asked for is not here")
    runs = list(options.runs)
    if "mbsync" in runs:
        try:
            print(mbsync_version(), flush=True)
        except Unavailable as error:
            missing["mbsync"] = str(error)
            runs.remove("mbsync")
            print(f"left out: {error}", flush=True)
    bench = Bench(
        options.folder, larder, options.messages, options.appended, options.idle, options.rounds, options.drop, runs
    )
    for number in range(options.rounds):
        for kind in versions:
            bench.measure(kind, number)
    tables = bench.tables(list(versions))
    tables.append(Table("The servers", ["", "version", "settings"], [
        [kind.name, version, kind.settings] for kind, version in versions.items()
    ], is_text=True))
    told_of = {**missing, **bench.failed}
    if told_of:
        tables.append(Table("Not measured", ["", "why"], [[*each] for each in told_of.items()], is_text=True))
    print("", *(table.as_text() for table in tables), sep="\n")
    if options.rst:
        said = (
            f"Medians of {options.rounds} rounds; messages of {SIZE // KIB} KiB, {options.appended:,} appended, "
            f"{'the page cache emptied' if options.drop else 'the page cache as it is'} for what is cold; "
            f"{os.cpu_count()} cores, Python {platform.python_version()}, "
            f"Linux {platform.release().partition('-')[0]}; {time.strftime('%B %Y')}.\n"
        )
        options.rst.write_text("\n".join([said, *(table.as_rst() for table in tables)]))
    if bench.failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
