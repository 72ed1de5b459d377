"""Searches that are kept up to date (RFC 5267), and what is fetched of what comes to them (RFC 5465 7)."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable

from mailserver.imapstore import Flags
from mailserver.interfaces import DELETED, FLAGGED, SEEN
from mailserver.session.imap import contexts
from tests.session.imap.house import ImapCase

UPDATE = re.compile(rb"(ADDTO|REMOVEFROM) \(([^)]*)\)")


def expanded(numbers: bytes) -> list[int]:
    """A set of numbers, each."""
    found: list[int] = []
    for part in numbers.split(b","):
        low, _, high = part.partition(b":")
        found += range(int(low), int(high or low) + 1)
    return found


class Follower:
    """A client that does what RFC 5267 4.3 says with the updates of one search by UID."""

    def __init__(self, tag: bytes, found: Iterable[int], is_sorted: bool) -> None:
        self.tag = tag
        self.found = list(found)
        self.is_sorted = is_sorted

    def hears(self, line: bytes) -> None:
        if not line.startswith(b'* ESEARCH (TAG "%b")' % self.tag):
            return
        for verb, pairs in UPDATE.findall(line):
            words = pairs.split()
            for position, numbers in zip(map(int, words[::2]), map(expanded, words[1::2]), strict=True):
                assert bool(position) == self.is_sorted
                if verb == b"ADDTO":
                    assert not set(numbers) & set(self.found)
                    at = position - 1 if position else len(self.found)
                    assert at <= len(self.found)
                    self.found[at:at] = numbers
                elif position:
                    assert self.found[position - 1 : position - 1 + len(numbers)] == numbers
                    del self.found[position - 1 : position - 1 + len(numbers)]
                else:
                    assert set(numbers) <= set(self.found)
                    self.found = [each for each in self.found if each not in numbers]
        if not self.is_sorted:
            self.found.sort()


class UpdateTests(ImapCase):
    async def test_by_uid(self) -> None:
        """Flags make a message one of them, or not any more; FETCH comes before that (RFC 5267 4.3.3)."""
        server = await self.serve()
        await self.numbered(server, range(4))
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        other = await self.log_in(server, "alice", "SELECT INBOX")
        heard = await peer.ok("UID SEARCH RETURN (UPDATE COUNT) FLAGGED")
        self.assertEqual(heard.lines, [b'* ESEARCH (TAG "t3") UID COUNT 0'])
        await other.ok("STORE 2:3 +FLAGS.SILENT (\\Flagged)")
        heard = await peer.ok("NOOP")
        self.assertEqual(heard.lines, [
            b"* 2 FETCH (FLAGS (\\Flagged \\Recent))", b"* 3 FETCH (FLAGS (\\Flagged \\Recent))",
            b'* ESEARCH (TAG "t3") UID ADDTO (0 2:3)',
        ])
        await other.ok("STORE 3 FLAGS.SILENT ()")
        self.assertIn(b'* ESEARCH (TAG "t3") UID REMOVEFROM (0 3)', await peer.ok("NOOP"))
        heard = await peer.ok("STORE 2 FLAGS ()")
        self.assertEqual(heard.lines[-1], b'* ESEARCH (TAG "t3") UID REMOVEFROM (0 2)')
        await peer.ok('CANCELUPDATE "t3" "t99"')
        heard = await peer.ok("STORE 2 FLAGS (\\Flagged)")
        self.assertEqual(len(heard.lines), 1)

    async def test_by_number(self) -> None:
        """A message goes from what was found before it loses its number (4.3.4), which waits for a command."""
        server = await self.serve()
        await self.numbered(server, range(3))
        peer = await self.log_in(server, "alice", "SELECT INBOX", "SEARCH RETURN (UPDATE) ALL")
        other = await self.log_in(server, "alice", "SELECT INBOX", "STORE 1:2 +FLAGS.SILENT (\\Deleted)", "EXPUNGE")
        heard = await peer.ok("FETCH 3 UID")
        self.assertEqual([each for each in heard.lines if b"FLAGS" not in each], [
            b"* 3 FETCH (UID 3)", b'* ESEARCH (TAG "t3") REMOVEFROM (0 1:2)',
        ])
        self.assertEqual((await peer.ok("NOOP")).lines, [b"* 2 EXPUNGE", b"* 1 EXPUNGE"])
        await self.numbered(server, [4])
        self.assertEqual((await peer.ok("NOOP")).lines, [
            b"* 2 EXISTS", b"* 2 RECENT", b'* ESEARCH (TAG "t3") ADDTO (0 2)',
        ])
        await other.ok("NOOP")

    async def test_numbers_are_those_of_then(self) -> None:
        """So are those that were saved; UIDs that end with a star go on (4.3)."""
        server = await self.serve()
        await self.numbered(server, range(3))
        peer = await self.log_in(server, "alice", "SELECT INBOX", "SEARCH RETURN (SAVE) 2")
        for command in ("UID SEARCH RETURN (UPDATE) 2 FLAGGED", "UID SEARCH RETURN (SAVE UPDATE) $ FLAGGED",
                        "UID SEARCH RETURN (UPDATE ALL) UID *"):
            await peer.ok(command)
        await peer.ok("STORE 1 +FLAGS (\\Deleted)")
        await peer.ok("EXPUNGE")
        heard = await peer.ok("STORE 1:2 +FLAGS (\\Flagged)")
        self.assertEqual(heard.of(b"ESEARCH"), [
            b'* ESEARCH (TAG "t4") UID ADDTO (0 2)', b'* ESEARCH (TAG "t5") UID ADDTO (0 2)',
        ])
        await self.numbered(server, [4])
        self.assertIn(b'* ESEARCH (TAG "t6") UID REMOVEFROM (0 3) ADDTO (0 4)', await peer.ok("NOOP"))

    async def test_sorted(self) -> None:
        """Positions are those of the order (4.3.3)."""
        server = await self.serve()
        await self.numbered(server, [5, 3, 1])
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        heard = await peer.ok("UID SORT RETURN (UPDATE ALL CONTEXT) (SUBJECT) UTF-8 UNDELETED")
        self.assertEqual(heard.lines, [b'* ESEARCH (TAG "t3") UID ALL 3,2,1'])
        await self.numbered(server, [4, 2, 9, 0])
        heard = await peer.ok("NOOP")
        self.assertEqual(heard.of(b"ESEARCH"), [b'* ESEARCH (TAG "t3") UID ADDTO (1 7 3 5 5 4 7 6)'])
        heard = await peer.ok("STORE 1,4,7 +FLAGS (\\Deleted)")
        self.assertEqual(heard.of(b"ESEARCH"), [b'* ESEARCH (TAG "t3") UID REMOVEFROM (5 4,1 1 7)'])
        await peer.ok("EXPUNGE")
        self.assertEqual((await peer.ok("UID SORT RETURN (ALL) (SUBJECT) UTF-8 ALL")).lines,
                         [b'* ESEARCH (TAG "t7") UID ALL 3,5,2,6'])

    async def test_fetched(self) -> None:
        """Of new messages that are found what was asked for, and once (RFC 5465 5.2, 7)."""
        server = await self.serve()
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        await peer.ok("UID SEARCH RETURN (COUNT UPDATE (UID BODY[HEADER.FIELDS (Subject)])) SUBJECT 2")
        await self.numbered(server, [1, 2])
        self.assertEqual((await peer.ok("NOOP")).lines, [
            b"* 2 EXISTS", b"* 2 RECENT", b"* 2 FETCH (UID 2 BODY[HEADER.FIELDS (Subject)] {14}\r\nSubject: 2\r\n\r\n)",
            b'* ESEARCH (TAG "t3") UID ADDTO (0 2)',
        ])
        await peer.ok("NOTIFY SET (selected (MessageNew (UID FLAGS) MessageExpunge FlagChange))")
        await self.numbered(server, [22])
        for line in (
            b"* 3 EXISTS", b"* 3 RECENT",
            b"* 3 FETCH (UID 3 FLAGS (\\Recent) BODY[HEADER.FIELDS (Subject)] {15}\r\nSubject: 22\r\n\r\n)",
            b'* ESEARCH (TAG "t3") UID ADDTO (0 3)',
        ):
            self.assertEqual(await peer.response(), line)

    async def test_idle(self) -> None:
        server = await self.serve()
        peer = await self.log_in(server, "alice", "SELECT INBOX", "SEARCH RETURN (UPDATE) ALL")
        tag = peer.say("IDLE")
        self.assertEqual(await peer.response(), b"+ idling")
        await self.numbered(server, [1])
        for line in (b"* 1 EXISTS", b"* 1 RECENT", b'* ESEARCH (TAG "t3") ADDTO (0 1)'):
            self.assertEqual(await peer.response(), line)
        peer.line.say(b"DONE\r\n")
        await peer.until(tag)

    async def test_left(self) -> None:
        """With the mailbox its searches end."""
        server = await self.serve()
        peer = await self.log_in(server, "alice", "SELECT INBOX", "SEARCH RETURN (UPDATE) ALL", "SELECT INBOX")
        await self.numbered(server, [1])
        self.assertEqual((await peer.ok("NOOP")).of(b"ESEARCH"), [])


class LimitTests(ImapCase):
    async def test_tag_is_used(self) -> None:
        """The second search under one tag is BAD, and has no effect (4.3)."""
        server = await self.serve()
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        for command, end in (("SEARCH RETURN (UPDATE) ALL", b"OK"), ("SORT RETURN (UPDATE) (DATE) UTF-8 ALL", b"BAD"),
                             ("ESEARCH RETURN (UPDATE) ALL", b"BAD"), ("SEARCH RETURN (COUNT) ALL", b"OK")):
            peer.line.say(f"same {command}\r\n".encode())
            self.assertTrue((await peer.until(b"same")).end.startswith(end), command)

    async def test_too_many(self) -> None:
        """They are answered, and not kept up to date (4.3.1); the first one always is."""
        self.patch(contexts, "MOST", 2)
        self.patch(contexts, "MOST_FOUND", 2)
        self.patch(contexts, "MOST_SORTED", 1)
        server = await self.serve()
        await self.numbered(server, range(3))
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        heard = await peer.ok("UID SORT RETURN (UPDATE COUNT) (DATE) UTF-8 ALL")
        self.assertEqual(heard.lines, [
            b'* ESEARCH (TAG "t3") UID COUNT 3', b'* NO [NOUPDATE "t3"] that is not kept up to date',
        ])
        self.assertEqual(len((await peer.ok("UID SEARCH RETURN (UPDATE COUNT) ALL")).lines), 1)
        self.assertEqual(len((await peer.ok("UID SEARCH RETURN (UPDATE COUNT) ALL")).lines), 2)
        await peer.ok('CANCELUPDATE "t4"')
        for count in (1, 1, 2):
            self.assertEqual(len((await peer.ok("UID SEARCH RETURN (UPDATE COUNT) FLAGGED")).lines), count)

    async def test_words(self) -> None:
        server = await self.serve()
        peer = await self.log_in(server)
        self.assertRegex((await peer.ask('CANCELUPDATE "a"')).end, b"^BAD")
        await peer.ok("SELECT INBOX")
        self.assertRegex((await peer.ok("CAPABILITY")).lines[0], rb"CONTEXT=SEARCH CONTEXT=SORT\b")
        for words in ("CANCELUPDATE", "CANCELUPDATE a", 'CANCELUPDATE "a"b', "CANCELUPDATE" + ' "a"' * 101,
                      "SEARCH RETURN (UPDATE UPDATE) ALL", "SEARCH RETURN (UPDATE ()) ALL",
                      "SEARCH RETURN (UPDATE (NO)) ALL", "SEARCH RETURN (UPDATE (UID) ALL"):
            self.assertRegex((await peer.ask(words)).end, b"^BAD", words)


class FollowTests(ImapCase):
    timeout = 120

    async def test_at_random(self) -> None:
        """Who only follows what it is told agrees with a search anew, whatever others do meanwhile."""
        chance = random.Random(5267)
        server = await self.serve()
        await self.numbered(server, range(8))
        box = await self.store(server).open(await self.account(server), "INBOX")
        peer = await self.log_in(server, "alice", "ENABLE QRESYNC", "SELECT INBOX",
                                 "NOTIFY SET (selected (MessageNew (UID) MessageExpunge FlagChange))")
        programs = {
            "SEARCH": ("FLAGGED", "OR SEEN SUBJECT 1", "NOT DELETED BODY 2", "UID 3:*"),
            "SORT": ("UNSEEN", "ALL"),
        }
        followers = []
        for verb, keys in programs.items():
            order = " (REVERSE SUBJECT) UTF-8" * (verb == "SORT")
            for key in keys:
                tag = peer.say(f"UID {verb} RETURN (UPDATE ALL){order} {key}")
                heard = await peer.until(tag)
                all = re.search(rb"ALL (\S+)", heard.lines[0])
                follower = Follower(tag, expanded(all[1]) if all else (), verb == "SORT")
                followers.append((follower, f"UID {verb} RETURN (ALL){order} {key}"))
        for _ in range(14):
            for _ in range(chance.randrange(1, 4)):
                uids = [(uid, uid) for uid in sorted(chance.sample(range(1, 24), 4))]
                work = chance.randrange(4)
                if work == 0:
                    await self.numbered(server, [chance.randrange(30) for _ in range(chance.randrange(1, 4))])
                elif work == 1 and chance.random() < 0.5:
                    await box.store(uids[:2], "+", Flags(DELETED))
                    await box.expunge()
                else:
                    await box.store(uids, chance.choice("+-"), Flags(chance.choice((SEEN, FLAGGED))))
            for line in (await peer.ok("NOOP")).lines:
                for each, _ in followers:
                    each.hears(line)
            for each, command in followers:
                heard = await peer.ok(command)
                for line in heard.lines:
                    for other, _ in followers:
                        other.hears(line)
                [line] = [line for line in heard.lines if b"ADDTO" not in line and b"REMOVE" not in line
                          and line.startswith(b"* ESEARCH")]
                all = re.search(rb"ALL (\S+)", line)
                self.assertEqual(each.found, expanded(all[1]) if all else [], command)

