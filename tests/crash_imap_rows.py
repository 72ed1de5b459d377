"""What the rows of a database say of each other, and of what they said before: whether mailboxes add up.

One consistent view is read, so that a server may be at work meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from mailserver.store.database import Database

# Each finds nothing in a database that is as it should be.
FAULTS = {
    "counts of a mailbox that are not those of its messages": """
        SELECT * FROM (
            SELECT m.id, m.messages, m.unseen, m.octets, COUNT(e.uid) AS n,
                COALESCE(SUM(CASE WHEN e.uid IS NULL OR (e.flags & 1) <> 0 THEN 0 ELSE 1 END), 0) AS u,
                COALESCE(SUM(e.size), 0) AS o
            FROM mailbox m LEFT JOIN message e ON e.mailbox_id = m.id GROUP BY m.id, m.messages, m.unseen, m.octets
        ) AS counted WHERE messages <> n OR unseen <> u OR octets <> o""",
    "contents that are not held as often as they say": """
        SELECT * FROM (
            SELECT c.id, c.uses, COALESCE(s.more, 0) AS more,
                (SELECT COUNT(*) FROM spool p WHERE p.content_id = c.id) + COALESCE(e.n, 0) + COALESCE(r.n, 0) AS n
            FROM content c LEFT JOIN shared s ON s.content_id = c.id
            LEFT JOIN (SELECT content_id, COUNT(*) AS n FROM message GROUP BY content_id) e ON e.content_id = c.id
            LEFT JOIN (SELECT content_id, COUNT(*) AS n FROM removed GROUP BY content_id) r ON r.content_id = c.id
        ) AS counted WHERE uses + more <> n OR n = 0""",
    "counts of what is kept that are not those of the removed messages": """
        SELECT * FROM (
            SELECT f.mailbox_id, f.messages, f.octets, f.oldest, COUNT(r.uid) AS n, COALESCE(SUM(r.size), 0) AS o,
                MIN(r.at) AS first
            FROM removed_from f LEFT JOIN removed r ON r.mailbox_id = f.mailbox_id
            GROUP BY f.mailbox_id, f.messages, f.octets, f.oldest
        ) AS counted WHERE messages <> n OR octets <> o OR n = 0 OR oldest > first""",
    "removed messages of which nobody knows where they were":
        "SELECT * FROM removed r WHERE NOT EXISTS (SELECT 1 FROM removed_from f WHERE f.mailbox_id = r.mailbox_id)",
    "removed messages without their content":
        "SELECT * FROM removed r WHERE NOT EXISTS (SELECT 1 FROM content c WHERE c.id = r.content_id)",
    "messages that are there and are removed": """
        SELECT r.mailbox_id, r.uid FROM removed r JOIN message e ON e.mailbox_id = r.mailbox_id AND e.uid = r.uid""",
    "messages without their content":
        "SELECT * FROM message e WHERE NOT EXISTS (SELECT 1 FROM content c WHERE c.id = e.content_id)",
    "messages of another size than their content": """
        SELECT e.mailbox_id, e.uid FROM message e JOIN content c ON c.id = e.content_id
        WHERE e.size <> c.size + LENGTH(e.prefix)""",
    "messages without a mailbox":
        "SELECT * FROM message e WHERE NOT EXISTS (SELECT 1 FROM mailbox m WHERE m.id = e.mailbox_id)",
    "shares of a content that is gone":
        "SELECT * FROM shared s WHERE NOT EXISTS (SELECT 1 FROM content c WHERE c.id = s.content_id)",
    "pieces of a content that is gone":
        "SELECT p.content_id FROM piece p WHERE NOT EXISTS (SELECT 1 FROM content c WHERE c.id = p.content_id)",
    "UIDs that are there and are expunged": """
        SELECT x.mailbox_id, x.uid FROM expunged x JOIN message e ON e.mailbox_id = x.mailbox_id AND e.uid = x.uid""",
    "UIDs or mod-sequences that the mailbox has not given yet": """
        SELECT e.mailbox_id, e.uid FROM message e JOIN mailbox m ON m.id = e.mailbox_id
        WHERE e.uid >= m.uidnext OR e.modseq > m.modseq""",
    "expunged UIDs or mod-sequences that the mailbox has not given yet": """
        SELECT x.mailbox_id, x.uid FROM expunged x JOIN mailbox m ON m.id = x.mailbox_id
        WHERE x.uid >= m.uidnext OR x.modseq > m.modseq""",
}


@dataclass
class Rows:
    """Looks again and again, and remembers what must never change or go back."""

    database: Database
    looks: int = 0
    _boxes: dict[int, tuple[int, int, int]] = field(default_factory=dict)       # UIDVALIDITY, UIDNEXT, HIGHESTMODSEQ
    _values: dict[tuple[int, int], int] = field(default_factory=dict)           # (account, UIDVALIDITY) -> mailbox
    _messages: dict[tuple[int, int], int] = field(default_factory=dict)         # (mailbox, UID) -> content
    _gone: set[tuple[int, int]] = field(default_factory=set)

    def faults(self) -> list[str]:
        """What is wrong, a sentence each."""
        self.looks += 1
        with self.database.reading() as connection:
            wrong = [
                f"{what}: {rows[:3]}" for what, query in FAULTS.items()
                if (rows := connection.execute(text(query)).fetchall())
            ]
            return wrong + self._of_mailboxes(connection) + self._of_messages(connection)

    def _of_mailboxes(self, connection: Connection) -> list[str]:
        wrong = []
        query = text("SELECT id, account_id, name, uidvalidity, uidnext, modseq FROM mailbox")
        for id, account, name, *now in connection.execute(query):
            before = self._boxes.get(id, (now[0], 0, 0))
            if before[0] != now[0]:
                wrong.append(f"{name} had UIDVALIDITY {before[0]} and has {now[0]}")
            if before[1] > now[1] or before[2] > now[2]:
                wrong.append(f"{name} went back from {before} to {now}")
            if self._values.setdefault((account, now[0]), id) != id:
                wrong.append(f"{name} has a UIDVALIDITY that another had before")
            self._boxes[id] = (now[0], now[1], now[2])
        return wrong

    def _of_messages(self, connection: Connection) -> list[str]:
        found: dict[tuple[int, int], int] = {
            (box, uid): content
            for box, uid, content in connection.execute(text("SELECT mailbox_id, uid, content_id FROM message"))
        }
        wrong = [f"{each} was gone and is there again" for each in found.keys() & self._gone]
        wrong += [
            f"{each} is another message than before" for each, content in found.items()
            if self._messages.get(each, content) != content
        ]
        self._gone |= self._messages.keys() - found.keys()
        self._messages = found
        return wrong

    def files(self) -> tuple[set[str], set[str]]:
        """The names that rows speak of, and those in the folder."""
        with self.database.reading() as connection:
            names: Any = connection.execute(text("SELECT file FROM content WHERE file IS NOT NULL")).scalars()
            return set(names), {each.name for each in Path(self.database.contents).iterdir()}
