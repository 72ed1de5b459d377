"""NOTIFY (RFC 5465): a client hears of what it has asked for, without asking again."""

from __future__ import annotations

import gc
import random
import re
import tracemalloc
import zlib
from typing import Any

from twisted.internet.task import deferLater

from mailserver.errors import TemporaryFailure
from mailserver.imapstore import Flags
from mailserver.interfaces import SEEN
from mailserver.mailbox.sql import Sql
from mailserver.mailbox.watches import Watches
from mailserver.session.imap import notifying
from mailserver.store import mailboxes
from mailserver.store.database import Database
from tests.serving import reactor
from tests.session.imap.house import ImapCase, Peer


class NotifyCase(ImapCase):
    async def hears(self, peer: Peer, *lines: str) -> None:
        """These are the next responses, each on a line of its own."""
        for line in lines:
            self.assertEqual((await peer.response()).decode(), f"* {line}")

    async def refused(self, peer: Peer, command: str, end: str) -> None:
        self.assertRegex((await peer.ask(command)).end.decode(), end)


class SelectedTests(NotifyCase):
    async def test_between_commands(self) -> None:
        """The example of RFC 5465 3.1: messages come to the selected mailbox with what is to be fetched of them."""
        server = await self.serve()
        await self.numbered(server, [1, 2])
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        other = await self.log_in(server, "alice", "SELECT INBOX")
        await peer.ok("NOTIFY SET (selected (MessageNew (uid body.peek[header.fields (subject)]) MessageExpunge "
                      "FlagChange))")
        await self.numbered(server, [3])
        await self.hears(peer, "3 EXISTS", "3 RECENT",
                         "3 FETCH (UID 3 BODY[HEADER.FIELDS (subject)] {14}\r\nSubject: 3\r\n\r\n)")
        await other.ok("NOOP")
        await other.ok("STORE 3 +FLAGS.SILENT (\\Flagged)")
        await self.hears(peer, "3 FETCH (UID 3 FLAGS (\\Flagged \\Recent))")
        await other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        await self.hears(peer, "1 FETCH (UID 1 FLAGS (\\Deleted \\Recent))")
        await other.ok("EXPUNGE")
        await self.hears(peer, "1 EXPUNGE")
        self.assertEqual((await peer.ok("NOOP")).lines, [])

    async def test_not_marked(self) -> None:
        """To be told of a message is not to have seen it."""
        server = await self.serve()
        peer = await self.log_in(server, "alice", "SELECT INBOX",
                                 "NOTIFY SET (selected (MessageNew (BODY[TEXT]) MessageExpunge))")
        await self.numbered(server, [1])
        await self.hears(peer, "1 EXISTS", "1 RECENT", "1 FETCH (UID 1 BODY[TEXT] {8}\r\nbody 1\r\n)")
        self.assertEqual((await peer.ok("FETCH 1 FLAGS")).lines, [b"* 1 FETCH (FLAGS (\\Recent))"])

    async def test_delayed(self) -> None:
        """With SELECTED-DELAYED numbers stay until a command lets them go (6.1.2); what is new is told at once."""
        server = await self.serve()
        await self.numbered(server, [1, 2])
        peer = await self.log_in(server, "alice", "SELECT INBOX",
                                 "NOTIFY SET (selected-delayed (MessageNew MessageExpunge FlagChange))")
        other = await self.log_in(server, "alice", "SELECT INBOX", "STORE 1 +FLAGS (\\Deleted)")
        await self.hears(peer, "1 FETCH (UID 1 FLAGS (\\Deleted \\Recent))")
        await other.ok("EXPUNGE")
        await other.ok("STORE 1 +FLAGS (\\Seen)")
        await self.hears(peer, "2 FETCH (UID 2 FLAGS (\\Seen \\Recent))")
        self.assertEqual((await peer.ok("NOOP")).lines, [b"* 1 EXPUNGE"])

    async def test_nothing_of_the_selected(self) -> None:
        """A snapshot (RFC 5465 5): it stays until the next NOTIFY, but for what the client does itself."""
        server = await self.serve()
        await self.numbered(server, [1, 2])
        other = await self.log_in(server, "alice", "SELECT INBOX")
        for command in ("NOTIFY NONE", "NOTIFY SET (selected NONE)", "NOTIFY SET (personal (MailboxName))"):
            peer = await self.log_in(server, "alice", "SELECT INBOX")
            self.assertEqual((await peer.ok(command)).lines, [])
            await other.ok("STORE 2 +FLAGS (\\Flagged)")
            await self.numbered(server, [3])
            self.assertEqual((await peer.ok("NOOP")).lines, [])
            heard = await peer.ok("STORE 1 +FLAGS (\\Answered)")
            self.assertIn(b"* 1 FETCH (UID 1 FLAGS (\\Answered))", heard.lines)
            await self.numbered(server, [4])
            heard = await peer.ok("NOTIFY SET (selected (MessageNew MessageExpunge))")
            self.assertEqual(len(heard.of(b"EXISTS")), 1)       # what has gathered is told
            await other.ok("STORE 1:2 -FLAGS (\\Flagged \\Answered)")
            peer.line.transport.abortConnection()

    async def test_flags_not_wanted(self) -> None:
        """They are told once they are."""
        server = await self.serve()
        await self.numbered(server, [1])
        peer = await self.log_in(server, "alice", "SELECT INBOX", "NOTIFY SET (selected (MessageNew MessageExpunge))")
        other = await self.log_in(server, "alice", "SELECT INBOX", "STORE 1 +FLAGS (\\Seen)")
        self.assertEqual((await peer.ok("NOOP")).lines, [])
        await self.numbered(server, [2])
        await self.hears(peer, "2 EXISTS", "2 RECENT")
        heard = await peer.ok("NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))")
        self.assertEqual(heard.lines, [b"* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent))"])
        await other.ok("NOOP")

    async def test_own_messages(self) -> None:
        """What the client has put there itself is not fetched for it (5.2)."""
        server = await self.serve()
        peer = await self.log_in(server, "alice", "SELECT INBOX",
                                 "NOTIFY SET (selected (MessageNew (UID FLAGS) MessageExpunge))")
        heard = await peer.ok("APPEND INBOX {3+}\r\nabc")
        self.assertEqual(heard.lines, [b"* 1 EXISTS", b"* 1 RECENT"])
        heard = await peer.ok("COPY 1 INBOX")
        self.assertEqual(heard.lines, [b"* 2 EXISTS", b"* 2 RECENT"])

    async def test_vanished(self) -> None:
        """Who has enabled QRESYNC hears VANISHED (5.3)."""
        server = await self.serve()
        await self.numbered(server, [1, 2])
        peer = await self.log_in(server, "alice", "ENABLE QRESYNC", "SELECT INBOX",
                                 "NOTIFY SET (selected (MessageNew MessageExpunge))")
        await self.log_in(server, "alice", "SELECT INBOX", "STORE 2 +FLAGS (\\Deleted)", "EXPUNGE")
        await self.hears(peer, "VANISHED 2")

    async def test_idle(self) -> None:
        """The same as without (4)."""
        server = await self.serve()
        peer = await self.log_in(server, "alice", "SELECT INBOX",
                                 "NOTIFY SET (selected (MessageNew (UID) MessageExpunge))"
                                 " (mailboxes Drafts (MessageNew MessageExpunge))")
        tag = peer.say("IDLE")
        self.assertEqual(await peer.response(), b"+ idling")
        await self.numbered(server, [1])
        await self.hears(peer, "1 EXISTS", "1 RECENT", "1 FETCH (UID 1)")
        await self.fill(server, b"x", name="Drafts")
        await self.hears(peer, "STATUS Drafts (MESSAGES 1 UIDNEXT 2)")
        peer.line.say(b"DONE\r\n")
        self.assertEqual((await peer.until(tag)).lines, [])

    async def test_deleted(self) -> None:
        """The mailbox that is selected goes: so does the session."""
        server = await self.serve()
        peer = await self.log_in(server, "alice", "CREATE a", "SELECT a",
                                 "NOTIFY SET (selected (MessageNew MessageExpunge))")
        await self.log_in(server, "alice", "DELETE a")
        await self.hears(peer, "BYE the mailbox has been deleted")

    async def test_compressed(self) -> None:
        """What nobody asked for is deflated as everything else is."""
        server = await self.serve()
        peer = await self.log_in(server, "alice", "NOTIFY SET (personal (MailboxName))")
        await peer.ok("COMPRESS DEFLATE")
        inflater = zlib.decompressobj(-15)
        await self.store(server).create(await self.account(server), "new")
        found = b""
        while b"\r\n" not in found:
            while not peer.line.heard:
                await peer._more()
            octets, peer.line.heard = peer.line.heard, b""
            found += inflater.decompress(octets)
        self.assertEqual(found, b'* LIST (\\HasNoChildren) "/" new\r\n')


