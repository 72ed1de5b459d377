"""Many connections, slow ones, and those that come and go: the others are served, and what each costs is bounded."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater

from mailserver.service import MailServer
from mailserver.testing import Line
from tests.attacks.case import AttackCase
from tests.serving import reactor

MANY = 1000
QUICK = "[limits]\ntarpit = 0\nidle = 1\nconnections_per_address = 5000\n"
# Octets that leave something unfinished in each state.
ENVELOPE = b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\n"
UNFINISHED = (
    b"", b"EHL", b"EHLO x\r\nMAI", b"EHLO x\r\nMAIL FROM:<>\r\nRC", ENVELOPE + b"D", ENVELOPE + b"DATA\r\nhalf",
    ENVELOPE + b"DATA\r\n\r\n.\r", ENVELOPE + b"BDAT 100\r\nhalf", ENVELOPE + b"DATA\r\n" + b"x" * 300_000,
)


def resident() -> int:
    """Octets of memory that this process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class SlowTests(AttackCase):
    async def test_silent_in_each_state(self) -> None:
        """Whoever has begun something and stops is told so, and leaves nothing behind."""
        server = await self.serve(QUICK)
        lines = []
        for said in UNFINISHED:
            line = await self.connect(server)
            await line.reply()
            line.say(said)
            lines.append(line)
        await self.is_polite(server)
        for line in lines:
            self.assertRegex(await self.to_the_end(line), rb"421 4\.4\.2 Waited too long, closing\r\n$")
        await self.assert_nothing_came_of_it(server)
        await self.no_files(server)

    async def test_silent_elsewhere(self) -> None:
        """In the middle of AUTH, inside TLS, at POP3."""
        server = await self.serve(QUICK)
        line = await self.greeted(server)
        await line.ask("STARTTLS")
        await line.start_tls()
        await line.ask("EHLO x")
        self.assertRegex(await line.ask("AUTH LOGIN"), "^334")
        self.assertRegex(await self.to_the_end(line), rb"421 4\.4\.2 ")
        line = await self.connect(server, "lmtp")
        self.assertRegex(await self.to_the_end(line), rb"421 4\.4\.2 ")

    async def test_trickling(self) -> None:
        """An octet now and then keeps a connection open for as long as one may last, and no longer."""
        server = await self.serve("[limits]\ntarpit = 0\nidle = 1\nlongest = 3\n")
        lines = [await self.at_data(server), await self.greeted(server)]
        for _ in range(100):
            for line in lines:
                if not line.is_closed:
                    line.say(b"x")
            if all(line.is_closed for line in lines):
                break
            await deferLater(reactor, 0.1, lambda: None)
        self.assertTrue(all(line.is_closed for line in lines))
        await self.assert_nothing_came_of_it(server)


