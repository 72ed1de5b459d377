"""BURL (RFC 4468): what is submitted lies in a mailbox here already."""

from __future__ import annotations

import base64
import imaplib
import re
import smtplib
import ssl

from twisted.internet.threads import deferToThread

from mailserver.service import MailServer
from mailserver.testing import Line
from tests.session.imap.house import ImapCase, Peer
from tests.session.test_extensions import Talking

ME = "imap://alice%40example.org@mx.example.org"
DRAFT = b"From: alice@example.org\r\nTo: bob@example.org\r\nSubject: draft\r\n\r\nit lies here\r\n.\r\n..two\r\n"
MAIL = ("MAIL FROM:<alice@example.org>", "RCPT TO:<bob@example.org>")


class BurlCase(ImapCase, Talking):
    server: MailServer

    async def served(self, *drafts: bytes, extra: str = "") -> tuple[Peer, Line]:
        """alice in IMAP, and in a submission that has said MAIL and RCPT."""
        self.server = await self.serve(extra, "smtp submission imap")
        await self.fill(self.server, *drafts or (DRAFT,), name="Drafts")
        return await self.log_in(self.server), await self.logged_in(self.server)

    async def url(self, peer: Peer, path: str = "/Drafts/;UID=1", access: str = "submit+alice%40example.org") -> str:
        heard = await peer.ok(f'GENURLAUTH "{ME}{path};URLAUTH={access}" INTERNAL')
        return heard.lines[0].decode().split('"')[1]

    async def begin(self, line: Line, *more: str) -> None:
        for command in (f"{MAIL[0]} {' '.join(more)}".strip(), MAIL[1]):
            self.assertRegex(await line.ask(command), "^250", command)

    async def arrived(self, count: int = 1) -> list[bytes]:
        """What bob has, without what this server has written above it."""
        account = await self.account(self.server, "bob")

        async def have() -> list[bytes] | None:
            box = await self.store(self.server).open(account, "INBOX")
            messages = await box.messages()
            if len(messages) < count:
                return None
            return [b"".join([octets async for octets in box.read(each.uid)]) for each in messages]

        found: list[bytes] = await self.until(have)
        return [octets[octets.index(b"From: alice") :] for octets in found]