class MetadataTests(NotifyCase):
    async def test_annotations(self) -> None:
        """Those of mailboxes that were named, and of the server; not what the session itself has changed."""
        server = await self.serve()
        peer, other = await self.log_in(server), await self.log_in(server)
        await peer.ok("NOTIFY SET (mailboxes (INBOX) (MailboxMetadataChange)) (personal (ServerMetadataChange))")
        for each in ("Sent", "INBOX", '""'):
            await other.ok(f'SETMETADATA {each} (/private/comment "read this")')
        await self.hears(peer, "METADATA INBOX /private/comment", 'METADATA "" /private/comment')
        self.assertEqual((await peer.ok('SETMETADATA INBOX (/private/comment "mine")')).lines, [])
        await peer.ok("NOTIFY SET (personal (MailboxName))")
        await other.ok("SETMETADATA INBOX (/private/comment NIL)")
        await other.ok("CREATE Now")
        self.assertRegex((await peer.response()).decode(), r"^\* LIST .*Now$")

    async def test_all_in_any_case(self) -> None:
        """Who has said ENABLE METADATA hears of each once."""
        server = await self.serve()
        peer, other = await self.log_in(server, "alice", "ENABLE METADATA"), await self.log_in(server)
        await peer.ok("NOTIFY SET (personal (MailboxMetadataChange MailboxName))")
        await other.ok('SETMETADATA INBOX (/private/comment "x")')
        await other.ok("CREATE Now")
        heard = await peer.response(), await peer.response()
        self.assertIn(b"* METADATA INBOX /private/comment", heard)
        self.assertEqual((await peer.ok("NOOP")).lines, [])


