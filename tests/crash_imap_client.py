"""A tiny IMAP client on a plain socket, and one who does things at random with it and knows what should be there."""

from __future__ import annotations

import base64
import hashlib
import random
import re
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType

from tests.crash_imap_model import (
    ALL,
    Append,
    Box,
    Command,
    Copy,
    Create,
    Delete,
    Expunge,
    Held,
    Rename,
    State,
    Store,
    done_of,
    quoted,
)

TIMEOUT = 20.0          # seconds for an answer
SHARED = ("INBOX", "Archive")       # mailboxes that all clients of an account use; each looks after its own messages
FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "$Work", "$Later", "urgent")
LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")
NEW_UIDS = re.compile(rb"\[(?:APPENDUID \d+|COPYUID \d+ [\d:,]+) ([\d:,]+)\]")
LISTED = re.compile(rb'^\* STATUS "?([^" ]+)"? \((.*)\)\r\n')
FETCHED = re.compile(rb"^\* \d+ FETCH .*?UID (\d+)")
KEY = re.compile(rb"X-Crash-Key: (\S+)\r\n", re.IGNORECASE)


class Refused(Exception):
    """A tagged NO or BAD; its words."""


class Imap:
    """One connection; every surprise is an `OSError`."""

    def __init__(self, port: int, user: str, password: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self._answers = self._socket.makefile("rb")
        self._tags = 0
        self._line()
        self.ask(f'LOGIN "{user}" "{password}"')
        self.ask("ENABLE CONDSTORE")

    def __enter__(self) -> Imap:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: TracebackType | None) -> None:
        self._answers.close()
        self._socket.close()

    def tag(self) -> str:
        """A new one."""
        self._tags += 1
        return f"a{self._tags}"

    def write(self, octets: bytes) -> None:
        """Send octets as they are."""
        self._socket.sendall(octets)

    def ask(self, words: str) -> list[bytes]:
        """A command and its answers."""
        tag = self.tag()
        self.write(f"{tag} {words}\r\n".encode())
        return self.answers(tag)

    def answers(self, tag: str) -> list[bytes]:
        """All lines, literals in them, up to the tagged one; raises `Refused`."""
        lines = []
        while True:
            line = self._line()
            while (size := LITERAL.search(line)) is not None:
                line += self._exactly(int(size[1])) + self._line()
            lines.append(line)
            word, _, rest = line.partition(b" ")
            if word == tag.encode():
                if not rest.startswith(b"OK"):
                    raise Refused(rest.decode().strip())
                return lines
            if line.startswith(b"* BYE"):
                raise ConnectionResetError("it said BYE")

    def _line(self) -> bytes:
        line = self._answers.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError("the connection ended")
        return line

    def _exactly(self, size: int) -> bytes:
        octets = self._answers.read(size)
        if len(octets) < size:
            raise ConnectionResetError("the connection ended inside of a literal")
        return octets


@dataclass
class Counts:
    """What all clients together saw."""

    seen: Counter[str] = field(default_factory=Counter)     # commands, acknowledged, done, undone, looks ...
    kinds: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    sent: threading.Event = field(default_factory=threading.Event)      # something was, since it was cleared

    def add(self, what: str, count: int = 1) -> None:
        with self.lock:
            self.seen[what] += count

    def fault(self, words: str) -> None:
        with self.lock:
            self.wrong.append(words)