class BurlTests(BurlCase):
    async def test_offered(self) -> None:
        """To who has logged in to a submission; nowhere else, and it is not known there."""
        _, line = await self.served()
        self.assertRegex(self.offered, r"(?m)^250.BURL imap imap://mx\.example\.org$")
        line = await self.greeted(self.server)
        self.assertNotIn("BURL", self.offered)
        self.assertRegex(await line.ask("BURL imap://x/y/;UID=1 LAST"), r"^503 5\.5\.1")
        await line.ask("MAIL FROM:<>")
        await line.ask("RCPT TO:<bob@example.org>")
        self.assertRegex(await line.ask("BURL imap://x/y/;UID=1 LAST"), r"^500 5\.5\.2")
        line = await self.greeted(self.server, "submission")
        self.assertNotIn("BURL", self.offered)

    async def test_dialogue(self) -> None:
        server = await self.serve("", "submission imap")
        await self.play_file(await self.connect(server, "submission"), "submission_burl.txt")

    async def test_sent(self) -> None:
        """Whole, and put together with BDAT in any order; the octets are those that lie there, dots and all."""
        peer, line = await self.served()
        await self.begin(line)
        self.assertRegex(await line.ask(f"BURL {await self.url(peer)} LAST"), r"^250 2\.")
        head, body = [
            await self.url(peer, f"/Drafts/;UID=1/;SECTION={section}") for section in ("HEADER", "TEXT")
        ]
        await self.begin(line)
        self.assertRegex(await line.ask(f"burl {head}"), r"^250 2\.")
        line.say(b"BDAT 7\r\nfirst\r\n")
        self.assertRegex(await line.reply(), r"^250 2\.")
        self.assertRegex(await line.ask(f"BURL {body}"), r"^250 2\.")
        line.say(b"BDAT 0 LAST\r\n")
        self.assertRegex(await line.reply(), r"^250 2\.")
        await self.begin(line)
        line.say(b"BDAT %d\r\n%b" % (len(b"From: alice@example.org\r\n\r\n"), b"From: alice@example.org\r\n\r\n"))
        self.assertRegex(await line.reply(), r"^250 2\.")
        self.assertRegex(await line.ask(f"BURL {body} last"), r"^250 2\.")
        text = DRAFT.partition(b"\r\n\r\n")[2]
        self.assertEqual(await self.arrived(3), [
            DRAFT, DRAFT[: -len(text)] + b"first\r\n" + text, b"From: alice@example.org\r\n\r\n" + text,
        ])

    async def test_refused(self) -> None:
        """A URL that is not for sending, not for this one, not for here, or leads to nothing; nothing is sent."""
        peer, line = await self.served()
        good = await self.url(peer)
        nothing = [
            await self.url(peer, "/Drafts/;UID=9"), await self.url(peer, access="user+alice%40example.org"),
            await self.url(peer, access="authuser"), await self.url(peer, access="anonymous"),
            await self.url(peer, access="submit+bob%40example.org"), good[:-1] + ("1" if good[-1] == "0" else "0"),
            good.partition(":INTERNAL")[0], f"{ME}/Drafts/;UID=1", good.replace("alice%40", "bob%40"),
            good.replace("Drafts", "..%2F..%2Fetc"), good.replace("Drafts", "%00"), "file:///etc/passwd",
            "http://127.0.0.1:8080/", "imap://127.0.0.1/", good.replace("UID=1", "UID=0"),
        ]
        elsewhere = [
            good.replace("mx.example.org", "imap.example.net"), good.replace("mx.example.org", "127.0.0.1:143"),
            good.replace("mx.example.org", "[::1]"), good.replace("mx.example.org", "169.254.169.254"),
        ]
        for last in (" LAST", ""):
            for url in [*nothing, *elsewhere]:
                await self.begin(line)
                answer = await line.ask(f"BURL {url}{last}")
                self.assertRegex(answer, r"^554 5\.7\.14 " if url in elsewhere else r"^554 5\.6\.6 ", url)
                if url is nothing[0]:
                    # What follows it was said in the hope that it would go well.
                    line.say(b"BDAT 6 LAST\r\nhello\n")
                    self.assertRegex(await line.reply(), r"^503 5\.5\.1")
                if url is nothing[4]:
                    line = await self.logged_in(self.server)            # before there are too many errors
                if url is elsewhere[0]:
                    line = await self.logged_in(self.server)
        for command in ("BURL", "BURL LAST", "BURL x LAST", f"BURL {good} FIRST", f"BURL {good} LAST LAST"):
            await line.ask("RSET")
            await self.begin(line)
            self.assertRegex(await line.ask(command), r"^501 5\.5\.4", command)
        line = await self.logged_in(self.server)
        self.assertRegex(await line.ask(f"BURL {good} LAST"), r"^503 5\.5\.1")
        await line.ask(MAIL[0])
        self.assertRegex(await line.ask(f"BURL {good} LAST"), r"^503 5\.5\.1")
        await line.ask(MAIL[1])
        self.assertRegex(await line.ask(f"BURL imap://{'a' * 20000} LAST"), r"^500 5\.5\.2 Line too long")
        self.assertRegex(await line.ask(f"BURL {good} LAST"), r"^250 2\.")
        self.assertEqual(await self.arrived(1), [DRAFT])

    async def test_what_it_is_made_of(self) -> None:
        """Too much, bare line ends, binary where it was not said, and 8-bit, which is known of it then."""
        big = b"From: alice@example.org\r\n\r\n" + b"x" * 150_000 + b"\r\n"
        bare, binary = b"From: alice@example.org\r\n\r\na\nb\r\n", b"From: alice@example.org\r\n\r\na\0b\r\n"
        wide = "From: alice@example.org\r\n\r\n日本語\r\n".encode()
        peer, line = await self.served(big, bare, binary, wide, extra="[limits]\nsize = 200_000\n")
        urls = [await self.url(peer, f"/Drafts/;UID={uid}") for uid in (1, 2, 3, 4)]
        await self.begin(line)
        self.assertRegex(await line.ask(f"BURL {urls[0]}"), r"^250 2\.")
        self.assertRegex(await line.ask(f"BURL {urls[0]} LAST"), r"^552 5\.3\.4")
        for url in urls[1:3]:
            await self.begin(line)
            self.assertRegex(await line.ask(f"BURL {url} LAST"), r"^550 5\.6\.11")
        await self.begin(line, "BODY=BINARYMIME")
        self.assertRegex(await line.ask(f"BURL {urls[2]} LAST"), r"^250 2\.")
        await self.begin(line)
        self.assertRegex(await line.ask(f"BURL {urls[0]} LAST"), r"^250 2\.")
        await self.begin(line)
        self.assertRegex(await line.ask(f"BURL {urls[3]} LAST"), r"^250 2\.")
        found = await self.arrived(3)
        self.assertEqual(sorted(map(len, found)), sorted(map(len, (binary, big, wide))))
        self.assertIn(wide, found)
        self.assertIn(big, found)

    async def test_somebody_elses(self) -> None:
        """bob says that alice may send what he has; without his word she may not."""
        _, line = await self.served()
        await self.fill(self.server, DRAFT, local="bob", name="Drafts")
        bob = await self.log_in(self.server, "bob")
        rump = "imap://bob%40example.org@mx.example.org/Drafts/;UID=1;URLAUTH=submit+alice%40example.org"
        heard = await bob.ok(f'GENURLAUTH "{rump}" INTERNAL')
        url = heard.lines[0].decode().split('"')[1]
        await self.begin(line)
        self.assertRegex(await line.ask(f"BURL {url} LAST"), r"^250 2\.")
        await bob.ok("RESETKEY Drafts")
        await self.begin(line)
        self.assertRegex(await line.ask(f"BURL {url} LAST"), r"^554 5\.6\.6 ")