class OtherTests(NotifyCase):
    async def test_status(self) -> None:
        """How the others are now, and each change of them; the selected one is not among them."""
        server = await self.serve()
        account, store = await self.account(server), self.store(server)
        for name in ("Lists", "Lists/Lemonade", "Listsandmore"):
            await store.create(account, name)
        validity = {each.name: each.uidvalidity for each in await store.status(account)}
        peer = await self.log_in(server, "alice", "SELECT Lists")
        heard = await peer.ok("NOTIFY SET STATUS (subtree Lists (MessageNew MessageExpunge))")
        self.assertEqual(heard.lines, [
            b"* STATUS Lists/Lemonade (MESSAGES 0 UIDNEXT 1 UIDVALIDITY %d)" % validity["Lists/Lemonade"],
        ])
        await self.fill(server, b"x", name="Listsandmore")
        await self.fill(server, b"x", name="Lists")
        await self.fill(server, b"x", name="Lists/Lemonade")
        await self.hears(peer, "STATUS Lists/Lemonade (MESSAGES 1 UIDNEXT 2)")
        self.assertEqual((await peer.ok("UNSELECT")).lines, [b"* STATUS Lists (MESSAGES 1 UIDNEXT 2)"])
        await peer.ok("ENABLE CONDSTORE")
        await self.fill(server, b"x", name="Lists/Lemonade")
        await self.hears(peer, "STATUS Lists/Lemonade (MESSAGES 2 UIDNEXT 3 HIGHESTMODSEQ 3)")
        heard = await peer.ok("NOTIFY SET STATUS (mailboxes (Lists/Lemonade Nowhere) (MessageNew MessageExpunge "
                              "FlagChange))")
        self.assertEqual(heard.lines, [
            b"* STATUS Lists/Lemonade (MESSAGES 2 UIDNEXT 3 UIDVALIDITY %d UNSEEN 2 HIGHESTMODSEQ 3)"
            % validity["Lists/Lemonade"],
        ])
        box = await store.open(account, "Lists/Lemonade")
        await box.store([(1, 1)], "+", Flags(SEEN))
        await self.hears(peer, f"STATUS Lists/Lemonade (MESSAGES 2 UIDNEXT 3 UIDVALIDITY {validity['Lists/Lemonade']} "
                               "UNSEEN 1 HIGHESTMODSEQ 4)")

    async def test_flags_without_condstore(self) -> None:
        """Only what UNSEEN tells of is told (5.1)."""
        server = await self.serve()
        await self.numbered(server, [1])
        box = await self.store(server).open(await self.account(server), "INBOX")
        peer = await self.log_in(server, "alice", "NOTIFY SET (inboxes (MessageNew MessageExpunge FlagChange))")
        await box.store([(1, 1)], "+", Flags(4))
        await box.store([(1, 1)], "+", Flags(SEEN))
        await self.hears(peer, f"STATUS INBOX (MESSAGES 1 UIDNEXT 2 UIDVALIDITY {box.uidvalidity} UNSEEN 0)")

    async def test_names(self) -> None:
        """Made, renamed with what lies below, and deleted by somebody else (5.4); not what it does itself."""
        server = await self.serve()
        peer = await self.log_in(server, "alice", "NOTIFY SET (personal (MailboxName))")
        other = await self.log_in(server, "alice", "CREATE a")
        await self.hears(peer, 'LIST (\\HasNoChildren) "/" a')
        await other.ok("CREATE a/b")
        await self.hears(peer, 'LIST (\\HasNoChildren) "/" a/b', 'LIST (\\HasChildren) "/" a')
        await other.ok("RENAME a z")
        await self.hears(peer, 'LIST (\\HasChildren) "/" z ("OLDNAME" (a))')
        await other.ok("DELETE z")
        await self.hears(peer, 'LIST (\\NonExistent \\HasChildren) "/" z')
        await other.ok("DELETE z/b")
        await self.hears(peer, 'LIST (\\NonExistent \\HasNoChildren) "/" z/b',
                         'LIST (\\NonExistent \\HasNoChildren) "/" z')
        for command in ("CREATE own", "CREATE own/below", "RENAME own yours", "SUBSCRIBE yours", "DELETE yours/below"):
            self.assertEqual((await peer.ok(command)).lines, [], command)
        await other.ok("DELETE Trash")
        await self.hears(peer, 'LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" Trash')

    async def test_names_below(self) -> None:
        """Whoever watches only what lies below hears of that."""
        server = await self.serve()
        other = await self.log_in(server, "alice", "CREATE a/b")
        peer = await self.log_in(server, "alice", "NOTIFY SET (mailboxes a/b (MailboxName))")
        await other.ok("RENAME a z")
        await self.hears(peer, 'LIST (\\HasNoChildren) "/" z/b ("OLDNAME" (a/b))')

    async def test_subscriptions(self) -> None:
        """5.5, and what SUBSCRIBED means changes with them (6.4)."""
        server = await self.serve()
        peer = await self.log_in(server, "alice", "NOTIFY SET (personal (SubscriptionChange)) "
                                 "(subscribed (MessageNew MessageExpunge))")
        other = await self.log_in(server, "alice", "UNSUBSCRIBE Drafts")
        await self.hears(peer, 'LIST (\\HasNoChildren \\Drafts) "/" Drafts')
        await self.fill(server, b"x", name="Drafts")
        await other.ok("SUBSCRIBE Nowhere")
        await self.hears(peer, 'LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" Nowhere')
        await other.ok("SUBSCRIBE Drafts")
        await self.hears(peer, 'LIST (\\HasNoChildren \\Drafts \\Subscribed) "/" Drafts')
        await self.fill(server, b"x", name="Drafts")
        await self.hears(peer, "STATUS Drafts (MESSAGES 2 UIDNEXT 3)")

    async def test_from_elsewhere(self) -> None:
        """What another process does is told within a second."""
        server = await self.serve()
        peer = await self.log_in(server, "alice", "NOTIFY SET (personal (MailboxName SubscriptionChange MessageNew "
                                 "MessageExpunge))")
        account = await self.account(server)
        elsewhere = Database(server.config.database, server.config.data)
        elsewhere.open()
        self.addCleanup(elsewhere.close)
        for work, line in (
            (lambda each: mailboxes.create(each, account.id, "a", "", 0.0), 'LIST (\\HasNoChildren) "/" a'),
            (lambda each: mailboxes.rename(each, account.id, "a", "b", 0.0),
             'LIST (\\HasNoChildren) "/" b ("OLDNAME" (a))'),
            (lambda each: mailboxes.subscribe(each, account.id, "b", True),
             'LIST (\\HasNoChildren \\Subscribed) "/" b'),
        ):
            with elsewhere.transaction() as connection:
                work(connection)
            began = reactor.seconds()
            await self.hears(peer, line)
            self.assertLess(reactor.seconds() - began, 2.0)

    async def test_only_ones_own(self) -> None:
        """Another account's mailboxes are none of its business."""
        server = await self.serve()
        peer = await self.log_in(server, "bob", "NOTIFY SET (personal (MailboxName MessageNew MessageExpunge))"
                                 " (mailboxes INBOX (MessageNew MessageExpunge))")
        await self.log_in(server, "alice", "CREATE secret")
        await self.numbered(server, [1])
        await self.fill(server, b"x", local="bob", name="Drafts")
        await self.hears(peer, "STATUS Drafts (MESSAGES 1 UIDNEXT 2)")