class Person:
    """Works in mailboxes of its own, and in those that it shares; remembers what should be there."""

    def __init__(self, number: int, user: str, password: str, seed: int, counts: Counts, settle: float) -> None:
        self.number = number
        self._login = user, password
        self._chance = random.Random(f"{seed} {number}")
        self._counts = counts
        self._settle = settle           # seconds in which what a dead process had begun comes to its end
        self.state: State = {name: Box() for name in SHARED}
        self.pending: deque[Command] = deque()
        self._made = 0
        self._digests: dict[str, str] = {}
        self._told: dict[tuple[str, ...], tuple[int, int]] = {}
        self._selected = ""

    # -- at work

    def work(self, port: int, ending: threading.Event) -> None:
        """Do things until the server dies; then look at what is left of them, and go on."""
        while not ending.is_set():
            try:
                with Imap(port, *self._login) as imap:
                    self._selected = ""
                    self.look(imap)
                    while not ending.is_set():
                        self._do(imap, self._plan())
            except Refused as refused:
                self._counts.fault(f"client {self.number} was refused: {refused}; {self.pending}"[:600])
                self.pending.clear()
                time.sleep(0.1)
            except TimeoutError as error:
                if not ending.is_set():
                    self._counts.fault(f"client {self.number} had no answer: {error}")
            except OSError:
                time.sleep(0.02)
                if self.pending:
                    time.sleep(self._settle)

    def _do(self, imap: Imap, commands: Sequence[Command]) -> None:
        octets, tags = b"", []
        for each in commands:
            selecting = ""
            if each.selects and each.selects != self._selected:
                selecting, self._selected = imap.tag(), each.selects
                octets += f"{selecting} SELECT {quoted(each.selects)}\r\n".encode()
            if isinstance(each, Create | Delete | Rename):
                self._selected = ""
            tags.append((selecting, imap.tag()))
            octets += tags[-1][1].encode() + b" " + each.pieces() + b"\r\n"
        self.pending.extend(commands)
        self._counts.add("commands", len(commands))
        imap.write(octets)
        self._counts.sent.set()
        for each, (selecting, tag) in zip(commands, tags, strict=True):
            if selecting:
                imap.answers(selecting)
            lines = imap.answers(tag)
            uids = [uid for line in lines for found in NEW_UIDS.finditer(line) for uid in _listed(found[1])]
            new = each.new(self.state)
            if len(uids) != new:
                self._counts.fault(f"client {self.number}: {new} messages should have come, and {uids} did: {each}")
                raise ConnectionResetError("not understood")
            self.state = each.applied(self.state, uids)
            self.pending.popleft()
            self._counts.add("acknowledged")
            with self._counts.lock:
                self._counts.kinds[_kind(each)] += 1

    # -- what is there

    def look(self, imap: Imap) -> None:
        """Find out what became of what was under way, and say what is wrong."""
        found = self._found(imap)
        done, words = done_of(self.state, self.pending, found)
        if done < 0:
            time.sleep(1.5)             # what another worker did is known within a second
            found = self._found(imap)
            done, words = done_of(self.state, self.pending, found)
            self._counts.add("late", done >= 0)
        self._counts.add("looks")
        if done < 0:
            pending = [_kind(each) for each in self.pending]
            self._counts.fault(f"client {self.number}, with {pending} under way: {words}")
        else:
            self._counts.add("unknown, done", done)
            self._counts.add("unknown, not done", len(self.pending) - done)
        self.pending.clear()
        self.state = found

    def _found(self, imap: Imap) -> State:
        """Read it all."""
        found: dict[str, Box] = {}
        items = "STATUS (UIDVALIDITY UIDNEXT HIGHESTMODSEQ MAILBOXID)"
        for line in imap.ask(f'LIST "" ("INBOX" "Archive" "c{self.number}-*") RETURN ({items})'):
            listed = LISTED.match(line)
            if listed is not None:
                name, words = listed[1].decode(), listed[2].decode()
                numbers = {key: int(value) for key, value in re.findall(r"([A-Z]+) (\d+)", words)}
                mailboxid = re.search(r"MAILBOXID \((\S+)\)", words)
                assert mailboxid is not None, words
                id = (mailboxid[1], str(numbers["UIDVALIDITY"]))
                self._rises(name, id, numbers["UIDNEXT"], numbers["HIGHESTMODSEQ"])
                found[name] = Box(tuple(self._messages(imap, name)), id)
        return found

    def _rises(self, name: str, id: tuple[str, ...], uidnext: int, modseq: int) -> None:
        before = self._told.get(id, (0, 0))
        if uidnext < before[0] or modseq < before[1]:
            self._counts.fault(f"client {self.number}: {name} went back from {before} to {(uidnext, modseq)}")
        self._told[id] = (uidnext, modseq)

    def _messages(self, imap: Imap, name: str) -> list[Held]:
        imap.ask(f"EXAMINE {quoted(name)}")
        self._selected = ""
        held = []
        for line in imap.ask("UID FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (X-Crash-Key)])"):
            uid, key, flags = FETCHED.match(line), KEY.search(line), re.search(rb"FLAGS \(([^)]*)\)", line)
            if uid is None:
                continue
            if b"BODY[" not in line:
                continue                # nobody asked: somebody else has changed a flag
            if key is None or flags is None:
                self._counts.fault(f"a message that nobody sent: {line[:200]!r}")
            elif key[1].startswith(b"%d-" % self.number):
                words = frozenset(flags[1].decode().split()) - {"\\Recent"}
                held.append(Held(int(uid[1]), key[1].decode(), words))
        return sorted(held, key=lambda each: each.uid or 0)

    def read_all(self, imap: Imap) -> int:
        """Whether each message is octet for octet what was sent; how many there are."""
        count = 0
        for name, box in self.state.items():
            imap.ask(f"EXAMINE {quoted(name)}")
            for each in box.messages:
                lines = imap.ask(f"UID FETCH {each.uid} BODY.PEEK[]")
                octets = b""
                for line in lines:
                    size = re.match(rb"\* \d+ FETCH [^\r\n]*BODY\[\] \{(\d+)\}\r\n", line)
                    if size is not None:
                        octets = line[size.end() : size.end() + int(size[1])]
                count += 1
                if digest(octets) != self._digests[each.key]:
                    self._counts.fault(f"{each.key} in {name} is not what was sent")
        return count

    # -- what to do next

    def _plan(self) -> list[Command]:
        """One command, or some at once, each made for what the one before leaves."""
        state, commands = self.state, list[Command]()
        for _ in range(self._chance.choice((1, 1, 1, 2, 3, 5))):
            command = self._next(state)
            commands.append(command)
            state = command.applied(state)
        return commands

    def _next(self, state: State) -> Command:
        chance = self._chance
        own = [name for name in state if name not in SHARED]
        if len(own) < 2:
            return Create(self._free(state))
        total = sum(len(box.messages) for box in state.values())
        full = [name for name, box in state.items() if any(each.uid for each in box.messages)]
        if not full:
            return self._append(state)
        name = chance.choice(full)
        known = [each.uid for each in state[name].messages if each.uid is not None]
        some = tuple(sorted(chance.sample(known, chance.randint(1, min(len(known), 6)))))
        to = chance.choice([each for each in state if each != name])
        weights: dict[Callable[[], Command], int] = {
            lambda: self._append(state): 6 if total < 40 else 1,
            lambda: replace(self._append(state), selects=name, replaces=some[0], messages=(self._message(),)): 1,
            lambda: Store(some, chance.choice(("+", "-", "")), self._flags(), selects=name): 2,
            lambda: Store(some, "+", frozenset({"\\Deleted"}), selects=name): 3,
            lambda: Copy(some, to, selects=name): 3 if total < 40 else 0,
            lambda: Copy(some, to, True, selects=name): 5,
            lambda: Expunge(some, selects=name): 4 if total < 40 else 8,
            lambda: Create(self._free(state)): 1 if len(own) < 5 else 0,
            lambda: Delete(chance.choice(own)): 1,
            lambda: self._rename(state, chance.choice(own)): 2,
        }
        if name in own:
            ends = (some[0], some[-1])
            weights[lambda: Copy(ends, to, True, True, selects=name)] = 3
            weights[lambda: Copy(ALL, to, True, True, selects=name)] = 2
            weights[lambda: Expunge(selects=name)] = 2
        return chance.choices(list(weights), list(weights.values()))[0]()

    def _append(self, state: State) -> Append:
        count = self._chance.choice((1, 1, 1, 2, 4, 8))
        return Append(self._chance.choice(list(state)), tuple(self._message() for _ in range(count)))

    def _rename(self, state: State, old: str) -> Rename:
        new = self._free(state)
        while new.startswith(f"{old}/"):
            new = self._free(state)
        return Rename(old, new)

    def _message(self) -> tuple[str, frozenset[str], bytes]:
        chance = self._chance
        size = chance.randint(110_000, 300_000) if chance.random() < 0.05 else chance.randint(10, 4000)
        self._made += 1
        key = f"{self.number}-{self._made}"
        content = f"X-Crash-Key: {key}\r\nSubject: {key}\r\n\r\n".encode()
        content += base64.encodebytes(chance.randbytes(size)).replace(b"\n", b"\r\n")
        self._digests[key] = digest(content)
        return key, self._flags(), content

    def _flags(self) -> frozenset[str]:
        return frozenset(self._chance.sample(FLAGS, self._chance.randint(0, 3)))

    def _free(self, state: State) -> str:
        """A name that is not there, though perhaps it was; now and then below another one."""
        own = [name for name in state if name not in SHARED and "/" not in name]
        while True:
            name = f"c{self.number}-{self._chance.randint(1, 9)}"
            if own and self._chance.random() < 0.25:
                name = f"{self._chance.choice(own)}/{self._chance.randint(1, 3)}"
            # Nor may anything lie below it, which would move with it from then on.
            if not any(f"{each}/".startswith(f"{name}/") for each in state):
                return name


def digest(octets: bytes) -> str:
    """A checksum."""
    return hashlib.sha256(octets).hexdigest()


def _kind(command: Command) -> str:
    if isinstance(command, Append):
        return "REPLACE" if command.replaces else "MULTIAPPEND" if len(command.messages) > 1 else "APPEND"
    if isinstance(command, Copy):
        return "MOVE" if command.moves else "COPY"
    return type(command).__name__.upper()


def _listed(numbers: bytes) -> list[int]:
    found: list[int] = []
    for each in numbers.split(b","):
        low, _, high = each.partition(b":")
        found += range(int(low), int(high or low) + 1)
    return found
