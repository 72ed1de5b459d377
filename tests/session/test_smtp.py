"""SMTP, submission and LMTP as a peer hears them, with a whole server behind."""

from __future__ import annotations

import hashlib
import re

from twisted.internet.task import deferLater

from mailserver.address import Address
from mailserver.store import directory
from mailserver.store.database import Database
from tests.serving import ServerCase, reactor

FILTERS = """
    [[filter]]
    use = "picky"
    budget = 0.2
    [plugins]
    folders = ["plugins"]
"""

PICKY = '''
from mailserver.envelope import Origin
from mailserver.interfaces import IFilter, NoOptions
from mailserver.plugin import FilterOffer
from mailserver.reply import Reply
from mailserver.verdict import add_header, defer, discard, quarantine, reject, remove_header
from twisted.internet.defer import Deferred
from zope.interface import implementer


@implementer(IFilter)
class Picky:
    Options = NoOptions
    origins = frozenset(Origin)

    def __init__(self, options, server):
        self.server = server

    def hello(self, client, name):
        return reject("no such names") if name == "localhost" else None

    def sender(self, client, envelope):
        local = envelope.sender.local if envelope.sender else ""
        return {"spammer": reject("not you"), "slow": defer("later"), "gone": discard("unwanted")}.get(local)

    async def recipient(self, client, envelope, address):
        if address.local == "bob+drop":
            return discard("as asked")
        if address.local == "bob+junk":
            return quarantine("as asked")

    def content(self, client, envelope, content):
        if b"raise" in content.beginning:
            raise RuntimeError("as asked")
        if b"hang" in content.beginning:
            return Deferred()
        if b"nonsense" in content.beginning:
            return "yes"
        if b"refuse" in content.beginning:
            return reject(Reply(554, "7.1", "I do not like it"))
        if b"edit" in content.beginning:
            return [add_header("X-Seen", "a\\r\\nX-Injected: b"), remove_header("X-Old", 0), remove_header("X-Gone")]


offer = FilterOffer("picky", Picky, "Does as it is asked.")
'''


class DialogueTests(ServerCase):
    async def test_message(self) -> None:
        """It lies in the mailbox, as it came, below our own lines."""
        server = await self.serve()
        line = await self.connect(server)
        await self.play_file(line, "message.txt")
        [message] = await self.mailbox(server)
        self.assertTrue(message.endswith(b"Subject: hi\r\n\r\n.a dot\r\n"))
        self.assertTrue(
            re.match(
                rb"Return-Path: <carol@example.net>\r\nDelivered-To: bob@example.org\r\n"
                rb"Received: from client.example.net \(localhost \[127.0.0.1\]\)\r\n"
                rb"\tby mx.example.org with ESMTP id \w{13}\r\n"
                rb"\tfor <bob@example.org>; \w\w\w, \d+ \w\w\w \d{4} \d\d:\d\d:\d\d \+0000\r\nSubject: hi",
                message,
            ),
            message,
        )

    async def test_relay(self) -> None:
        """Strangers relay nothing, and everybody reaches the postmaster."""
        server = await self.serve()
        await self.play_file(await self.connect(server), "relay.txt")

    async def test_pipelining(self) -> None:
        """Commands in one segment."""
        server = await self.serve()
        await self.play_file(await self.connect(server), "pipelining.txt")
        self.assertEqual(len(await self.mailbox(server)), 1)

    async def test_starttls_injection(self) -> None:
        """Octets behind STARTTLS."""
        server = await self.serve()
        await self.play_file(await self.connect(server), "starttls_injection.txt")

    async def test_bare_line_ends(self) -> None:
        """Smuggling."""
        server = await self.serve()
        await self.play_file(await self.connect(server), "bare_line_ends.txt")
        self.assertEqual(await self.mailbox(server) + await self.mailbox(server, "alice"), [])

    async def test_lmtp(self) -> None:
        """One mailbox gets one copy, and every recipient an answer."""
        server = await self.serve()
        await self.play_file(await self.connect(server, "lmtp"), "lmtp.txt")
        self.assertEqual(len(await self.mailbox(server)), 1)
        self.assertEqual(len(await self.mailbox(server, "alice")), 1)

    async def test_submission(self) -> None:
        """A submission gets its Date and Message-ID, and does not tell where its author sits."""
        server = await self.serve()
        await self.play_file(await self.connect(server, "submission"), "submission.txt")
        [message] = await self.mailbox(server)
        self.assertIn(b"\r\nDate: ", message)
        self.assertIn(b"\r\nMessage-ID: <", message)
        self.assertIn(b"with ESMTPSA", message)
        self.assertIn(b"tls TLS_", message)
        self.assertNotIn(b"127.0.0.1", message)