class RefusedTests(NotifyCase):
    async def test_words(self) -> None:
        """What is no NOTIFY is BAD; what is none of ours is NO, with what there is."""
        server = await self.serve()
        peer = await self.peer(server)
        await self.refused(peer, "NOTIFY NONE", "^BAD")
        peer = await self.log_in(server)
        self.assertRegex((await peer.ok("CAPABILITY")).lines[0], rb" NOTIFY\b")
        for words in (
            "", "SET", "SOME", "SET STATUS", "SET ()", "SET (personal)", "SET (personal ())", "SET (personal SOME)",
            "SET (everywhere (MailboxName))", "SET (personal (MessageNew))", "SET (personal (MessageExpunge))",
            "SET (personal (FlagChange))", "SET (selected (MailboxName))", "SET (mailboxes (MailboxName))",
            "SET (personal (MessageNew (UID) MessageExpunge))", "SET (subtree () (MailboxName))",
            "SET (selected (MessageNew MessageExpunge)) (selected-delayed (MessageNew MessageExpunge))",
            "SET (selected (MessageNew (NOTHING) MessageExpunge))", "SET (selected (MessageNew () MessageExpunge))",
            "SET (personal (MailboxName)) ", "SET STATUS STATUS (personal (MailboxName))",
            "SET" + " (personal NONE)" * 101,
        ):
            heard = await peer.ask(f"NOTIFY {words}".rstrip() if not words.endswith(" ") else f"NOTIFY {words}x")
            self.assertTrue(heard.end.startswith(b"BAD"), (words, heard.end))
        for event in ("AnnotationChange", "Sunrise"):
            await self.refused(
                peer, f"NOTIFY SET (personal (MessageNew MessageExpunge {event}))",
                r"^NO \[BADEVENT \(MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange "
                r"MailboxMetadataChange ServerMetadataChange\)\]",
            )
        await peer.ok("NOTIFY SET (mailboxes ({3+}\r\na b \"c\") (mailboxname)) (personal NONE)")

    async def test_overflow(self) -> None:
        """Too many mailboxes are refused (3.1), and when they become too many later, nothing more is told (5.8)."""
        self.patch(notifying, "MOST_MAILBOXES", 7)
        server = await self.serve()
        other = await self.log_in(server)
        peer = await self.log_in(server, "alice", "NOTIFY SET (personal (MailboxName))")
        for number in range(2):
            await other.ok(f"CREATE {number}")
        heard = b""
        while b"NOTIFICATIONOVERFLOW" not in heard:
            heard = await peer.response()
        self.assertRegex(heard, rb"^\* OK \[NOTIFICATIONOVERFLOW\] ")
        await other.ok("CREATE 8")
        self.assertEqual((await peer.ok("NOOP")).lines, [])
        await self.refused(peer, "NOTIFY SET (personal (MailboxName))", r"^NO \[NOTIFICATIONOVERFLOW\]")
        await peer.ok("NOTIFY SET (mailboxes INBOX (MailboxName))")

    async def test_not_now(self) -> None:
        """A database that cannot be read is told of later; what was wanted before stays when a NOTIFY fails."""
        self.patch(notifying, "AGAIN", 0.1)
        server = await self.serve()
        peer = await self.log_in(server, "alice", "NOTIFY SET (personal (MailboxName))")
        failing = [1]
        status = Sql.status

        async def fails(*args: Any) -> Any:
            if failing:
                failing.pop()
                raise TemporaryFailure("not now")
            return await status(*args)

        self.patch(Sql, "status", fails)
        await self.refused(peer, "NOTIFY SET (personal (MailboxName))", r"^NO \[UNAVAILABLE\]")
        failing.append(1)
        await self.log_in(server, "alice", "CREATE a")
        await self.hears(peer, 'LIST (\\HasNoChildren) "/" a')


