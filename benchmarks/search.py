"""How fast a large mailbox is searched by what its messages say, and what the index costs, beside Dovecot.

    python -m benchmarks.search [--only NAME ...] [--messages 100000] [--rounds 3] [--rst FILE]

The letters have words by Zipf's law; one in five is Japanese.  Dovecot is measured as it is, when it looks at each
message, and with Debian's dovecot-fts-xapian.  A search is asked by a session that has selected, and has asked the same
kind of thing before; the middle of the rounds is told, in milliseconds as the client waits for it, and of the server's
CPU.  What each search finds is compared.  The cost for delivery is that of APPEND, one by one on eight connections.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from benchmarks import measure
from benchmarks.imap import Imap, shares
from benchmarks.larder import Larder, Unavailable
from benchmarks.letters import COMMON, PAIR, RARE, SENDER, Letters
from benchmarks.mailboxes import AT_ONCE, DovecotMailboxes, Mailboxes, OursMailboxes
from benchmarks.mails import FIRST, Mail
from benchmarks.stage import Stage
from benchmarks.table import NONE, Table, middle
from mailserver.content import Content
from mailserver.ident import Ids
from mailserver.imapstore import Appended, Flags
from mailserver.store import changing, directory, searching
from mailserver.store.database import Database

PATIENCE = 7200.0           # seconds for one command, or for an index: Xapian's takes 30 ms a letter and more
MODULE = Path("/usr/lib/dovecot/modules/lib21_fts_xapian_plugin.so")
MB = 1_000_000
XAPIAN = """
mail_plugins = fts fts_xapian
plugin {
  fts = xapian
  fts_xapian = partial=3 full=20
  fts_autoindex = no
  fts_enforced = yes
  fts_index_timeout = 7200s
}
service indexer-worker {
  vsz_limit = 4G
}
"""


class Searched(Mailboxes):
    """A server that may have an index."""

    def indexed(self) -> float | None:
        """All is in the index when this returns, if it has one; seconds of CPU, where that is not its server's."""
        return None

    def octets(self) -> int:
        """The size of the index."""
        return 0


class OursSearch(OursMailboxes, Searched):
    """As it is."""

    settings = "as mailserver init makes it"

    def fill(self, mails: Iterable[Mail]) -> None:
        """While it is away; as it would write them."""
        self.stop()
        database, new_id = Database(None, self.folder / "data"), Ids(time.time)
        database.open()
        coming = iter(mails)
        with database.reading() as connection:
            account = directory.find_account(connection, self.user)
        assert account is not None
        while some := list(islice(coming, AT_ONCE)):
            those = [Appended(new_id(), Content.of(each.octets), Flags(), each.received) for each in some]
            with database.transaction() as connection:
                changing.append(
                    connection, database.contents, (account.id, "INBOX"), those, time.time(), None, (0, 0)
                )
        database.close()
        self.run()
        self.understood()

    def understood(self) -> None:
        """Until it is quiet: what it works out after a delivery is done."""
        before = -1.0
        while (now := measure.cpu(self.pid)) - before > 0.05:
            before = now
            time.sleep(2)

    def indexed(self) -> float | None:
        """All is in the index when this returns; a command does it, so that it is seen what it costs."""
        self.stop()
        before = _children()
        subprocess.run(
            [sys.executable, "-m", "mailserver", "search", "rebuild", "--config", str(self.folder / "mailserver.toml")],
            check=True, stdout=subprocess.DEVNULL,
        )
        taken = _children() - before
        self.run()
        return taken

    def octets(self) -> int:
        database = Database(None, self.folder / "data")
        database.open()
        try:
            with database.reading() as connection:
                return sum(each["octets"] for each in searching.state(connection))
        finally:
            database.close()


class OursWithout(OursSearch):
    """Without an index."""

    name = "mailserver, no index"
    settings = "search = false"

    def configuration(self, text: str) -> str:
        return super().configuration(text) + '\n[[mailbox]]\nuse = "sql"\nsearch = false\n'

    def indexed(self) -> float | None:
        """Nothing is."""
        return None

    def octets(self) -> int:
        return 0


class DovecotScan(DovecotMailboxes, Searched):
    """It looks at each message."""

    settings = "Maildir, no index of words"


class DovecotXapian(DovecotMailboxes, Searched):
    """With Debian's dovecot-fts-xapian."""

    name = "Dovecot, Xapian"
    settings = "fts_xapian partial=3 full=20"

    @classmethod
    def version(cls, larder: Larder) -> str:
        if not MODULE.exists():
            raise Unavailable(f"{MODULE} is missing: apt install dovecot-fts-xapian")
        return super().version(larder)

    def prepare(self) -> list[str]:
        command = super().prepare()
        with open(self.folder / "dovecot.conf", "a") as file:
            file.write(XAPIAN)
        return command

    def indexed(self) -> float | None:
        """The first search puts all there."""
        session = self.session()
        session.socket.settimeout(PATIENCE)
        session.do(b"SEARCH BODY nothingofthekind")
        session.close()
        return None

    def octets(self) -> int:
        return sum(
            file.stat().st_size for folder in self.mailboxes.rglob("xapian-indexes")
            for file in folder.rglob("*") if file.is_file()
        )


