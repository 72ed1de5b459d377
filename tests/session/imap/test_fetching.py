"""What messages are made of, as FETCH tells it."""

from __future__ import annotations

import gc
import re
import tracemalloc

from twisted.internet.task import deferLater

from mailserver.mailbox.sqlmailbox import SqlMailbox
from mailserver.session.imap import bodies, session
from tests.serving import reactor
from tests.session.imap.house import ImapCase, Peer

NESTED = b"""From: Ann <ann@example.org>
To: bob@example.org
Subject: =?utf-8?q?gr=C3=BCn?=
X-One: 1
Message-ID: <1@example.org>
Date: Mon, 7 Feb 1994 21:52:25 -0800
X-One: 2
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=out

preamble
--out
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64

AGhlbGxv
--out
Content-Type: message/rfc822

From: inner@example.org
Subject: inner
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=in

--in
Content-Type: text/plain
Content-Transfer-Encoding: quoted-printable

caf=C3=A9
--in
Content-Type: text/html

<p>x</p>
--in--
--out
Content-Type: application/x-odd
Content-Transfer-Encoding: x-unknown

odd
--out--
epilogue
""".replace(b"\n", b"\r\n")
ALPHABET = b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=\r\n"
LARGE = b"Subject: large\r\nContent-Transfer-Encoding: base64\r\n\r\n" + ALPHABET * 150_000


class FetchCase(ImapCase):
    async def chosen(self, *messages: bytes, extra: str = "") -> Peer:
        self.server = await self.serve(extra)
        await self.fill(self.server, *messages)
        return await self.log_in(self.server, "alice", "EXAMINE INBOX")

    async def item(self, peer: Peer, item: str, number: int = 1) -> bytes:
        """The value of one item."""
        [line] = (await peer.ok(f"FETCH {number} {item}")).lines
        name = item.replace(".PEEK", "")
        name = re.sub(r"<(\d+)\.\d+>$", r"<\1>", name)
        start = f"* {number} FETCH ({name} ".encode()
        self.assertTrue(line.startswith(start), line[:200])
        return line[len(start) : -1]

    async def octets(self, peer: Peer, item: str, number: int = 1) -> bytes | None:
        """What a literal or NIL holds."""
        value = await self.item(peer, item, number)
        if value == b"NIL":
            return None
        marker = re.match(rb"~?\{(\d+)\}\r\n", value)
        assert marker is not None, value[:100]
        octets = value[marker.end() :]
        self.assertEqual(len(octets), int(marker[1]))
        return octets


