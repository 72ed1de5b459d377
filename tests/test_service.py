"""A server as its operator starts and stops it, alone and beside another."""

from __future__ import annotations

import threading
from pathlib import Path

from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import deferLater

from mailserver.address import Address
from mailserver.service import MailServer
from mailserver.store import directory, queue
from mailserver.store.database import Database
from tests.serving import Line, ServerCase, reactor

SLOW = '''
from mailserver.envelope import Origin
from mailserver.interfaces import IFilter, NoOptions
from mailserver.plugin import FilterOffer
from twisted.internet.defer import Deferred
from zope.interface import implementer

waiting = []


@implementer(IFilter)
class Slow:
    Options = NoOptions
    origins = frozenset(Origin)

    def __init__(self, options, server):
        server.directory.waiting = waiting

    def content(self, client, envelope, content):
        waiting.append(Deferred())
        return waiting[-1]


offer = FilterOffer("slow", Slow, "Waits.")
'''


class StartTests(ServerCase):
    async def refused(self, path: Path) -> str:
        with self.assertRaises(SystemExit) as raised:
            self.start(path)
        await deferLater(reactor, 0.05, lambda: None)       # until the ports are free again
        return str(raised.exception)

    async def test_port_in_use(self) -> None:
        """One sentence, and what was bound before is free again."""
        first = await self.serve(services="smtp")
        port = first.listeners[0].port.getHost().port
        path = self.configure(services="smtp")
        path.write_text(path.read_text().replace("tcp:0:interface=127.0.0.1", f"tcp:{port}:interface=127.0.0.1"))
        self.assertEqual(
            await self.refused(path),
            f"mailserver: cannot listen on tcp:{port}:interface=127.0.0.1 for smtp: Address already in use",
        )

    async def test_second_on_the_same_data(self) -> None:
        """Two servers never work on one set of data."""
        first = await self.serve()
        self.assertIn("another server works on", await self.refused(first.config.path))

    async def test_plugin_that_is_missing(self) -> None:
        """It says where it is wanted, and what was perhaps meant."""
        path = self.configure('[[filter]]\nuse = "lops"\n')
        self.assertEqual(
            await self.refused(path),
            f"mailserver: {path}:3:1: there is no filter plugin called 'lops'; did you mean \"loops\"?",
        )

    async def test_plugin_with_a_wrong_table(self) -> None:
        """A key of a plugin's table is as good as any other: file, line, column."""
        path = self.configure('[[filter]]\nuse = "loops"\nhop = 3\n[[filter]]\nuse = "rate"\nperiod = "x"\n')
        refused = await self.refused(path)
        self.assertIn(f'{path}:5:1: loops: unknown key "hop"; did you mean "hops"?', refused)
        self.assertIn(f"{path}:8:1: rate: ", refused)

    async def test_plugin_that_cannot_be_imported(self) -> None:
        """Never silently without a filter: file, line and error."""
        path = self.configure('[plugins]\nfolders = ["plugins"]\n')
        (path.parent / "plugins").mkdir()
        (path.parent / "plugins" / "broken.py").write_text("x = 1\ndef y(:\n")
        self.assertIn(f"{path.parent.absolute()}/plugins/broken.py:2: SyntaxError: ", await self.refused(path))
        (path.parent / "plugins" / "broken.py").write_text("x = 1\n\nimport no_such_module\n")
        refused = await self.refused(path)
        self.assertIn("plugins/broken.py:3: ModuleNotFoundError: No module named 'no_such_module'", refused)


