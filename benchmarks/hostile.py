"""Whether the server stays polite to the polite while a thousand connections are hostile.

    python -m benchmarks.hostile [--only NAME ...] [--connections 1000] [--seconds 6] [--rst FILE]

For each attack a fresh server, as ``mailserver init`` makes it, and two more processes: one attacks, over so many
connections at once (`benchmarks.attacks` tells how), and one is a polite client that was connected before and says NOOP
every 50 ms.  Told are how long it waited, and by how much the server's memory grew for each hostile connection.
Afterwards a message must be delivered.  Ends with 1 when NOOP waited longer than `--within` milliseconds, or when
memory grew by more than 256 KiB for each.

All of them share the processors of one machine, and attackers on other machines would not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import load, measure
from benchmarks.attacks import ATTACKS, Attack
from benchmarks.larder import Larder
from benchmarks.ours import Ours
from benchmarks.table import NONE, Table

MOST_GROWTH = 256           # KiB for each hostile connection
WITHIN = 100.0              # milliseconds
PATIENCE = 30.0             # seconds for a process of ours to end, and for the server to take a message afterwards
ENOUGH = 20                 # connections from which on growth for each means something
KIB = 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one attack."""

    attack: Attack | None               # None: nobody was hostile
    waits: tuple[float, ...]            # milliseconds, in order of size
    growth: float                       # KiB for each hostile connection
    open: int                           # hostile connections at once, at the most
    connected: int                      # in all
    ended: int                          # of them by the server
    trouble: str = ""                   # what should not have happened

    def wait(self, part: float) -> float:
        """How long NOOP waited at most, in this part of all cases."""
        return quantile(self.waits, part)

    def misses(self, within: float) -> list[str]:
        """Which promises were not kept."""
        missed = [self.trouble] if self.trouble else []
        if not self.waits:
            return missed or ["the probe was not answered"]
        if self.wait(1.0) > within:
            missed.append("NOOP")
        if self.connected >= ENOUGH and self.growth > MOST_GROWTH:
            missed.append("memory")
        return missed


def quantile(values: Sequence[float], part: float) -> float:
    """The value, of some that are in order of size, that so large a part of them does not exceed."""
    return values[max(0, min(len(values), -int(-len(values) * part // 1)) - 1)]


def one(attack: Attack | None, where: str, connections: int, seconds: float) -> Outcome | None:
    """Attack a server; None when it does not offer what the attack needs."""
    folder = Path(tempfile.mkdtemp(prefix="hostile-benchmark-", dir=where)).absolute()
    server = Ours(folder / "server", 1, Larder())
    try:
        server.start()
        if attack is not None and attack.needs and attack.needs not in offered(server.port):
            return None
        load.smtp_source(server, 10, 5, 4096, False)            # so that nothing happens for the first time
        server.wait_delivered(10)
        return _attacked(server, attack, connections, seconds)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _attacked(server: Ours, attack: Attack | None, connections: int, seconds: float) -> Outcome:
    probe = _python("benchmarks.probe", server.port)
    assert probe.stdin is not None and probe.stdout is not None
    probe.stdout.readline()                                     # ready
    measure.forget_peak(server.pid)
    before = measure.resident(server.pid)
    if attack is None:
        time.sleep(seconds)
        told = {"most_open": 0, "connected": 0, "ended": 0}
    else:
        words = [server.port, connections, seconds, server.addresses[0]]
        attacker = _python("benchmarks.attacks", attack.name, *words)
        try:
            said, _ = attacker.communicate(timeout=seconds + PATIENCE)
        except subprocess.TimeoutExpired:
            attacker.kill()
            attacker.communicate()
            probe.kill()
            probe.communicate()
            return Outcome(attack, (), 0.0, 0, 0, 0, "the attackers did not end")
        told = json.loads(said.strip().split("\n")[-1])
    grown = measure.peak(server.pid) - before
    try:
        said, _ = probe.communicate("\n", timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        probe.kill()
        said, _ = probe.communicate()
        said = "lost"
    trouble = "the probe was sent away" if "lost" in said else ""
    waits = [] if trouble else sorted(float(each) for each in said.split())
    try:
        load.send_large(server, [b"Subject: afterwards\r\n\r\nStill there.\r\n"])
        server.wait_delivered(11)
    except (OSError, AssertionError) as error:
        trouble = trouble or f"no message afterwards: {error}"
    hostile = max(1, min(connections, told["connected"]))
    growth = grown / KIB / hostile
    return Outcome(attack, tuple(waits), growth, told["most_open"], told["connected"], told["ended"], trouble)


def offered(port: int) -> set[str]:
    """The keywords of the answer to EHLO."""
    client = load.Client(port)
    lines = client.say("EHLO load.example.net")
    client.close()
    return {line.split()[0].upper() for line in lines if line.split()}


def _python(module: str, *words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )


def table(outcomes: Sequence[Outcome], within: float) -> Table:
    """What is told at the end."""
    head = ["what is done", "hostile at once", "in all", "ended by\nthe server", "NOOP ms,\nhalf", "NOOP ms,\n99 %",
            "NOOP ms,\nworst", "KiB for\neach", "missed"]
    rows = []
    for each in outcomes:
        waits = [f"{each.wait(part):.1f}" for part in (0.5, 0.99, 1.0)] if each.waits else [NONE] * 3
        rows.append([
            each.attack.what if each.attack is not None else "nothing", f"{each.open:,}", f"{each.connected:,}",
            f"{each.ended:,}", *waits, f"{each.growth:.1f}" if each.connected >= ENOUGH else NONE,
            ", ".join(each.misses(within)) or "nothing",
        ])
    return Table("One polite connection beside hostile ones", head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[each.name for each in ATTACKS], help="only these attacks")
    parser.add_argument("--connections", type=int, default=1000, help="at once")
    parser.add_argument("--seconds", type=float, default=6.0, help="for each attack")
    parser.add_argument("--within", type=float, default=WITHIN, metavar="MS", help="how long NOOP may wait")
    parser.add_argument("--folder", default=".", help="where the server's files go")
    parser.add_argument("--rst", type=Path, metavar="FILE", help="write the table there too")
    options = parser.parse_args()
    most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    outcomes = []
    for attack in (None, *(each for each in ATTACKS if not options.only or each.name in options.only)):
        outcome = one(attack, options.folder, options.connections, options.seconds)
        if outcome is None:
            assert attack is not None
            print(f"{attack.what}: the server does not offer {attack.needs}", flush=True)
            continue
        outcomes.append(outcome)
        waits = NONE
        if outcome.waits:
            waits = f"{outcome.wait(0.5):6.1f} {outcome.wait(0.99):6.1f} {outcome.wait(1.0):6.1f} ms"
        print(f"{attack.what if attack else 'nothing':36} NOOP {waits:23} {outcome.growth:6.1f} KiB each"
              f"  {', '.join(outcome.misses(options.within))}", flush=True)
    made = table(outcomes, options.within)
    print(f"\n{made.as_text()}")
    if options.rst:
        said = (
            f"{options.connections:,} hostile connections at once for {options.seconds:.0f} seconds; "
            f"{os.cpu_count()} cores, Python {platform.python_version()}; {time.strftime('%B %Y')}.\n"
        )
        options.rst.write_text(f"{said}\n{made.as_rst()}")
    if any(each.misses(options.within) for each in outcomes):
        sys.exit(1)


if __name__ == "__main__":
    main()