class FollowTests(NotifyCase):
    timeout = 120

    async def test_at_random(self) -> None:
        """Who only follows what it is told knows all that STATUS would say, once it is quiet."""
        chance = random.Random(5465)
        server = await self.serve()
        store, account = self.store(server), await self.account(server)
        names = ["INBOX", "Drafts", "Sent", "Trash", "Junk"]
        peer = await self.log_in(server, "alice", "ENABLE CONDSTORE", "SELECT Archive")
        asking = await self.log_in(server, "alice", "ENABLE CONDSTORE")
        known: dict[bytes, dict[bytes, bytes]] = {}

        def hears(lines: list[bytes]) -> None:
            for line in lines:
                words = line.replace(b"(", b"").replace(b")", b"").split()
                if words[1] == b"STATUS":
                    known.setdefault(words[2], {}).update(zip(words[3::2], words[4::2], strict=True))
                elif words[1] == b"LIST":
                    name = re.search(rb'"/" (\w+)', line)
                    old = re.search(rb'"OLDNAME" \((\w+)\)', line)
                    assert name is not None
                    if old is not None:
                        known[name[1]] = known.pop(old[1])
                    elif b"NonExistent" in line:
                        del known[name[1]]
                    else:
                        # Of a new mailbox that is empty there is nothing to be told.
                        known[name[1]] = {b"MESSAGES": b"0", b"UNSEEN": b"0", b"UIDNEXT": b"1", b"HIGHESTMODSEQ": b"1"}

        hears((await peer.ok("NOTIFY SET STATUS (personal (MessageNew MessageExpunge FlagChange MailboxName))")).lines)
        for turn in range(10):
            for _ in range(chance.randrange(1, 5)):
                name = chance.choice(names)
                uids = [(uid, uid) for uid in sorted(chance.sample(range(1, 8), 3))]
                box = await store.open(account, name)
                work = chance.randrange(5)
                if work < 2:
                    await self.fill(server, b"x", name=name)
                elif work == 2:
                    await box.store(uids, chance.choice("+-"), Flags(chance.choice((SEEN, 4))))
                elif work == 3:
                    await box.store(uids, "+", Flags(8))
                    await box.expunge()
                elif name != "INBOX":
                    names[names.index(name)] = f"new{turn}{len(names)}{name}"
                    await store.rename(account, name, f"new{turn}{len(names)}{name}")
                else:
                    names.append(f"made{turn}{len(names)}")
                    await store.create(account, names[-1])
            hears((await peer.ok("NOOP")).lines)
            for name in names:
                [line] = (await asking.ok(f"STATUS {name} (MESSAGES UNSEEN UIDNEXT HIGHESTMODSEQ)")).lines
                words = line.replace(b"(", b"").replace(b")", b"").split()
                told = known[name.encode()]
                wanted = dict(zip(words[3::2], words[4::2], strict=True))
                self.assertEqual({key: told[key] for key in wanted}, wanted)
            self.assertEqual({each.decode() for each in known} - {"Archive"}, set(names))


