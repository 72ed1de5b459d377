"""Kill a server again and again while IMAP clients change their mailboxes, and see whether each change is whole.

``python -m tests.crash --imap [--kills 500] [--clients 6] [--workers N] [--postgresql] [--seed N]``

Several clients of several accounts append (one message, or several at once), replace, store, copy, move (single
ones, ranges, all), expunge, create, delete and rename at random, some commands at a time behind each other, in
mailboxes of their own and in two that the clients of an account share.  The server is killed (SIGKILL) at random
moments, and some milliseconds after commands were sent.  Each client then looks at its mailboxes, which must be as they
were when it heard its last OK, and some of the commands of which it heard nothing, from the first, done whole.  Hence
what was acknowledged is there, a message that was moved is in one mailbox, messages that were appended together are
there together, and what was expunged does not come again.  The rows of the database are looked at as well
(`tests.crash_imap_rows`), and in the end each message is read, and each large one's file.

On PostgreSQL a commit of a process that was killed may still be under way: clients wait a moment before they look.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

from mailserver.store.contents import ORPHAN_AGE, sweep
from mailserver.store.database import Database
from tests.crash import DOMAIN, PASSWORD, USERS, Server, let_work
from tests.crash_imap_client import Counts, Imap, Person
from tests.crash_imap_rows import Rows
from tests.crash_sending import database_url

SETTLED = 0.5       # seconds for PostgreSQL to end what a dead process had begun
WAIT = 5.0          # seconds for somebody to send something


def crash(
    folder: Path, kills: int, clients: int, seed: int, tell: Callable[[str], None], workers: int = 1,
    postgresql: bool = False,
) -> list[str]:
    """Do it all; returns what is wrong, a sentence each."""
    with database_url(postgresql) as url:
        server = Server(folder, "sql", 1, workers, "", url)
        database = Database(url, folder / "data")
        database.open()
        try:
            return _crash(server, database, kills, clients, seed, tell)
        finally:
            server.stop()
            database.close()


def _crash(
    server: Server, database: Database, kills: int, clients: int, seed: int, tell: Callable[[str], None]
) -> list[str]:
    counts, chance, rows = Counts(), random.Random(seed), Rows(database)
    ending, port = threading.Event(), server.base + 143
    settle = 0.0 if database.is_sqlite else SETTLED
    people = [
        Person(number, f"{USERS[number % len(USERS)]}@{DOMAIN}", PASSWORD, seed, counts, settle)
        for number in range(clients)
    ]
    threads = [threading.Thread(target=each.work, args=(port, ending), daemon=True) for each in people]
    server.start()
    server.wait()
    try:
        for thread in threads:
            thread.start()
        for kill in range(kills):
            _wait(server, chance, counts)
            if server.workers > 1 and chance.random() < 0.75:
                server.kill_worker(chance)
            else:
                server.kill()
                if chance.random() < 0.5:
                    counts.wrong += rows.faults()
                server.start()
            counts.wrong += rows.faults()
            if (kill + 1) % 10 == 0 or kill + 1 == kills:
                done = counts.seen["acknowledged"]
                tell(f"{kill + 1} kills, {done} commands acknowledged, {len(counts.wrong)} wrong")
        server.wait()
        time.sleep(0.5)
    except Exception:
        tell(server.complaints())
        raise
    finally:
        ending.set()
    for thread in threads:
        thread.join(30)
    messages = 0
    for each in people:
        with Imap(port, f"{USERS[each.number % len(USERS)]}@{DOMAIN}", PASSWORD) as imap:
            each.look(imap)
            messages += each.read_all(imap)
    server.stop()
    return counts.wrong + rows.faults() + _files(database, rows, tell) + _told(kills, counts, rows, messages, tell)


def _wait(server: Server, chance: random.Random, counts: Counts) -> None:
    """Until it is time to kill: mostly while it works, half of these just behind something that was sent."""
    if chance.random() < 0.1:
        time.sleep(chance.uniform(0, 1.5))      # perhaps while it starts
        return
    server.wait()
    let_work(lambda: counts.seen["acknowledged"])
    time.sleep(chance.expovariate(1 / 0.3))
    if chance.random() < 0.6:
        counts.sent.clear()
        counts.sent.wait(WAIT)
        time.sleep(chance.choice((0, 0.001, 0.002, 0.004, 0.01, 0.02)))


def _files(database: Database, rows: Rows, tell: Callable[[str], None]) -> list[str]:
    """Each row has its file; and after a day no file is without a row."""
    wanted, there = rows.files()
    wrong = [f"the file {name} is gone" for name in wanted - there]
    with database.reading() as connection:
        removed = sweep(connection, database.contents, time.time() + 2 * ORPHAN_AGE)
    wanted, there = rows.files()
    tell(f"{len(wanted)} files, {removed} more were left behind and swept")
    return wrong + [f"the file {name} is nobody's and stays" for name in there ^ wanted]


def _told(kills: int, counts: Counts, rows: Rows, messages: int, tell: Callable[[str], None]) -> list[str]:
    seen = counts.seen
    tell(", ".join(f"{count} {kind}" for kind, count in sorted(counts.kinds.items())))
    tell(f"{seen['acknowledged']} of {seen['commands']} commands acknowledged in {kills} kills; unknown and done"
         f" {seen['unknown, done']}, unknown and not done {seen['unknown, not done']}; {seen['looks']} times a client"
         f" looked at all it has ({seen['late']} late), {rows.looks} times the rows were; {messages} messages read in"
         f" the end; {len(counts.wrong)} wrong")
    return []
