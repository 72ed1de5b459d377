"""Messages that are put together of parts (RFC 4469), also several at once, and in another's place."""

from __future__ import annotations

from mailserver.content import LARGE
from tests.session.imap.house import ImapCase, Peer

HEAD = b"From: bob@example.org\r\nSubject: parts\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
ONE = b"--x\r\nContent-Type: text/plain\r\n\r\nfirst part\r\n"
TWO = b"--x\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAwQF\r\n"
WHOLE = HEAD + ONE + TWO + b"--x--\r\n"


class CatenateTests(ImapCase):
    """What a client would have to send twice, it names."""

    async def talk(self) -> Peer:
        server = await self.serve()
        await self.fill(server, WHOLE)
        return await self.log_in(server)

    async def body(self, peer: Peer, name: str, uid: int = 1) -> bytes:
        """A message of a mailbox, whole."""
        await peer.ok(f"EXAMINE {name}")
        [line] = (await peer.ok(f"UID FETCH {uid} BODY.PEEK[]")).of(b"FETCH")
        head, octets = line.split(b"\r\n", 1)
        size = int(head.rpartition(b"{")[2][:-1])
        return octets[:size]

    async def refused(self, peer: Peer, url: str) -> bytes:
        """How an APPEND ends that has a part by this URL."""
        heard = await peer.ask(f'APPEND Drafts CATENATE (TEXT {{3+}}\r\nabc URL "{url}")')
        self.assertFalse(heard.is_ok, url)
        return heard.end

    async def test_one_is_made(self) -> None:
        """Of texts and of sections of a message that is here already, in the order in which they stand."""
        peer = await self.talk()
        heard = await peer.ok(
            b'APPEND Drafts (\\Draft) CATENATE (URL "/INBOX/;UID=1/;SECTION=HEADER" TEXT {5+}\r\n--x\r\n'
            b' URL {29+}\r\n/INBOX/;UID=1/;SECTION=1.MIME URL /INBOX/;uid=1/;section=1 TEXT {9}\r\n'
            b"\r\n--x--\r\n)"
        )
        self.assertTrue(heard.end.startswith(b"OK [APPENDUID "), heard.end)
        body = await self.body(peer, "Drafts")
        self.assertEqual(body, HEAD + b"--x\r\nContent-Type: text/plain\r\n\r\nfirst part\r\n--x--\r\n")
        [line] = (await peer.ok("FETCH 1 FLAGS")).of(b"FETCH")
        self.assertIn(b"\\Draft", line)

    async def test_dialogue(self) -> None:
        """With what else is about URLs and UIDs, as a postmaster reads it."""
        server = await self.serve()
        await self.play_file(await self.connect(server, "imap"), "imap_urls.txt")

    async def test_only_urls(self) -> None:
        """No literal at all; what the octets say is not decoded; the selected mailbox does not matter."""
        peer = await self.talk()
        await peer.ok("APPEND Drafts CATENATE (URL /INBOX/;UID=1/;SECTION=2 URL /INBOX/;UID=1/;SECTION=2/;PARTIAL=2.3)")
        self.assertEqual(await self.body(peer, "Drafts"), b"AAECAwQFECA")

    async def test_absolute(self) -> None:
        """A URL that names this server and its own user is as good."""
        peer = await self.talk()
        await peer.ok(
            'APPEND Drafts CATENATE (URL "imap://alice%40example.org@MX.example.org:993/INBOX/;UID=1/;SECTION=1")'
        )
        self.assertEqual(await self.body(peer, "Drafts"), b"first part")

    async def test_several_at_once(self) -> None:
        """MULTIAPPEND: one as it comes, one of parts, and one as it comes; all or none."""
        peer = await self.talk()
        several = (
            b"APPEND Drafts {3+}\r\none CATENATE (URL /INBOX/;UID=%d/;SECTION=1 TEXT {3+}\r\ntwo)"
            b" (\\Flagged) {5+}\r\nthree"
        )
        heard = await peer.ask(several % 2)
        self.assertTrue(heard.end.startswith(b"NO [BADURL /INBOX/;UID=2/;SECTION=1] "), heard.end)
        self.assertEqual((await peer.ok("STATUS Drafts (MESSAGES)")).lines, [b"* STATUS Drafts (MESSAGES 0)"])
        await peer.ok(several % 1)
        self.assertEqual(await self.body(peer, "Drafts", 1), b"one")
        self.assertEqual(await self.body(peer, "Drafts", 2), b"first parttwo")
        self.assertEqual(await self.body(peer, "Drafts", 3), b"three")

    async def test_in_place_of_another(self) -> None:
        """REPLACE: of what it replaces, too."""
        peer = await self.talk()
        await peer.ok("SELECT INBOX")
        heard = await peer.ok("UID REPLACE 1 INBOX CATENATE (URL /INBOX/;UID=1/;SECTION=1 TEXT {4+}\r\n!!\r\n)")
        self.assertIn(b"* 1 EXPUNGE", heard.lines)
        self.assertEqual(await self.body(peer, "INBOX", 2), b"first part!!\r\n")

    async def test_bad_urls(self) -> None:
        """The first that leads to nothing is named, and nothing is appended."""
        peer = await self.talk()
        for url in (
            "/INBOX/;UID=9", "/INBOX/;UID=1/;SECTION=7", "/INBOX;UIDVALIDITY=77/;UID=1", "/nowhere/;UID=1", ";UID=1",
            "http://example.org/", "file:///etc/passwd", "/INBOX", "/../../etc/passwd/;UID=1",
            "/INBOX/;UID=1/;SECTION=x",
            "imap://elsewhere.example.org/INBOX/;UID=1", "imap://bob%40example.org@mx.example.org/INBOX/;UID=1",
            "imap://mx.example.org:99999/INBOX/;UID=1", "/%00/;UID=1", "/%zz/;UID=1", "/INBOX/;UID=99999999999",
            "/INBOX/;UID=1/;SECTION=2/;PARTIAL=0.0", "/%ff/;UID=1", "", " ", "a" * 5000,
        ):
            end = await self.refused(peer, url)
            self.assertTrue(end.startswith(b"NO [BADURL " + url.encode()[:4096] + b"] "), end)
        end = await self.refused(peer, "/INBOX]/;UID=1")
        self.assertTrue(end.startswith(b"NO [BADURL /INBOX%5D/;UID=1] "), end)
        self.assertEqual((await peer.ok("STATUS Drafts (MESSAGES)")).lines, [b"* STATUS Drafts (MESSAGES 0)"])

    async def test_said_before_a_text_waits(self) -> None:
        """Who waits to send a part hears of the URL before it, and may go on with another command."""
        peer = await self.talk()
        heard = await peer.ask("APPEND Drafts CATENATE (URL /INBOX/;UID=9 TEXT {3}")
        self.assertTrue(heard.end.startswith(b"NO [BADURL "), heard.end)
        await peer.ok("NOOP")

    async def test_no_such_mailbox(self) -> None:
        peer = await self.talk()
        heard = await peer.ask("APPEND nowhere CATENATE (URL /INBOX/;UID=1)")
        self.assertTrue(heard.end.startswith(b"NO [TRYCREATE] "), heard.end)

    async def test_too_large(self) -> None:
        """The limit is that of the whole message, whoever brings its octets."""
        server = await self.serve("[limits]\nsize = 300_000\n")
        await self.fill(server, b"Subject: much\r\n\r\n" + b"x" * 200_000 + b"\r\n")
        peer = await self.log_in(server)
        heard = await peer.ask("APPEND Drafts CATENATE (URL /INBOX/;UID=1 URL /INBOX/;UID=1)")
        self.assertTrue(heard.end.startswith(b"NO [TOOBIG] "), heard.end)
        heard = await peer.ask("APPEND Drafts CATENATE (URL /INBOX/;UID=1 TEXT {150000}")
        self.assertTrue(heard.end.startswith(b"NO [TOOBIG] "), heard.end)
        await peer.ok("APPEND Drafts CATENATE (URL /INBOX/;UID=1 TEXT {3+}\r\nabc)")

    async def test_large(self) -> None:
        """What is large lies in a file from the start, and is whole."""
        server = await self.serve()
        body = b"".join(b"%08d\r\n" % number for number in range(LARGE // 5))
        await self.fill(server, HEAD + body)
        peer = await self.log_in(server)
        await peer.ok("APPEND Drafts CATENATE (URL /INBOX/;UID=1 TEXT {5+}\r\nmore! URL /INBOX/;UID=1/;SECTION=TEXT)")
        self.assertEqual(await self.body(peer, "Drafts"), HEAD + body + b"more!" + body)