class CostTests(NotifyCase):
    async def test_nobody_watches_any_more(self) -> None:
        """After NONE, UNAUTHENTICATE and a connection that is lost nothing is left."""
        server = await self.serve()
        watches: Watches = self.store(server)._accounts
        for command in ("NOTIFY NONE", "UNAUTHENTICATE", "LOGOUT"):
            peer = await self.log_in(server, "alice", "SELECT INBOX", "NOTIFY SET (personal (MailboxName)) (selected "
                                     "(MessageNew MessageExpunge))")
            self.assertEqual(len(watches._callbacks), 1)
            await peer.ok(command)

            async def is_gone() -> bool:
                return not watches._callbacks

            await self.until(is_gone)

    async def test_who_does_not_read(self) -> None:
        """Costs little, however much happens, and is told in the end how things are."""
        server = await self.serve()
        await self.numbered(server, range(300))
        account, store = await self.account(server), self.store(server)
        for number in range(60):
            await store.create(account, f"{number:03}" + "x" * 200)
        box = await store.open(account, "INBOX")
        peers = [await self.log_in(server, "alice", "SELECT INBOX", "NOTIFY SET (selected (MessageNew (UID BODY[]) "
                                   "MessageExpunge FlagChange)) (personal (MailboxName SubscriptionChange MessageNew "
                                   "MessageExpunge))") for _ in range(4)]
        await deferLater(reactor, 0.3, lambda: None)
        for each in peers:
            each.line.transport.pauseProducing()
        gc.collect()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        before = tracemalloc.get_traced_memory()[0]
        for turn in range(12):
            await box.store([(1, 300)], "-" if turn % 2 else "+", Flags(SEEN))
            await store.rename(account, f"{turn:03}" + "x" * 200, f"{turn:03}" + "y" * 200)
            await deferLater(reactor, 0.05, lambda: None)
        gc.collect()
        costs = (tracemalloc.get_traced_memory()[0] - before) / len(peers)
        tracemalloc.stop()
        self.assertLess(costs, 256 * 1024)
        for each in peers:
            each.line.transport.resumeProducing()
            await each.ok("NOOP")


