"""What chores take out of mailboxes is seen by those who look at them, and can be brought back."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailserver.chores import Chores
from mailserver.crossings import Crossings
from mailserver.imap.patterns import Pattern
from mailserver.keeping import Retention
from mailserver.retaining import rule_of
from mailserver.store import retention
from mailserver.store.retention import Held
from mailserver.world import World
from tests.session.imap.house import ImapCase

RULES = """
[keeping]
undelete = "1d"

[[retention]]
special_use = "trash"
older_than = "30d"

[[mailbox]]
use = "sql"
quota_messages = 4
"""


class RuleTests(SynchronousTestCase):
    def test_first_that_fits(self) -> None:
        """By name and use; what a mailbox says itself goes before, also that it keeps all."""
        rules = [
            Retention("Lists/*", older_than=1.0), Retention("*", "\\Junk", older_than=2.0),
            Retention("INBOX", at_most=3), Retention(special_use="\\Trash", older_than=4.0, at_most=5),
        ]
        for name, use, own, found in (
            ("Lists/a/b", "", (None, None), (1.0, 0)), ("Lists", "", (None, None), (0.0, 0)),
            ("Lists/Spam", "\\Junk", (None, None), (1.0, 0)), ("Spam", "\\Junk", (None, None), (2.0, 0)),
            ("INBOX", "", (None, None), (0.0, 3)), ("Rubbish", "\\Trash", (None, None), (4.0, 5)),
            ("Junk", "", (None, None), (0.0, 0)), ("INBOX", "", (0.0, 0), (0.0, 0)), ("x", "", (7.0, 8), (7.0, 8)),
        ):
            held = Held(1, "a@example.org", name, use, *own)
            pairs = [(rule, Pattern(rule.mailbox) if rule.mailbox else None) for rule in rules]
            self.assertEqual(rule_of(held, pairs), found, name)


class ChoresTests(ImapCase):
    async def test_a_round(self) -> None:
        """Messages of three years ago go from Trash alone; one session hears EXPUNGE, another VANISHED."""
        self.patch(retention, "STEP", 2)
        server = await self.serve(RULES)
        await self.numbered(server, range(1))
        await self.fill(server, *[b"Subject: x\r\n\r\n"] * 3, name="Trash")
        old = await self.log_in(server, "alice", "SELECT Trash")
        new = await self.log_in(server, "alice", "ENABLE QRESYNC", "SELECT Trash")
        chores = Chores(
            server.database, server.world, "x", lambda: server.config, True, self.nothing,
            Crossings(server.database, server.acceptance, server.world, "mx.example.org"),
        )
        await chores.look_at_quotas()
        peer = await self.log_in(server)
        self.assertIn(b"* STATUS INBOX (MESSAGES 2)", await peer.ok("STATUS INBOX (MESSAGES)"))
        await chores.tidy()
        self.assertEqual(len((await old.ok("NOOP")).of(b"EXPUNGE")), 3)
        self.assertEqual((await new.ok("NOOP")).of(b"VANISHED"), [b"* VANISHED 1:3"])
        self.assertIn(b"* STATUS INBOX (MESSAGES 2)", await peer.ok("STATUS INBOX (MESSAGES)"))
        store, alice = self.store(server), await self.account(server)
        found = await store.removed(alice)
        self.assertEqual([(each.name, each.why) for each in found], [("Trash", "retention")] * 3)
        later = World(server.reactor, server.world.resolver, now=lambda: server.world.now() + 90_000)
        await Chores(server.database, later, "x", lambda: server.config, True, self.nothing).tidy()
        self.assertEqual(await store.removed(alice), [])

    async def nothing(self) -> None:
        pass
