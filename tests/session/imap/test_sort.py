"""SORT over a socket (RFC 5256, RFC 5957, RFC 5267)."""

from __future__ import annotations

from typing import Any

from mailserver.interfaces import SEEN
from mailserver.session.imap import sorting
from mailserver.session.imap.searching import matched
from tests.session.imap.searchhouse import RECEIVED, OnPostgresql, SearchCase, letter

MAILBOX = (
    letter(
        "From: \"Zoë\" <m@example.org>\nTo: b@example.org\nCc: x@example.org\nSubject: Re: [list] beta\n"
        "Date: 3 Jan 2000 00:00:00 +0000\n\nlong, long\n", SEEN, (), RECEIVED - 50,
    ),
    letter(
        "From: A person <z@example.org>\nTo: \"A\" <c@example.org>\nSubject: Alpha\n"
        "Date: 3 Jan 2000 05:00:00 +0900\n\n12\n", 0, (), RECEIVED - 40,
    ),
    letter("Subject: =?utf-8?Q?=C3=84pfel?=\nFrom: n@example.org\n\n1\n", SEEN, (), 946_857_600.0 + 60),
    letter("Date: 1 Jan 2000 00:00:00 +0000\nSubject: fwd: ALPHA (fwd)\nTo: a@example.org\n\n123\n", 0, (), RECEIVED),
    letter("Date: 3 Jan 2000 00:00:00 +0000\nFrom: =?utf-8?Q?=C3=84rger?= <b@example.org>\n\n\n", 0, (), RECEIVED - 60),
)


class SortTests(SearchCase):
    """On SQLite."""

    async def test_keys(self) -> None:
        client = await self.filled(*MAILBOX)
        for order, found in (
            ("ARRIVAL", "3 5 1 2 4"), ("REVERSE ARRIVAL", "4 2 1 5 3"),
            # Sent at midnight, or where there is no date, when it came: the third a minute later.
            ("DATE", "4 2 1 5 3"), ("REVERSE DATE", "3 1 5 2 4"), ("SUBJECT", "5 2 4 3 1"),
            ("REVERSE SUBJECT", "1 3 2 4 5"), ("SUBJECT REVERSE ARRIVAL", "5 4 2 3 1"), ("FROM", "4 5 1 3 2"),
            ("TO", "3 5 4 1 2"), ("CC", "2 3 4 5 1"), ("SIZE", "3 5 4 2 1"), ("DISPLAYFROM", "4 2 5 3 1"),
            ("DISPLAYTO", "3 5 2 4 1"), ("REVERSE CC REVERSE SIZE", "1 2 4 5 3"),
        ):
            said = await client.found(f"SORT ({order}) UTF-8 ALL")
            self.assertEqual(said, await client.found(f"UID SORT ({order}) UTF-8 1:*"), order)
            self.assertEqual(said, found, order)

    async def test_some(self) -> None:
        """Only what is found is sorted."""
        client = await self.filled(*MAILBOX)
        self.assertEqual(await client.found("SORT (REVERSE DATE) US-ASCII SEEN"), "3 1")
        self.assertEqual(await client.found("SORT (SIZE) UTF-8 BODY long"), "1")
        self.assertEqual(await client.ask("SORT (SIZE) UTF-8 FROM nobody"), ["* SORT", "OK that is all"])
        self.assertTrue((await client.ask("SORT (SIZE) KLINGON ALL"))[0].startswith("NO [BADCHARSET "))
        self.assertTrue((await client.ask("SORT (SHAPE) UTF-8 ALL"))[0].startswith("BAD "))

    async def test_again(self) -> None:
        """What was sorted before is sorted anew once messages come or go; flags change nothing of it."""
        client = await self.filled(*MAILBOX)
        for _ in range(2):
            self.assertEqual(await client.found("SORT (SIZE) UTF-8 ALL"), "3 5 4 2 1")
            self.assertEqual(await client.found("SORT (SIZE) UTF-8 SEEN"), "3 1")
            await client.ask("STORE 5 +FLAGS (\\Seen)")
            self.assertEqual(await client.found("SORT (SIZE) UTF-8 SEEN"), "3 5 1")
            await client.ask("STORE 5 -FLAGS (\\Seen)")
        await client.ask("APPEND INBOX {3+}\r\nx\r\n")
        self.assertEqual(await client.found("SORT (SIZE) UTF-8 ALL"), "6 3 5 4 2 1")
        await client.ask("STORE 3 +FLAGS (\\Deleted)")
        await client.ask("EXPUNGE")
        self.assertEqual(await client.found("SORT (SIZE) UTF-8 ALL"), "5 4 3 2 1")
        self.assertEqual(await client.found("UID SORT (SIZE) UTF-8 ALL"), "6 5 4 2 1")

    async def test_meanwhile(self) -> None:
        """Messages come and go between search and sort: the answer is of what was seen, and the next has all."""
        server = await self.server()
        await self.put(server, MAILBOX)
        client, other = await self.client(server), await self.client(server)
        happens: list[str] = []

        async def slowly(*arguments: Any) -> Any:
            seen = await matched(*arguments)
            while happens:
                await other.ask(happens.pop(0))
            return seen

        self.patch(sorting, "matched", slowly)
        happens += ["APPEND INBOX {3+}\r\nx\r\n"]
        self.assertEqual((await client.ask("SORT (SIZE) UTF-8 ALL"))[0], "* SORT 3 5 4 2 1")
        self.assertEqual(await client.found("SORT (SIZE) UTF-8 ALL"), "6 3 5 4 2 1")
        happens += ["STORE 1 +FLAGS.SILENT (\\Deleted)", "EXPUNGE", "SORT (SIZE) UTF-8 ALL"]
        self.assertEqual((await client.ask("SORT (SIZE) UTF-8 ALL"))[0], "* SORT 6 3 5 4 2")
        self.assertEqual(await other.found("SORT (SIZE) UTF-8 ALL"), "5 2 4 3 1")

    async def test_results(self) -> None:
        """The ends are those of the order, and so is the part."""
        client = await self.filled(*MAILBOX)
        for options, found in (
            ("", "ALL 3,5,1:2,4"), ("MIN MAX COUNT", "MIN 3 MAX 4 COUNT 5"), ("PARTIAL 2:3", "PARTIAL (2:3 5,1)"),
            ("PARTIAL -1:-2", "PARTIAL (-1:-2 2,4)"),
        ):
            self.assertEqual(await client.found(f"SORT RETURN ({options}) (ARRIVAL) UTF-8 ALL"), found, options)
        self.assertEqual(await client.ask("SORT RETURN (SAVE) (ARRIVAL) UTF-8 SEEN"), ["OK that is all, and kept"])
        self.assertEqual(await client.found("SEARCH $"), "1 3")
        await client.found("UID SORT RETURN (SAVE MAX PARTIAL 1:2) (ARRIVAL) UTF-8 ALL")
        self.assertEqual(await client.found("SEARCH $"), "3 4 5")

    async def test_modseq(self) -> None:
        client = await self.filled(*MAILBOX)
        await client.ask("STORE 3 +FLAGS (x)")
        modseq = (await client.ask("FETCH 3 (MODSEQ)"))[0].partition("MODSEQ (")[2].rstrip(")")
        self.assertEqual(await client.found("SORT (ARRIVAL) UTF-8 SEEN MODSEQ 1"), f"3 1 (MODSEQ {modseq})")


class PostgresqlTests(OnPostgresql, SortTests):
    """On PostgreSQL."""
