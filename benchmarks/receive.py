"""How fast mail is received and delivered, what it costs, and how that compares with other servers.

    python -m benchmarks.receive [--only NAME ...] [--runs NAME ...] [--messages 5000] [--rounds 3] [--rst FILE]

The runs:

new     a new connection for each message of 4 KiB, 20 sessions at once, to one user and to twenty (smtp-source)
kept    the same over connections that stay
tls     a new connection for each message, with STARTTLS and a full handshake
large   messages of 10 MiB, one after the other
idle    5,000 sessions that have said EHLO, and nothing more

The servers take turns, each begins each time with empty folders and a warm-up, and the middle of the rounds is told.
The clock runs from the first connection until the last message lies in its mailbox, where it is counted.  CPU and
memory are the kernel's figures for all processes of a server.  Slow servers get a share of the messages.

All call fsync before they answer for a message.  It must be a real disk: `--folder` names one.  A server that is not
here is downloaded and unpacked beside the system (`--cache`); one that cannot be had is named with the reason.
"""

from __future__ import annotations

import argparse
import base64
import os
import platform
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import load, measure
from benchmarks.cell import Cell
from benchmarks.chasquid import Chasquid
from benchmarks.dovecot import Dovecot
from benchmarks.exim import Exim
from benchmarks.haraka import Haraka
from benchmarks.larder import Larder, Unavailable
from benchmarks.opensmtpd import OpenSmtpd
from benchmarks.ours import Ours
from benchmarks.peer import Peer
from benchmarks.postfix import Postfix
from benchmarks.scripts import Aiosmtpd, TwistedMail
from benchmarks.sink import Sink
from benchmarks.table import NONE, Table, middle, most, ratio

PEERS: tuple[type[Peer], ...] = (
    Ours, Postfix, Exim, OpenSmtpd, Chasquid, Haraka, Aiosmtpd, TwistedMail, Dovecot, Sink,
)
IN_CELLS = (Exim, OpenSmtpd, Chasquid, Dovecot, Haraka)     # see `cell`
RUNS = ("new", "kept", "tls", "large", "idle")
LARGE_ONES = 20         # messages, one after the other
SIZE = 4096
TLS_SHARE = 5               # a handshake costs as much as some messages: a run of it has so many times fewer
WARM_UP = 10                # messages for each user
SETTLED = 1.0               # seconds after which memory is looked at
KIB, MB = 1024, 1_000_000


@dataclass(frozen=True)
class Load:
    """Many messages in one of the ways that they come."""

    run: str
    what: str               # the head of its column
    users: int = 1


LOADS = (
    Load("new", "new,\n1 user"),
    Load("new", "new,\n20 users", 20),
    Load("kept", "kept,\n1 user"),
    Load("kept", "kept,\n20 users", 20),
    Load("tls", "STARTTLS,\n1 user"),
)


@dataclass(frozen=True)
class Result:
    """One load on one server."""

    rate: float             # messages delivered in a second
    cpu: float              # seconds for 1,000 messages
    memory: float           # MB at the most


@dataclass(frozen=True)
class Large:
    """Some large messages on one server."""

    rate: float             # MB a second
    growth: float           # MB of memory at the most


