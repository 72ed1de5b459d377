"""How fast mail is taken and sent on, what it costs, and how that compares with other servers.

    python -m benchmarks.relay [--only NAME ...] [--runs new kept] [--messages 5000] [--rounds 3] [--rst FILE]

Messages of 4 KiB from Postfix's ``smtp-source``, 20 sessions at once, each server sends them on to Postfix's
``smtp-sink`` on another port, which counts them.  `new`: smtp-source makes a connection for each message; `kept`:
its connections stay.  The clock runs from the first connection until the last message has reached the sink.  The
servers take turns, each begins with empty folders and a warm-up; medians of the rounds are told.  CPU is the
kernel's figure for all processes of the server, without those of source and sink, which share the machine with it.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import load, measure
from benchmarks.cell import Cell
from benchmarks.larder import Larder, Unavailable
from benchmarks.peer import Peer
from benchmarks.receive import IN_CELLS, MB, SIZE, Result, key, say
from benchmarks.relays import RELAYS, OursRelay, Relay
from benchmarks.table import Table, middle, most, ratio

RUNS = ("new", "kept")
WARM_UP = 100               # messages


@contextmanager
def serving(kind: type[Relay], where: str, larder: Larder) -> Iterator[tuple[Relay, measure.Meter]]:
    """A fresh server and its sink, whose processes and files are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="relay-benchmark-", dir=where)).absolute()
    folder.chmod(0o755)
    peer = kind(folder / "server", 1, larder)
    peer.sink.start()
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
        peer.sink.stop()
        if group is not None:
            group.close()
        shutil.rmtree(folder, ignore_errors=True)


def measured(kind: type[Relay], run: str, messages: int, where: str, larder: Larder) -> Result:
    """One load on one server; raises `AssertionError` when not all of it arrives."""
    reuse = run == "kept"
    sessions = kind.most_kept if reuse else kind.most_new
    count = messages // kind.slow
    with serving(kind, where, larder) as (peer, meter):
        load.smtp_source(peer, WARM_UP, sessions, SIZE, reuse)
        peer.wait_delivered(WARM_UP)
        os.sync()
        watch = measure.Watch(meter)
        cpu, begun = meter.cpu(), time.perf_counter()
        load.smtp_source(peer, count, sessions, SIZE, reuse)
        peer.wait_delivered(count + WARM_UP)
        took = time.perf_counter() - begun
        used = meter.cpu() - cpu
        return Result(count / took, used / count * 1000, watch.stop() / MB)


def tables(
    kinds: Sequence[type[Relay]], seen: dict[tuple[str, str], list[Result]], runs: Sequence[str]
) -> list[Table]:
    """What was seen."""
    head = ["", *runs]
    others = [kind for kind in kinds if kind is not OursRelay]

    def table(title: str, part: str, form: str, lowest: bool) -> Table:
        figures = {where: [getattr(each, part) for each in results] for where, results in seen.items()}
        rows = [[kind.name, *(middle(figures[run, kind.name], form) for run in runs)] for kind in kinds]
        if OursRelay in kinds:
            for title_of_row, against in (
                [("best other", others)] if others else []
            ) + [(kind.name, [kind]) for kind in others if kind.name == "Postfix"]:
                rows.append([f"{OursRelay.name} : {title_of_row}", *(
                    ratio(figures[run, OursRelay.name], [figures[run, kind.name] for kind in against], lowest)
                    for run in runs
                )])
        return Table(title, head, rows)

    return [
        table("Messages sent on in a second", "rate", ",.0f", False),
        table("Seconds of CPU for 1,000 messages", "cpu", ".2f", True),
        Table("MB of memory at the most", head, [
            [kind.name, *(most([each.memory for each in seen[run, kind.name]], ".0f") for run in runs)]
            for kind in kinds
        ]),
    ]


def available(kinds: Sequence[type[Relay]], larder: Larder) -> tuple[dict[type[Relay], str], dict[str, str]]:
    """The versions of those that can be had here, and the reasons why the others cannot."""
    versions: dict[type[Relay], str] = {}
    missing: dict[str, str] = {}
    cell = Cell.missing()
    for kind in kinds:
        try:
            if issubclass(kind, IN_CELLS) and cell:
                raise Unavailable(cell)
            versions[kind] = kind.version(larder)
        except Unavailable as error:
            missing[kind.name] = str(error)
            print(f"left out: {kind.name}: {error}", flush=True)
    return versions, missing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[key(kind) for kind in RELAYS], help="measure these")
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=RUNS)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default=".", help="where the mail goes, on the disk to be measured")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where the servers go that are not installed")
    parser.add_argument("--rst", type=Path, metavar="FILE", help="write the tables there too")
    options = parser.parse_args()
    larder = Larder(options.cache)
    versions, failed = available([kind for kind in RELAYS if not options.only or key(kind) in options.only], larder)
    if options.only and failed:
        raise SystemExit("what was asked for is not here")
    kinds = list(versions)
    seen: dict[tuple[str, str], list[Result]] = {(run, kind.name): [] for run in options.runs for kind in kinds}
    for number in range(options.rounds):
        for run in options.runs:
            for kind in kinds:
                if f"{kind.name}, {run}" in failed:
                    continue
                try:
                    result = measured(kind, run, options.messages, options.folder, larder)
                except (AssertionError, OSError, SystemExit) as error:
                    failed[f"{kind.name}, {run}"] = str(error).partition("\n")[0]
                    print(f"FAILED: {kind.name}, {run}: {error}", flush=True)
                    continue
                seen[run, kind.name].append(result)
                say(number, run, as_peer(kind), f"{result.rate:7,.0f}/s {result.cpu:6.2f} CPU s per 1,000"
                                                f" {result.memory:5.0f} MB")
    made = tables(kinds, seen, options.runs)
    made.append(Table("The servers", ["", "version", "settings", "share of\nthe messages"], [
        [kind.name, version, kind.settings, f"1/{kind.slow}" if kind.slow > 1 else "all"]
        for kind, version in versions.items()
    ], is_text=True))
    if failed:
        made.append(Table("Not measured", ["", "why"], [[*each] for each in failed.items()], is_text=True))
    print("", *(table.as_text() for table in made), sep="\n")
    if options.rst:
        said = (
            f"Medians of {options.rounds} rounds; {options.messages:,} messages of {SIZE // 1024} KiB for a load; "
            f"{os.cpu_count()} cores, Python {platform.python_version()}, "
            f"Linux {platform.release().partition('-')[0]}; {time.strftime('%B %Y')}.\n"
        )
        options.rst.write_text("\n".join([said, *(table.as_rst() for table in made)]))
    if failed:
        sys.exit(1)


def as_peer(kind: type[Relay]) -> type[Peer]:
    """What `say` wants."""
    return kind


if __name__ == "__main__":
    main()