class ScriptTests(BurlCase):
    """Programs of others: Python's imaplib and smtplib."""

    async def test_forward_without_download(self) -> None:
        """A draft is appended of parts of another message, authorized, and sent, and its octets never come back."""
        self.server = await self.serve("", "smtp submission imap")
        picture = base64.encodebytes(bytes(range(256)) * 2000).replace(b"\n", b"\r\n")
        await self.fill(self.server, (
            b"From: carol@example.net\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nlook\r\n"
            b"--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n" + picture + b"\r\n--b--\r\n"
        ))
        found = self.where(self.server), self.where(self.server, "submission")
        await deferToThread(self.script, *[(each.host, each.port) for each in found])
        [arrived] = await self.arrived()
        self.assertEqual(arrived, HEAD + b"see this\r\n--c\r\nContent-Type: image/png\r\n"
                         b"Content-Transfer-Encoding: base64\r\n\r\n" + picture + b"\r\n--c--\r\n")

    def script(self, imap_at: tuple[str, int], smtp_at: tuple[str, int]) -> None:
        with imaplib.IMAP4(*imap_at) as imap:
            imap.login("alice@example.org", "secret")
            start, end = HEAD + b"see this\r\n--c\r\n", b"\r\n--c--\r\n"
            # imaplib knows no CATENATE: the command is written by hand.
            tag = imap._new_tag()                                           # type: ignore[attr-defined]
            imap.send(
                tag + b" APPEND Drafts (\\Draft) CATENATE (TEXT {%d+}\r\n" % len(start) + start
                + b" URL /INBOX/;UID=1/;SECTION=2.MIME URL /INBOX/;UID=1/;SECTION=2 TEXT {%d+}\r\n" % len(end) + end
                + b")\r\n"
            )
            said = imap.readline()
            assert said.startswith(tag + b" OK [APPENDUID "), said
            uid = re.findall(rb"APPENDUID \d+ (\d+)", said)[0].decode()
            imaplib.Commands["GENURLAUTH"] = ("AUTH", "SELECTED")           # type: ignore[attr-defined]
            rump = f"{ME}/Drafts/;UID={uid};EXPIRE=2999-01-01T00:00:00Z;URLAUTH=submit+alice%40example.org"
            typ, data = imap.xatom("GENURLAUTH", f'"{rump}"', "INTERNAL")
            assert typ == "OK", data
            [url] = imap.response("GENURLAUTH")[1]
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with smtplib.SMTP(*smtp_at) as smtp:
            smtp.starttls(context=context)
            smtp.login("alice@example.org", "secret")
            smtp.ehlo()
            assert smtp.esmtp_features["burl"] == "imap imap://mx.example.org", smtp.esmtp_features
            smtp.mail("alice@example.org")
            smtp.rcpt("bob@example.org")
            code, said = smtp.docmd("BURL", f"{url.decode().strip(chr(34))} LAST")
            assert code == 250, said


HEAD = (
    b"From: alice@example.org\r\nTo: bob@example.org\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n"
)