class ItemTests(FetchCase):
    async def test_rows(self) -> None:
        peer = await self.chosen(NESTED)
        self.assertEqual(await self.item(peer, "UID"), b"1")
        self.assertEqual(await self.item(peer, "FLAGS"), b"()")
        self.assertEqual(await self.item(peer, "RFC822.SIZE"), b"%d" % len(NESTED))
        self.assertEqual(await self.item(peer, "INTERNALDATE"), b'"14-Nov-2023 22:13:20 +0000"')
        envelope = await self.item(peer, "ENVELOPE")
        self.assertEqual(envelope, b'("Mon, 7 Feb 1994 21:52:25 -0800" "=?utf-8?q?gr=C3=BCn?=" '
                         b'(("Ann" NIL "ann" "example.org")) (("Ann" NIL "ann" "example.org")) '
                         b'(("Ann" NIL "ann" "example.org")) ((NIL NIL "bob" "example.org")) NIL NIL NIL '
                         b'"<1@example.org>")')
        structure = await self.item(peer, "BODYSTRUCTURE")
        self.assertRegex(structure, rb'^\(\("text" "plain".*"message" "rfc822".*"alternative".*"mixed"')
        self.assertRegex(await self.item(peer, "BODY"), rb'^\(\("text" "plain" .* "mixed"\)$')
        self.assertRegex(await self.item(peer, "EMAILID"), rb"^\(M[0-9a-f]+\)$")
        self.assertRegex(await self.item(peer, "THREADID"), rb"^\(T[0-9a-f]+\)$")
        self.assertRegex(await self.item(peer, "SAVEDATE"), rb'^"[ 0-9]\d-')
        self.assertIn(b"hello", await self.item(peer, "PREVIEW"))
        [line] = (await peer.ok("FETCH 1 (PREVIEW (LAZY))")).lines
        self.assertIn(b"hello", line)
        for macro, items in (("ALL", 4), ("FAST", 3), ("FULL", 5)):
            [line] = (await peer.ok(f"FETCH 1 {macro}")).lines
            found = re.findall(rb"(FLAGS|INTERNALDATE|RFC822.SIZE|ENVELOPE|BODY) [(\"\d]", line)
            self.assertEqual(len(found), items)

    async def test_sections(self) -> None:
        peer = await self.chosen(NESTED)
        header, _, text = NESTED.partition(b"\r\n\r\n")
        inner = NESTED[NESTED.index(b"From: inner") : NESTED.index(b"\r\n--out\r\nContent-Type: application")]
        for item, octets in (
            ("BODY.PEEK[]", NESTED), ("BODY[]", NESTED), ("RFC822", NESTED),
            ("BODY[HEADER]", header + b"\r\n\r\n"), ("RFC822.HEADER", header + b"\r\n\r\n"),
            ("BODY[TEXT]", text), ("RFC822.TEXT", text),
            ("BODY[1]", b"AGhlbGxv"), ("BODY[1.MIME]",
             b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"),
            ("BODY[2]", inner), ("BODY[2.HEADER]", inner.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"),
            ("BODY[2.TEXT]", inner.partition(b"\r\n\r\n")[2]), ("BODY[2.1]", b"caf=C3=A9"),
            ("BODY[2.2.MIME]", b"Content-Type: text/html\r\n\r\n"), ("BODY[2.2]", b"<p>x</p>"),
            ("BODY[2.HEADER.FIELDS (SUBJECT)]", b"Subject: inner\r\n\r\n"), ("BODY[3]", b"odd"),
            ("BODY[4]", None), ("BODY[1.1]", None), ("BODY[2.9.HEADER]", None), ("BODY[9999999]", "BAD"),
            ("BODY[HEADER.FIELDS (X-ONE)]", b"X-One: 1\r\nX-One: 2\r\n\r\n"),
            ("BODY[HEADER.FIELDS (NOTHING)]", b"\r\n"),
            ("BODY[HEADER.FIELDS.NOT (FROM TO SUBJECT DATE MESSAGE-ID MIME-VERSION CONTENT-TYPE)]",
             b"X-One: 1\r\nX-One: 2\r\n\r\n"),
        ):
            if octets == "BAD":
                self.assertRegex((await peer.ask(f"FETCH 1 {item}")).end, rb"^(BAD|OK)")
            else:
                self.assertEqual(await self.octets(peer, item), octets, item)

    async def test_partial(self) -> None:
        """A part of an item, up to its end and behind it."""
        peer = await self.chosen(NESTED, LARGE)
        for first, count in ((0, 10), (5, 10), (len(NESTED) - 3, 10), (len(NESTED), 5), (len(NESTED) + 9, 5),
                             (0, 9223372036854775807), (9223372036854775807, 1)):
            octets = await self.octets(peer, f"BODY[]<{first}.{count}>")
            self.assertEqual(octets, NESTED[first : first + count], (first, count))
        self.assertEqual(await self.octets(peer, "BODY[HEADER.FIELDS (X-ONE)]<5.12>"), b": 1\r\nX-One: ")
        for first, count in ((0, 200_000), (100_001, 300_000), (len(LARGE) - 200_001, 500_000), (4_000_000, 10)):
            octets = await self.octets(peer, f"BODY[]<{first}.{count}>", 2)
            self.assertEqual(octets, LARGE[first : first + count], (first, count))

    async def test_binary(self) -> None:
        """Without the transfer encoding; a NUL needs a literal8; what cannot be decoded is refused (RFC 9051 6.4.5)."""
        peer = await self.chosen(NESTED, LARGE)
        self.assertEqual(await self.item(peer, "BINARY[1]"), b"~{6}\r\n\0hello")
        self.assertEqual(await self.item(peer, "BINARY[1]<2.3>"), b"{3}\r\nell")
        self.assertEqual(await self.item(peer, "BINARY.SIZE[1]"), b"6")
        self.assertEqual(await self.octets(peer, "BINARY[2.1]"), "café".encode())
        self.assertEqual(await self.octets(peer, "BINARY[1]<9.9>"), b"")
        self.assertEqual(await self.octets(peer, "BINARY[9]"), None)
        for item in ("BINARY[3]", "BINARY.SIZE[3]"):
            self.assertRegex((await peer.ask(f"FETCH 1 ({item})")).end, rb"^NO \[UNKNOWN-CTE\]")
        self.assertRegex((await peer.ask("FETCH 1 (BINARY[1.TEXT])")).end, rb"^BAD ")
        every = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ" * 150_000
        self.assertEqual(await self.item(peer, "BINARY.SIZE[1]", 2), b"%d" % len(every))
        self.assertEqual(await self.octets(peer, "BINARY[1]", 2), every)
        for first, count in ((1_000_003, 300_000), (len(every) - 3, 200_000)):
            self.assertEqual(await self.octets(peer, f"BINARY[1]<{first}.{count}>", 2), every[first : first + count])

    async def test_many_values(self) -> None:
        """Each has its place in the line, those that are held and those that come in pieces."""
        self.patch(bodies, "AT_HAND", 600)
        self.patch(bodies, "SMALL", 20)
        peer = await self.chosen(NESTED, b"Subject: 2\r\n\r\ntwo\r\n", NESTED)
        header, _, text = NESTED.partition(b"\r\n\r\n")
        heard = await peer.ok("FETCH 1:* (UID BODY[TEXT] BODY[] BODY[HEADER.FIELDS.NOT (TO)] BODY[1] RFC822.SIZE)")
        without = NESTED[: NESTED.index(b"To: ")] + NESTED[NESTED.index(b"Subject: ") : len(header) + 4]
        whole = b" RFC822.SIZE %d BODY[TEXT] {%d}\r\n%b BODY[] {%d}\r\n%b BODY[HEADER.FIELDS.NOT (TO)] {%d}\r\n%b" % (
            len(NESTED), len(text), text, len(NESTED), NESTED, len(without), without) + b" BODY[1] {8}\r\nAGhlbGxv)"
        self.assertEqual(heard.lines[0], b"* 1 FETCH (UID 1" + whole)
        self.assertEqual(heard.lines[2], b"* 3 FETCH (UID 3" + whole)
        self.assertEqual(len(heard.lines), 3)

    async def test_ranges(self) -> None:
        """Which messages are meant, PARTIAL too (RFC 9394)."""
        peer = await self.chosen(*[b"Subject: %d\r\n\r\n" % number for number in range(10)])
        for command, numbers in (
            ("FETCH 2:4,3:5,9", (2, 3, 4, 5, 9)), ("FETCH *", (10,)), ("FETCH *:8", (8, 9, 10)), ("FETCH 1,*", (1, 10)),
            ("UID FETCH 4294967295:9", (9, 10)), ("UID FETCH 20:30", ()), ("UID FETCH 5:*", (5, 6, 7, 8, 9, 10)),
        ):
            for item in ("UID", "RFC822.SIZE", "BODY.PEEK[HEADER]"):
                heard = await peer.ok(f"{command} {item}")
                self.assertEqual([int(each.split()[1]) for each in heard.lines], list(numbers), command)
        for partial, numbers in (("1:3", (2, 3, 4)), ("-1:-2", (8, 9)), ("3:1", (2, 3, 4)), ("8:20", (9,)),
                                 ("20:30", ()), ("-20:-30", ()), ("-8:-30", (2,))):
            heard = await peer.ok(f"UID FETCH 2:9 UID (PARTIAL {partial})")
            self.assertEqual([int(each.split()[1]) for each in heard.lines], list(numbers), partial)
        for command in ("FETCH 0 UID", "FETCH 11 UID", "FETCH 1:11 UID", "FETCH 1:4294967296 UID", "FETCH 1 NONSENSE",
                        "FETCH 1 ()", "FETCH", "FETCH 1", "FETCH 1 BODY[", "FETCH 1 BODY[]<1>", "FETCH 1 BODY[0]",
                        "FETCH 1 (" + "(" * 100_000):
            self.assertRegex((await peer.ask(command)).end, rb"^BAD ", command[:20])
        await peer.ok("NOOP")
        await peer.ok("SELECT Drafts")
        self.assertRegex((await peer.ask("FETCH 1:* UID")).end, rb"^BAD ")
        self.assertEqual((await peer.ok("UID FETCH 1:* UID")).lines, [])


class InterruptedTests(FetchCase):
    async def test_between(self) -> None:
        """What goes wrong between two answers is a NO."""
        peer = await self.chosen(NESTED, NESTED)

        async def broken(self, *_):  # type: ignore[no-untyped-def]
            raise OSError("as asked")
            yield

        self.patch(SqlMailbox, "scan", broken)
        self.assertRegex((await peer.ask("FETCH 1:* BODY[1]")).end, rb"^NO \[SERVERBUG\]")
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        await peer.ok("FETCH 1:* FLAGS")

    async def test_within(self) -> None:
        """What goes wrong within a literal is the end of the connection, without a word that would be part of it."""
        peer = await self.chosen(LARGE)
        octets = SqlMailbox.octets

        async def broken(self, uid, start, end, most):  # type: ignore[no-untyped-def]
            async for each in octets(self, uid, start, 300_000, most):
                yield each
            raise OSError("as asked")

        self.patch(SqlMailbox, "octets", broken)
        peer.say("FETCH 1 BODY.PEEK[]")
        while not peer.line.is_closed:
            await deferLater(reactor, 0.01, lambda: None)
        self.assertEqual(peer.line.heard, b"* 1 FETCH (BODY[] {%d}\r\n" % len(LARGE) + LARGE[:300_000])
        self.assertEqual(len(self.flushLoggedErrors()), 1)


class SlowReaderTests(FetchCase):
    async def test_memory(self) -> None:
        """Who asks for much and does not read costs little, and disturbs nobody."""
        # An index of it would be made meanwhile.
        self.server = await self.serve('[[mailbox]]\nuse = "sql"\nsearch = false\n')
        small = [b"Subject: %d\r\n\r\n%b" % (number, b"x" * 3000) for number in range(200)]
        await self.fill(self.server, *[LARGE] * 3, *small)
        polite = await self.log_in(self.server, "bob")
        for command, most in (
            ("FETCH 1:* BODY.PEEK[]", 256), ("FETCH 4:* (BODY.PEEK[] ENVELOPE BODYSTRUCTURE)", 300),
            ("FETCH 1:* (BINARY.PEEK[1])", 256),
            # The command itself has 10,000 octets, and comes three times.
            ("FETCH 4:* (" + " ".join(f"BODY.PEEK[]<{number}.2500>" for number in range(500)) + ")", 600),
        ):
            peers = [await self.log_in(self.server, "alice", "EXAMINE INBOX") for _ in range(6)]
            gc.collect()
            tracemalloc.start()
            self.addCleanup(tracemalloc.stop)
            before = tracemalloc.get_traced_memory()[0]
            for each in peers:
                each.line.transport.pauseProducing()
                for _ in range(3):
                    each.say(command)
            slowest = 0.0
            for _ in range(8):
                began = reactor.seconds()
                await polite.ok("NOOP")
                slowest = max(slowest, reactor.seconds() - began)
                await deferLater(reactor, 0.1, lambda: None)
            gc.collect()
            each_costs = (tracemalloc.get_traced_memory()[0] - before) / len(peers)
            tracemalloc.stop()
            self.assertLess(slowest, 1.0, command[:40])
            self.assertLess(each_costs, most * 1024, command[:40])
            for each in peers:
                each.line.transport.abortConnection()
                await each.line.closed

    async def test_too_slow(self) -> None:
        """In the end it is let go."""
        peer = await self.chosen(LARGE, LARGE, LARGE, extra="[limits]\nidle = 1\n")
        self.patch(session, "PATIENCE", 0.5)
        peer.line.transport.pauseProducing()
        for _ in range(5):
            peer.say("FETCH 1:* BODY.PEEK[]")
        await deferLater(reactor, 4.0, lambda: None)
        peer.line.transport.resumeProducing()
        await peer.line.closed


class FloodTests(FetchCase):
    async def test_flood(self) -> None:
        """Who pipelines commands without end does not keep others waiting."""
        peer = await self.chosen(*[b"Subject: %d\r\n\r\n" % number for number in range(50)])
        polite = await self.log_in(self.server, "bob")
        peer.line.say(b"".join(b"a%d FETCH 1:* (UID FLAGS)\r\nb%d NOOP\r\nc%d LIST \"\" \"*\"\r\n" % (n, n, n)
                               for n in range(1000)))
        for _ in range(10):
            began = reactor.seconds()
            await polite.ok("NOOP")
            self.assertLess(reactor.seconds() - began, 1.0)
        while not (await peer.response()).startswith(b"c999 OK"):
            pass


class WrittenTests(ImapCase):
    """Lines that the store writes by itself are those that would have been made of its rows."""

    async def test_alike(self) -> None:
        """Whichever are meant: some are gone, one is large, one has a NUL, and some are recent."""
        server = await self.serve()
        large = b"Subject: large\r\n\r\n" + b"0123456789abcde\n" * 20_000
        await self.numbered(server, range(1, 8))
        await self.fill(server, large, b"Subject: nul\r\n\r\na\0b\r\n", b"")
        peer = await self.log_in(server, "alice", "SELECT INBOX", "STORE 2,5 +FLAGS (\\Deleted)", "EXPUNGE",
                                 "STORE 1,3 +FLAGS.SILENT (\\Seen $Work)")
        await self.numbered(server, [20, 21])
        await peer.ok("NOOP")
        other = await self.log_in(server, "alice", "EXAMINE INBOX")
        for items in (
            "BODYSTRUCTURE", "UID FLAGS RFC822.SIZE ENVELOPE", "UID MODSEQ BODY", "BODY.PEEK[]",
            "UID BODY.PEEK[] FLAGS",
        ):
            for each in (peer, other):
                alone = [(await each.ok(f"FETCH {number} ({items})")).of(b"FETCH")[0] for number in range(1, 11)]
                for numbers in ("1:*", "1,3,5:6,10", "2:3,7:9", "4,8"):
                    meant = [
                        place for part in numbers.replace("*", "10").split(",")
                        for place in range(int(part.partition(":")[0]), int(part.rpartition(":")[2]) + 1)
                    ]
                    heard = (await each.ok(f"FETCH {numbers} ({items})")).of(b"FETCH")
                    self.assertEqual(heard, [alone[place - 1] for place in meant], (items, numbers))
        for number, line in enumerate(alone, 1):
            self.assertTrue(line.startswith(b"* %d FETCH (UID " % number))

    async def test_python(self) -> None:
        """Who takes UTF-8 is answered from rows, others as the store writes; of ASCII they hear the same."""
        server = await self.serve()
        await self.numbered(server, range(1, 6))
        await self.log_in(server, "alice", "SELECT INBOX")
        one = await self.log_in(server, "alice", "EXAMINE INBOX")
        two = await self.log_in(server, "alice", "ENABLE UTF8=ACCEPT", "EXAMINE INBOX")
        for items in ("UID FLAGS RFC822.SIZE ENVELOPE", "BODYSTRUCTURE", "UID MODSEQ BODY"):
            said = [(await each.ok(f"FETCH 1,3:5 ({items})")).lines for each in (one, two)]
            self.assertEqual(said[0], said[1])
            self.assertEqual(len(said[0]), 4)