SERVERS: tuple[type[Searched], ...] = (OursSearch, OursWithout, DovecotScan, DovecotXapian)


def append(session: Imap, options: bytes, octets: bytes) -> None:
    """One, with leave: letters may be longer than what is taken without."""
    session.socket.sendall(b"zqappendqz APPEND INBOX %b{%d}\r\n" % (options and options + b" ", len(octets)))
    session._expect(b"+", "APPEND")
    session.socket.sendall(octets + b"\r\n")
    session._until(b"zqappendqz", b"APPEND")


def _literal(text: str) -> bytes:
    octets = text.encode()
    return b"{%d+}\r\n%b" % (len(octets), octets)


def searches(messages: int) -> list[tuple[str, bytes]]:
    """What is looked for in so many letters; half of them are from the day, or from behind it, that SINCE names."""
    since = time.strftime("%d-%b-%Y", time.gmtime(FIRST + 60 * messages // 2)).encode()
    return [
        ("BODY, a rare word", b"UID SEARCH BODY " + RARE.encode()),
        ("BODY, a common word", b"UID SEARCH BODY " + COMMON.encode()),
        ("BODY, within words", b"UID SEARCH BODY " + RARE[2:8].encode()),
        ("TEXT, a rare word", b"UID SEARCH TEXT " + RARE.encode()),
        ("BODY, nothing", b"UID SEARCH BODY nothingofthekind"),
        ("BODY, two kanji", b"UID SEARCH CHARSET UTF-8 BODY " + _literal(PAIR)),
        ("FROM and SINCE", b"UID SEARCH FROM " + SENDER.encode() + b" SINCE " + since),
        ("SUBJECT", b"UID SEARCH SUBJECT " + RARE[:3].encode()),
    ]


@dataclass
class Taken:
    """Seconds, and how many were found."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    found: set[int] = field(default_factory=set)


@dataclass
class Cost:
    """Of the index: seconds of CPU and octets; of delivery: seconds, and seconds of CPU."""

    cpu: float = 0.0
    octets: int = 0
    delivery: float = 0.0
    delivery_cpu: float = 0.0


class Bench:
    """All servers with the same letters."""

    def __init__(self, where: str, messages: int, appended: int, rounds: int) -> None:
        self.where, self.messages, self.appended, self.rounds = where, messages, appended, rounds
        self.text = 0
        self.taken: dict[tuple[str, str], Taken] = {}
        self.costs: dict[str, Cost] = {}
        self.failed: dict[str, str] = {}

    def measure(self, kind: type[Searched], larder: Larder) -> None:
        stage, cost = Stage(kind, self.where, larder), self.costs.setdefault(kind.name, Cost())
        peer = stage.peer
        assert isinstance(peer, Searched)
        try:
            stage.start()
            letters = Letters(self.messages)
            # The server may be started anew by each of these.
            with stage._counted():
                peer.fill(letters)
            self.text = letters.text
            before = stage.meter.cpu()
            try:
                with stage._counted():
                    taken = peer.indexed()
            except (AssertionError, OSError) as error:
                self.failed[f"{kind.name}, index"] = str(error)[:200]
                return
            cost.cpu = stage.meter.cpu() - before if taken is None else taken
            cost.octets = peer.octets()
            say(kind, "index", f"{cost.cpu:.1f} CPU s, {cost.octets / MB:.1f} MB of {self.text / MB:.1f} MB text")
            session = peer.session()
            session.socket.settimeout(PATIENCE)
            for what, command in searches(self.messages):
                try:
                    self._search(stage, session, kind, what, command)
                except (AssertionError, OSError) as error:
                    self.failed[f"{kind.name}, {what}"] = str(error)[:200]
                    session = peer.session()
                    session.socket.settimeout(PATIENCE)
            session.close()
            self._deliver(stage, cost)
            say(kind, "delivery", f"{cost.delivery:.2f} s, {cost.delivery_cpu:.2f} CPU s")
        finally:
            stage.close()

    def _search(self, stage: Stage, session: Imap, kind: type[Searched], what: str, command: bytes) -> None:
        taken = self.taken.setdefault((what, kind.name), Taken())
        for number in range(self.rounds + 1):
            cpu, begun = stage.meter.cpu(), time.perf_counter()
            heard = session.do(command, keep=True)
            wall = time.perf_counter() - begun
            if number or wall > 5:          # what is slow is asked once: the first time is no slower than the next
                taken.wall.append(wall)
                taken.cpu.append(stage.meter.cpu() - cpu)
            taken.found.add(_count(heard.kept))
            if wall > 5:
                break
        say(kind, what, f"{min(taken.wall) * 1000:.1f} ms, found {sorted(taken.found)}")

    def _deliver(self, stage: Stage, cost: Cost) -> None:
        those = [(mail.options, mail.octets) for mail in Letters(self.appended, 2)]
        sessions = [stage.peer.session(mailbox=None) for _ in range(8)]
        cpu, begun = stage.meter.cpu(), time.perf_counter()

        def send(pair: tuple[Imap, Sequence[tuple[bytes, bytes]]]) -> None:
            for each in pair[1]:
                append(pair[0], *each)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(send, zip(sessions, shares(those, 8), strict=True)))
        cost.delivery, cost.delivery_cpu = time.perf_counter() - begun, stage.meter.cpu() - cpu
        for each in sessions:
            each.close()

    # -- what is told

    def tables(self, kinds: Sequence[type[Searched]]) -> list[Table]:
        names = [kind.name for kind in kinds]
        made = []
        for title, part in (("milliseconds", "wall"), ("milliseconds of CPU of the server", "cpu")):
            rows = []
            for what, _ in searches(self.messages):
                row = [what]
                figures = {
                    name: [each * 1000 for each in getattr(self.taken.get((what, name), Taken()), part)]
                    for name in names
                }
                row += [middle(figures[name], ",.1f") for name in names]
                ours = figures.get(OursSearch.name)
                row += [_times(figures.get(other.name), ours) for other in (DovecotScan, DovecotXapian)]
                found = [self.taken[what, name].found for name in names if (what, name) in self.taken]
                row.append(" or ".join(f"{each:,}" for each in sorted(set().union(*found))))
                rows.append(row)
            head = ["", *names, "Dovecot's scan :\nours", "Xapian :\nours", "found"]
            made.append(Table(f"Searches of {self.messages:,} letters: {title}", head, rows))
        rows = []
        for name in names:
            cost = self.costs[name]
            rows.append([
                name, f"{cost.octets / MB:,.1f}" if cost.octets else NONE,
                f"{cost.octets / self.text:.2f}" if cost.octets and self.text else NONE,
                f"{cost.cpu:,.1f}" if cost.octets else NONE,
                f"{self.appended / cost.delivery:,.0f}" if cost.delivery else NONE,
                f"{cost.delivery_cpu / self.appended * 1e6:,.0f}" if cost.delivery else NONE,
            ])
        head = [
            "", "index, MB", "index :\ntext", "index, seconds\nof CPU", "APPEND\na second", "µs of CPU\neach",
        ]
        made.append(Table("What the index costs", head, rows))
        return made


def _times(others: Sequence[float] | None, ours: Sequence[float] | None) -> str:
    if not others or not ours:
        return NONE
    return f"{sorted(others)[len(others) // 2] / max(sorted(ours)[len(ours) // 2], 0.01):,.1f}"


def _count(kept: bytes) -> int:
    found = re.search(rb"\* SEARCH([ 0-9]*)", kept)
    return len(found[1].split()) if found else 0


def _children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def say(kind: type[Searched], what: str, result: str) -> None:
    print(f"{kind.name:22} {what:22} {result}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[kind.name for kind in SERVERS], help="measure these")
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--appended", type=int, default=4000, help="letters that are delivered when all is searched")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default=".", help="where the mail lies")
    parser.add_argument("--cache", type=Path, metavar="DIR")
    parser.add_argument("--rst", type=Path, metavar="FILE", help="write the tables there too")
    given = parser.parse_args()
    larder, bench, versions = Larder(given.cache), Bench(
        given.folder, given.messages, given.appended, given.rounds
    ), {}
    for kind in SERVERS:
        if given.only and kind.name not in given.only:
            continue
        try:
            versions[kind] = kind.version(larder)
        except Unavailable as error:
            bench.failed[kind.name] = str(error)
            print(f"left out: {kind.name}: {error}", flush=True)
    for kind in versions:
        bench.measure(kind, larder)
    tables = bench.tables(list(versions))
    tables.append(Table("The servers", ["", "version", "settings"], [
        [kind.name, version, kind.settings] for kind, version in versions.items()
    ], is_text=True))
    if bench.failed:
        tables.append(Table("Not measured", ["", "why"], [[*each] for each in bench.failed.items()], is_text=True))
    print("", *(table.as_text() for table in tables), sep="\n")
    if given.rst:
        said = (
            f"{given.messages:,} letters with {bench.text / MB:,.0f} MB of text; medians of {given.rounds} rounds; "
            f"{os.cpu_count()} cores, Python {platform.python_version()}, "
            f"Linux {platform.release().partition('-')[0]}; {time.strftime('%B %Y')}.\n"
        )
        given.rst.write_text("\n".join([said, *(table.as_rst() for table in tables)]))


if __name__ == "__main__":
    main()
