"""Kill a server again and again while mail comes in, and see whether anything that it promised is missing.

    python -m tests.crash [--kills 100] [--clients 6] [--store sql|maildir] [--workers N] [--seed N]
    python -m tests.crash --sending ...     (`tests.crash_sending`: while it delivers to another server)
    python -m tests.crash --imap ...        (`tests.crash_imap`: while clients change their mailboxes)

A server that ``mailserver init`` made is started, several clients send mail to it over plain sockets, and it is
killed (SIGKILL) at random moments and started again.  A client whose 250 did not come sends the same message again,
as a real one does.  Part of the mail is for another server, which this program is itself.  In the end everything is
read back by POP3, and must be there:

* each message that was acknowledged, in each of its mailboxes, octet for octet;
* once, and once more at the most for each time that a client did not hear its 250;
* at the other server also once more for each life of ours in which a delivery could be in flight.

With workers, now and then the master is killed and else one of them, in whose place another comes.

Ends with 0 when all of it holds.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import json
import os
import poplib
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mailserver.control.client import NoServer, ask
from mailserver.store.database import Database
from tests.cli.commands import STANDARD, command, free_base
from tests.cli.running import Running
from tests.plain import Client, Refused, Sink

DOMAIN, AWAY = "example.org", "away.example"
USERS = ("ann", "bob", "eve")
PASSWORD = "secret"
PATIENCE = 60.0             # seconds for the queue to become empty in the end
MORE = """
[outbound]
retry_first = "1s"
retry_longest = "2s"

[outbound.route]
"{away}" = "tcp:127.0.0.1:{port}"

[[mailbox]]
use = "{store}"

