"""The only end of data is exactly CRLF "." CRLF, inbound and outbound, however the octets are cut."""

from __future__ import annotations

import re
from collections.abc import Mapping

from twisted.internet.task import deferLater

from mailserver.service import MailServer
from tests.attacks.case import AttackCase
from tests.serving import reactor

# Between "one" and a second message that somebody hopes to smuggle in.  The peer is a stranger: it is sent away.
FAKE_ENDS = (
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r\r\n", b"\r\r\n.\r\n", b"\r\r\n.\r\r\n",
    b"\n\n.\n\n", b"\n\r.\n\r", b"\r\n.\0\r\n", b"\r\n\0.\r\n", b"\r\n\0\n.\r\n", b"\0\r\n.\0\r\n", b"\r\n.\r\0\n",
)
# What Python's splitlines takes for a line end; to SMTP they are octets like others.
OTHER_LINE_ENDS = (
    b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x85", "\x85".encode(), "\u2028".encode(), "\u2029".encode(),
)
SMUGGLED = b"MAIL FROM:<evil@example.net>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nsmuggled\r\n.\r\n"
END = b"\r\n.\r\n"


class InboundTests(AttackCase):
    async def test_fake_ends(self) -> None:
        """Each of them, with commands behind it: one refusal, then the end; nothing is stored."""
        server = await self.serve()
        for fake in FAKE_ENDS:
            line = await self.at_data(server)
            line.say(b"one" + fake + SMUGGLED)
            heard = await self.to_the_end(line)
            self.assertRegex(heard, rb"^550 5\.6\.11 [^\r\n]*\r\n$", fake)
        await self.is_polite(server)
        await self.assert_nothing_came_of_it(server)

    async def test_fake_ends_in_pieces(self) -> None:
        """The same, cut at each octet into two segments."""
        server = await self.serve()
        for fake in FAKE_ENDS:
            for place in range(1, len(fake)):
                line = await self.at_data(server)
                await self.say_in_pieces(line, (b"one" + fake[:place], fake[place:] + SMUGGLED))
                heard = await self.to_the_end(line)
                self.assertRegex(heard, rb"^550 5\.6\.11 ", fake)
                self.assertNotIn(b"354", heard)
        await self.assert_nothing_came_of_it(server)

    async def test_the_end_in_pieces(self) -> None:
        """The real end, cut at each octet, with the next command in the segment behind it: one message each."""
        server = await self.serve()
        line = await self.at_data(server)
        count = 0
        for first in range(len(END) + 1):
            for second in range(first, len(END) + 1):
                said = b"Subject: %d\r\n\r\n..x%b" % (count, END)
                at = len(said) - len(END)
                pieces = (said[: at + first], said[at + first : at + second], said[at + second :] + b"MAIL FROM:<>\r\n")
                await self.say_in_pieces(line, [piece for piece in pieces if piece])
                self.assertRegex(await line.reply(), "^250 2.0.0 Ok, accepted as ")
                self.assertRegex(await line.reply(), "^250 2.1.0 ")
                count += 1
                self.assertRegex(await line.ask("RCPT TO:<bob@example.org>"), "^250")
                self.assertRegex(await line.ask("DATA"), "^354")
        messages = await self.mailbox(server)
        self.assertEqual(len(messages), count)
        for number, message in enumerate(messages):
            self.assertTrue(message.endswith(b"Subject: %d\r\n\r\n.x\r\n" % number), message)

    async def test_the_end_across_buffers(self) -> None:
        """The end behind so many octets that it lies across each size of a buffer."""
        server = await self.serve()
        line = await self.at_data(server)
        for size in (4096, 16384, 65536, 131072):
            for off in (-4, -3, -2, -1, 0, 1):
                content = b"S: x\r\n\r\n" + b"x" * (size + off - 8)
                line.say(content + END + b"MAIL FROM:<a@example.net>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n")
                self.assertEqual([(await line.reply())[:3] for _ in range(4)], ["250", "250", "250", "354"])
                message = (await self.mailbox(server))[-1]
                self.assertTrue(message.endswith(content + b"\r\n"), size + off)

    async def test_other_line_ends(self) -> None:
        """Dots between what splitlines takes for line ends: one message, stored as it came."""
        server = await self.serve()
        line = await self.at_data(server)
        for number, other in enumerate(OTHER_LINE_ENDS):
            content = b"Subject: %d\r\n\r\none%b.%b%b" % (number, other, other, SMUGGLED.replace(b"\r\n", other))
            line.say(content + END + b"MAIL FROM:<a@example.net>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n")
            self.assertEqual([(await line.reply())[:3] for _ in range(4)], ["250", "250", "250", "354"])
            message = (await self.mailbox(server))[-1]
            self.assertTrue(message.endswith(content + b"\r\n"), other)
        self.assertEqual(len(await self.mailbox(server)), len(OTHER_LINE_ENDS))
        self.assertEqual(await self.mailbox(server, "alice"), [])

    async def test_by_lmtp(self) -> None:
        """A peer behind our own door smuggles nothing either."""
        server = await self.serve()
        for fake in FAKE_ENDS:
            line = await self.at_data(server, "lmtp")
            line.say(b"one" + fake + SMUGGLED)
            heard = await self.to_the_end(line)
            self.assertRegex(heard, rb"^550 5\.6\.11 ", fake)
            self.assertNotIn(b"354", heard)
        await self.assert_nothing_came_of_it(server)

    async def test_by_somebody_logged_in(self) -> None:
        """Refused too; the conversation goes on behind the real end, where the second message is a second message."""
        server = await self.serve()
        for fake in FAKE_ENDS:
            line = await self.greeted(server, "submission")
            await line.ask("STARTTLS")
            await line.start_tls()
            await line.ask("EHLO x")
            self.assertRegex(await line.ask("AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA=="), "^235")
            for command in ("MAIL FROM:<alice@example.org>", "RCPT TO:<bob@example.org>", "DATA"):
                await line.ask(command)
            line.say(b"one" + fake + b"two" + END)
            self.assertRegex(await line.reply(), r"^550 5\.6\.11 ", fake)
            line.close()
        await self.assert_nothing_came_of_it(server)

    async def test_commands(self) -> None:
        """A command that ends with less than CRLF is none, and ends the conversation, in each phase."""
        server = await self.serve()
        for number in range(3):
            for bad in (b"NOOP\nNOOP\r\n", b"NOOP\rNOOP\r\n", b"NO\0OP\r\n", b"NOOP\r\r\n", b"\n", b"RSET\n\r\n"):
                line = await self.greeted(server)
                for command in ("MAIL FROM:<a@example.net>", "RCPT TO:<bob@example.org>")[:number]:
                    await line.ask(command)
                line.say(bad + b"NOOP\r\n")
                self.assertRegex(await self.to_the_end(line), rb"^550 5\.6\.11 [^\r\n]*\r\n$", bad)
        await self.is_polite(server)