class StopTests(ServerCase):
    async def slow(self) -> MailServer:
        path = self.configure('[[filter]]\nuse = "slow"\n[plugins]\nfolders = ["plugins"]\n', "smtp")
        (path.parent / "plugins").mkdir()
        (path.parent / "plugins" / "slow.py").write_text(SLOW)
        return self.start(path)

    async def test_order(self) -> None:
        """Who waits hears 421; who is being answered gets the answer; what was promised is there afterwards."""
        server = await self.slow()
        idle, busy = await self.connect(server), await self.connect(server)
        await idle.reply()
        await busy.reply()
        for command in ("EHLO x", "MAIL FROM:<>", "RCPT TO:<bob@example.org>", "DATA"):
            await busy.ask(command)
        busy.say(b"Subject: late\r\n\r\n.\r\n")

        async def judged() -> bool:
            return bool(server.directory.waiting)

        await self.until(judged)
        host = server.listeners[0].port.getHost()
        stopped = server.stopService()
        self.assertEqual(await idle.line(), "421 4.3.2 Service is shutting down, try again later")
        self.assertEqual(await idle.line(), "(closed)")
        self.assertFalse(stopped.called)
        with self.assertRaises(ConnectionRefusedError):
            await connectProtocol(TCP4ClientEndpoint(reactor, host.host, host.port), Line())
        server.directory.waiting[0].callback(None)
        self.assertRegex(await busy.reply(), "^250 2.0.0 Ok, accepted as ")
        self.assertRegex(await busy.reply(), "^421 ")
        await stopped
        again = self.start(server.config.path)
        self.assertEqual(len(await self.mailbox(again)), 1)

    async def test_threads(self) -> None:
        """A server that has stopped leaves no thread behind."""
        server = await self.serve()
        line = await self.connect(server)
        await line.reply()
        await server.stopService()
        await deferLater(reactor, 0.05, lambda: None)
        names = [thread.name for thread in threading.enumerate()]
        self.assertEqual([name for name in names if "writer" in name or "readers" in name or "mailserver" in name], [])

    async def test_start_again(self) -> None:
        """The same service object starts again after it has stopped."""
        server = await self.serve()
        await server.stopService()
        server.privilegedStartService()
        server.startService()
        self.assertRegex(await (await self.connect(server)).reply(), "^220 ")


class TwoServersTests(ServerCase):
    async def test_beside_each_other(self) -> None:
        """Two in one process: each has its own mail, and stopping one does not disturb the other."""
        first, second = await self.serve(), await self.serve()
        for server, text in ((first, b"one"), (second, b"two")):
            line = await self.connect(server)
            await line.reply()
            for command in ("EHLO x", "MAIL FROM:<>", "RCPT TO:<bob@example.org>", "DATA"):
                await line.ask(command)
            line.say(text + b"\r\n.\r\n")
            self.assertRegex(await line.reply(), "^250")
        await first.stopService()
        line = await self.connect(second)
        self.assertRegex(await line.reply(), "^220")
        [message] = await self.mailbox(second)
        self.assertTrue(message.endswith(b"two\r\n"))

    async def test_relay_and_bounce(self) -> None:
        """By a route to the other; with the other away the queue says why; to nobody there, the sender is told."""
        second = self.configure(services="smtp")
        receiving = self.start(second)
        port = receiving.listeners[0].port.getHost().port
        sending = await self.serve(
            f"""
            [relay]
            networks = ["127.0.0.0/8"]
            [outbound]
            retry_first = "1s"
            [outbound.route]
            "away.example" = "tcp:127.0.0.1:{port}"
            """
        )
        await receiving.stopService()
        database = Database(None, receiving.config.data)
        database.open()
        with database.transaction() as connection:
            directory.add_domain(connection, "away.example", 0.0)
        database.close()
        line = await self.connect(sending)
        await line.reply()
        for command in (
            "EHLO x", "MAIL FROM:<alice@example.org>", "RCPT TO:<postmaster@away.example>",
            "RCPT TO:<nobody@away.example>", "DATA",
        ):
            await line.ask(command)
        line.say(b"Subject: far\r\n\r\nx\r\n.\r\n")
        reply = await line.reply()

        async def waiting() -> list:
            entries = await sending.database.read(queue.listing)
            return [each for each in entries if each.reason]

        [entry, _] = await self.until(waiting)
        self.assertEqual(entry.reason, f"connection refused by 127.0.0.1:{port}")
        self.assertGreater(entry.next_attempt, sending.world.now())
        second.write_text(second.read_text().replace("tcp:0:interface=127.0.0.1", f"tcp:{port}:interface=127.0.0.1"))
        receiving = self.start(second)

        async def arrived() -> list:
            account = await receiving.directory.account(Address("postmaster", "away.example"))
            return await (await receiving.rooms.stores["sql"].open(account, "INBOX")).messages()

        await self.until(arrived)

        async def told() -> list:
            return await self.mailbox(sending, "alice")

        [report] = await self.until(told)
        self.assertIn(b"Final-Recipient: rfc822; nobody@away.example\r\nAction: failed\r\nStatus: 5.1.1\r\n", report)
        self.assertIn(b"Return-Path: <>\r\n", report)
        self.assertNotIn(b"postmaster@away.example\r\nAction", report)

        async def whole_story() -> list:
            story = await self.story(sending, reply)
            return story if len([each for each in story if each.get("result") in ("delivered", "failed")]) == 2 else []

        story = await self.until(whole_story)
        self.assertEqual(story[1]["result"], "deferred")
        self.assertIn("connection refused", story[1]["said"])
        self.assertEqual(await sending.database.read(queue.listing), [])
