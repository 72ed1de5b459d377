"""Messages that clients bring."""

from __future__ import annotations

from mailserver.mailbox.sqlmailbox import SqlMailbox
from mailserver.session.imap import appending
from tests.session.imap.house import ImapCase, Peer
from tests.session.imap.test_changing import QUOTA

MESSAGE = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n"
LARGE = b"Subject: large\r\n\r\n" + b"".join(b"%062d\r\n" % number for number in range(40_000))     # 2.5 MB


class AppendCase(ImapCase):
    async def bring(self, peer: Peer, command: str, *messages: bytes) -> bytes:
        """Send a command that has each message where it has ``{}``, and wait where it has to."""
        pieces = command.split("{}")
        peer._number += 1
        tag = b"t%d" % peer._number
        peer.line.say(tag + b" " + pieces[0].encode())
        for piece, octets in zip(pieces[1:], messages, strict=True):
            peer.line.say(b"{%d}\r\n" % len(octets))
            heard = await peer.response()
            if heard.startswith(tag):
                return heard.removeprefix(tag + b" ")
            self.assertEqual(heard, b"+ go on")
            peer.line.say(octets + piece.encode())
        peer.line.say(b"\r\n")
        return (await peer.until(tag)).end

    async def count(self, peer: Peer, name: str = "INBOX") -> int:
        [line] = (await peer.ok(f"STATUS {name} (MESSAGES)")).lines
        return int(line.rpartition(b" ")[2].rstrip(b")"))

    def files(self) -> list[str]:
        return [each.name for each in self.server.database.contents.rglob("*") if each.is_file()]


