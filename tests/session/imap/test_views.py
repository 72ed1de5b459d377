"""Ten sessions in one mailbox do what comes to their minds; what each was told is what is there."""

from __future__ import annotations

import random
import re

from twisted.internet.defer import Deferred, gatherResults

from mailserver.service import MailServer
from tests.session.imap.house import SMALL, ImapCase, Peer

SESSIONS, COMMANDS = 10, 40
FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "$Junk", "$Important")
ACTIONS = (
    "append", "append", "store", "silent", "silent", "silent", "delete", "expunge", "uidexpunge", "copy", "move",
    "fetch", "uidfetch", "noop", "idle",
)
FETCHED = re.compile(rb"^\* (\d+) FETCH \((?:UID (\d+))?.*?(?:FLAGS \(([^)]*)\))?(?: MODSEQ \(\d+\))?\)$", re.S)


class View:
    """A mailbox as a client knows it by what it was told: messages in order, each a UID and flags, as far as known."""

    def __init__(self, case: ImapCase, peer: Peer, chance: random.Random) -> None:
        self.case = case
        self.peer = peer
        self.chance = chance
        self.messages: list[list] = []      # type: ignore[type-arg]
        self.may_expunge = True
        self.told: list[list] = []          # type: ignore[type-arg]

    def take(self, line: bytes) -> None:
        """One untagged response."""
        words = line.split()
        if words[1:2] == [b"VANISHED"]:
            self.case.assertTrue(self.may_expunge, line)
            for low, high in _ranges(words[2]):
                for uid in range(low, high + 1):
                    self.vanish(uid)
        elif words[2:3] == [b"EXPUNGE"]:
            self.case.assertTrue(self.may_expunge, line)
            del self.messages[int(words[1]) - 1]
        elif words[2:3] == [b"EXISTS"]:
            self.case.assertGreaterEqual(int(words[1]), len(self.messages), line)
            while len(self.messages) < int(words[1]):
                self.messages.append([None, None])
        elif words[2:3] == [b"FETCH"]:
            found = FETCHED.match(line)
            assert found is not None, line
            self.case.assertLessEqual(int(found[1]), len(self.messages), line)
            message = self.messages[int(found[1]) - 1]
            if found[2] is not None:
                uid = int(found[2])
                self.case.assertIn(message[0], (None, uid), f"{line!r} but it was {message[0]}")
                message[0] = uid
            if found[3] is not None:
                message[1] = frozenset(found[3].split()) - {b"\\Recent"}
                self.told.append(message)

    def vanish(self, uid: int) -> None:
        """It goes, or, when the client has not asked for its UID yet, one of those that stand where it has to be."""
        below = [at for at, each in enumerate(self.messages) if each[0] is not None and each[0] < uid]
        place = next(
            (at for at, each in enumerate(self.messages) if each[0] == uid), below[-1] + 1 if below else 0
        )
        self.case.assertLess(place, len(self.messages), f"{uid} vanished, which is not here")
        self.case.assertIn(self.messages[place][0], (None, uid), f"{uid} vanished, which is not here")
        del self.messages[place]

    async def ask(self, command: str, may_expunge: bool = True) -> bool:
        """A command, and all that it tells; whether it succeeded."""
        tag = self.peer.say(command)
        self.may_expunge = may_expunge
        while True:
            found = await self.peer.response()
            if found.startswith(tag + b" "):
                self.case.assertTrue(found.startswith((tag + b" OK", tag + b" NO")), (command, found))
                return found.startswith(tag + b" OK")
            self.take(found)

    async def idle(self) -> None:
        tag = self.peer.say("IDLE")
        self.may_expunge = True
        self.case.assertEqual(await self.peer.response(), b"+ idling")
        self.peer.line.say(b"DONE\r\n")
        while not (found := await self.peer.response()).startswith(tag):
            self.take(found)

    async def step(self) -> None:
        """Something at random."""
        chance, count = self.chance, len(self.messages)
        number = chance.randint(1, count) if count else 0
        numbers = f"{number}:{min(count, number + chance.randrange(4))}"
        flags = " ".join(chance.sample(FLAGS, chance.randint(1, 2)))
        uids = [each[0] for each in self.messages if each[0] is not None]
        uid = chance.choice(uids) if uids else 1
        what = chance.choice(ACTIONS)
        if what == "append":
            octets = SMALL % (chance.randrange(100), 1)
            await self.ask(f"APPEND INBOX ({flags}) {{{len(octets)}+}}\r\n{octets.decode()}")
        elif what == "noop" or not count:
            await self.ask("NOOP")
        elif what == "idle":
            await self.idle()
        elif what == "store":
            await self.ask(f"STORE {numbers} {chance.choice('+-')}FLAGS ({flags})", may_expunge=False)
        elif what == "silent":
            await self.silent(number, chance.choice("+-"), flags)
        elif what == "delete":
            await self.ask(f"UID STORE {uid} +FLAGS (\\Deleted)")
        elif what == "expunge":
            await self.ask("EXPUNGE")
        elif what == "uidexpunge":
            await self.ask(f"UID EXPUNGE {uid}:{uid + 5}")
        elif what == "copy":
            await self.ask(f"COPY {numbers} INBOX", may_expunge=False)
        elif what == "move":
            await self.ask(f"MOVE {number} {chance.choice(['INBOX', 'Archive'])}")
        elif what == "fetch":
            await self.ask(f"FETCH {numbers} (UID {chance.choice(['FLAGS', 'RFC822.SIZE'])})", may_expunge=False)
        else:
            await self.ask(f"UID FETCH {uid}:* (UID FLAGS)")

    async def silent(self, number: int, sign: str, flags: str) -> None:
        """A silent STORE: what the client takes for granted is what it knew, and what it did."""
        message = self.messages[number - 1]
        before, self.told = message[1], []
        await self.ask(f"STORE {number} {sign}FLAGS.SILENT ({flags})", may_expunge=False)
        if before is not None and not any(each is message for each in self.told):
            words = frozenset(flags.encode().split())
            message[1] = before | words if sign == "+" else before - words

    async def complete(self) -> None:
        """Learn of what the client never asked for."""
        await self.ask("NOOP")
        for number, (uid, flags) in enumerate(list(self.messages), 1):
            if uid is None:
                await self.ask(f"FETCH {number} UID", may_expunge=False)
            if flags is None:
                await self.ask(f"FETCH {number} FLAGS", may_expunge=False)
        await self.ask("NOOP")


