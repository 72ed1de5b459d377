"""Kill a server again and again while it delivers, and see whether anything is lost, or twice without a reason.

``python -m tests.crash --sending [--kills 200] [--clients 3] [--workers N] [--postgresql] [--seed N]``

Messages come by SMTP, each for one or several recipients at a domain that an honest sink in another process takes
(`tests.crash_sink`).  Half of the kills are at random moments, half are the sink's own: inside a content, behind a
final dot that it has not answered, and right behind its 250.  What a client did not hear the 250 of is not sent
again, so whatever the sink has twice, the server has sent twice.  In the end the queue is empty, and:

* each recipient of each acknowledged message is in the sink's journal, as it was sent;
* who is there N times has N - 1 interrupted attempts in the message's story at least, and the copies are of
  different lives of the server (with workers, another may send it over the connection that it had already);
* the stories have each number of an attempt once, and the last one is the only delivery;
* no DSN came, and no content is left in the database.

On PostgreSQL what a dead server was trying is free when its lease is over, since others may work there.
"""

from __future__ import annotations

import base64
import contextlib
import json
import queue
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from sqlalchemy import text

from mailserver.chores import LEASE
from mailserver.control.client import NoServer, ask
from mailserver.ident import spell
from mailserver.store.database import Database
from tests.cli.commands import environment
from tests.crash import AWAY, DOMAIN, PATIENCE, Sent, Server, digest, let_work
from tests.plain import Client, Refused
from tests.postgres import postgres

SENDER = f"ann@{DOMAIN}"
MOMENTS = ("content", "received", "answered", "answered")
ANSWER = 30.0           # seconds for one of the sink
AIM = 3.0               # seconds after which an aimed kill that found nothing to aim at is made all the same
MORE = '\n[outbound]\nretry_first = "1s"\nretry_longest = "2s"\n\n[outbound.route]\n"{away}" = "tcp:127.0.0.1:{port}"\n'


@dataclass(frozen=True)
class Copy:
    """What the sink took for one recipient; times in seconds since the epoch, `answered` is 0 without a 250."""

    digest: str
    life: int
    received: float
    answered: float = 0.0


@dataclass
class Sending:
    """What was sent, and the kills: when, and how."""

    seed: int
    workers: int = 1
    sent: dict[str, Sent] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)        # of life 0, 1 ...
    how: Counter[str] = field(default_factory=Counter)