@dataclass
class Bench:
    """What is measured, where, and what went wrong."""

    where: str
    larder: Larder
    messages: int
    rounds: int
    large: int              # octets
    idle: int               # sessions
    failed: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def serving(self, kind: type[Peer], users: int) -> Iterator[tuple[Peer, measure.Meter]]:
        """A fresh server, whose processes and files are gone afterwards."""
        folder = Path(tempfile.mkdtemp(prefix="receive-benchmark-", dir=self.where)).absolute()
        folder.chmod(0o755)
        peer = kind(folder / "server", users, self.larder)
        group = measure.Group.make()
        try:
            if group is None:
                peer.start()
                yield peer, measure.Tree(peer.pid)
            else:
                with group.entered():
                    peer.start()
                yield peer, group
        finally:
            peer.stop()
            if group is not None:
                group.close()
            shutil.rmtree(folder, ignore_errors=True)

    def share(self, kind: type[Peer], what: Load) -> int:
        """How many messages of a load a server gets: as many for each user."""
        count = self.messages / kind.slow / (TLS_SHARE if what.run == "tls" else 1)
        return max(1, round(count / what.users)) * what.users

    def load(self, kind: type[Peer], what: Load) -> Result:
        """Measure one load."""
        messages, warm_up = self.share(kind, what), WARM_UP * what.users
        with self.serving(kind, what.users) as (peer, meter):
            send(peer, what, warm_up)           # so that nothing happens for the first time
            peer.wait_delivered(warm_up)
            os.sync()
            watch = measure.Watch(meter)
            cpu, begun = meter.cpu(), time.perf_counter()
            send(peer, what, messages)
            peer.wait_delivered(messages + warm_up)
            took = time.perf_counter() - begun
            used = meter.cpu() - cpu
            return Result(messages / took, used / messages * 1000, watch.stop() / MB)

    def send_large(self, kind: type[Peer], times: int = 5) -> Large:
        """Large messages one after the other; some more of them while memory is watched, since that costs time."""
        content = large_content(self.large)
        growth = []
        with self.serving(kind, 1) as (peer, meter):
            load.smtp_source(peer, 100, 5, SIZE, False)
            load.send_large(peer, content)
            peer.wait_delivered(101)
            begun = time.perf_counter()
            for _ in range(LARGE_ONES):
                load.send_large(peer, content)
            # Some say 250 while the octets are on their way to a mailbox, and sync them there.
            peer.wait_delivered(101 + LARGE_ONES)
            rate = LARGE_ONES * self.large / MB / (time.perf_counter() - begun)
        # In a fresh process: what the first ones left behind would hide what the next ones take.
        with self.serving(kind, 1) as (peer, meter):
            load.smtp_source(peer, 100, 5, SIZE, False)
            peer.wait_delivered(100)
            for number in range(times):
                time.sleep(SETTLED / 2)
                if not number:
                    before = measure.size(meter)
                    for pid in meter.processes():
                        measure.forget_peak(pid)
                watch = measure.Watch(meter, 0.005)
                load.send_large(peer, content)
                peer.wait_delivered(101 + number)
                growth.append((watch.stop() - before) / MB)
        return Large(rate, max(0.0, *growth))

    def stay_idle(self, kind: type[Peer]) -> float:
        """KiB by which memory grows for each session that says nothing more after EHLO."""
        count = min(self.idle, kind.most_idle)
        with self.serving(kind, 1) as (peer, meter):
            with load.idle(peer, 1):
                pass
            time.sleep(SETTLED)
            before = measure.memory(meter)
            with load.idle(peer, count):
                time.sleep(SETTLED)
                return (measure.memory(meter) - before) / KIB / count

    def tables(self, kinds: Sequence[type[Peer]], runs: Sequence[str]) -> list[Table]:
        """Run everything and tell it."""
        made = []
        loads = [each for each in LOADS if each.run in runs]
        if loads:
            made += self._loads(kinds, loads)
        if "large" in runs:
            made.append(self._large(kinds))
        if "idle" in runs:
            made.append(self._idle(kinds))
        return made

    def _loads(self, kinds: Sequence[type[Peer]], loads: Sequence[Load]) -> list[Table]:
        seen: dict[tuple[str, str], list[Result]] = {(what.what, kind.name): [] for what in loads for kind in kinds}
        for number in range(self.rounds):
            for what in loads:
                for kind in kinds:
                    title = what.what.replace("\n", " ")
                    if (what.run == "tls" and not kind.has_tls) or self.has_failed(kind, title):
                        continue
                    with self.noting(kind, title):
                        result = self.load(kind, what)
                        seen[what.what, kind.name].append(result)
                        say(number, title, kind, f"{result.rate:7,.0f}/s {result.cpu:6.2f} CPU s per 1,000"
                                                 f" {result.memory:5.0f} MB")
        rates = {key: [each.rate for each in results] for key, results in seen.items()}
        cpus = {key: [each.cpu for each in results] for key, results in seen.items()}
        memory = {key: [each.memory for each in results] for key, results in seen.items()}
        head = ["", *(what.what for what in loads)]

        def rows(figures: dict[tuple[str, str], list[float]], form: str, lowest: bool) -> list[list[str]]:
            made = [[kind.name, *(middle(figures[what.what, kind.name], form) for what in loads)] for kind in kinds]
            if Ours in kinds and (others := [kind for kind in kinds if kind.stores and kind is not Ours]):
                made.append([f"{Ours.name} : best other", *(
                    ratio(figures[what.what, Ours.name], [figures[what.what, kind.name] for kind in others], lowest)
                    for what in loads
                )])
            return made

        return [
            Table("Messages delivered in a second", head, rows(rates, ",.0f", False)),
            Table("Seconds of CPU for 1,000 messages", head, rows(cpus, ".2f", True)),
            Table("MB of memory at the most", head, [
                [kind.name, *(most(memory[what.what, kind.name], ".0f") for what in loads)] for kind in kinds
            ]),
        ]

    def _large(self, kinds: Sequence[type[Peer]]) -> Table:
        seen: dict[str, list[Large]] = {kind.name: [] for kind in kinds}
        for number in range(self.rounds):
            for kind in kinds:
                if kind.stores and not self.has_failed(kind, "large"):
                    with self.noting(kind, "large"):
                        result = self.send_large(kind)
                        seen[kind.name].append(result)
                        say(number, "large", kind, f"{result.rate:7.0f} MB/s, memory grew by {result.growth:.1f} MB")
        return Table(f"Messages of {self.large / KIB / KIB:.0f} MiB", ["", "MB/s", "memory grew\nat most, MB"], [
            [
                kind.name,
                middle([each.rate for each in seen[kind.name]], ".0f"),
                most([each.growth for each in seen[kind.name]], ".1f"),
            ]
            for kind in kinds
        ])

    def _idle(self, kinds: Sequence[type[Peer]]) -> Table:
        seen: dict[str, list[float]] = {kind.name: [] for kind in kinds}
        for number in range(self.rounds):
            for kind in kinds:
                if kind.most_idle and not self.has_failed(kind, "idle"):
                    with self.noting(kind, "idle"):
                        result = self.stay_idle(kind)
                        seen[kind.name].append(result)
                        say(number, "idle", kind, f"{result:7.1f} KiB a session")
        return Table("Idle sessions after EHLO", ["", "sessions", "KiB of memory\nfor each"], [
            [kind.name, f"{min(self.idle, kind.most_idle):,}" if seen[kind.name] else NONE,
             middle(seen[kind.name], ".1f")]
            for kind in kinds
        ])

    def has_failed(self, kind: type[Peer], what: str) -> bool:
        return f"{kind.name}, {what}" in self.failed

    @contextmanager
    def noting(self, kind: type[Peer], what: str) -> Iterator[None]:
        """A measurement that fails is told and not repeated; the others go on."""
        try:
            yield
        except (AssertionError, OSError, SystemExit) as error:
            self.failed[f"{kind.name}, {what}"] = str(error).partition("\n")[0]
            print(f"FAILED: {kind.name}, {what}: {error}", flush=True)