class SessionTests(ServerCase):
    async def test_large(self) -> None:
        """Ten megabytes, in a file and not in memory; the octets are the ones that were sent."""
        server = await self.serve()
        line = await self.connect(server)
        await line.reply()
        for command in ("EHLO x", "MAIL FROM:<>", "RCPT TO:<bob@example.org>", "DATA"):
            await line.ask(command)
        body = b"".join(hashlib.sha256(b"%d" % n).hexdigest().encode() + b"\r\n" for n in range(160_000))
        line.say(b"Subject: large\r\n\r\n" + body + b".\r\n")
        self.assertRegex(await line.reply(), "^250 ")
        [message] = await self.mailbox(server)
        self.assertTrue(message.endswith(b"Subject: large\r\n\r\n" + body))
        files = list(server.database.contents.iterdir())
        self.assertEqual([file.stat().st_size for file in files], [len(body) + 18])

    async def test_too_large(self) -> None:
        """Refused by what it says of itself, and by what it is."""
        server = await self.serve("[limits]\nsize = 1000\n")
        line = await self.connect(server)
        await line.reply()
        await line.ask("EHLO x")
        self.assertRegex(await line.ask("MAIL FROM:<> SIZE=1001"), "^552 5.3.4 ")
        for command in ("MAIL FROM:<>", "RCPT TO:<bob@example.org>", "DATA"):
            await line.ask(command)
        line.say(b"x" * 2000 + b"\r\n.\r\n")
        self.assertRegex(await line.reply(), "^552 5.3.4 ")
        self.assertRegex(await line.ask("NOOP"), "^250")
        self.assertEqual(await self.mailbox(server), [])

    async def test_recipients(self) -> None:
        """So many and no more; those that were taken get it."""
        server = await self.serve("[limits]\nrecipients = 2\n")
        line = await self.connect(server)
        await line.reply()
        await line.ask("EHLO x")
        await line.ask("MAIL FROM:<>")
        for local, code in (("bob", "250"), ("alice", "250"), ("sales", "452")):
            self.assertEqual((await line.ask(f"RCPT TO:<{local}@example.org>"))[:3], code)

    async def test_errors(self) -> None:
        """Errors without end have an end."""
        server = await self.serve("[limits]\nerrors = 3\n")
        line = await self.connect(server)
        await line.reply()
        for _ in range(3):
            self.assertEqual((await line.ask("XYZZY"))[:3], "500")
        self.assertEqual((await line.ask("XYZZY"))[:3], "500")
        self.assertEqual((await line.line())[:3], "421")
        self.assertEqual(await line.line(), "(closed)")

    async def test_no_room(self) -> None:
        """A disk below its reserve is "not now", before anything breaks."""
        server = await self.serve('[limits]\nreserve = "100000 GiB"\n')
        line = await self.connect(server)
        await line.reply()
        await line.ask("EHLO x")
        self.assertRegex(await line.ask("MAIL FROM:<>"), "^452 4.3.1 ")

    async def test_trusted_networks(self) -> None:
        """[relay] networks may relay without a login."""
        server = await self.serve('[relay]\nnetworks = ["127.0.0.0/8"]\n')
        line = await self.connect(server)
        await line.reply()
        await line.ask("EHLO x")
        await line.ask("MAIL FROM:<a@example.net>")
        self.assertRegex(await line.ask("RCPT TO:<b@example.com>"), "^250")

    async def test_story(self) -> None:
        """What was accepted, and what was refused, is known under the id of its reply."""
        server = await self.serve()
        line = await self.connect(server)
        await line.reply()
        await line.ask("EHLO client.example.net")
        await line.ask("MAIL FROM:<a@example.net>")
        refused = await line.ask("RCPT TO:<nobody@example.org>")
        await line.ask("RSET")
        [story] = await self.story(server, refused)
        self.assertEqual(story["sender"], "a@example.net")
        self.assertEqual(story["destinations"][-1][0], "nobody@example.org")
        self.assertIn("550 5.1.1", story["reply"])
        for command in ("MAIL FROM:<a@example.net>", "RCPT TO:<sales@example.org>", "DATA"):
            await line.ask(command)
        line.say(b"x\r\n.\r\n")
        [story] = await self.story(server, await line.reply())
        self.assertEqual(story["client"]["hello"], "client.example.net")
        self.assertEqual(
            story["destinations"],
            [["sales@example.org", "aliases", "forward to alice@example.org"],
             ["alice@example.org", "accounts", "mailbox INBOX of alice@example.org (sql)"]],
        )
        self.assertEqual([each[:2] + each[3:] for each in story["verdicts"]], [
            ["content", "loops", "no opinion", ""], ["content", "feedback", "no opinion", ""],
        ])
        wrong = await line.ask("XYZZY")
        line.close()
        [story] = await self.story(server, wrong)
        self.assertIn("500 5.5.2", story["verdicts"][-1][3])

    async def test_new_account(self) -> None:
        """An account that another process made a moment ago gets its mail at once."""
        server = await self.serve()
        line = await self.connect(server)
        await line.reply()
        await line.ask("EHLO x")
        await line.ask("MAIL FROM:<>")
        self.assertRegex(await line.ask("RCPT TO:<carol@example.org>"), "^550")
        database = Database(None, server.config.data)
        database.open()

        with database.transaction() as connection:
            directory.add_account(connection, Address("carol", "example.org"), 0.0)
        database.close()
        self.assertRegex(await line.ask("RCPT TO:<carol@example.org>"), "^250")

    async def test_lost_in_the_middle(self) -> None:
        """A peer that goes in the middle of its content leaves nothing behind."""
        server = await self.serve()
        line = await self.connect(server)
        await line.reply()
        for command in ("EHLO x", "MAIL FROM:<>", "RCPT TO:<bob@example.org>", "DATA"):
            await line.ask(command)
        line.say(b"x" * 70 + b"\r\n" + b"y" * 1_000_000)
        await deferLater(reactor, 0.2, lambda: None)
        line.transport.abortConnection()

        async def empty() -> bool:
            return not list(server.database.contents.iterdir())

        await self.until(empty)
        self.assertEqual(await self.mailbox(server), [])


