"""What a long queue costs: a million entries, most of them for one host that is dead.

    python -m benchmarks.queue [--entries 1000000] [--seconds 20] [--folder DIR] [--rst FILE]

The spool is filled as acceptance fills it (a message of 4 KiB for each hundred recipients); nine tenths of it are due
for one domain whose host refuses connections, the rest waits for a thousand other domains.  Then it is told how long it
takes to list one of these, to count all of them, to start the server and to find what is due; what memory the server
has after a while of work; and how long a message for another domain, submitted meanwhile, is on its way.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import smtplib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.larder import Larder
from benchmarks.peer import PATIENCE, free_port
from benchmarks.relays import ELSEWHERE, OursRelay
from benchmarks.table import Table
from mailserver.address import Address
from mailserver.content import Content
from mailserver.envelope import Origin
from mailserver.store import contents, spool, traces
from mailserver.store.database import Database
from mailserver.store.spool import Entry
from mailserver.story import event

RECIPIENTS = 100            # of a message
OTHERS = 1000               # domains
MESSAGES = 200              # of one transaction
DEAD = "dead.example"
MB = 1_000_000


class LongQueue(OursRelay):
    """Its route to the dead domain leads to a port on which nobody listens."""

    def configuration(self, text: str) -> str:
        return super().configuration(text) + f'"{DEAD}" = "tcp:127.0.0.1:{free_port()}"\n'

    def fill(self, entries: int) -> None:
        """Put them there."""
        database = Database(None, self.folder / "data")
        database.open()
        now = time.time()
        content = Content.of(b"Subject: news\r\n\r\n" + b"x" * 78 + b"\r\n" + b"y" * 4000 + b"\r\n")
        sender = Address.parse("news@example.org")
        id = 1_000_000_000
        for start in range(0, entries, RECIPIENTS * MESSAGES):
            with database.transaction() as connection:
                made = []
                for first in range(start, min(entries, start + RECIPIENTS * MESSAGES), RECIPIENTS):
                    id += 1000
                    contents.insert_many(connection, [(id, content, RECIPIENTS)])
                    traces.append(connection, id, event(now, "accepted"))
                    for number in range(first, first + RECIPIENTS):
                        dead = number % 10
                        domain = DEAD if dead else f"d{number // 10 % OTHERS}.example"
                        target = Address(f"user{number}", domain)
                        made.append(Entry(
                            id + 1 + number - first, id, Origin.SUBMISSION, sender, target, "remote", target, "",
                            domain, b"Received: by mx.example.org\r\n", "8BITMIME", now, now + 432000,
                            now if dead else now + 86400, 0, False, "",
                        ))
                spool.insert_many(connection, made)
        database.close()

    def timed(self, *words: str) -> tuple[float, str]:
        """Seconds that a command takes, and what it says."""
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "mailserver", *words, "--config", str(self.folder / "mailserver.toml")],
            capture_output=True, text=True, check=True,
        )
        return time.perf_counter() - begun, done.stdout

    def asked(self, question: Callable[..., Any], *args: Any) -> float:
        """Seconds that a question to the database takes."""
        database = Database(None, self.folder / "data")
        database.open()
        try:
            with database.reading() as connection:
                begun = time.perf_counter()
                question(connection, *args)
                return time.perf_counter() - begun
        finally:
            database.close()

    def sent_on(self) -> float:
        """Seconds from the submission of a message until the sink has it."""
        before = self.sink.delivered()
        begun = time.perf_counter()
        with smtplib.SMTP("127.0.0.1", self.port, timeout=PATIENCE) as client:
            client.sendmail("ann@example.org", [f"bob@{ELSEWHERE}"], b"Subject: x\r\n\r\nx\r\n")
        while self.sink.delivered() == before:
            if time.perf_counter() - begun > PATIENCE:
                raise AssertionError("a message for another domain does not arrive")
            time.sleep(0.005)
        return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="for which the server works")
    parser.add_argument("--folder", default=".", help="where the queue goes, on the disk to be measured")
    parser.add_argument("--rst", type=Path, metavar="FILE", help="write the table there too")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="queue-benchmark-", dir=options.folder)).absolute()
    folder.chmod(0o755)
    queue = LongQueue(folder / "server", 1, Larder(None))
    queue.sink.start()
    try:
        queue.prepare()
        print("filling the queue", flush=True)
        begun = time.perf_counter()
        queue.fill(options.entries)
        rows = [["filling it, entries/s", f"{options.entries / (time.perf_counter() - begun):,.0f}"]]
        size = sum(each.stat().st_size for each in (queue.folder / "data").glob("*") if each.is_file())
        rows.append(["the database, MB", f"{size / MB:,.0f}"])
        bare, _ = queue.timed("queue", "list", "--domain", "nowhere.example")
        took, said = queue.timed("queue", "list", "--domain", "d7.example")
        rows.append([f"queue list of one domain ({said.count('d7.example')} entries), s", f"{took:.2f}"])
        rows.append(["the same of a domain without any, s", f"{bare:.2f}"])
        took, said = queue.timed("queue", "list", "--summary")
        rows.append(["queue list --summary, s", f"{took:.2f}"])
        now = time.time()
        rows.append(["finding what is due, ms", f"{queue.asked(spool.due, now, 300) * 1000:.1f}"])
        found = queue.asked(spool.due_elsewhere, now, "", 300, 20, lambda name: name == DEAD)
        rows.append(["finding what is due behind the dead domain, ms", f"{found * 1000:.1f}"])
        begun = time.perf_counter()
        queue.run()
        rows.append(["start, s", f"{time.perf_counter() - begun:.2f}"])
        trips = []
        until = time.monotonic() + options.seconds
        while time.monotonic() < until:
            trips.append(queue.sent_on() * 1000)
            time.sleep(0.2)
        rows.append(["a message for another domain is there after, ms", f"{sorted(trips)[len(trips) // 2]:.0f}"])
        rows.append(["at the longest, ms", f"{max(trips):.0f}"])
        rows.append([f"memory after {options.seconds:.0f} s, MB", f"{measure.peak(queue.pid) / MB:.0f}"])
        took, said = queue.timed("queue", "list", "--domain", "d7.example")
        rows.append(["queue list of one domain beside the server, s", f"{took:.2f}"])
    finally:
        queue.stop()
        queue.sink.stop()
        shutil.rmtree(folder, ignore_errors=True)
    table = Table(f"A queue of {options.entries:,} entries", ["", "figure"], rows)
    print("", table.as_text(), sep="\n")
    if options.rst:
        said = (
            f"{os.cpu_count()} cores, Python {platform.python_version()}, SQLite;"
            f" Linux {platform.release().partition('-')[0]}; {time.strftime('%B %Y')}.\n"
        )
        options.rst.write_text("\n".join([said, table.as_rst()]))


if __name__ == "__main__":
    main()
