"""How fast mail is received and delivered, beside Debian's Postfix, and what it costs.

    python -m benchmarks.receive [--messages 5000] [--rounds 3] [--rst FILE]

Each line of the result is a load by Postfix's smtp-source: 4 KiB messages over 20 sessions, with a new connection
for each message or with connections that stay, to one user or to twenty.  The two servers take turns, each begins
each time with empty folders, and the middle of the rounds is told.  The clock runs from the first connection until
the last message lies in its mailbox, where it is counted.  CPU and memory come from the kernel and are those of
all processes of a server.  Then one large message goes over a plain socket, and the memory of the process is watched.

Both servers call fsync as they do by default.  It must be a real disk: `--folder` names one.
"""

from __future__ import annotations

import argparse
import base64
import gc
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import measure
from benchmarks.ours import Ours
from benchmarks.peer import Peer, send_large, smtp_source
from benchmarks.postfix import Postfix

SESSIONS = 20
SIZE = 4096
MB = 1_000_000
LOADS = (                       # what it is called, whether connections stay, users
    ("new connections, 1 user", False, 1),
    ("new connections, 20 users", False, 20),
    ("connections kept, 1 user", True, 1),
    ("connections kept, 20 users", True, 20),
)


@dataclass(frozen=True)
class Result:
    """One load on one server."""

    rate: float             # messages delivered in a second
    cpu: float              # seconds for 1,000 messages
    memory: float           # MB at the most


@contextmanager
def serving(kind: type[Peer], where: str, users: int) -> Iterator[Peer]:
    """A fresh server, whose files are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="receive-benchmark-", dir=where)).absolute()
    folder.chmod(0o755)
    peer = kind(folder / "server", users)
    try:
        peer.start()
        yield peer
    finally:
        peer.stop()
        shutil.rmtree(folder, ignore_errors=True)


def load(kind: type[Peer], where: str, messages: int, reuse: bool, users: int) -> Result:
    """Measure one load."""
    with serving(kind, where, users) as peer:
        smtp_source(peer, 10 * users, SESSIONS, SIZE, reuse)        # so that nothing happens for the first time
        peer.wait_delivered(10 * users)
        os.sync()
        watch = measure.Watch(peer.pid)
        cpu, begun = measure.cpu(peer.pid), time.perf_counter()
        smtp_source(peer, messages, SESSIONS, SIZE, reuse)
        peer.wait_delivered(messages + 10 * users)
        took = time.perf_counter() - begun
        used = measure.cpu(peer.pid) - cpu
        return Result(messages / took, used / messages * 1000, watch.stop() / MB)


def middle(results: Sequence[Result]) -> Result:
    """The median of each figure, but the most of the memory."""
    return Result(
        median(each.rate for each in results),
        median(each.cpu for each in results),
        max(each.memory for each in results),
    )


def loads(kinds: Sequence[type[Peer]], where: str, messages: int, rounds: int) -> list[list[str]]:
    """The table of all loads: a row for each load, the servers side by side."""
    seen: dict[tuple[str, str], list[Result]] = {}
    for number in range(rounds):
        for what, reuse, users in LOADS:
            for kind in kinds:
                result = load(kind, where, messages, reuse, users)
                seen.setdefault((what, kind.name), []).append(result)
                print(
                    f"round {number + 1}: {what:26} {kind.name:10} {result.rate:7,.0f}/s"
                    f" {result.cpu:6.2f} CPU s per 1,000 {result.memory:5.0f} MB", flush=True,
                )
    rows = []
    for what, _, _ in LOADS:
        results = [middle(seen[what, kind.name]) for kind in kinds]
        row = [what]
        row += [f"{each.rate:,.0f}" for each in results]
        row += [f"{each.cpu:.2f}" for each in results]
        row += [f"{each.memory:.0f}" for each in results]
        if len(results) == 2:
            ours, other = results
            row += [f"{ours.rate / other.rate:.2f}", f"{ours.cpu / other.cpu:.2f}"]
        rows.append(row)
    return rows


def heads(kinds: Sequence[type[Peer]]) -> list[str]:
    """The heads of that table; those of a terminal have two lines."""
    names = [kind.name for kind in kinds]
    row = ["load"]
    for figure in ("delivered/s", "CPU s/1,000", "peak MB"):
        row += [f"{name}\n{figure}" for name in names]
    return row + (["delivered/s\nratio", "CPU\nratio"] if len(kinds) == 2 else [])


def large_content(size: int) -> list[bytes]:
    """A text of about `size` octets, as an attachment makes it, in pieces of 64 KiB."""
    line = b"".join(
        base64.b64encode(random.Random(number).randbytes(57)) + b"\r\n" for number in range(size // 78 % 9973 + 1000)
    )
    text = (b"Subject: large\r\n\r\n" + line * (size // len(line) + 1))[:size - 2] + b"\r\n"
    return [text[at:at + 65536] for at in range(0, len(text), 65536)]


def large(kind: type[Peer], where: str, size: int, times: int) -> list[str]:
    """Send a large message several times; a row with the MB/s of the middle one and by how much memory grew."""
    content = large_content(size)
    rates, growth = [], []
    with serving(kind, where, 1) as peer:
        smtp_source(peer, 100, SESSIONS, SIZE, False)
        peer.wait_delivered(100)
        for number in range(times):
            gc.collect()
            before = {pid: measure.resident(pid) for pid in measure.tree(peer.pid)}
            for pid in before:
                measure.forget_peak(pid)
            rates.append(size / MB / send_large(peer.port, peer.addresses[0], content))
            peer.wait_delivered(101 + number)
            growth.append(max(measure.peak(pid) - was for pid, was in before.items()) / MB)
    return [kind.name, f"{size / MB:.0f} MB", f"{median(rates):.0f}", f"{growth[0]:.1f}", f"{max(growth):.1f}"]


LARGE_HEADS = ["server", "message", "MB/s", "memory grew\nat first, MB", "memory grew\nat most, MB"]


def as_text(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for the terminal."""
    halves = [each.partition("\n") for each in head]
    lines = [[each[0] for each in halves], [each[2] for each in halves], *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) if not column else cell.rjust(width)
                  for column, (cell, width) in enumerate(zip(line, widths, strict=True))).rstrip()
        for line in lines
    )