class FilterTests(ServerCase):
    """Verdicts as a peer hears them, from a plugin that is a file in a folder."""

    async def picky(self) -> tuple:
        path = self.configure(FILTERS)
        (path.parent / "plugins").mkdir()
        (path.parent / "plugins" / "picky.py").write_text(PICKY)
        server = self.start(path)
        line = await self.connect(server)
        await line.reply()
        await line.ask("EHLO client")
        return server, line

    async def send(self, line, text: bytes, sender: str = "a@example.net", to: str = "bob@example.org") -> str:
        for command in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{to}>", "DATA"):
            reply = await line.ask(command)
            if reply[0] in "45":
                return reply
        line.say(text + b"\r\n.\r\n")
        return await line.reply()

    async def test_by_stage(self) -> None:
        """Each stage refuses with its own words and an id."""
        _, line = await self.picky()
        self.assertRegex(await line.ask("EHLO localhost"), r"^550 5.7.1 no such names \(\w{13}\)$")
        self.assertRegex(await self.send(line, b"x", "spammer@x.org"), r"^550 5.7.1 not you \(\w{13}\)$")
        self.assertRegex(await self.send(line, b"x", "slow@x.org"), r"^451 4.7.1 later \(\w{13}\)$")
        self.assertRegex(await self.send(line, b"refuse"), r"^554 5.7.1 I do not like it \(\w{13}\)$")

    async def test_discard(self) -> None:
        """A message, or one recipient of it, is taken and dropped; the trace knows why."""
        server, line = await self.picky()
        reply = await self.send(line, b"x", "gone@example.net")
        self.assertRegex(reply, "^250")
        [story] = await self.story(server, reply)
        self.assertIn("discard: unwanted", [each[3] for each in story["verdicts"]])
        self.assertRegex(await self.send(line, b"x", to="bob+drop@example.org"), "^250")
        self.assertEqual(await self.mailbox(server), [])

    async def test_quarantine(self) -> None:
        """It lies in Junk, which is made for it."""
        server, line = await self.picky()
        self.assertRegex(await self.send(line, b"x", to="bob+junk@example.org"), "^250")
        self.assertEqual(await self.mailbox(server), [])
        self.assertEqual(len(await self.mailbox(server, name="Junk")), 1)

    async def test_headers(self) -> None:
        """Fields are added above and taken away below; no value writes a line of its own."""
        server, line = await self.picky()
        text = b"X-Old: 1\r\n folded\r\nX-Gone: 2\r\nSubject: x\r\nX-Old: 3\r\nx-gone: 4\r\n\r\nedit X-Gone: 5"
        self.assertRegex(await self.send(line, text), "^250")
        [message] = await self.mailbox(server)
        head, _, body = message.partition(b"X-Seen: a X-Injected: b\r\n")
        self.assertTrue(head.startswith(b"Return-Path: "))
        self.assertEqual(body, b"Subject: x\r\nX-Old: 3\r\n\r\nedit X-Gone: 5\r\n")

    async def test_headers_of_a_large_one(self) -> None:
        """The same where the content lies in a file."""
        server, line = await self.picky()
        rest = b"edit\r\n" + b"line\r\n" * 100_000
        self.assertRegex(await self.send(line, b"X-Gone: 2\r\nSubject: x\r\n\r\n" + rest[:-2]), "^250")
        [message] = await self.mailbox(server)
        self.assertEqual(message.partition(b"X-Injected: b\r\n")[2], b"Subject: x\r\n\r\n" + rest)

        async def one() -> bool:
            return len(list(server.database.contents.iterdir())) == 1

        await self.until(one)

    async def test_broken(self) -> None:
        """A filter that raises, hangs or talks nonsense means "not now"; the next message passes."""
        server, line = await self.picky()
        for word in (b"raise", b"hang", b"nonsense"):
            reply = await self.send(line, word)
            self.assertRegex(reply, r"^451 4.3.0 Not now, try again later \(\w{13}\)$")
            [story] = await self.story(server, reply)
            self.assertEqual(story["verdicts"][-1][:2], ["content", "picky"])
        self.assertRegex(await self.send(line, b"fine"), "^250")
        self.assertEqual(len(await self.mailbox(server)), 1)
        self.flushLoggedErrors(RuntimeError)
