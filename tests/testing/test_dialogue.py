"""Scripts are played against protocols that are not ours: in memory and over TCP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.protocol import Factory
from twisted.mail.smtp import ESMTP
from twisted.protocols.basic import LineReceiver
from twisted.trial.unittest import FailTest

from mailserver.testing import DialogueTestCase, Line

reactor: Any = installed_reactor


class Echo(LineReceiver):
    """Says everything back; hangs up after ``bye``."""

    def connectionMade(self) -> None:
        self.sendLine(b"220-hello")
        self.sendLine(b"220 there")

    def lineReceived(self, line: bytes) -> None:
        self.sendLine(b"250 " + line)
        if line == b"bye":
            self.transport.loseConnection()


class PlayTests(DialogueTestCase):
    """What a script may say."""

    def line(self) -> Line:
        return self.over_memory(Echo())

    async def fails(self, script: str) -> str:
        try:
            await self.play(self.line(), script)
        except FailTest as failed:
            return str(failed)
        raise AssertionError("the script was played to its end")

    async def test_script(self) -> None:
        await self.play(self.line(), r"""
            # Comments and empty lines are passed over.
            S: 220-hello
            S: 220 *

            C: one\ttwo \x41
            S: 250 one""" + "\ttwo A" + r"""
            C: half \
            C: and half
            S: 250 half and half
            C: bye
            S: 250 bye
            S: (closed)
        """)

    async def test_something_else_was_heard(self) -> None:
        said = await self.fails("S: 220-hello\nS: 221 *\n")
        self.assertEqual(said, "line 2: heard '220 there' where '221 *' was expected")

    async def test_hung_up(self) -> None:
        said = await self.fails("S: 220-hello\nS: 220 there\nC: bye\nS: 250 bye\nS: 250 more\n")
        self.assertIn("heard '(closed)' where '250 more' was expected", said)

    async def test_neither(self) -> None:
        self.assertIn("line 1: 'X: hello' is neither C: nor S:", await self.fails("X: hello"))

    async def test_file(self) -> None:
        self.dialogues = Path(self.mktemp())
        self.dialogues.mkdir()
        (self.dialogues / "echo.txt").write_text("S: 220-hello\nS: 220 there\nC: \u00e9\n")
        await self.play_file(self.line(), "echo.txt")

    async def test_replies(self) -> None:
        line = self.line()
        self.assertEqual(await line.reply(), "220-hello\n220 there")
        self.assertEqual(await line.ask("NOOP"), "250 NOOP")

    async def test_over_tcp(self) -> None:
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(Echo))
        self.addCleanup(port.stopListening)
        line = await self.over_tcp(TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port))
        await self.play(line, "S: 220-hello\nS: 220 there\nC: bye\nS: 250 bye\nS: (closed)\n")


class PeerTests(DialogueTestCase):
    """Twisted's own SMTP server, to which a line in memory is a transport like any other."""

    async def test_esmtp(self) -> None:
        server = ESMTP()
        server.host = b"mx.example.com"
        await self.play(self.over_memory(server), """
            S: 220 mx.example.com * ESMTP
            C: EHLO client.example.net
            S: 250 mx.example.com Hello 192.0.2.1, nice to meet you
            C: RCPT TO:<bob@example.org>
            S: 503 Must have sender before recipient
            C: QUIT
            S: 221 See you later
            S: (closed)
        """)
