"""What an IMAP client asks of its mailboxes, and what they hold afterwards: values, with no server in sight.

A message is known by its UID, or by None as long as nobody has told it; since UIDs only rise, those stand behind the
others.  A command is done whole or not at all, so what is there after a crash is what was there before it, and a number
of the commands that were under way, from the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

ALL = (1, 0)            # the range 1:*


@dataclass(frozen=True, slots=True)
class Held:
    """A message in a mailbox."""

    uid: int | None
    key: str
    flags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Box:
    """What a client has in a mailbox; `id` is its MAILBOXID and UIDVALIDITY, empty when they were not yet heard of."""

    messages: tuple[Held, ...] = ()
    id: tuple[str, ...] = ()


State: TypeAlias = Mapping[str, Box]
UIDs: TypeAlias = Sequence[int] | None      # of what comes new, in this order; None when they are not known


@dataclass(frozen=True)
class Command:
    """`selects` is the mailbox in which it works, "" none."""

    selects: str = field(default="", kw_only=True)

    def pieces(self) -> bytes:
        """As it is sent, behind its tag, without the end of its line."""
        raise NotImplementedError

    def new(self, state: State) -> int:
        """How many messages come into being."""
        return 0

    def applied(self, state: State, uids: UIDs = None) -> State:
        """What is there when it is done."""
        raise NotImplementedError


@dataclass(frozen=True)
class Append(Command):
    """One message or several: key, flags, content; `replaces` is the UID of one in `selects` that goes (RFC 8508)."""

    name: str
    messages: tuple[tuple[str, frozenset[str], bytes], ...]
    replaces: int = 0

    def pieces(self) -> bytes:
        words = [f"UID REPLACE {self.replaces} {quoted(self.name)}" if self.replaces else f"APPEND {quoted(self.name)}"]
        octets = words[0].encode()
        for _, flags, content in self.messages:
            octets += f" ({' '.join(sorted(flags))}) {{{len(content)}+}}\r\n".encode() + content
        return octets

    def new(self, state: State) -> int:
        return len(self.messages)

    def applied(self, state: State, uids: UIDs = None) -> State:
        more = [Held(None, key, flags) for key, flags, _ in self.messages]
        after = _with(state, self.name, (*state[self.name].messages, *_known(more, uids)))
        if self.replaces:
            after = _with(after, self.selects, _without(after[self.selects].messages, {self.replaces}))
        return after


@dataclass(frozen=True)
class Store(Command):
    """Flags come, go, or are set."""

    uids: tuple[int, ...]
    how: str
    flags: frozenset[str]

    def pieces(self) -> bytes:
        return f"UID STORE {spelled(self.uids)} {self.how}FLAGS ({' '.join(sorted(self.flags))})".encode()

    def applied(self, state: State, uids: UIDs = None) -> State:
        changed = []
        for each in state[self.selects].messages:
            if each.uid in self.uids:
                flags = {
                    "+": each.flags | self.flags, "-": each.flags - self.flags, "": self.flags
                }[self.how]
                each = replace(each, flags=flags)
            changed.append(each)
        return _with(state, self.selects, changed)


@dataclass(frozen=True)
class Copy(Command):
    """Messages of a range of UIDs, or of single ones, go to another mailbox; with `moves` they are here no more."""

    which: tuple[int, ...]
    to: str
    moves: bool = False
    as_range: bool = False      # `which` are its ends

    def pieces(self) -> bytes:
        verb = "MOVE" if self.moves else "COPY"
        numbers = ("1:*" if self.which == ALL else ":".join(map(str, self.which))) if self.as_range else (
            spelled(self.which))
        return f"UID {verb} {numbers} {quoted(self.to)}".encode()

    def _chosen(self, state: State) -> list[Held]:
        here = state[self.selects].messages
        if not self.as_range:
            return [each for each in here if each.uid in self.which]
        if self.which == ALL:
            return list(here)
        low, high = self.which
        return [each for each in here if each.uid is not None and low <= each.uid <= high]

    def new(self, state: State) -> int:
        return len(self._chosen(state))

    def applied(self, state: State, uids: UIDs = None) -> State:
        chosen = self._chosen(state)
        more = _known([replace(each, uid=None) for each in chosen], uids)
        after = state
        if self.moves:
            left = [each for each in state[self.selects].messages if each not in chosen]
            after = _with(after, self.selects, left)
        return _with(after, self.to, (*after[self.to].messages, *more))


@dataclass(frozen=True)
class Expunge(Command):
    """Those that are \\Deleted go: of these, or of the whole mailbox."""

    uids: tuple[int, ...] = ()

    def pieces(self) -> bytes:
        return f"UID EXPUNGE {spelled(self.uids)}".encode() if self.uids else b"EXPUNGE"

    def applied(self, state: State, uids: UIDs = None) -> State:
        left = [
            each for each in state[self.selects].messages
            if "\\Deleted" not in each.flags or (self.uids and each.uid not in self.uids)
        ]
        return _with(state, self.selects, left)


@dataclass(frozen=True)
class Create(Command):
    """A mailbox."""

    name: str

    def pieces(self) -> bytes:
        return f"CREATE {quoted(self.name)}".encode()

    def applied(self, state: State, uids: UIDs = None) -> State:
        return {**state, self.name: Box()}


@dataclass(frozen=True)
class Delete(Command):
    """A mailbox goes with all that it holds; what lies below its name stays."""

    name: str

    def pieces(self) -> bytes:
        return f"DELETE {quoted(self.name)}".encode()

    def applied(self, state: State, uids: UIDs = None) -> State:
        return {name: box for name, box in state.items() if name != self.name}


@dataclass(frozen=True)
class Rename(Command):
    """A mailbox, and all below its name."""

    old: str
    name: str

    def pieces(self) -> bytes:
        return f"RENAME {quoted(self.old)} {quoted(self.name)}".encode()

    def applied(self, state: State, uids: UIDs = None) -> State:
        return {
            self.name + name[len(self.old):] if f"{name}/".startswith(f"{self.old}/") else name: box
            for name, box in state.items()
        }


def quoted(name: str) -> str:
    """The name of a mailbox; ours need no escapes."""
    return f'"{name}"'


def spelled(uids: Sequence[int]) -> str:
    """A sequence set."""
    return ",".join(map(str, uids))


def _with(state: State, name: str, messages: Sequence[Held]) -> State:
    return {**state, name: replace(state[name], messages=tuple(messages))}


def _without(messages: Sequence[Held], uids: set[int]) -> list[Held]:
    return [each for each in messages if each.uid not in uids]


def _known(messages: Sequence[Held], uids: UIDs) -> list[Held]:
    if uids is None:
        return list(messages)
    return [replace(each, uid=uid) for each, uid in zip(messages, uids, strict=True)]


# -- what is there after a crash


def difference(expected: State, found: State) -> str:
    """What is not as it should be, in words; "" when all is."""
    if expected.keys() != found.keys():
        return f"mailboxes {sorted(expected.keys() ^ found.keys())} are there, or not, where the opposite should be"
    for name, box in expected.items():
        other = found[name]
        if box.id and box.id != other.id:
            return f"{name} was {box.id} and is {other.id}"
        ours, theirs = box.messages, other.messages
        if len(ours) != len(theirs) or not all(map(_is, ours, theirs)):
            lost, more = _names(ours, theirs), _names(theirs, ours)
            return f"{name}: expected and not there {lost}, there and not expected {more}"
    return ""


def _is(expected: Held, found: Held) -> bool:
    return expected.uid in (None, found.uid) and (expected.key, expected.flags) == (found.key, found.flags)


def _names(some: Sequence[Held], others: Sequence[Held]) -> list[str]:
    return [f"{each.uid} {each.key} {sorted(each.flags)}" for each in some if each not in others][:5]


def done_of(state: State, pending: Sequence[Command], found: State) -> tuple[int, str]:
    """How many of the commands that were under way are done, as what is there tells, from the first.

    -1 when no number of them explains it; then what is different, where that is said shortest.
    """
    told = []
    for count in range(len(pending) + 1):
        words = difference(state, found)
        if not words:
            return count, ""
        told.append(words)
        if count < len(pending):
            state = pending[count].applied(state)
    return -1, min(told, key=len)