[[forward]]
use = "accounts"
store = "{store}"
"""
KEY = re.compile(rb"^X-Crash-Key: (\S+)\r\n", re.MULTILINE)


@dataclass
class Sent:
    """One message, as the client that sends it knows it."""

    key: str
    recipients: tuple[str, ...]
    digest: str
    acknowledged: str | None = None     # the words of the 250
    unsure: int = 0                     # how often the end of data was sent and no reply came


@dataclass
class Load:
    """What was sent, and what arrived."""

    seed: int
    sent: dict[str, Sent] = field(default_factory=dict)
    # (recipient, key) -> the digest and the life of the server in which it came, of each copy
    found: dict[tuple[str, str], list[tuple[str, int]]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    life: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def message(self, client: int, number: int) -> tuple[Sent, bytes]:
        """The next message of a client: small, or now and then too large for a row of the database."""
        chance = random.Random(f"{self.seed} {client} {number}")
        size = chance.randint(150_000, 400_000) if chance.random() < 0.06 else chance.randint(100, 6000)
        key = f"{client}-{number}"
        content = f"X-Crash-Key: {key}\r\nSubject: {key}\r\n\r\n.a dot\r\n..\r\n".encode()
        content += base64.encodebytes(chance.randbytes(size)).replace(b"\n", b"\r\n")
        who = chance.sample(USERS, chance.choice((1, 1, 1, 2)))
        recipients = [f"{each}@{DOMAIN}" for each in who]
        if chance.random() < 0.2:
            recipients.append(f"{chance.choice(USERS)}@{AWAY}")
        return Sent(key, tuple(recipients), digest(content)), content

    def arrived(self, recipients: Iterable[str], octets: bytes, life: int) -> None:
        """A copy lies in these mailboxes; what stands above its key is the server's own.

        `life` is the server's that brought it there: how often it had been killed before.
        """
        there = KEY.search(octets)
        if there is None:
            self.refused.append(f"a message that nobody sent: {octets[:200]!r}")
            return
        with self.lock:
            for each in recipients:
                copy = (digest(octets[there.start():]), life)
                self.found.setdefault((each, there[1].decode()), []).append(copy)


def digest(content: bytes) -> str:
    """A checksum."""
    return hashlib.sha256(content).hexdigest()


# -- the clients


def keep_sending(load: Load, client: int, port: int, ending: threading.Event) -> None:
    """Send one message after the other, each until it is acknowledged."""
    number = 0
    while not ending.is_set():
        sent, content = load.message(client, number)
        load.sent[sent.key] = sent
        number += 1
        while sent.acknowledged is None and not ending.is_set():
            try:
                _send(sent, content, port)
            except Refused as refused:
                if refused.args[0] >= 500:
                    load.refused.append(f"{sent.key}: {refused.args}")
                    return
                time.sleep(0.05)
            except OSError:
                time.sleep(0.02)        # nobody is there


def _send(sent: Sent, content: bytes, port: int) -> None:
    with Client(port) as server:
        server.say("EHLO client.example.net")
        server.envelope("sender@example.net", sent.recipients)
        sent.unsure += 1                # from here on it may be accepted without our knowing
        try:
            reply = server.send_content(content)
        except Refused:
            sent.unsure -= 1
            raise
        sent.unsure -= 1
        sent.acknowledged = reply


# -- the server


def let_work(done: Callable[[], int], more: int = 8, seconds: float = 10.0) -> None:
    """Until so much more is done, or so many seconds: else a slow server is killed before it has done anything."""
    least, until = done() + more, time.monotonic() + seconds
    while done() < least and time.monotonic() < until:
        time.sleep(0.02)


def _do(*words: str) -> None:
    said = command(*words, stdin=f"{PASSWORD}\n")
    if said.code:
        raise SystemExit(said.err)


class Server:
    """The files of a server, and the process that works on them."""

    def __init__(
        self, folder: Path, store: str, away: int, workers: int, more: str = MORE, url: str | None = None
    ) -> None:
        self.config = folder / "mailserver.toml"
        self.base = free_base((*STANDARD, 143, 993))
        self.store = store
        _do("init", str(folder), "--hostname", f"mx.{DOMAIN}", "--domain", DOMAIN, "--port-base", str(self.base))
        text = self.config.read_text().replace("networks = []", f'domains = ["{AWAY}"]\nnetworks = []')
        text = f"workers = {workers}\n{text}"
        if url is not None:
            text = f'database = "{url}"\n{text}'
        text += more.format(away=AWAY, port=away, store=store)
        self.config.write_text(text)
        if url is not None:
            database = Database(url, folder / "data")
            database.open(migrate=True)
            database.close()
            _do("domain", "add", DOMAIN, "--config", str(self.config))
        for each in USERS:
            _do("user", "add", f"{each}@{DOMAIN}", "--password-stdin", "--config", str(self.config))
        self.running: Running | None = None
        self.ready = False
        self.workers = workers

    @property
    def port(self) -> int:
        return self.base + 25

    def start(self) -> None:
        """Run it; does not wait for it."""
        self.ready = False
        self.running = Running("run", "--config", str(self.config))

    def wait(self) -> None:
        """Wait until it takes mail."""
        assert self.running is not None
        if not self.ready:
            self.running.wait_for(str(self.base + 995))     # the last of its listeners
            self.ready = True

    def kill(self) -> None:
        """As if the power had gone, but for what the kernel knows."""
        assert self.running is not None
        if self.running.process.poll() is not None:
            raise AssertionError(f"it ended by itself: {self.running.process.returncode}")
        self.running.process.kill()
        self.running.process.wait()

    @property
    def pid(self) -> int:
        assert self.running is not None
        return self.running.process.pid

    @property
    def is_dead(self) -> bool:
        assert self.running is not None
        return self.running.process.poll() is not None

    def wait_dead(self) -> None:
        """Wait until the kill of somebody else has been seen to."""
        assert self.running is not None
        code = self.running.process.wait(PATIENCE)
        if code != -signal.SIGKILL:
            raise AssertionError(f"it ended by itself: {code}")

    def kill_worker(self, chance: random.Random) -> None:
        """One of several, if any of them serves at this moment."""
        try:
            serving = ask(self.config.parent / "data", "status")["workers"]
        except NoServer:
            return
        if serving:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(serving)["pid"], signal.SIGKILL)

    def complaints(self) -> str:
        """What its last life logged as an error."""
        assert self.running is not None
        return "".join(each for each in self.running.heard() if "level=critical" in each or "level=error" in each)

    def stop(self) -> None:
        if self.running is not None:
            self.running.stop()

    def wait_empty(self, patience: float = PATIENCE) -> None:
        """Wait until everything has been delivered."""
        until = time.monotonic() + patience
        while waiting := json.loads(command("queue", "list", "--json", "--config", str(self.config)).out):
            if time.monotonic() > until:
                raise AssertionError(f"{len(waiting)} are in the queue still: {waiting[:3]}")
            time.sleep(0.3)

    def mailbox(self, user: str) -> Iterator[bytes]:
        """Every message that a user has, by POP3."""
        box = poplib.POP3("127.0.0.1", self.base + 110, timeout=30)
        box.user(f"{user}@{DOMAIN}")
        box.pass_(PASSWORD)
        for number in range(1, box.stat()[0] + 1):
            yield b"".join(line + b"\r\n" for line in box.retr(number)[1])
        box.quit()


# -- the whole


def crash(
    folder: Path, kills: int, clients: int, store: str, seed: int, tell: Callable[[str], None], workers: int = 1
) -> list[str]:
    """Do it all; returns what is wrong, a sentence each."""
    load, chance = Load(seed), random.Random(seed)
    sink = Sink(load.arrived, lambda: load.life)
    server = Server(folder, store, sink.port, workers)
    ending = threading.Event()
    senders = [
        threading.Thread(target=keep_sending, args=(load, number, server.port, ending), daemon=True)
        for number in range(clients)
    ]
    try:
        server.start()
        server.wait()
        for each in senders:
            each.start()
        for kill in range(kills):
            # Mostly while it works, now and then while it starts.
            if chance.random() < 0.9:
                server.wait()
                time.sleep(chance.expovariate(1 / 0.4))
            else:
                time.sleep(chance.uniform(0, 2))
            if workers > 1 and chance.random() < 0.75:
                server.kill_worker(chance)
                load.life += 1
            else:
                server.kill()
                load.life += 1
                server.start()
            if (kill + 1) % 10 == 0 or kill + 1 == kills:
                tell(f"{kill + 1} kills, {sum(each.acknowledged is not None for each in load.sent.values())} messages")
        server.wait()
        time.sleep(0.5)
        ending.set()
        for each in senders:
            each.join(30)
        server.wait_empty()
        for user in USERS:
            for octets in server.mailbox(user):
                load.arrived([f"{user}@{DOMAIN}"], octets, 0)
        stories = trace_of_each(load, server)
    except Exception:
        tell(server.complaints())
        raise
    finally:
        ending.set()
        server.stop()
        sink.stop()
    return load.refused + stories + judged(load, tell)


def judged(load: Load, tell: Callable[[str], None]) -> list[str]:
    """What is lost, changed or there too often."""
    wrong, twice = [], Counter[str]()
    for sent in load.sent.values():
        for recipient in sent.recipients:
            copies = load.found.pop((recipient, sent.key), [])
            if sent.acknowledged is not None and not copies:
                wrong.append(f"{sent.key} for {recipient} was acknowledged ({sent.acknowledged}) and is lost")
            if any(each != sent.digest for each, _ in copies):
                wrong.append(f"{sent.key} for {recipient} is not what was sent")
            # A delivery that is in flight when the server dies is made again by its next life, never by the same.
            allowed = (sent.acknowledged is not None) + sent.unsure
            if any(count > allowed for count in Counter(life for _, life in copies).values()):
                lives = [life for _, life in copies]
                wrong.append(f"{sent.key} for {recipient} is there {len(copies)} times where {allowed} may be: {lives}")
            twice["away" if recipient.endswith(AWAY) else "here"] += max(len(copies) - 1, 0)
    wrong += [f"{key} for {recipient} was never sent there" for recipient, key in load.found]
    acknowledged = sum(each.acknowledged is not None for each in load.sent.values())
    unsure = sum(each.unsure for each in load.sent.values())
    tell(f"{acknowledged} messages acknowledged; {unsure} times the 250 was lost; "
         f"more than once: {twice['here']} here, {twice['away']} at the other server; {len(wrong)} wrong")
    return wrong


def trace_of_each(load: Load, server: Server) -> list[str]:
    """Whether the story of each acknowledged message is there, under the id of its 250."""
    wrong = []
    for sent in list(load.sent.values())[::7]:
        if sent.acknowledged is not None:
            id = sent.acknowledged.rpartition(" ")[2]
            said = command("trace", id, "--json", "--config", str(server.config))
            if said.code:
                wrong.append(f"{sent.key} has no story: {said.err}")
    return wrong


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--store", choices=("sql", "maildir"), default="sql")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--sending", action="store_true")
    parser.add_argument("--imap", action="store_true")
    parser.add_argument("--postgresql", action="store_true", help="with --sending or --imap")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args(words)
    print(f"seed {options.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="crash-"))

    def tell(line: str) -> None:
        print(line, flush=True)

    if options.imap:
        from tests import crash_imap

        wrong = crash_imap.crash(
            folder / "server", options.kills, options.clients, options.seed, tell, options.workers, options.postgresql
        )
    elif options.sending:
        from tests import crash_sending

        wrong = crash_sending.crash(
            folder, options.kills, options.clients, options.seed, tell, options.workers, options.postgresql
        )
    else:
        wrong = crash(
            folder / "server", options.kills, options.clients, options.store, options.seed, tell, options.workers
        )
    for sentence in wrong:
        print(sentence)
    if wrong:
        print(f"the server's files are in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
