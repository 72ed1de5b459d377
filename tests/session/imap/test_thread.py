"""THREAD over a socket (RFC 5256); what threads are is tested with `mailserver.imap.threads`."""

from __future__ import annotations

from typing import Any

from mailserver.imapstore import Appended
from mailserver.session.imap import threading as session_threading
from mailserver.session.imap.searching import matched
from tests.session.imap.searchhouse import RECEIVED, OnPostgresql, SearchCase, letter


def sent(day: int, id: str, more: str) -> Appended:
    return letter(f"Date: {day} Jan 2000 00:00:00 +0000\nMessage-ID: <{id}@x>\n{more}\n\n{day}\n")


MAILBOX = (
    sent(1, "a", "Subject: Plan"),
    sent(3, "b", "Subject: Re: plan\nReferences: <a@x>"),
    sent(2, "c", "Subject: Re: [x] Plan\nReferences: <a@x>"),
    sent(4, "d", "Subject: other\nIn-Reply-To: <c@x>"),
    sent(6, "e", "Subject: lunch\nReferences: <gone@x>"),
    sent(5, "f", "Subject: dinner\nReferences: <gone@x>"),
    sent(7, "g", "Subject: Re: other"),
    letter("Subject: when\n\nwithout a date, or an id\n", 0, (), RECEIVED),
)


class ThreadTests(SearchCase):
    """On SQLite."""

    async def test_threads(self) -> None:
        client = await self.filled(*MAILBOX)
        for threading, program, found in (
            ("REFERENCES", "ALL", "(1 (3 4)(2))((6)(5))(7)(8)"), ("REFERENCES", "2:3", "((3)(2))"),
            ("REFERENCES", "NOT 3", "(1 2)(4 7)((6)(5))(8)"), ("REFERENCES", "SUBJECT nothing", ""),
            ("REFS", "ALL", "(1 (3 4)(2))((6)(5))(7)(8)"), ("REFS", "NOT 3", "(1 2)(4)((6)(5))(7)(8)"),
            ("ORDEREDSUBJECT", "ALL", "(1 (3)(2))(4 7)(6)(5)(8)"), ("ORDEREDSUBJECT", "BODY 7", "(7)"),
        ):
            self.assertEqual(await client.found(f"THREAD {threading} UTF-8 {program}"), found, (threading, program))
            self.assertEqual(await client.found(f"UID THREAD {threading} UTF-8 {program}"), found)

    async def test_uids(self) -> None:
        client = await self.filled(*MAILBOX)
        await client.ask("STORE 1,5 +FLAGS (\\Deleted)")
        await client.ask("EXPUNGE")
        self.assertEqual(await client.found("THREAD REFERENCES UTF-8 ALL"), "((2 3)(1))(4)(5)(6)")
        self.assertEqual(await client.found("UID THREAD REFERENCES UTF-8 ALL"), "((3 4)(2))(6)(7)(8)")

    async def test_meanwhile(self) -> None:
        """A message that comes between search and thread is in the next answer."""
        server = await self.server()
        await self.put(server, MAILBOX[:2])
        client, other = await self.client(server), await self.client(server)
        happens = ["APPEND INBOX {3+}\r\nx\r\n"]

        async def slowly(*arguments: Any) -> Any:
            seen = await matched(*arguments)
            while happens:
                await other.ask(happens.pop())
            return seen

        self.patch(session_threading, "matched", slowly)
        self.assertEqual((await client.ask("THREAD REFERENCES UTF-8 ALL"))[0], "* THREAD (1 2)")
        self.assertEqual(await client.found("THREAD REFERENCES UTF-8 ALL"), "(1 2)(3)")

    async def test_not_offered(self) -> None:
        client = await self.filled(*MAILBOX)
        [refused] = await client.ask("THREAD WOOL UTF-8 ALL")
        self.assertTrue(refused.startswith("BAD "), refused)
        [refused] = await client.ask("THREAD REFERENCES KLINGON ALL")
        self.assertTrue(refused.startswith("NO [BADCHARSET "), refused)


class PostgresqlTests(OnPostgresql, ThreadTests):
    """On PostgreSQL."""