class ManyTests(AttackCase):
    async def test_a_thousand_idle_ones(self) -> None:
        """They cost little each; somebody else is served; when they go, nothing is left."""
        server = await self.serve("[limits]\ntarpit = 0\nconnections_per_address = 5000\n")
        first = [await self.greeted(server) for _ in range(50)]         # what is made once is made
        before = resident()
        lines = [await self.greeted(server) for _ in range(MANY)]
        # Our own ends are in this process too, so this counts both.
        self.assertLess((resident() - before) / MANY, 64 * 1024)
        await self.is_polite(server)
        for line in [*first, *lines]:
            line.transport.abortConnection()
        await gatherResults([line.closed for line in [*first, *lines]])
        await self.empty(server)

    async def test_half_messages(self) -> None:
        """Each has said a lot without being anybody: no more than a quarter of a megabyte is kept of it."""
        server = await self.serve("[limits]\ntarpit = 0\nconnections_per_address = 5000\n")
        lines = [await self.at_data(server)]
        before = resident()
        for _ in range(200):
            line = await self.at_data(server)
            line.say(b"x" * 300_000)
            lines.append(line)
        await self.is_polite(server)
        await deferLater(reactor, 0.5, lambda: None)
        self.assertLess((resident() - before) / len(lines), 256 * 1024)
        for line in lines:
            line.transport.abortConnection()
        await gatherResults([line.closed for line in lines])
        await self.empty(server)
        await self.no_files(server)
        await self.assert_nothing_came_of_it(server)

    async def test_gone_at_each_moment(self) -> None:
        """Peers that hang up while their large message is written, judged or committed: each is kept or is not."""
        server = await self.serve()
        content = b"Subject: x\r\n\r\n" + b"x" * 70 + b"\r\n" + b"y" * 400_000 + b"\r\n.\r\n"
        for number in range(120):
            line = await self.at_data(server)
            line.say(content)
            for _ in range(number):
                await deferLater(reactor, 0, lambda: None)
            line.transport.abortConnection()
            await line.closed
        await self.is_polite(server)
        await self.empty(server)
        self.assertEqual(self.flushLoggedErrors(), [])
        messages = await self.mailbox(server)
        self.assertTrue(all(message.endswith(content[:-3]) for message in messages))

        async def no_others() -> bool:
            return len(list(server.database.contents.iterdir())) == len(messages)

        await self.until(no_others)

    async def test_gone_while_it_is_judged(self) -> None:
        """Nobody gets a message whose octets have been thrown away."""
        path = self.configure('[[filter]]\nuse = "slow"\n[plugins]\nfolders = ["plugins"]\n')
        (path.parent / "plugins").mkdir()
        (path.parent / "plugins" / "slow.py").write_text(SLOW)
        server = self.start(path)
        for size in (100, 400_000):
            line = await self.at_data(server)
            line.say(b"Subject: x\r\nX-Gone: y\r\n\r\n" + b"y" * size + b"\r\n.\r\n")
            await deferLater(reactor, 0.3, lambda: None)
            line.transport.abortConnection()
            await line.closed
        await deferLater(reactor, 1.0, lambda: None)
        self.assertEqual(self.flushLoggedErrors(), [])
        await self.assert_nothing_came_of_it(server)
        await self.no_files(server)

    async def test_so_many_and_no_more(self) -> None:
        """Those above the limit are told and closed; the others stay, and make room when they go."""
        server = await self.serve("[limits]\ntarpit = 0\nconnections = 30\n")
        lines = []
        for _ in range(40):
            lines.append(await self.connect(server))
        replies = [await line.reply() for line in lines]
        self.assertEqual(sum(reply.startswith("220 ") for reply in replies), 30)
        self.assertEqual(sum(reply.startswith("421 4.7.0 Too many") for reply in replies), 10)
        for line in lines:
            line.close()
        await gatherResults([line.closed for line in lines])
        await self.empty(server)
        await self.is_polite(server)

    async def test_come_and_go(self) -> None:
        """Two thousand connections that close at once, some without a word, some with a reset, some inside of TLS."""
        server = await self.serve("[limits]\ntarpit = 0\nconnections_per_address = 5000\n")
        host, port = self.port_of(server)
        for number in range(2000):
            peer = socket.socket()
            peer.setblocking(False)
            peer.connect_ex((host, port))
            if number % 3 == 0:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            peer.close()
            if number % 100 == 0:
                await self.is_polite(server)
        for _ in range(100):
            line = await self.greeted(server)
            line.say(b"STARTTLS\r\n")
            await line.line()
            line.say(b"\x16\x03\x01\x02\x00\x01")
            line.transport.abortConnection()
        await self.is_polite(server)
        await self.empty(server)

    async def test_many_handshakes(self) -> None:
        """Two hundred at once, each begun and none finished."""
        server = await self.serve("[limits]\ntarpit = 0\nconnections_per_address = 5000\n")
        lines: list[Line] = []
        for _ in range(200):
            line = await self.greeted(server)
            self.assertRegex(await line.ask("STARTTLS"), "^220")
            line.say(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x11" * 100)
            lines.append(line)
        await self.is_polite(server)
        for line in lines:
            line.transport.abortConnection()
        await gatherResults([line.closed for line in lines])
        await self.empty(server)

    async def empty(self, server: MailServer) -> None:
        """Until the server knows of no connection any more."""

        async def none() -> Any:
            return len(server._conversations) == 0

        await self.until(none)


SLOW = '''
from mailserver.envelope import Origin
from mailserver.interfaces import IFilter, NoOptions
from mailserver.plugin import FilterOffer
from mailserver.verdict import remove_header
from twisted.internet.task import deferLater
from zope.interface import implementer


@implementer(IFilter)
class Slow:
    Options = NoOptions
    origins = frozenset(Origin)

    def __init__(self, options, server):
        """The reactor is the installed one."""

    async def content(self, client, envelope, content):
        from twisted.internet import reactor

        await deferLater(reactor, 0.6, lambda: None)
        return remove_header("X-Gone")


offer = FilterOffer("slow", Slow, "Takes its time.")
'''