class AppendTests(AppendCase):
    async def test_forms(self) -> None:
        """A literal that waits, one that does not, flags and date, a literal8, UTF-8."""
        self.server = await self.serve()
        peer = await self.log_in(self.server)
        date = '" 1-Feb-2020 03:04:05 +0900"'
        for number, (command, octets) in enumerate((
            ("APPEND INBOX {}", MESSAGE), (f"APPEND inbox (\\Seen $Important) {date} {{}}", MESSAGE),
            ("APPEND INBOX () {}", b"x"), ("APPEND INBOX ~{}", b"bin\0ary\r\n"),
            ("APPEND INBOX UTF8 (~{})", "Subject: 日本語\r\n\r\n".encode()), ("APPEND INBOX {}", LARGE),
        ), 1):
            end = await self.bring(peer, command, octets)
            self.assertRegex(end, rb"^OK \[APPENDUID \d+ %d\] appended$" % number)
        heard = await peer.ask(b"APPEND INBOX {%d+}\r\n%b" % (len(MESSAGE), MESSAGE))
        self.assertRegex(heard.end, rb"^OK \[APPENDUID \d+ 7\]")
        await peer.ok("SELECT INBOX")
        heard = await peer.ok("FETCH 2 (FLAGS INTERNALDATE BODY.PEEK[])")
        self.assertEqual(heard.lines, [
            b'* 2 FETCH (FLAGS (\\Seen \\Recent $Important) INTERNALDATE "31-Jan-2020 18:04:05 +0000"'
            b" BODY[] {%d}\r\n%b)" % (len(MESSAGE), MESSAGE),
        ])
        heard = await peer.ok("FETCH 6 BODY.PEEK[]")
        self.assertEqual(heard.lines, [b"* 6 FETCH (BODY[] {%d}\r\n%b)" % (len(LARGE), LARGE)])
        heard = await peer.ok(b"APPEND INBOX {1+}\r\nx")
        self.assertEqual(heard.of(b"EXISTS"), [b"* 8 EXISTS"])

    async def test_refused(self) -> None:
        """And the conversation goes on behind it."""
        self.server = await self.serve("[limits]\nsize = 1000000\n")
        peer = await self.log_in(self.server)
        for command, octets, end in (
            ("APPEND Nowhere {}", LARGE[:900_000], rb"^NO \[TRYCREATE\]"),
            ("APPEND Nowhere {}", MESSAGE, rb"^NO \[TRYCREATE\]"),
            ("APPEND INBOX {}", LARGE, rb"^NO \[TOOBIG\]"), ("APPEND INBOX {}", b"", rb"^NO "),
            ("APPEND INBOX {}", b"NUL\0", rb"^BAD a NUL is for a literal8"),
            ("APPEND INBOX (\\Recent) {}", MESSAGE, rb"^BAD"),
            ('APPEND INBOX "yesterday" {}', MESSAGE, rb"^BAD"), ('APPEND "a//b" {}', MESSAGE, rb"^NO \[CANNOT\]"),
            ("APPEND INBOX {} nonsense", MESSAGE, rb"^BAD"),
        ):
            self.assertRegex(await self.bring(peer, command, octets), end, command)
            await peer.ok("NOOP")
        for size in (b"4294967296", b"9" * 25, b"-1", b"1+1"):
            self.assertRegex((await peer.ask(b"APPEND INBOX {%b}" % size)).end, rb"^(NO|BAD)")
        heard = await peer.ask(b"APPEND INBOX {%d+}\r\n%b" % (len(LARGE), LARGE))
        self.assertRegex(heard.end, rb"^NO \[TOOBIG\]")
        heard = await peer.ask(b"APPEND Nowhere {900000+}\r\n%b" % LARGE[:900_000])
        self.assertRegex(heard.end, rb"^NO \[TRYCREATE\]")
        self.assertEqual(await self.count(peer), 0)
        await self.until(self.empty)

    async def empty(self) -> bool:
        return not self.files()

    async def test_it_is_asked_before(self) -> None:
        """A large message is refused before it is sent."""
        self.server = await self.serve(QUOTA.replace("messages = 5", "octets = 1000000"))
        peer = await self.log_in(self.server)
        heard = await peer.ask("APPEND Nowhere {900000}")
        self.assertEqual(heard.lines, [])
        self.assertRegex(heard.end, rb"^NO \[TRYCREATE\]")
        self.assertRegex((await peer.ask("APPEND INBOX {2000000}")).end, rb"^NO \[OVERQUOTA\]")
        tag = peer.say("APPEND INBOX {900000}")
        self.assertEqual(await peer.response(), b"+ go on")
        peer.line.say(LARGE[:900_000] + b" {200000}\r\n")
        self.assertRegex((await peer.until(tag)).end, rb"^NO \[OVERQUOTA\]")
        self.assertEqual(await self.count(peer), 0)
        await self.until(self.empty)

    async def test_many(self) -> None:
        """MULTIAPPEND: all or none (RFC 3502)."""
        self.server = await self.serve(f"[keeping]\nundelete = 0\n\n{QUOTA}")
        peer = await self.log_in(self.server)
        end = await self.bring(peer, "APPEND INBOX {} (\\Seen) {} {}", MESSAGE, LARGE, MESSAGE)
        self.assertRegex(end, rb"^OK \[APPENDUID \d+ 1:3\] appended$")
        for command, *messages in (
            ("APPEND INBOX {} {} {}", MESSAGE, LARGE, MESSAGE),         # one too many for the quota
            ("APPEND INBOX {} {}", LARGE, b""), ("APPEND INBOX {} {}", LARGE, b"\0"),
            ("APPEND INBOX {} (\\Nonsense) {}", LARGE, MESSAGE), ("APPEND INBOX {} {} x", LARGE, MESSAGE),
        ):
            self.assertRegex(await self.bring(peer, command, *messages), rb"^(NO|BAD) ", command)
            self.assertEqual(await self.count(peer), 3)
        self.patch(appending, "MOST_MESSAGES", 3)
        self.assertRegex(await self.bring(peer, "APPEND INBOX {} {} {} {}", *[b"x"] * 4), rb"^NO \[LIMIT\]")
        self.assertEqual(await self.count(peer), 3)
        await peer.ok("SELECT INBOX")
        await peer.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
        await peer.ok("EXPUNGE")
        await self.until(self.empty)

    async def test_hang_up(self) -> None:
        """In the middle of a large one: nothing stays."""
        self.server = await self.serve()
        peer = await self.log_in(self.server)
        peer.line.say(b"a APPEND INBOX {1000000+}\r\n" + LARGE[:900_000])

        async def begun() -> bool:
            return bool(self.files())

        await self.until(begun)
        peer.line.transport.abortConnection()
        await self.until(self.empty)
        self.assertEqual(await self.count(await self.log_in(self.server)), 0)

    async def test_replace(self) -> None:
        """RFC 8508: the new one comes, then the old one goes; or neither."""
        self.server = await self.serve()
        await self.numbered(self.server, range(1, 4))
        peer = await self.log_in(self.server, "alice", "SELECT INBOX")
        tag = peer.say(b"REPLACE 2 INBOX (\\Seen) {%d+}\r\n%b" % (len(MESSAGE), MESSAGE))
        heard = await peer.until(tag)
        self.assertRegex(heard.lines[0], rb"^\* OK \[APPENDUID \d+ 4\]")
        self.assertEqual(heard.lines[1:3], [b"* 2 EXPUNGE", b"* 3 EXISTS"])
        self.assertEqual(heard.end, b"OK replaced")
        self.assertRegex(await self.bring(peer, "UID REPLACE 1 Drafts {}", MESSAGE), rb"^OK")
        self.assertEqual(await self.count(peer), 2)
        self.assertEqual(await self.count(peer, "Drafts"), 1)
        self.assertRegex(await self.bring(peer, "REPLACE * INBOX {}", MESSAGE), rb"^OK")
        for command, end in (
            ("REPLACE 7 INBOX {}", rb"^BAD"), ("UID REPLACE 7 INBOX {}", rb"^NO \[NONEXISTENT\]"),
            ("REPLACE 0 INBOX {}", rb"^BAD"), ("REPLACE 1 Nowhere {}", rb"^NO \[(NONEXISTENT|TRYCREATE)\]"),
            ("REPLACE 1 INBOX {} {}", rb"^BAD"),
        ):
            self.assertRegex(await self.bring(peer, command, *[MESSAGE] * command.count("{}")), end, command)
        self.assertEqual(await self.count(peer), 2)

    async def test_database_is_away(self) -> None:
        """A surprise in the middle is a NO, and the next try succeeds."""
        self.server = await self.serve()
        peer = await self.log_in(self.server, "alice", "SELECT INBOX")

        async def broken(*_: object) -> None:
            raise ValueError("as asked")

        patched = self.patch(SqlMailbox, "store", broken)
        await self.numbered(self.server, [1])
        await peer.ok("NOOP")
        heard = await peer.ask("STORE 1 +FLAGS (\\Seen)")
        self.assertRegex(heard.end, rb"^NO \[SERVERBUG\] not now, try again later \(")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        patched.restore()
        await peer.ok("STORE 1 +FLAGS (\\Seen)")
