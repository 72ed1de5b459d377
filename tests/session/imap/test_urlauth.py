"""URLs that carry their authorization (RFC 4467), and what is read by them (RFC 5524)."""

from __future__ import annotations

import base64

from mailserver.service import MailServer
from mailserver.store import directory
from tests.session.imap.house import Heard, ImapCase, Peer

ME = "imap://alice%40example.org@mx.example.org"
PICTURE = bytes(range(64))
MESSAGE = (
    b"From: alice@example.org\r\nSubject: draft\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    b"--x\r\nContent-Type: text/plain\r\n\r\nhello there\r\n"
    b"--x\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(PICTURE)
    + b"\r\n--x\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: x-blurdybloop\r\n\r\nwhat\r\n--x--\r\n"
)


class UrlAuthCase(ImapCase):
    server: MailServer

    async def talk(self, extra: str = "") -> Peer:
        self.server = await self.serve(extra)
        await self.fill(self.server, MESSAGE, name="Drafts")
        return await self.log_in(self.server)

    async def authorized(self, peer: Peer, path: str, access: str = "authuser") -> str:
        """A URL that was authorized."""
        heard = await peer.ok(f'GENURLAUTH "{ME}{path};URLAUTH={access}" INTERNAL')
        [line] = heard.of(b"GENURLAUTH")
        self.assertRegex(line, rb'^\* GENURLAUTH "[^"]+:INTERNAL:01[0-9a-f]{64}"$')
        return line.decode().split('"')[1]

    async def fetched(self, peer: Peer, url: str) -> bytes | None:
        """What URLFETCH says of one URL."""
        [line] = (await peer.ok(f'URLFETCH "{url}"')).of(b"URLFETCH")
        head = f'* URLFETCH "{url}" '.encode()
        self.assertEqual(line[: len(head)], head)
        if line[len(head) :] == b"NIL":
            return None
        return line[len(head) :].split(b"\r\n", 1)[1]