def say(number: int, what: str, kind: type[Peer], result: str) -> None:
    print(f"round {number + 1}: {what:17} {kind.name:13} {result}", flush=True)


def send(peer: Peer, what: Load, messages: int) -> None:
    """Give a server the messages of a load."""
    kind = type(peer)
    if what.run == "tls":
        load.starttls(peer, messages, kind.most_new, SIZE)
    else:
        reuse = what.run == "kept"
        load.smtp_source(peer, messages, kind.most_kept if reuse else kind.most_new, SIZE, reuse)


def large_content(size: int) -> list[bytes]:
    """A text of about `size` octets, as an attachment makes it, in pieces of 64 KiB."""
    line = b"".join(
        base64.b64encode(random.Random(number).randbytes(57)) + b"\r\n" for number in range(size // 78 % 9973 + 1000)
    )
    text = (b"Subject: large\r\n\r\n" + line * (size // len(line) + 1))[:size - 2] + b"\r\n"
    return [text[at:at + 65536] for at in range(0, len(text), 65536)]


def available(kinds: Sequence[type[Peer]], larder: Larder) -> tuple[dict[type[Peer], str], dict[str, str]]:
    """The versions of the servers that can be had here, and the reasons why the others cannot."""
    versions: dict[type[Peer], str] = {}
    missing = {}
    cell = Cell.missing() if any(kind in IN_CELLS for kind in kinds) else None
    for kind in kinds:
        try:
            if kind in IN_CELLS and cell:
                raise Unavailable(cell)
            versions[kind] = kind.version(larder)
        except Unavailable as error:
            missing[kind.name] = str(error)
            print(f"left out: {kind.name}: {error}", flush=True)
    return versions, missing


def key(kind: type[Peer]) -> str:
    """What a server is called on the command line."""
    return kind.name.lower().replace(" ", "-")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[key(kind) for kind in PEERS], help="measure these")
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=RUNS, help="and of them this")
    parser.add_argument("--messages", type=int, default=5000, help="for each load")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", type=int, default=10, metavar="MIB", help="the size of a large message")
    parser.add_argument("--idle", type=int, default=5000, metavar="N", help="how many idle sessions")
    parser.add_argument("--folder", default=".", help="where the mail goes, on the disk to be measured")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where the servers go that are not installed")
    parser.add_argument("--rst", type=Path, metavar="FILE", help="write the tables there too")
    options = parser.parse_args()
    most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    larder = Larder(options.cache)
    wanted = [kind for kind in PEERS if not options.only or key(kind) in options.only]
    versions, missing = available(wanted, larder)
    if options.only and missing:
        raise SystemExit("what was asked for is not here")
    kinds = list(versions)
    bench = Bench(options.folder, larder, options.messages, options.rounds, options.large * KIB * KIB, options.idle)
    tables = bench.tables(kinds, options.runs)
    tables.append(Table("The servers", ["", "version", "settings", "share of\nthe messages"], [
        [kind.name, version, kind.settings, f"1/{kind.slow}" if kind.slow > 1 else "all"]
        for kind, version in versions.items()
    ], is_text=True))
    told = {**missing, **bench.failed}
    if told:
        tables.append(Table("Not measured", ["", "why"], [[*each] for each in told.items()], is_text=True))
    print("", *(table.as_text() for table in tables), sep="\n")
    if options.rst:
        said = (
            f"Medians of {options.rounds} rounds; {options.messages:,} messages of {SIZE // KIB} KiB for a load, "
            f"a {TLS_SHARE}th of them with STARTTLS; {os.cpu_count()} cores, Python {platform.python_version()}, "
            f"Linux {platform.release().partition('-')[0]}; {time.strftime('%B %Y')}.\n"
        )
        options.rst.write_text("\n".join([said, *(table.as_rst() for table in tables)]))
    if bench.failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
