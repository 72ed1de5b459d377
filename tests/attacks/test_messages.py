"""Messages that were made to hurt whoever reads them: nothing raises, nothing is quadratic, no octet is changed."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from twisted.internet.threads import deferToThread

from mailserver.service import MailServer
from tests.attacks.case import AttackCase
from tests.fuzz.growth import MOST
from tests.plain import stuffed

BODY = b"\r\n\r\nbody\r\n"


def many_fields(count: int) -> bytes:
    return b"".join(b"X-%d: value\r\n" % number for number in range(count)) + BODY[2:]


def one_field(count: int) -> bytes:
    return b"Subject: " + b"x" * count + BODY


def folded(count: int) -> bytes:
    return b"Subject: x" + b"\r\n x" * count + BODY


def addresses(count: int) -> bytes:
    return b"To: " + b",\r\n ".join(b"u%d@example.org" % number for number in range(count)) + BODY


def comments(count: int) -> bytes:
    return b"To: " + b"(" * count + b"a@example.org" + BODY


def deep(count: int) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"".join(
        b"--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" for _ in range(count)
    )


def wide(count: int) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * count


def message_id(count: int) -> bytes:
    return b"Message-ID: <" + b"x" * count + b"@example.net>\r\nReferences: " + b"<a@b>" * (count // 5) + BODY


def continuations(count: int) -> bytes:
    return b"Content-Type: a/b; " + b";\r\n ".join(b"x*%d*=%%41" % number for number in range(count)) + BODY


def odd(count: int) -> bytes:
    """8-bit and broken headers, impossible dates, charsets that are none."""
    lines = (
        b"Subject: \xff\xfe\x80 caf\xe9", b"Date: Fri, 99 Foo 99999 99:99:99 +9999", b"Date: -1", b"Date:", b": x",
        b" folded at the top", b"From: =?idna?q?x?= =?zlib_codec?b?eJw=?= =?unicode_escape?q?=5Cu?=", b"no colon", b":",
        b"Received: " + b"by " * 300, b"X-\x01\x02\x7f: y", b"Content-Transfer-Encoding: base64", b"\tx: y",
        b"Content-Type: text/plain; charset=\"" + b"\\" * 99, b"Message-ID: <<<>>>", b"Delivered-To: " + b"(" * 99,
    )
    return b"\r\n".join(lines * (count // len(lines) + 1)) + b"\r\n\r\n!!!! no base64 ====\r\n"


class MessageTests(AttackCase):
    """alice sends to herself, who can read by POP3; strangers do too."""

    async def start_here(self) -> MailServer:
        return await self.serve("[limits]\ntarpit = 0\nsize = 134217728\n")

    async def send(self, server: MailServer, content: bytes, login: bool = False) -> str:
        line = await self.greeted(server, "submission" if login else "smtp")
        if login:
            await line.ask("STARTTLS")
            await line.start_tls()
            await line.ask("EHLO x")
            self.assertRegex(await line.ask("AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA=="), "^235")
        sender = "alice@example.org" if login else "a@example.net"
        for command in (f"MAIL FROM:<{sender}>", "RCPT TO:<alice@example.org>", "DATA"):
            self.assertRegex(await line.ask(command), "^[23]")
        line.say(stuffed(content))
        await self.is_polite(server)
        reply = await line.reply()
        self.assertRegex(reply, "^250 ")
        line.close()
        return reply

    async def retrieve(self, server: MailServer, number: int) -> bytes:
        """The message by POP3, with its dots taken away."""
        host, port = self.port_of(server, "pop3")
        return await deferToThread(retrieve, host, port, number)

    async def check(self, make: Callable[[int], bytes], count: int, server: MailServer | None = None) -> None:
        """It is taken from a stranger and from a login, stored as it came, and read back so."""
        server = server or await self.start_here()
        content = make(count)
        for number, login in enumerate((False, True), 1):
            reply = await self.send(server, content, login)
            read = await self.retrieve(server, number)
            self.assertTrue(read.endswith(b"\r\n" + content), (make.__name__, login))
            self.assertLess(len(read) - len(content), 2000)
            [story] = await self.story(server, reply)
            self.assertEqual(story["size"], len(content))
        self.assertEqual(len(self.flushLoggedErrors()), 0)

    async def grows(self, make: Callable[[int], bytes], count: int) -> None:
        """Four times as much costs no sixteen times the work, in all threads together."""
        server = await self.start_here()
        best = MOST + 1.0
        for _ in range(3):
            spent = []
            for size in (count, 4 * count):
                content = make(size)
                began = time.process_time()
                await self.send(server, content)
                spent.append(time.process_time() - began)
            best = min(best, spent[1] / max(spent[0], 0.005))
        self.assertLess(best, MOST, make.__name__)

    async def test_a_hundred_thousand_fields(self) -> None:
        await self.check(many_fields, 100_000)

    async def test_one_field_of_fifty_megabytes(self) -> None:
        await self.check(one_field, 50_000_000)

    async def test_a_million_addresses(self) -> None:
        await self.check(addresses, 1_000_000)

    async def test_comments_in_comments(self) -> None:
        await self.check(comments, 1_000_000)

    async def test_parts_in_parts(self) -> None:
        await self.check(deep, 100_000)

    async def test_a_million_parts(self) -> None:
        await self.check(wide, 1_000_000)

    async def test_a_message_id_of_a_megabyte(self) -> None:
        await self.check(message_id, 1_000_000)

    async def test_a_parameter_in_pieces(self) -> None:
        await self.check(continuations, 100_000)

    async def test_odd_fields(self) -> None:
        for count in (1, 5000):
            await self.check(odd, count)

    async def test_linear(self) -> None:
        for make, count in (
            (many_fields, 20_000), (one_field, 400_000), (folded, 100_000), (addresses, 20_000), (comments, 400_000),
            (deep, 10_000), (wide, 40_000), (message_id, 200_000), (continuations, 20_000), (odd, 10_000),
        ):
            await self.grows(make, count)

    async def test_nul(self) -> None:
        """It is no octet of a message (RFC 5321 2.3.8): refused, wherever it stands."""
        server = await self.start_here()
        for content in (b"Sub\0ject: x\r\n\r\nx\r\n", b"Subject: x\r\n\r\n\0\r\n", b"\0", b"Subject: x\r\n\0\r\nx\r\n"):
            line = await self.at_data(server)
            line.say(content + b"\r\n.\r\n")
            self.assertRegex(await line.reply(), r"^550 5\.6\.11 ")
        await self.assert_nothing_came_of_it(server)

    async def test_no_header_at_all(self) -> None:
        """Nothing, an empty line, a body only, a header only: our lines stand above, and the octets are the same."""
        server = await self.start_here()
        contents = (
            b"", b"\r\n", b"\r\n\r\n", b"\r\nbody\r\n", b"no colon\r\n", b"Subject: x\r\n", b" \r\n", b"..\r\n",
        )
        for number, content in enumerate(contents, 1):
            await self.send(server, content)
            read = await self.retrieve(server, number)
            self.assertTrue(read.endswith(b"\r\n" + content), content)

    async def test_a_field_that_is_taken_away(self) -> None:
        """However large the header is, a field goes whole or stays whole: no tail of it becomes a line of its own."""
        path = self.configure('[[filter]]\nuse = "tidy"\n[plugins]\nfolders = ["plugins"]\n')
        (path.parent / "plugins").mkdir()
        (path.parent / "plugins" / "tidy.py").write_text(TIDY)
        server = self.start(path)
        number = 0
        for before in (0, 100_000, 130_000, 140_000):
            for length in (10, 90_000, 131_000, 200_000):
                front = b"Subject: x\r\n" + b"X: y\r\n" * (before // 6)
                gone = b"X-Gone: " + b"a" * length + b"\r\n b\r\n"
                behind = b"X-Stays: 1\r\n\r\nbody\r\n"
                number += 1
                await self.send(server, front + gone + behind)
                read = await self.retrieve(server, number)
                self.assertIn(
                    read[read.index(b"Subject: x\r\n"):], (front + behind, front + gone + behind), (before, length)
                )


TIDY = '''
from mailserver.envelope import Origin
from mailserver.interfaces import IFilter, NoOptions
from mailserver.plugin import FilterOffer
from mailserver.verdict import remove_header
from zope.interface import implementer


@implementer(IFilter)
class Tidy:
    Options = NoOptions
    origins = frozenset(Origin)

    def __init__(self, options, server):
        """Nothing is needed."""

    def content(self, client, envelope, content):
        return remove_header("X-Gone")


offer = FilterOffer("tidy", Tidy, "Takes a field away.")
'''


def retrieve(host: str, port: int, number: int) -> bytes:
    """RETR as POP3 has it, over a plain socket; blocks."""
    with socket.create_connection((host, port), 60) as peer:
        file = peer.makefile("rb")
        file.readline()
        for command in ("USER alice@example.org", "PASS secret", f"RETR {number}"):
            peer.sendall(command.encode() + b"\r\n")
            answer = file.readline()
            if not answer.startswith(b"+OK"):
                raise AssertionError(f"{command}: {answer!r}")
        lines = []
        while (line := file.readline()) != b".\r\n":
            if not line.endswith(b"\n"):
                raise AssertionError("the message does not end")
            lines.append(line.removeprefix(b"."))
        peer.sendall(b"QUIT\r\n")
        file.readline()
        return b"".join(lines)
