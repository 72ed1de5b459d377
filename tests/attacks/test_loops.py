"""Mail that goes in circles stops, and nothing is sent back to somebody who never wrote."""

from __future__ import annotations

import re

from twisted.internet.task import deferLater

from mailserver.service import MailServer
from tests.attacks.case import AttackCase
from tests.serving import reactor

ROUTES = """
    [relay]
    networks = ["127.0.0.0/8"]
    [outbound]
    retry_first = "1s"
    [outbound.route]
    "example.org" = "tcp:127.0.1.1:{org}"
    "example.com" = "tcp:127.0.1.2:{com}"
    [[listen]]
    service = "smtp"
    endpoint = "tcp:{port}:interface={host}"
"""


def free_port(host: str) -> int:
    """A port that nobody listens on at this address."""
    import socket

    with socket.create_server((host, 0)) as held:
        number: int = held.getsockname()[1]
    return number


class TwoServersTests(AttackCase):
    """example.org and example.com, whose users forward to each other."""

    async def two(self) -> tuple[MailServer, MailServer]:
        org, com = free_port("127.0.1.1"), free_port("127.0.1.2")
        texts = [
            ROUTES.format(org=org, com=com, port=port, host=host)
            for port, host in ((org, "127.0.1.1"), (com, "127.0.1.2"))
        ]
        first = self.configure(texts[0], "pop3")
        self.with_alias(first, "ping@example.org", "pong@example.com")
        self.with_alias(first, "both@example.org", "both@example.org", "bob@example.org", "both@example.com")
        second = self.configure(texts[1], "pop3", name="two")
        self.without_domain(second, "example.org")
        self.with_domain(second, "example.com", "carol")
        self.with_alias(second, "pong@example.com", "ping@example.org")
        self.with_alias(second, "both@example.com", "carol@example.com", "both@example.org")
        return self.start(first), self.start(second)

    async def quiet(self, *servers: MailServer) -> None:
        """Until nothing waits in any queue, twice in a row."""
        seen = 0

        async def empty() -> bool:
            nonlocal seen
            waiting = [entry for server in servers for entry in await self.queue(server)]
            seen = 0 if waiting else seen + 1
            return seen > 4

        await self.until(empty, 60.0)

    async def test_ping_pong(self) -> None:
        """Each forwards to the other: it stops when it comes back, and the author hears of it once."""
        first, second = await self.two()
        line = await self.greeted(first)
        for command in ("MAIL FROM:<alice@example.org>", "RCPT TO:<ping@example.org>", "DATA"):
            self.assertRegex(await line.ask(command), "^[23]")
        line.say(b"Subject: round and round\r\n\r\nx\r\n.\r\n")
        self.assertRegex(await line.reply(), "^250 ")
        await self.quiet(first, second)
        [report] = await self.mailbox(first, "alice")
        self.assertIn(b"This message goes in a circle", report)
        self.assertLess(report.count(b"\r\nReceived: "), 5)
        self.assertEqual(await self.mailbox(first), [])
        await self.is_polite(first)

    async def test_a_copy_each_time(self) -> None:
        """Both keep a copy and send one on: everybody who keeps one gets it once or, at the very most, twice."""
        first, second = await self.two()
        line = await self.greeted(first)
        for command in ("MAIL FROM:<>", "RCPT TO:<both@example.org>", "DATA"):
            self.assertRegex(await line.ask(command), "^[23]")
        line.say(b"Subject: round and round\r\n\r\nx\r\n.\r\n")
        self.assertRegex(await line.reply(), "^250 ")
        await self.quiet(first, second)
        for server, local, domain in ((first, "bob", "example.org"), (second, "carol", "example.com")):
            copies = len(await self.mailbox(server, local, domain=domain))
            self.assertIn(copies, (1, 2), local)
        self.assertEqual(await self.mailbox(first, "alice"), [])


