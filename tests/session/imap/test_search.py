"""SEARCH over a socket: every key, every answer, and what "$" is afterwards."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.task import deferLater

from mailserver.content import LARGE
from mailserver.interfaces import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN
from mailserver.mailbox import sqlmailbox
from mailserver.session.imap import matching
from tests.session.imap.searchhouse import RECEIVED, OnPostgresql, SearchCase, letter, of_octets

DAY = 86400
MAILBOX = (
    letter(
        "From: Alice <alice@example.org>\nTo: bob@example.net\nCc: carol@example.com\nSubject: Budget\n"
        "Date: Sat, 1 Jan 2000 00:30:00 +0900\nMessage-ID: <1@x>\n\nThe numbers of the year.\n",
        SEEN | ANSWERED, ["$Junk"], RECEIVED - 10 * DAY,
    ),
    letter(
        "From: bob@example.net\nTo: alice@example.org\nSubject: Re: budget\nDate: Fri, 31 Dec 1999 23:30:00 -0800\n"
        "Message-ID: <2@x>\nIn-Reply-To: <1@x>\n\nToo much!\n",
        FLAGGED, ["work", "$Junk"], RECEIVED - DAY,
    ),
    letter("From: dave@example.org\nBcc: secret@example.org\nX-Empty:\n\nno subject, no date\n", DELETED | SEEN),
    of_octets(
        b"From: =?iso-2022-jp?B?GyRCOzNFRBsoQg==?= <yamada@example.jp>\r\n"
        b"Subject: =?iso-2022-jp?B?GyRCMnE1RBsoQg==?=\r\n"
        b"Date: Sun, 2 Jan 2000 12:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n"
        + "明日の会議は中止です。ＡＢＣ\r\n".encode("iso2022_jp"),
        DRAFT, (), RECEIVED + 3600,
    ),
    letter("Subject: big\nDate: nonsense\n\n" + "x" * 70 * 100, SEEN, ["WORK"]),
)


class SearchTests(SearchCase):
    """On SQLite."""

    async def test_keys(self) -> None:
        """Each key, alone and with others."""
        client = await self.filled(*MAILBOX)
        for program, found in (
            ("ALL", "1 2 3 4 5"), ("SEEN", "1 3 5"), ("UNSEEN", "2 4"), ("ANSWERED", "1"), ("FLAGGED", "2"),
            ("DELETED", "3"), ("UNDELETED", "1 2 4 5"), ("DRAFT", "4"), ("NEW", "2 4"), ("RECENT", "1 2 3 4 5"),
            ("OLD", ""), ("KEYWORD work", "2 5"), ("UNKEYWORD $junk", "3 4 5"), ("KEYWORD nobody", ""),
            ("2:3", "2 3"), ("*", "5"), ("7:*", "5"), ("9", ""), ("UID 1,4:*", "1 4 5"), ("NOT 2:3", "1 4 5"),
            ("LARGER 7000", "5"), ("SMALLER 7000", "1 2 3 4"),
            ("BEFORE 14-Nov-2023", "1 2"), ("ON 14-Nov-2023", "3 4 5"), ("SINCE 13-Nov-2023", "2 3 4 5"),
            ("SENTON 1-Jan-2000", "1"), ("SENTON 31-Dec-1999", "2"), ("SENTBEFORE 1-Jan-2000", "2"),
            ("SENTSINCE 1-Jan-2000", "1 4"), ("NOT SENTSINCE 1-Jan-1970", "3 5"),
            ("SAVEDSINCE 1-Jan-2020", "1 2 3 4 5"), ("SAVEDBEFORE 1-Jan-2020", ""), ("SAVEDATESUPPORTED", "1 2 3 4 5"),
            ("YOUNGER 60", ""), ("OLDER 60", "1 2 3 4 5"), ("YOUNGER 4000000000", "1 2 3 4 5"),
            ("FROM ALICE", "1"), ("TO alice", "2"), ("CC carol", "1"), ("BCC secret", "3"), ("SUBJECT budget", "1 2"),
            ('HEADER Subject ""', "1 2 4 5"), ('HEADER X-Empty ""', "3"), ("HEADER Message-ID 2@x", "2"),
            ("BODY numbers", "1"), ("TEXT EXAMPLE.ORG", "1 2 3"), ("BODY example.org", ""), ("BODY abc", "4"),
            ("OR FROM bob BODY numbers", "1 2"), ("SEEN TEXT x", "1 3 5"), ("NOT TEXT example", "5"),
            ("OR SEEN TEXT much", "1 2 3 5"), ("OR NOT TEXT example DRAFT", "4 5"), ("LARGER 10 SUBJECT big SEEN", "5"),
            ("NOT (SEEN OR BODY much ON 14-Nov-2023)", "1 2 4"), ("EMAILID M0", ""), ("THREADID T0", ""),
        ):
            self.assertEqual(await client.found(f"SEARCH {program}"), found, program)
            if program != "OLD":
                self.assertEqual(await client.found(f"UID SEARCH CHARSET UTF-8 {program}"), found, program)

    async def test_ids(self) -> None:
        client = await self.filled(*MAILBOX)
        heard = await client.ask("FETCH 1:2 (EMAILID THREADID)")
        email = heard[0].partition("EMAILID (")[2].partition(")")[0]
        thread = heard[1].partition("THREADID (")[2].partition(")")[0]
        self.assertEqual(await client.found(f"SEARCH EMAILID {email}"), "1")
        self.assertEqual(await client.found(f"SEARCH THREADID {thread}"), "1 2")

    async def test_japanese(self) -> None:
        """Encoded subjects and bodies, in whatever the client writes, and letters of either width."""
        client = await self.filled(*MAILBOX)
        for charset, codec in (("UTF-8", "utf-8"), ("ISO-2022-JP", "iso2022_jp"), ("SHIFT_JIS", "cp932")):
            for key, text, found in (
                ("SUBJECT", "会議", "4"), ("FROM", "山田", "4"), ("BODY", "中止", "4"), ("TEXT", "会議", "4"),
                ("BODY", "山田", ""), ("TEXT", "昨日", ""), ("BODY", "ａｂｃ", "4"),
            ):
                octets = text.encode(codec)
                command = f"SEARCH CHARSET {charset} {key} {{{len(octets)}+}}\r\n".encode() + octets
                self.assertEqual(await client.found(command), found, (charset, key, text))
        [refused] = await client.ask("SEARCH CHARSET KLINGON TEXT x")
        self.assertTrue(refused.startswith("NO [BADCHARSET ("), refused)

    async def test_results(self) -> None:
        """RFC 4731 and RFC 9394."""
        client = await self.filled(*MAILBOX)
        for program, found in (
            ("RETURN () SEEN", "ALL 1,3,5"), ("RETURN (ALL) ALL", "ALL 1:5"), ("RETURN (MIN) SEEN", "MIN 1"),
            ("RETURN (MIN MAX COUNT) SEEN", "MIN 1 MAX 5 COUNT 3"), ("RETURN (COUNT) FROM nobody", "COUNT 0"),
            ("RETURN (MIN MAX ALL) FROM nobody", ""), ("RETURN (PARTIAL 2:3) ALL", "PARTIAL (2:3 2:3)"),
            ("RETURN (PARTIAL -1:-2 COUNT) ALL", "COUNT 5 PARTIAL (-1:-2 4:5)"),
            ("RETURN (PARTIAL 7:9) ALL", "PARTIAL (7:9 NIL)"), ("RETURN (PARTIAL -9:-4) ALL", "PARTIAL (-4:-9 1:2)"),
        ):
            self.assertEqual(await client.found(f"SEARCH {program}"), found, program)
        self.assertEqual(await client.found("UID SEARCH RETURN (MIN) SEEN"), "UID MIN 1")

    async def test_rev2(self) -> None:
        """IMAP4rev2 knows the new answer alone."""
        client = await self.filled(*MAILBOX, first="ENABLE IMAP4rev2")
        self.assertEqual(await client.ask("SEARCH SEEN"), ["* ESEARCH (TAG) ALL 1,3,5", "OK that is all"])
        self.assertEqual(await client.ask("UID SEARCH FROM nobody"), ["* ESEARCH (TAG) UID", "OK that is all"])

    async def test_empty(self) -> None:
        client = await self.filled()
        for program in ("ALL", "1:*", "UID 1:*", "NOT TEXT x", "*"):
            self.assertEqual(await client.found(f"SEARCH {program}"), "", program)

    async def test_saved(self) -> None:
        """RFC 5182: "$" is what was found, or the ends of it, and what is expunged drops out."""
        client = await self.filled(*MAILBOX)
        for options, saved in (
            ("SAVE", "1 3 5"), ("SAVE COUNT", "1 3 5"), ("SAVE ALL", "1 3 5"), ("SAVE MIN", "1"), ("SAVE MAX", "5"),
            ("SAVE MIN MAX", "1 5"), ("SAVE MIN COUNT", "1 3 5"), ("SAVE PARTIAL 2:2", "3"),
            ("SAVE PARTIAL 2:2 MAX", "3 5"), ("SAVE PARTIAL 2:2 COUNT", "1 3 5"),
        ):
            heard = await client.ask(f"SEARCH RETURN ({options}) SEEN")
            self.assertEqual(len(heard), 1 if options == "SAVE" else 2, heard)
            self.assertEqual(await client.found("SEARCH $"), saved, options)
            self.assertEqual(await client.found("SEARCH NOT UID $ NOT 2,4"), " ".join(
                each for each in ("1", "3", "5") if each not in saved), options)
        await client.ask("SEARCH RETURN (SAVE) SEEN")
        self.assertEqual((await client.ask("FETCH $ (UID)"))[:-1], [f"* {n} FETCH (UID {n})" for n in (1, 3, 5)])
        await client.ask("EXPUNGE")                     # the third
        self.assertEqual(await client.found("UID SEARCH $"), "1 5")
        self.assertEqual(await client.found("SEARCH $"), "1 4")
        # One that is wrong leaves it, one that fails leaves nothing.
        await client.ask("SEARCH RETURN (SAVE) NONSENSE")
        self.assertEqual(await client.found("UID SEARCH $"), "1 5")
        many = " ".join(f"TEXT {each}" for each in range(21))
        self.assertEqual(
            await client.ask(f"SEARCH RETURN (SAVE) {many}"), ["NO [LIMIT] that is too much for one search"]
        )
        self.assertEqual(await client.found("UID SEARCH $"), "")
        for search in ("SEARCH {} CHARSET KLINGON ALL", "SORT {} (DATE) KLINGON ALL"):
            await client.ask("SEARCH RETURN (SAVE) SEEN")
            self.assertRegex((await client.ask(search.format("RETURN (ALL)")))[0], "^NO .BADCHARSET")
            self.assertEqual(await client.found("UID SEARCH $"), "1 5")
            self.assertRegex((await client.ask(search.format("RETURN (SAVE)")))[0], "^NO .BADCHARSET")
            self.assertEqual(await client.found("UID SEARCH $"), "")

    async def test_modseq(self) -> None:
        """RFC 7162 3.1.5, 3.1.10."""
        client = await self.filled(*MAILBOX)
        await client.ask("STORE 2 +FLAGS (x)")
        await client.ask("STORE 4 +FLAGS (x)")
        high = (await client.ask("FETCH 2,4 (MODSEQ)"))[:2]
        second, fourth = (int(each.partition("MODSEQ (")[2].rstrip(")")) for each in high)
        for program, found in (
            (f"MODSEQ {second}", f"2 4 (MODSEQ {fourth})"), (f"MODSEQ {fourth + 1}", ""),
            (f'OR NOT MODSEQ {second} MODSEQ "/flags/\\\\draft" all {fourth + 1} UNSEEN', ""),
            (f"RETURN (MIN) MODSEQ {second}", f"MIN 2 MODSEQ {second}"),
            (f"RETURN (MIN MAX) MODSEQ {second}", f"MIN 2 MAX 4 MODSEQ {fourth}"),
            (f"RETURN (MIN COUNT) MODSEQ {second}", f"MIN 2 COUNT 2 MODSEQ {fourth}"),
            (f"RETURN (COUNT) MODSEQ {fourth + 1}", "COUNT 0"),
            (f"RETURN (PARTIAL 1:1) MODSEQ {second}", f"PARTIAL (1:1 2) MODSEQ {second}"),
        ):
            self.assertEqual(await client.found(f"SEARCH {program}"), found, program)
        # It has switched on CONDSTORE.
        self.assertIn("MODSEQ", (await client.ask("STORE 1 +FLAGS (y)"))[-2])

    async def test_who_is_gone(self) -> None:
        """One who has not heard of an expunge counts as before, and does not find what is gone; nor hears of it now."""
        server = await self.server()
        await self.put(server, MAILBOX)
        one, other = await self.client(server), await self.client(server)
        await other.ask("EXPUNGE")
        self.assertEqual(await one.ask("SEARCH ALL"), ["* SEARCH 1 2 4 5", "OK that is all"])
        self.assertEqual(await one.ask("SEARCH NOT SEEN"), ["* SEARCH 2 4", "OK that is all"])
        self.assertEqual(await one.ask("SEARCH NOT TEXT example"), ["* SEARCH 5", "OK that is all"])
        self.assertEqual((await one.ask("SORT (REVERSE ARRIVAL) UTF-8 ALL"))[:-1], ["* SORT 4 5 2 1"])
        self.assertEqual(await one.ask("UID SEARCH SEEN"), ["* SEARCH 1 5", "* 3 EXPUNGE", "OK that is all"])
        self.assertEqual(await one.found("SEARCH SEEN"), "1 4")

    async def test_limits(self) -> None:
        client = await self.filled(*MAILBOX)
        for key, most in (("TEXT", 20), ("LARGER", 100)):
            program = " ".join(f"{key} {each}" for each in range(1, most + 1))
            await client.found(f"SEARCH OR SEEN ({program})")
            self.assertEqual(
                await client.ask(f"SEARCH {program} {key} 0"), ["NO [LIMIT] that is too much for one search"]
            )
        # The same asked twenty times is asked once.
        self.assertEqual(await client.found("SEARCH" + " TEXT example.net" * 100), "1 2")

    async def test_one_is_broken(self) -> None:
        """A message that cannot be searched hides none of the others."""
        client = await self.filled(*MAILBOX)
        asked = matching.Looked.in_body

        def broken(looked: matching.Looked, needle: matching.Needle) -> bool:
            if b"Too much" in looked._octets[:]:
                raise ValueError("as asked")
            return asked(looked, needle)

        self.patch(matching.Looked, "in_body", broken)
        self.assertEqual(await client.found("SEARCH BODY e"), "1 3")

    async def test_large(self) -> None:
        """What lies in files, or in pieces, is searched as well; a file that has just gone hides nothing."""
        server = await self.server()
        attached = b"\r\n--x\r\nContent-Type: application/pdf; name=Plan.pdf\r\n\r\n" + b"octets\r\n" * (LARGE // 4)
        head = b"Subject: large\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nfirst words"
        large = [await self.kept(server, head + attached + b"%d\r\n--x--\r\n" % each) for each in range(2)]
        await self.put(server, [*large, *MAILBOX])
        client = await self.client(server)
        for program, found in (
            ("SUBJECT large", "1 2"), ("BODY words", "1 2"), ("TEXT plan.pdf", "1 2"), ("BODY octets", ""),
            ("BODY much", "4"),
        ):
            self.assertEqual(await client.found(f"SEARCH {program}"), found, program)
        if server.database.is_sqlite:
            first, _ = sorted(server.database.contents.iterdir())
            first.unlink()
            self.assertEqual(await client.found("SEARCH OR BODY words BODY much"), "2 4")

    async def test_client_goes(self) -> None:
        """Nobody searches for who has hung up."""
        server = await self.server()
        await self.put(server, [letter(f"Subject: {each}\n\nx\n") for each in range(40)])
        client = await self.client(server)
        steps = []
        scan = sqlmailbox.SqlMailbox.scan

        async def slow(mailbox: sqlmailbox.SqlMailbox, uids: object, work: object, most: int) -> object:
            async for step in scan(mailbox, uids, work, 100):       # type: ignore[arg-type]
                steps.append(len(step))
                if len(steps) == 2:
                    client.transport.abortConnection()
                    while len(server._conversations):
                        await deferLater(reactor, 0.01)
                yield step

        self.patch(sqlmailbox.SqlMailbox, "scan", slow)
        client.say("SEARCH BODY y")
        while len(steps) < 2 or len(server._conversations):
            await deferLater(reactor, 0.01)
        await deferLater(reactor, 0.3)
        self.assertEqual(len(steps), 2)


class PostgresqlTests(OnPostgresql, SearchTests):
    """On PostgreSQL."""