class UrlAuthTests(UrlAuthCase):
    async def test_read(self) -> None:
        """The whole message, a part, octets of a part; whether a mailbox is chosen or not."""
        peer = await self.talk()
        self.assertTrue({b"URLAUTH", b"URLAUTH=BINARY", b"URL-PARTIAL", b"CATENATE"} <= {
            *(await peer.ok("CAPABILITY")).lines[0].split()
        })
        for path, octets in (
            ("/Drafts/;UID=1", MESSAGE), ("/Drafts/;uid=1/;section=1", b"hello there"),
            ("/Drafts/;UID=1/;SECTION=1/;PARTIAL=6", b"there"), ("/Drafts/;UID=1/;SECTION=1/;PARTIAL=0.5", b"hello"),
            ("/Drafts/;UID=1/;SECTION=1/;PARTIAL=50.5", b""),
            ("/Drafts/;UID=1/;SECTION=HEADER.FIELDS%20(Subject)", b"Subject: draft\r\n\r\n"),
            ("/Drafts/;UID=1/;SECTION=1;EXPIRE=2999-12-31T23:59:59Z", b"hello there"),
        ):
            self.assertEqual(await self.fetched(peer, await self.authorized(peer, path)), octets, path)
        heard = await peer.ok("EXAMINE Drafts")
        self.assertIn(b"* OK [URLMECH INTERNAL] so URLs are authorized", heard.lines)
        url = await self.authorized(peer, "/Drafts/;UID=1/;SECTION=1")
        self.assertEqual(await self.fetched(peer, url), b"hello there")
        # Nothing has been marked as seen.
        self.assertEqual((await peer.ok("STATUS Drafts (UNSEEN)")).lines, [b"* STATUS Drafts (UNSEEN 1)"])

    async def test_who_may(self) -> None:
        """Each access identifier, asked by the owner and by somebody else."""
        alice = await self.talk()
        bob = await self.log_in(self.server, "bob")
        for access, owner, other in (
            ("authuser", True, True), ("anonymous", True, True), ("user+bob%40example.org", False, True),
            ("user+alice%40example.org", True, False), ("submit+alice%40example.org", False, False),
            ("submit+bob%40example.org", False, False), ("user+BOB%40Example.ORG", False, True),
        ):
            url = await self.authorized(alice, "/Drafts/;UID=1/;SECTION=1", access)
            self.assertEqual((await self.fetched(alice, url)) == b"hello there", owner, access)
            self.assertEqual((await self.fetched(bob, url)) == b"hello there", other, access)

    async def test_several(self) -> None:
        """All are authorized, in their order; all are read, and what leads to nothing is NIL."""
        peer = await self.talk()
        one, two = f"{ME}/Drafts/;UID=1/;SECTION=1;URLAUTH=anonymous", f"{ME}/Drafts/;UID=9;URLAUTH=anonymous"
        [line] = (await peer.ok(f'GENURLAUTH "{one}" INTERNAL {{{len(two)}+}}\r\n{two} internal')).of(b"GENURLAUTH")
        urls = line.decode().split('"')[1::2]
        self.assertEqual([url.partition(":INTERNAL")[0] for url in urls], [one, two])
        heard = await peer.ok("URLFETCH " + " ".join(f'"{url}"' for url in [urls[1], *urls, "nonsense"]))
        ends = [line.rpartition(b" ")[2] for line in heard.of(b"URLFETCH")]
        self.assertEqual(ends, [b"NIL", b"there", b"NIL", b"NIL"])

    async def test_not_authorized(self) -> None:
        """What is not one's own, not here, not a message, over, or not to be understood."""
        peer = await self.talk()
        there = "/Drafts/;UID=1"
        for url in (
            f"{ME}{there}", f"{ME}{there};URLAUTH=nobody", f"{ME}{there};URLAUTH=submit+",
            f"{ME}/Drafts;URLAUTH=authuser", f"{ME}/;URLAUTH=authuser",
            f"{ME}{there};URLAUTH=user+bob", f"{ME}/nowhere/;UID=1;URLAUTH=authuser",
            f"imap://bob%40example.org@mx.example.org{there};URLAUTH=authuser",
            f"imap://mx.example.org{there};URLAUTH=authuser", f"{there};URLAUTH=authuser",
            f"imap://alice%40example.org@other.example.org{there};URLAUTH=authuser",
            f"{ME}{there};EXPIRE=2001-01-01T00:00:00Z;URLAUTH=authuser", f"{ME}{there};EXPIRE=soon;URLAUTH=authuser",
            f"{ME}{there};EXPIRE=2999-01-01T00:00:00;URLAUTH=authuser",
            f"{ME}/Drafts;UIDVALIDITY=77/;UID=1;URLAUTH=authuser",
            f"{ME}{there};URLAUTH=authuser:INTERNAL:{'0' * 64}", "x" * 5000,
        ):
            heard = await peer.ask(f'GENURLAUTH "{url}" INTERNAL')
            self.assertTrue(heard.end.startswith(b"BAD "), (url, heard))
            self.assertEqual(heard.of(b"GENURLAUTH"), [])
        for command in (
            "GENURLAUTH", f'GENURLAUTH "{ME}{there};URLAUTH=authuser"',
            f'GENURLAUTH "{ME}{there};URLAUTH=authuser" XSAMPLE',
            "URLFETCH", "URLFETCH ()", "URLFETCH (x BINARY BODY)", "URLFETCH (x BINARY BINARY)", "URLFETCH (x PICTURE)",
            "RESETKEY Drafts XSAMPLE",
        ):
            self.assertTrue((await peer.ask(command)).end.startswith(b"BAD "), command)
        heard = await peer.ask("URLFETCH" + " x" * 101)
        self.assertTrue(heard.end.startswith(b"NO [LIMIT] "))

    async def test_forged(self) -> None:
        """One octet of the token or of what it is for, another mechanism, nobody's key: all the same NIL."""
        peer = await self.talk()
        bob = await self.log_in(self.server, "bob")
        url = await self.authorized(peer, "/Drafts/;UID=1")
        last = "1" if url.endswith("0") else "0"
        for wrong in (
            url[:-1] + last, url[:-1], url + "0", url[:-2], url.replace(":INTERNAL:01", ":INTERNAL:02"),
            url.replace("UID=1", "UID=01"), url.replace("UID=1", "UID=2"), url.replace("Drafts", "INBOX"),
            url.replace("Drafts", "drafts"), url.replace("Drafts", "%44rafts"), url.replace("Drafts", "nowhere"),
            url.replace(":INTERNAL:", ":XSAMPLE:"), url.replace("authuser", "anonymous"),
            url.replace("alice%40", "bob%40"), url.replace("alice%40", "carol%40"), url.replace("mx.", "mx2."),
            url.replace("/;UID=1", "/;UID=1/;SECTION=1"), url.partition(":INTERNAL")[0], url.partition("URLAUTH")[0],
            url.replace("mx.example.org", "127.0.0.1:25"), f"/Drafts/;UID=1;URLAUTH=authuser{url[-76:]}",
            "imap://mx.example.org/", "file:///etc/passwd", "http://127.0.0.1/", "",
        ):
            for who in (peer, bob):
                self.assertIsNone(await self.fetched(who, wrong), wrong)
        self.assertEqual(await self.fetched(bob, url), MESSAGE)

    async def test_taken_back(self) -> None:
        """By RESETKEY of the mailbox, of all, by its end, by another name, and by that of the account."""
        peer = await self.talk()
        bob = await self.log_in(self.server, "bob")
        await peer.ok("APPEND Sent {3+}\r\nabc")
        drafts, sent = await self.authorized(peer, "/Drafts/;UID=1"), await self.authorized(peer, "/Sent/;UID=1")
        self.assertEqual(await self.authorized(peer, "/Drafts/;UID=1"), drafts)
        self.assertEqual((await peer.ok("RESETKEY Drafts INTERNAL")).end, b"OK [URLMECH INTERNAL] it has a new key")
        self.assertIsNone(await self.fetched(bob, drafts))
        self.assertEqual(await self.fetched(bob, sent), b"abc")
        drafts = await self.authorized(peer, "/Drafts/;UID=1")
        await peer.ok("RESETKEY")
        self.assertEqual([await self.fetched(bob, each) for each in (drafts, sent)], [None, None])
        self.assertTrue((await peer.ask("RESETKEY nowhere")).end.startswith(b"NO [NONEXISTENT] "))
        sent = await self.authorized(peer, "/Sent/;UID=1")
        await peer.ok("RENAME Sent Old")
        await peer.ok("RENAME Drafts Sent")
        self.assertIsNone(await self.fetched(bob, sent))
        await peer.ok("RENAME Sent Drafts")
        await peer.ok("RENAME Old Sent")
        self.assertEqual(await self.fetched(bob, sent), b"abc")
        await peer.ok("DELETE Sent")
        await peer.ok("CREATE Sent")
        await peer.ok("APPEND Sent {3+}\r\nxyz")
        self.assertIsNone(await self.fetched(bob, sent))
        drafts = await self.authorized(peer, "/Drafts/;UID=1")
        self.assertEqual(await self.fetched(bob, drafts), MESSAGE)
        account = await self.account(self.server)
        with self.server.database.transaction() as connection:
            directory.set_enabled(connection, account.id, False)

        async def is_over() -> bool:
            return await self.fetched(bob, drafts) is None

        await self.until(is_over)

    async def test_expires(self) -> None:
        peer = await self.talk()
        url = await self.authorized(peer, "/Drafts/;UID=1/;SECTION=1;EXPIRE=2999-01-01T00:00:00Z")
        self.assertEqual(await self.fetched(peer, url), b"hello there")
        self.server.world.now = lambda: 32_472_144_001.0
        self.assertIsNone(await self.fetched(peer, url))

    async def test_other_names(self) -> None:
        """A server is called as [imap] hosts says."""
        peer = await self.talk('[imap]\nhosts = ["imap.example.org"]\n')
        url = "imap://alice%40example.org@IMAP.example.org:143/Drafts/;UID=1/;SECTION=1;URLAUTH=anonymous"
        heard = await peer.ok(f'GENURLAUTH "{url}" INTERNAL')
        url = heard.lines[0].decode().split('"')[1]
        self.assertEqual(await self.fetched(peer, url), b"hello there")