class OneServerTests(AttackCase):
    async def test_hops(self) -> None:
        """Too many Received fields, in any spelling."""
        server = await self.serve()
        for name in (b"Received", b"RECEIVED", b"received ", b"rEcEiVeD\t"):
            for count, code in ((100, "250"), (101, "554")):
                line = await self.at_data(server)
                line.say((name + b": from x by y; now\r\n") * count + b"Subject: x\r\n\r\nx\r\n.\r\n")
                self.assertEqual((await line.reply())[:3], code, (name, count))

    async def test_delivered_before(self) -> None:
        """Our own Delivered-To, in any spelling of the name and the address."""
        server = await self.serve()
        for value in (b": bob@example.org", b":BOB@EXAMPLE.org", b" :  bob@example.org "):
            field = b"dElivered-To" + value
            line = await self.at_data(server)
            line.say(b"Subject: x\r\n" + field + b"\r\n\r\nx\r\n.\r\n")
            self.assertRegex(await line.reply(), r"^554 5\.4\.6 ")
        await self.assert_nothing_came_of_it(server)

    async def test_aliases_of_each_other(self) -> None:
        """They lead nowhere, which is said at RCPT; one of them that leads somewhere too is no circle."""
        path = self.configure()
        for number in range(3):
            self.with_alias(path, f"circle{number}@example.org", f"circle{(number + 1) % 3}@example.org")
        self.with_alias(path, "self@example.org", "self@example.org")
        self.with_alias(path, "way.out@example.org", "way.in@example.org", "bob@example.org")
        self.with_alias(path, "way.in@example.org", "way.out@example.org", "way.in@example.org")
        for number in range(15):
            self.with_alias(path, f"deep{number}@example.org", f"deep{number + 1}@example.org")
        self.with_alias(path, "deep15@example.org", "bob@example.org")
        self.with_alias(path, "wide@example.org", *(f"wide{number}@example.org" for number in range(50)))
        for number in range(50):
            self.with_alias(path, f"wide{number}@example.org", "wide@example.org", "bob@example.org")
        server = self.start(path)
        line = await self.greeted(server)
        await line.ask("MAIL FROM:<a@example.net>")
        for local in ("circle0", "circle2", "self", "deep0"):
            self.assertRegex(await line.ask(f"RCPT TO:<{local}@example.org>"), "^5", local)
        for local in ("way.out", "way.in", "deep8", "wide"):
            self.assertRegex(await line.ask(f"RCPT TO:<{local}@example.org>"), "^250", local)
        await line.ask("DATA")
        line.say(b"x\r\n.\r\n")
        self.assertRegex(await line.reply(), "^250 ")
        self.assertEqual(len(await self.mailbox(server)), 1)
        self.assertEqual(await self.queue(server), [])


class BackscatterTests(AttackCase):
    """What is refused is refused to whoever is on the line; nobody gets a letter about it."""

    async def test_refused_content(self) -> None:
        path = self.configure('[[filter]]\nuse = "never"\n[plugins]\nfolders = ["plugins"]\n')
        (path.parent / "plugins").mkdir()
        (path.parent / "plugins" / "never.py").write_text(NEVER)
        server = self.start(path)
        for service in ("smtp", "lmtp"):
            for sender in ("alice@example.org", "victim@example.net", "bob@example.org"):
                line = await self.greeted(server, service)
                await line.ask(f"MAIL FROM:<{sender}>")
                await line.ask("RCPT TO:<bob@example.org>")
                await line.ask("DATA")
                line.say(b"x\r\n.\r\n")
                self.assertRegex(await line.reply(), r"^550 5\.7\.1 never ")
        await deferLater(reactor, 0.2, lambda: None)
        await self.assert_nothing_came_of_it(server)

    async def test_unknown(self) -> None:
        """Beside somebody who is known: only the line hears of it."""
        server = await self.serve()
        line = await self.greeted(server)
        await line.ask("MAIL FROM:<alice@example.org>")
        self.assertRegex(await line.ask("RCPT TO:<bob@example.org>"), "^250")
        self.assertRegex(await line.ask("RCPT TO:<nobody@example.org>"), "^550 5.1.1")
        await line.ask("DATA")
        line.say(b"x\r\n.\r\n")
        self.assertRegex(await line.reply(), "^250 ")
        await deferLater(reactor, 0.2, lambda: None)
        self.assertEqual(len(await self.mailbox(server)), 1)
        self.assertEqual(await self.mailbox(server, "alice"), [])
        self.assertEqual(await self.queue(server), [])

    async def test_a_report_that_cannot_be_delivered(self) -> None:
        """There is no report about a report."""
        server = await self.serve(
            '[relay]\nnetworks = ["127.0.0.0/8"]\n[outbound.route]\n"example.com" = "tcp:127.0.0.1:9"\n'
            '[outbound]\nlife = "1s"\nretry_first = "1s"\n'
        )
        line = await self.greeted(server)
        for sender in ("", "gone@example.org"):
            for command in (f"MAIL FROM:<{sender}>", "RCPT TO:<x@example.com>", "DATA"):
                self.assertRegex(await line.ask(command), "^[23]")
            line.say(b"x\r\n.\r\n")
            self.assertRegex(await line.reply(), "^250 ")

        async def empty() -> bool:
            return not await self.queue(server)

        await self.until(empty, 30.0)
        for local in ("alice", "bob", "postmaster"):
            for message in await self.mailbox(server, local):
                self.assertIsNone(re.search(rb"^Subject: ", message, re.MULTILINE), message)


NEVER = '''
from mailserver.envelope import Origin
from mailserver.interfaces import IFilter, NoOptions
from mailserver.plugin import FilterOffer
from mailserver.verdict import reject
from zope.interface import implementer


@implementer(IFilter)
class Never:
    Options = NoOptions
    origins = frozenset(Origin)

    def __init__(self, options, server):
        """Nothing is needed."""

    def content(self, client, envelope, content):
        return reject("never")


offer = FilterOffer("never", Never, "Refuses all content.")
'''