class SinkProcess:
    """The sink, from outside."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash_sink", str(journal)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=environment(), text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        assert self._process.stdout is not None
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()
        self.port = int(self._lines.get(timeout=ANSWER).split()[1])

    def _read(self, output: IO[str]) -> None:
        for line in output:
            self._lines.put(line.strip())

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def live(self, life: int) -> None:
        """Connections are of this life from now on, and nobody is aimed at."""
        self._say(f"life {life}")
        while self._lines.get(timeout=ANSWER) != f"life {life}":
            pass

    def kill(self, moment: str, pid: int, pause: float) -> bool:
        """Let it kill; False when the moment did not come."""
        self._say(f"kill {moment} {pid} {pause}")
        with contextlib.suppress(queue.Empty):
            return self._lines.get(timeout=AIM) == "killed"
        return False

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(ANSWER)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def took(self) -> tuple[dict[tuple[str, str], list[Copy]], dict[str, str]]:
        """(recipient, key) -> copies; and the ids of our messages, by key."""
        records = [json.loads(line) for line in self._journal.read_bytes().split(b"\n") if line]
        answered = {each["number"]: each["at"] for each in records if each["what"] == "answered"}
        copies: dict[tuple[str, str], list[Copy]] = {}
        ids: dict[str, str] = {}
        for each in records:
            if each["what"] == "received":
                ids[each["key"]] = each["id"]
                copy = Copy(each["digest"], each["life"], each["at"], answered.get(each["number"], 0.0))
                for recipient in each["recipients"]:
                    copies.setdefault((recipient, each["key"]), []).append(copy)
        return copies, ids


def keep_sending(sending: Sending, client: int, port: int, ending: threading.Event) -> None:
    """Message after message over one connection, until the server dies; then over another one."""
    chance, number = random.Random(f"{sending.seed} {client}"), 0
    while not ending.is_set():
        try:
            with Client(port) as server:
                server.say("EHLO client.example.net")
                while not ending.is_set():
                    sent, content = _message(chance, f"{client}-{number}")
                    number += 1
                    server.envelope(SENDER, sent.recipients)
                    sending.sent[sent.key] = sent
                    sent.unsure = 1
                    sent.acknowledged = server.send_content(content)
                    sent.unsure = 0
                    time.sleep(0.002)
        except Refused as refused:
            if refused.args[0] >= 500:
                sending.refused.append(f"{client}-{number}: {refused.args}")
                return
            time.sleep(0.05)
        except OSError:
            time.sleep(0.02)            # nobody is there


def _message(chance: random.Random, key: str) -> tuple[Sent, bytes]:
    size = chance.randint(100_000, 300_000) if chance.random() < 0.02 else chance.randint(100, 3000)
    content = f"X-Crash-Key: {key}\r\nSubject: {key}\r\n\r\n.a dot\r\n..\r\n".encode()
    content += base64.encodebytes(chance.randbytes(size)).replace(b"\n", b"\r\n")
    recipients = [f"{name}@{AWAY}" for name in chance.sample("abcdefgh", chance.choice((1, 1, 2, 3)))]
    return Sent(key, tuple(recipients), digest(content)), content


# -- the whole


def crash(
    folder: Path, kills: int, clients: int, seed: int, tell: Callable[[str], None], workers: int = 1,
    postgresql: bool = False, lapses: bool = False,
) -> list[str]:
    """Do it all; returns what is wrong, a sentence each.

    `lapses`: between two lives of the whole server leases grow older, as if the next one had come that much later.
    """
    with database_url(postgresql) as url:
        return _crash(folder, kills, clients, seed, tell, workers, url, lapses)


@contextlib.contextmanager
def database_url(postgresql: bool) -> Iterator[str | None]:
    """The URL of a new one for this run; None is SQLite."""
    if not postgresql:
        yield None
        return
    there = postgres()
    name = there.create()
    try:
        yield there.url(name)
    finally:
        there.drop(name)


def _crash(
    folder: Path, kills: int, clients: int, seed: int, tell: Callable[[str], None], workers: int, url: str | None,
    lapses: bool,
) -> list[str]:
    sending, chance = Sending(seed, workers), random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    sink = SinkProcess(folder / "journal")
    ending = threading.Event()
    server: Server | None = None
    try:
        server = Server(folder / "server", "sql", sink.port, workers, MORE, url)
        server.start()
        server.wait()
        senders = [
            threading.Thread(target=keep_sending, args=(sending, each, server.port, ending), daemon=True)
            for each in range(clients)
        ]
        for thread in senders:
            thread.start()
        for kill in range(kills):
            sending.how[_kill(server, sink, chance, workers, sending)] += 1
            sending.kills.append(time.time())
            sink.live(kill + 1)
            if server.is_dead:
                if lapses:
                    _let_lapse(url, folder / "server" / "data")
                server.start()
            if (kill + 1) % 10 == 0 or kill + 1 == kills:
                tell(f"{kill + 1} kills, {_acknowledged(sending)} messages")
        server.wait()
        time.sleep(0.5)
        ending.set()
        for thread in senders:
            thread.join(30)
        server.wait_empty(PATIENCE + (LEASE if url is not None else 0))
        reports = len(list(server.mailbox("ann")))
    except Exception:
        if server is not None:
            tell(server.complaints())
        raise
    finally:
        ending.set()
        if server is not None:
            server.stop()
        sink.stop()
    copies, ids = sink.took()
    stories, left = read_stories(url, folder / "server" / "data")
    wrong = sending.refused + judged(sending, copies, ids, stories, tell)
    if reports:
        wrong.append(f"{reports} reports were sent of what was delivered")
    if left:
        wrong.append(f"{left} contents are left in the database")
    return wrong


def _kill(server: Server, sink: SinkProcess, chance: random.Random, workers: int, sending: Sending) -> str:
    """Kill it, or one of its workers; returns how."""
    if chance.random() < 0.1:
        time.sleep(chance.uniform(0, 1))        # perhaps while it starts
        server.kill()
        return "early"
    server.wait()
    let_work(lambda: _acknowledged(sending))
    time.sleep(chance.expovariate(1 / 0.3))
    moment = chance.choice((*MOMENTS, *["random"] * len(MOMENTS)))
    pids = _workers(server) if workers > 1 else [server.pid]
    if moment != "random" and pids and sink.kill(moment, chance.choice(pids), chance.choice((0, 0.001, 0.003, 0.01))):
        if workers == 1:
            server.wait_dead()
        return moment
    server.kill()
    return "random"


def _workers(server: Server) -> list[int]:
    try:
        return [each["pid"] for each in ask(server.config.parent / "data", "status")["workers"]]
    except NoServer:
        return []


def _let_lapse(url: str | None, data: Path) -> None:
    database = Database(url, data)
    database.open()
    try:
        with database.transaction() as connection:
            connection.execute(text(f"UPDATE spool SET lease = lease - {LEASE} WHERE lease > 0"))
    finally:
        database.close()


def read_stories(url: str | None, data: Path) -> tuple[dict[str, list[dict[str, Any]]], int]:
    """Every story, by id, from the database; and how many contents are there still."""
    database, stories = Database(url, data), dict[str, list[dict[str, Any]]]()
    database.open()
    try:
        with database.reading() as connection:
            for id, record in connection.execute(text("SELECT id, record FROM trace ORDER BY id, number")):
                stories.setdefault(spell(id), []).append(json.loads(record))
            left = connection.execute(text("SELECT COUNT(*) FROM content")).scalar_one()
    finally:
        database.close()
    return stories, left


def _acknowledged(sending: Sending) -> int:
    return sum(each.acknowledged is not None for each in list(sending.sent.values()))


# -- the judgement


def judged(
    sending: Sending, copies: Mapping[tuple[str, str], Sequence[Copy]], ids: Mapping[str, str],
    stories: Mapping[str, Sequence[Mapping[str, Any]]], tell: Callable[[str], None],
) -> list[str]:
    """What is lost, changed, or there more often than its story explains."""
    wrong: list[str] = []
    doubles, interrupted, longest = Counter[str](), 0, 0.0
    for sent in sending.sent.values():
        id = sent.acknowledged.rpartition(" ")[2] if sent.acknowledged else ids.get(sent.key, "")
        for recipient in sent.recipients:
            theirs = copies.get((recipient, sent.key), ())
            what = f"{sent.key} ({id}) for {recipient}"
            if not theirs:
                if sent.acknowledged:
                    wrong.append(f"{what} was acknowledged and is lost")
                continue
            events = [each for each in stories.get(id, ()) if each.get("recipient") == recipient]
            wrong += [f"{what} {each}" for each in _faults(sent, theirs, events, sending.workers == 1)]
            interrupted += sum(each["event"] == "interrupted" for each in events)
            for copy in sorted(theirs, key=lambda each: each.received)[:-1]:
                doubles["answered" if copy.answered else "unanswered"] += 1
                if copy.life < len(sending.kills):
                    longest = max(longest, sending.kills[copy.life] - copy.received)
    known = {(recipient, sent.key) for sent in sending.sent.values() for recipient in sent.recipients}
    wrong += [f"{key} for {recipient} was never sent there" for recipient, key in copies.keys() - known]
    doubtful = sum(each.unsure for each in sending.sent.values())
    tell(f"{_acknowledged(sending)} messages acknowledged, {doubtful} in doubt; kills:"
         f" {', '.join(f'{count} {how}' for how, count in sorted(sending.how.items()))}")
    tell(f"{sum(map(len, copies.values()))} deliveries to {len(copies)} recipients; twice: {doubles['unanswered']} were"
         f" behind the final dot, {doubles['answered']} answered and not written down; {interrupted} interrupted"
         f" attempts in the stories; received at most {longest:.3f} s before the kill; {len(wrong)} wrong")
    return wrong


def _faults(
    sent: Sent, copies: Sequence[Copy], events: Sequence[Mapping[str, Any]], dies_whole: bool
) -> Iterable[str]:
    """What is wrong for one recipient of one message."""
    if any(each.digest != sent.digest for each in copies):
        yield "is not what was sent"
    attempts = [each["attempt"] for each in events]
    cut = sum(each["event"] == "interrupted" for each in events)
    ends = [each.get("result") for each in events if each["event"] == "attempt"]
    if len(copies) - 1 > cut:
        yield f"is there {len(copies)} times, and {cut} attempts were interrupted"
    if dies_whole and len({each.life for each in copies}) < len(copies):
        yield f"came twice from one life: {[each.life for each in copies]}"
    if attempts != list(range(1, len(attempts) + 1)):
        yield f"has a story with attempts {attempts}"
    if ends.count("delivered") != 1 or ends[-1] != "delivered":
        yield f"has a story of attempts that were {ends}"