class BinaryTests(UrlAuthCase):
    """RFC 5524: without the transfer encoding, and with the structure."""

    async def ask(self, peer: Peer, url: str, words: str) -> bytes:
        heard: Heard = await peer.ok(f'URLFETCH ("{url}" {words})')
        [line] = heard.of(b"URLFETCH")
        return line.removeprefix(f'* URLFETCH "{url}" '.encode())

    async def test_decoded(self) -> None:
        peer = await self.talk()
        text, picture, odd, whole, head = [
            await self.authorized(peer, f"/Drafts/;UID=1{section}")
            for section in ("/;SECTION=1", "/;SECTION=2", "/;SECTION=3", "", "/;SECTION=HEADER")
        ]
        coded = base64.b64encode(PICTURE)
        self.assertEqual(await self.ask(peer, text, "BINARY"), b"(BINARY {11}\r\nhello there)")
        self.assertEqual(await self.ask(peer, text, "BODY"), b"(BODY {11}\r\nhello there)")
        self.assertEqual(await self.ask(peer, picture, "BODY"), b"(BODY {%d}\r\n%b)" % (len(coded), coded))
        self.assertEqual(await self.ask(peer, picture, "BINARY"), b"(BINARY ~{64}\r\n%b)" % PICTURE)
        self.assertEqual(
            await self.ask(peer, picture, "BODYPARTSTRUCTURE BINARY"),
            b'(BODYPARTSTRUCTURE ("image" "png" NIL NIL NIL "binary" 64 NIL NIL NIL NIL))'
            b" (BINARY ~{64}\r\n%b)" % PICTURE,
        )
        self.assertEqual(
            await self.ask(peer, picture, "BODYPARTSTRUCTURE"),
            b'(BODYPARTSTRUCTURE ("image" "png" NIL NIL NIL "base64" %d NIL NIL NIL NIL))' % len(coded),
        )
        self.assertEqual(
            await self.ask(peer, odd, "BODYPARTSTRUCTURE BINARY"),
            b'(BODYPARTSTRUCTURE ("text" "plain" NIL NIL NIL "x-blurdybloop" 4 0 NIL NIL NIL NIL)) (BINARY NIL)',
        )
        self.assertIn(b'"image" "png"', await self.ask(peer, whole, "BODYPARTSTRUCTURE"))
        self.assertEqual(await self.ask(peer, whole, "BINARY"), b"(BINARY {%d}\r\n%b)" % (len(MESSAGE), MESSAGE))
        self.assertEqual(await self.ask(peer, head, "BODYPARTSTRUCTURE"), b"NIL")
        self.assertEqual(await self.ask(peer, "nonsense", "BODYPARTSTRUCTURE BODY"), b"NIL")
        part = await self.authorized(peer, "/Drafts/;UID=1/;SECTION=2/;PARTIAL=3.4")
        self.assertEqual(await self.ask(peer, part, "BINARY"), b"(BINARY ~{4}\r\n\3\4\5\6)")