def _ranges(octets: bytes) -> list[tuple[int, int]]:
    pairs = [each.split(b":") for each in octets.split(b",")]
    return [(int(each[0]), int(each[-1])) for each in pairs]


class ViewTests(ImapCase):
    timeout = 120

    async def run_with(self, seed: int, server: MailServer) -> None:
        await self.numbered(server, range(12))
        views = []
        for number in range(SESSIONS):
            peer = await self.log_in(server)
            view = View(self, peer, random.Random(seed * 100 + number))
            await view.ask(("ENABLE CONDSTORE", "ENABLE QRESYNC", "ENABLE IMAP4rev2", "NOOP")[number % 4])
            await view.ask("SELECT INBOX")
            await view.ask("FETCH 1:* (UID FLAGS)")
            views.append(view)

        async def live(view: View) -> None:
            for _ in range(COMMANDS):
                await view.step()

        await gatherResults([Deferred.fromCoroutine(live(view)) for view in views])
        last = await self.log_in(server)
        truth = View(self, last, random.Random(0))
        await truth.ask("SELECT INBOX")
        if truth.messages:
            await truth.ask("FETCH 1:* (UID FLAGS)")
        for view in views:
            await view.complete()
            self.assertEqual(view.messages, truth.messages, seed)
        self.assertEqual(len({each[0] for each in truth.messages}), len(truth.messages))
        [counts] = (await last.ok("STATUS INBOX (MESSAGES UNSEEN)")).lines
        unseen = sum(b"\\Seen" not in each[1] for each in truth.messages)
        self.assertEqual(counts, b"* STATUS INBOX (MESSAGES %d UNSEEN %d)" % (len(truth.messages), unseen))

    async def test_views(self) -> None:
        for seed in range(5):
            await self.run_with(seed, await self.serve())
