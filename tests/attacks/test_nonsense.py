"""Whole sessions under words of their language in any order: nothing raises, and nobody else notices."""

from __future__ import annotations

import random

from sqlalchemy import Connection, select
from twisted.internet.task import deferLater

from mailserver.service import MailServer
from mailserver.store.schema import content
from tests.attacks.case import AttackCase
from tests.fuzz import pop3, smtp_server
from tests.serving import reactor

SESSIONS = 60           # of each service
LENGTH = 40             # words of each session
EVERYTHING = """
    [limits]
    tarpit = 0
    errors = 10000
    recipients = 5
    size = {size}
    [smtp]
    vrfy = "everybody"
    early_talkers = "allow"
    xclient = ["127.0.0.0/8"]
    xforward = ["127.0.0.0/8"]
    no_soliciting = ["org.example:ADV"]
    [outbound.route]
    "d.org" = "tcp:127.0.0.1:9"
    {more}
"""
SLOW_FILTER = """
    [[filter]]
    use = "slow"
    [plugins]
    folders = ["plugins"]
"""
# What makes sense, and leads to where nonsense is more interesting.
SENSE = (
    b"RCPT TO:<bob@example.org>\r\n", b"RCPT TO:<bob+x@example.org>\r\n", b"RCPT TO:<postmaster>\r\n", b"RSET\r\n",
    b"MAIL FROM:<a@example.net> BODY=BINARYMIME\r\n", b"XCLIENT LOGIN=alice@example.org\r\n",
    b"VRFY bob@example.org\r\n", b"EXPN sales@example.org\r\n", b"ETRN example.net\r\n",
    b"MAIL FROM:<alice@example.org>\r\nRCPT TO:<bob@example.org>\r\n",
    b"MAIL FROM:<a@example.net>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n", b"BDAT 14\r\nSubject: x\r\n\r\n",
    b"BDAT 0 LAST\r\n", b"Subject: x\r\n\r\nx\r\n.\r\n", b"XFORWARD ADDR=192.0.2.1 HELO=x+20y\r\n", b"EHLO y\r\n",
    b"LHLO y\r\n", b"NOOP\r\n", b"USER alice@example.org\r\nPASS secret\r\n", b"LIST\r\n", b"RETR 1\r\n",
    b"TOP 1 1\r\n", b"DELE 1\r\n", b"UIDL\r\n",
)


LARGE = (
    b"x" * 200_000 + b"\r\n.\r\n", b"BDAT 200000\r\n" + b"y" * 200_000,
    b"MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\nBDAT 150002 LAST\r\n" + b"z" * 150_000 + b"\r\n",
)


class NonsenseTests(AttackCase):
    async def session(
        self, server: MailServer, service: str, chance: random.Random, sense: tuple[bytes, ...] = SENSE
    ) -> None:
        """One, whose words come in pieces of any size, and which ends anywhere."""
        words = pop3.WORDS if service == "pop3" else smtp_server.WORDS
        said = [b"LHLO x\r\n" if service == "lmtp" else b"EHLO x\r\n"]
        said += [chance.choice(words if chance.random() < 0.05 else sense) for _ in range(LENGTH)]
        line = await self.connect(server, service)
        await line.line()
        octets = b"".join(said)
        while octets and not line.is_closed:
            size = chance.choice((1, 5, 50, 500, 5000) if sense is SENSE else (500, 5000, 50_000, 500_000))
            line.say(octets[:size])
            octets = octets[size:]
            await deferLater(reactor, 0, lambda: None)
        if chance.random() < 0.5 and not line.is_closed:
            line.transport.loseWriteConnection()
            await self.to_the_end(line)
        elif not line.is_closed:
            line.transport.abortConnection()
            await line.closed

    async def test_sessions(self) -> None:
        server = await self.serve(EVERYTHING.format(size=2000, more=""))
        chance = random.Random(2026)
        for service in ("smtp", "submission", "lmtp", "pop3"):
            for _ in range(SESSIONS):
                await self.session(server, service, chance)
            await self.is_polite(server)
        self.assertEqual(self.flushLoggedErrors(), [])
        # What of it was a message is one; the rest left no file behind.
        self.assertNotEqual(await self.mailbox(server), [])
        await self.no_files(server)

    async def test_sessions_that_wait(self) -> None:
        """The same with large contents and filters that take their time: what is kept is whole, and nothing else is."""
        path = self.configure(EVERYTHING.format(size=1_000_000, more=SLOW_FILTER))
        (path.parent / "plugins").mkdir()
        (path.parent / "plugins" / "slow.py").write_text(SLOW)
        server = self.start(path)
        chance = random.Random(2026)
        for service in ("smtp", "lmtp"):
            for _ in range(SESSIONS):
                await self.session(server, service, chance, SENSE + LARGE)
        await self.is_polite(server)

        async def same() -> bool:
            files = {path.name for path in server.database.contents.iterdir()}
            return bool(files) and files == await server.database.read(files_of_contents)

        await self.until(same)
        for message in await self.mailbox(server):
            self.assertTrue(message.startswith(b"Return-Path: <"))
        self.assertEqual(self.flushLoggedErrors(), [])


def files_of_contents(connection: Connection) -> set[str]:
    """The names of the files that the database speaks of."""
    return set(connection.execute(select(content.c.file).where(content.c.file.is_not(None))).scalars())


SLOW = '''
import random

from mailserver.envelope import Origin
from mailserver.interfaces import IFilter, NoOptions
from mailserver.plugin import FilterOffer
from mailserver.verdict import remove_header
from twisted.internet.task import deferLater
from zope.interface import implementer


async def wait():
    from twisted.internet import reactor

    await deferLater(reactor, random.choice((0, 0, 0.001, 0.004)), lambda: None)


@implementer(IFilter)
class Slow:
    Options = NoOptions
    origins = frozenset(Origin)

    def __init__(self, options, server):
        """The reactor is the installed one."""

    async def connected(self, client):
        await wait()

    async def hello(self, client, name):
        await wait()

    async def sender(self, client, envelope):
        await wait()

    async def recipient(self, client, envelope, address):
        await wait()

    async def content(self, client, envelope, content):
        await wait()
        return remove_header("Subject")


offer = FilterOffer("slow", Slow, "Takes its time.")
'''