class OutboundTests(AttackCase):
    """From here to a second server, which is as strict as this one."""

    async def two(self, extra: str = "") -> tuple[MailServer, MailServer]:
        path = self.configure(name="two")
        self.with_domain(path, "example.com", "carol", "dave")
        second = self.start(path)
        host, port = await self.way_to(second)
        first = await self.serve(
            f'[relay]\nnetworks = ["127.0.0.0/8"]\n[outbound.route]\n"example.com" = "tcp:{host}:{port}"\n{extra}'
        )
        return first, second

    async def way_to(self, second: MailServer) -> tuple[str, int]:
        """Where the first server sends what is for the second."""
        return self.port_of(second)

    async def assert_arrives(self, first: MailServer, second: MailServer, bodies: Mapping[bytes, bytes]) -> None:
        """Each of the bodies is one message there, and what it should have become; dave gets nothing."""
        arrived = await self.arrived(second, len(bodies))
        self.assertEqual(len(arrived), len(bodies))
        found = {int(each.partition(b"Subject: ")[2].partition(b"\r\n")[0]): each for each in arrived}
        for number, (body, expected) in enumerate(bodies.items()):
            self.assertTrue(found[number].endswith(b"\r\n\r\n" + expected), (number, body[:100], found[number][-200:]))
        self.assertEqual(await self.mailbox(second, "dave", domain="example.com"), [])
        self.assertEqual(await self.all_mail(second), {"alice": [], "bob": []})
        self.assertEqual(await self.queue(first), [])

    async def arrived(self, server: MailServer, count: int) -> list[bytes]:
        """What carol has once it is so much, and a moment later."""

        async def enough() -> bool:
            return len(await self.mailbox(server, "carol", domain="example.com")) >= count

        await self.until(enough)
        await deferLater(reactor, 0.1, lambda: None)
        return await self.mailbox(server, "carol", domain="example.com")

    async def test_what_is_stored_is_one_message_there(self) -> None:
        """Dots in all places, and all that somebody takes for line ends: one message here is one message there."""
        first, second = await self.two()
        smuggled = SMUGGLED.replace(b"alice@example.org", b"dave@example.com")
        bodies = [b".\r\n.\r\n", b"..\r\n...\r\n", b".", b"\r\n\r\n.\r\n\r\n.x", b"", b"\r\n"]
        bodies += [smuggled, b"a\r\n.\r\n" + smuggled]
        bodies += [b"one%b.%b%b" % (other, other, smuggled) for other in OTHER_LINE_ENDS]
        bodies += [b"x" * (65536 - 12 + off) + b"\r\n.\r\n" + smuggled for off in range(-4, 3)]
        line = await self.greeted(first)
        for number, body in enumerate(bodies):
            for command in ("MAIL FROM:<a@example.net>", "RCPT TO:<carol@example.com>", "DATA"):
                await line.ask(command)
            content = b"Subject: %d\r\n\r\n%b" % (number, body)
            line.say(content.replace(b"\r\n.", b"\r\n..") + END)
            self.assertRegex(await line.reply(), "^250 2.0.0 ")
        await self.assert_arrives(first, second, {body: body + b"\r\n" for body in bodies})

    async def test_what_is_normalised_is_one_message_there(self) -> None:
        """A login whose bare line ends become CRLF: the dots between them are content, here and there."""
        first, second = await self.two('[smtp]\nbare_line_ends = "normalise"\n')
        line = await self.greeted(first, "submission")
        await line.ask("STARTTLS")
        await line.start_tls()
        await line.ask("EHLO x")
        self.assertRegex(await line.ask("AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA=="), "^235")
        bodies: dict[bytes, bytes] = {}
        for fake in FAKE_ENDS:
            if b"\0" in fake or END in fake:
                continue
            smuggled = SMUGGLED.replace(b"alice@example.org", b"dave@example.com").removesuffix(b".\r\n")
            body = b"one" + fake + smuggled
            # Between real line ends the dots that stuffing adds are taken away again, between others there are none.
            said = body.replace(b"\r\n.", b"\r\n..")
            bodies[body] = re.sub(rb"\r\n|\r|\n", b"\r\n", body)
            for command in ("MAIL FROM:<alice@example.org>", "RCPT TO:<carol@example.com>", "DATA"):
                self.assertRegex(await line.ask(command), "^[23]")
            line.say(b"Subject: %d\r\n\r\n" % (len(bodies) - 1) + said + b".\r\n")
            self.assertRegex(await line.reply(), "^250 2.0.0 ", fake)
        await self.assert_arrives(first, second, bodies)
