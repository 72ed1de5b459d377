"""Many operations at random, against a model of a few lines; a seed that fails is in what trial prints."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, gatherResults

from mailserver.content import LARGE
from mailserver.errors import AlreadyExists, MailserverError, NotFound
from mailserver.imapstore import Flags
from mailserver.interfaces import ANSWERED, DELETED, FLAGGED, INBOX, SEEN, Account
from mailserver.store.ranges import ranges_of
from mailserver.testing.imapstores import ImapSteps
from mailserver.testing.stores import PREFIX, octets
from tests.mailbox.databases import PostgresqlCase, SqliteCase

SYSTEM = (SEEN, ANSWERED, FLAGGED, DELETED)
WORDS = ("Moon", "sun", "$Junk", "star")
NAMES = (INBOX, "a", "a/b", "Sent")
ROUNDS = 60
LARGE_OCTETS = octets(2 * LARGE)


@dataclass
class Message:
    octets: bytes
    system: int
    keywords: frozenset[str]


@dataclass
class Box:
    """A mailbox as it should be."""

    uidnext: int = 1
    messages: dict[int, Message] = field(default_factory=dict)
    seen: list[tuple[int, dict[int, tuple[int, frozenset[str]]]]] = field(default_factory=list)

    def add(self, message: Message) -> int:
        uid, self.uidnext = self.uidnext, self.uidnext + 1
        self.messages[uid] = Message(message.octets, message.system, message.keywords)
        return uid

    def flags(self) -> dict[int, tuple[int, frozenset[str]]]:
        return {uid: (each.system, each.keywords) for uid, each in self.messages.items()}


if TYPE_CHECKING:
    class _Case(ImapSteps, SqliteCase):
        pass
else:
    _Case = ImapSteps


class ModelContract(_Case):
    timeout = 120

    async def test_one_process(self) -> None:
        """Several operations at once are as if they had come one after the other, in the order in which they began."""
        for seed in range(3):
            await self._play(seed)

    async def _play(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.store: Any = self.build()
        self.model: dict[tuple[str, str], Box] = {}
        self.opened: dict[tuple[str, str], Any] = {}
        self.who = {name: self.account(f"{name}{seed}") for name in ("bob", "alice")}
        for name, account in self.who.items():
            for each in await self.store.mailboxes(account):
                self.model[name, each] = Box()
                self.opened[name, each] = await self.store.open(account, each)
        for number in range(ROUNDS):
            steps = [await self._step() for _ in range(self.random.randint(1, 5))]
            begun = [Deferred.fromCoroutine(_outcome(begin())) for begin, _ in steps]
            expected = [expect() for _, expect in steps]
            found = await gatherResults(begun)
            self.assertEqual(found, expected, f"seed {seed}, round {number}")
            await self._settle()
            if number % 5 == 0 or number == ROUNDS - 1:
                await self._compare(f"seed {seed}, round {number}")

    async def _settle(self) -> None:
        """Open what was made, forget what is gone."""
        for name, box in self.model.items():
            if name not in self.opened:
                self.opened[name] = await self.store.open(self.who[name[0]], name[1])
                self.assertEqual(self.opened[name].name, name[1])
            if self.random.random() < 0.2:
                state = await self.opened[name].load()
                box.seen.append((state.modseq, box.flags()))

    async def _compare(self, when: str) -> None:
        """The store holds what the model holds, and tells who knows an earlier state what has become of it."""
        for (who, name), box in self.model.items():
            opened, account = self.opened[who, name], self.who[who]
            self.assertEqual({uid: (system, frozenset(words))
                              for uid, (system, words) in (await self.flags(opened)).items()}, box.flags(), when)
            self.assertEqual((await opened.load()).uidnext, box.uidnext, when)
            self.assertTrue(
                await self.all(self.store, account, name) == [each.octets for _, each in sorted(box.messages.items())],
                f"{when}: octets",
            )
            for since, flags in box.seen:
                changes = await opened.changes(since)
                for uid in changes.gone:
                    flags.pop(uid, None)
                for uid, mask, _ in changes.changed:
                    flags[uid] = mask & 0xFF, frozenset(
                        word for bit, word in enumerate(changes.keywords) if mask >> (8 + bit) & 1
                    )
                self.assertEqual(flags, box.flags(), f"{when}: changes since {since}")
            box.seen.clear()
        for account in self.who.values():
            await self.check(self.store, account)
        self.check_contents()

    # -- one step: what begins it, and what the model says of it

    async def _step(self) -> tuple[Callable[[], Awaitable[Any]], Callable[[], Any]]:
        pick = self.random
        kind = pick.choices(
            ("append", "deliver", "store", "expunge", "copy", "move", "create", "delete", "rename"),
            (6, 5, 8, 4, 5, 5, 2, 1, 1),
        )[0]
        who = pick.choice(list(self.who))
        name = pick.choice(NAMES)
        account, at = self.who[who], (who, name)
        return await getattr(self, f"_{kind}")(account, at)  # type: ignore[no-any-return]

    def _message(self) -> Message:
        pick = self.random
        body = LARGE_OCTETS if pick.random() < 0.05 else b"Subject: %d\r\n\r\nx\r\n" % pick.randrange(10**6)
        return Message(body, self._system(), frozenset(pick.sample(WORDS, pick.randint(0, 2))))

    def _system(self) -> int:
        return sum(self.random.sample(SYSTEM, self.random.randint(0, 2)))

    def _is_there(self, box: Box) -> bool:
        """Whether it was not deleted, whatever it is called now."""
        return any(each is box for each in self.model.values())

    def _uids(self, box: Box | None) -> list[int]:
        most = box.uidnext + 2 if box is not None else 5
        return sorted(self.random.sample(range(1, most + 1), self.random.randint(0, min(most, 6))))

    async def _append(self, account: Account, at: tuple[str, str]) -> Any:
        made = [self._message() for _ in range(self.random.randint(1, 3))]
        messages = [await self.appended(each.octets, each.system, sorted(each.keywords)) for each in made]

        def expect() -> Any:
            box = self.model.get(at)
            return NotFound if box is None else [box.add(each) for each in made]

        async def begin() -> Any:
            try:
                return list((await self.store.append(account, at[1], messages)).targets)
            except NotFound:
                for each in messages:       # as a session does with what it cannot append
                    if each.content.path is not None:
                        await self.server.in_thread(_unlink, each.content.path)
                raise

        return begin, expect

    async def _deliver(self, account: Account, at: tuple[str, str]) -> Any:
        made = self._message()
        delivery = await self.delivery(account, made.octets, at[1], flags=made.system)

        def expect() -> Any:
            self.model.setdefault(at, Box()).add(Message(PREFIX + made.octets, made.system, frozenset()))

        return lambda: self.store.deliver(delivery), expect

    async def _store(self, account: Account, at: tuple[str, str]) -> Any:
        opened, box = self.opened.get(at), self.model.get(at)
        uids = self._uids(box)
        how, system = self.random.choice("+-="), self._system()
        words = frozenset(self.random.sample(WORDS, self.random.randint(0, 2)))
        if opened is None or box is None:
            return await self._append(account, at)

        def expect() -> Any:
            changed: list[int] = []
            if not self._is_there(box):
                return NotFound
            for uid in uids:
                if uid in box.messages:
                    each = box.messages[uid]
                    before = each.system, each.keywords
                    if how == "+":
                        each.system, each.keywords = each.system | system, each.keywords | words
                    elif how == "-":
                        each.system, each.keywords = each.system & ~system, each.keywords - words
                    else:
                        each.system, each.keywords = system, words
                    if (each.system, each.keywords) != before:
                        changed.append(uid)
            return changed

        async def begin() -> Any:
            done = await opened.store(ranges_of(uids), how, Flags(system, sorted(words)))
            return [uid for uid, _ in done.changed]

        return begin, expect

    async def _expunge(self, account: Account, at: tuple[str, str]) -> Any:
        opened, box = self.opened.get(at), self.model.get(at)
        uids = None if self.random.random() < 0.3 else self._uids(self.model.get(at))
        if opened is None or box is None:
            return await self._append(account, at)

        def expect() -> Any:
            if not self._is_there(box):
                return NotFound
            gone = [uid for uid, each in sorted(box.messages.items())
                    if each.system & DELETED and (uids is None or uid in uids)]
            for uid in gone:
                del box.messages[uid]
            return gone

        async def begin() -> Any:
            gone, _ = await opened.expunge(None if uids is None else ranges_of(uids))
            return list(gone)

        return begin, expect

    async def _copy(self, account: Account, at: tuple[str, str], move: bool = False) -> Any:
        opened, box = self.opened.get(at), self.model.get(at)
        uids = self._uids(box)
        to = self.random.choice(list(self.who)), self.random.choice(NAMES)
        if opened is None or box is None:
            return await self._append(account, at)

        def expect() -> Any:
            target = self.model.get(to)
            if target is None or not self._is_there(box):
                return NotFound
            there = [uid for uid in uids if uid in box.messages]
            targets = [target.add(box.messages[uid]) for uid in there]
            if move:
                for uid in there:
                    del box.messages[uid]
            return there, targets

        async def begin() -> Any:
            done = await opened.copy(ranges_of(uids), self.who[to[0]], to[1], move)
            return list(done.sources), list(done.targets)

        return begin, expect

    async def _move(self, account: Account, at: tuple[str, str]) -> Any:
        return await self._copy(account, at, move=True)

    async def _create(self, account: Account, at: tuple[str, str]) -> Any:
        def expect() -> Any:
            if at in self.model:
                return AlreadyExists
            self.model[at] = Box()
            return None

        async def begin() -> None:
            await self.store.create(account, at[1])

        return begin, expect

    async def _delete(self, account: Account, at: tuple[str, str]) -> Any:
        def expect() -> Any:
            if at[1] == INBOX:
                return AlreadyExists
            if at not in self.model:
                return NotFound
            del self.model[at]
            self.opened.pop(at, None)
            return None

        return lambda: self.store.delete(account, at[1]), expect

    async def _rename(self, account: Account, at: tuple[str, str]) -> Any:
        """There and back in two steps would hide what goes wrong: so to a name of its own, which nobody else uses."""
        who, old = at
        new = f"b{self.random.randrange(10**6)}"

        def expect() -> Any:
            if old == INBOX:
                there, self.model[who, new] = self.model[at], Box()
                for _, message in sorted(there.messages.items()):
                    self.model[who, new].add(message)
                there.messages.clear()
                return None
            moved = [each for each in self.model if each[0] == who and (each[1] + "/").startswith(f"{old}/")]
            if not moved:
                return NotFound
            for each in moved:
                now = who, new + each[1][len(old):]
                self.model[now] = self.model.pop(each)
                if each in self.opened:
                    self.opened[now] = self.opened.pop(each)
                    self.opened[now].name = now[1]
            return None

        return lambda: self.store.rename(account, old, new), expect

    # -- several processes

    async def test_two_processes(self) -> None:
        """At once on the same mailboxes: nothing is lost, nothing counted twice, nobody misses a change."""
        bob = self.account("bob")
        stores: list[Any] = [self.build(), self.another()]
        await self.append(stores[0], bob, *[b"%d" % number for number in range(30)])
        since = {}
        for name in (INBOX, "Sent", "Archive"):
            box = await stores[0].open(bob, name)
            since[name] = (await box.load()).modseq, set(await self.uids(stores[0], bob, name))

        async def work(store: Any, seed: int) -> None:
            pick = random.Random(seed)
            for _ in range(25):
                name, to = pick.sample((INBOX, "Sent", "Archive"), 2)
                box = await store.open(bob, name)
                low = pick.randint(1, 40)
                uids = [(low, low + 3)]
                done = pick.randrange(6)
                if done == 0:
                    await self.append(store, bob, b"%d" % pick.randrange(10**9), name=name)
                elif done == 1:
                    await self.deliver(store, bob, b"%d" % pick.randrange(10**9), mailbox=name)
                elif done == 2:
                    await box.store(uids, pick.choice("+-="), Flags(self._any(pick), [pick.choice(WORDS)]))
                elif done == 3:
                    await box.expunge()
                else:
                    await box.copy(uids, bob, to, move=done == 5)

        await gatherResults([Deferred.fromCoroutine(work(stores[number % 2], number)) for number in range(4)])
        await self.check(stores[1], bob)
        self.check_contents()
        for name, (modseq, before) in since.items():
            box = await stores[1].open(bob, name)
            changes, now = await box.changes(modseq), set(await self.uids(stores[1], bob, name))
            self.assertLessEqual(before - now, set(changes.gone))
            self.assertLessEqual(now - before, {uid for uid, _, _ in changes.changed})
            self.assertEqual(now & set(changes.gone), set())

    def _any(self, pick: random.Random) -> int:
        return sum(pick.sample(SYSTEM, 2))


def _unlink(path: str) -> None:
    import os

    os.unlink(path)


async def _outcome(doing: Awaitable[Any]) -> Any:
    """What it came to; of an error, its class."""
    try:
        return await doing
    except MailserverError as error:
        return type(error)


class SqliteTests(ModelContract, SqliteCase):
    pass


class PostgresqlTests(ModelContract, PostgresqlCase):
    pass