def as_rst(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same table for the documentation."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (head, *rows):
        cells = [cell.replace("\n", " ") for cell in row]
        lines += [f"   {'*' if not number else ' '} - {cell}" for number, cell in enumerate(cells)]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=5000, help="for each load")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", type=int, default=50, metavar="MB", help="the large message; 0: none")
    parser.add_argument("--folder", default=".", help="where the mail goes, on the disk to be measured")
    parser.add_argument("--only", choices=("mailserver", "postfix"), help="measure one of them alone")
    parser.add_argument("--rst", type=Path, metavar="FILE", help="write the tables there too")
    options = parser.parse_args()
    kinds: list[type[Peer]] = [Ours, Postfix]
    if options.only:
        kinds = [Ours if options.only == "mailserver" else Postfix]
    if Postfix in kinds and (why := Postfix.missing()):
        raise SystemExit(f"{why}; or --only mailserver")
    rows = loads(kinds, options.folder, options.messages, options.rounds)
    large_rows = [large(kind, options.folder, options.large * MB, 5) for kind in kinds] if options.large else []
    print(f"\n{as_text(heads(kinds), rows)}\n")
    if large_rows:
        print(f"{as_text(LARGE_HEADS, large_rows)}")
    if options.rst:
        cores = os.cpu_count()
        said = f"Medians of {options.rounds} rounds, {options.messages:,} messages of 4 KiB each, {cores} cores, "
        said += f"{time.strftime('%B %Y')}.\n\n"
        options.rst.write_text(said + as_rst(heads(kinds), rows) + "\n" + as_rst(LARGE_HEADS, large_rows))


if __name__ == "__main__":
    main()
