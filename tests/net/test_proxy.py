"""The PROXY protocol: who is behind, octet by octet."""

from __future__ import annotations

import ipaddress
import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from mailserver.net.proxy import LONGEST_V2, PATIENCE, SIGNATURE, Gate, Header, NotProxy, Source
from tests.serving import ServerCase

LOOPBACK = 'proxy = ["127.0.0.0/8"]'


def version_2(source: str = "192.0.2.7", port: int = 4711, command: int = 0x21, more: bytes = b"") -> bytes:
    ip = ipaddress.ip_address(source)
    addresses = ip.packed + ip.packed + struct.pack(">HH", port, 25) + more
    family = 0x11 if ip.version == 4 else 0x21
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", len(addresses)) + addresses


class HeaderTests(SynchronousTestCase):
    def read(self, octets: bytes) -> tuple[Source | None, bytes] | None:
        """The same however it is cut; None when more must come."""
        whole, cut = Header(), Header()
        whole.feed(octets)
        for number in range(len(octets)):
            if cut.is_whole:
                cut.rest += octets[number:]
                break
            cut.feed(octets[number : number + 1])
        self.assertEqual((whole.is_whole, whole.source, whole.rest), (cut.is_whole, cut.source, cut.rest))
        return (whole.source, whole.rest) if whole.is_whole else None

    def test_version_1(self) -> None:
        """A line."""
        read = self.read(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\nEHLO x\r\n")
        self.assertEqual(read, (Source("192.0.2.7", 4711), b"EHLO x\r\n"))
        self.assertEqual(self.read(b"PROXY TCP6 2001:db8::7 ::1 65535 25\r\n"), (Source("2001:db8::7", 65535), b""))
        self.assertEqual(self.read(b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 25\r\n"), (Source("192.0.2.7", 1), b""))
        self.assertEqual(self.read(b"PROXY UNKNOWN\r\n"), (None, b""))
        self.assertEqual(self.read(b"PROXY UNKNOWN a b c d\r\nx"), (None, b"x"))
        self.assertIsNone(self.read(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r"))

    def test_version_2(self) -> None:
        """Octets; what stands behind the addresses is passed over."""
        self.assertEqual(self.read(version_2() + b"x"), (Source("192.0.2.7", 4711), b"x"))
        more = version_2("2001:db8::7", more=b"\x20\0\x05hello")
        self.assertEqual(self.read(more), (Source("2001:db8::7", 4711), b""))
        self.assertEqual(self.read(version_2(command=0x20)), (None, b""))
        self.assertEqual(self.read(SIGNATURE + b"\x21\x31\0\x04abcd"), (None, b""))
        self.assertIsNone(self.read(version_2()[:-1]))

    def test_none(self) -> None:
        """Anything else, as soon as it can be known, and nothing without end."""
        for octets in (
            b"EHLO x\r\n", b"PROXY", b"PROXYTCP4", b"PROXY TCP4 192.0.2.7 192.0.2.1 4711\r\n",
            b"PROXY TCP4 2001:db8::7 192.0.2.1 1 2\r\n", b"PROXY TCP4 300.1.1.1 192.0.2.1 1 2\r\n",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 65536 2\r\n", b"PROXY TCP4 192.0.2.7 192.0.2.1 -1 2\r\n",
            b"PROXY TCP6 fe80::1%\nX-Injected:a ::1 1 25\r\n", b"PROXY TCP6 fe80::1%eth0 ::1 1 25\r\n",
            b"PROXY UDP4 192.0.2.7 192.0.2.1 1 2\r\n", b"PROXY TCP4 192.0.2.7  192.0.2.1 1 2\r\n",
            b"PROXY \xff\r\n", b"PROXY " + b"x" * 110, SIGNATURE[:11] + b"x", SIGNATURE + b"\x11\x11\0\x0c",
            SIGNATURE + b"\x22\x11\0\x0c", SIGNATURE + b"\x21\x11" + struct.pack(">H", LONGEST_V2 + 1),
            SIGNATURE + b"\x21\x11\0\x04abcd", SIGNATURE + b"\x21\x55\0\x04abcd", b"\r\n\r\n\r\n",
        ):
            if octets == b"PROXY":
                self.assertIsNone(self.read(octets))
                continue
            with self.assertRaises(NotProxy, msg=repr(octets)):
                self.read(octets)


    @given(st.binary(max_size=80), st.sampled_from([b"", b"PROXY TCP4 ", b"PROXY UNKNOWN", SIGNATURE]))
    def test_anything(self, octets: bytes, start: bytes) -> None:
        """Whatever comes is a header, the beginning of one, or none: the same however it is cut."""
        try:
            Header().feed(start + octets)
        except NotProxy:
            with self.assertRaises(NotProxy):
                self.read_cut(start + octets)
            return
        self.read(start + octets)

    def read_cut(self, octets: bytes) -> None:
        header = Header()
        for number in range(len(octets)):
            header.feed(octets[number : number + 1])
            self.assertFalse(header.is_whole)


class GateTests(SynchronousTestCase):
    """What a connection of a proxy begins with."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.built: list[tuple[str, int, bool]] = []
        self.gate = Gate(self.clock, "127.0.0.1", 5, self.build)
        self.transport = StringTransport()
        self.transport.protocol = self.gate     # type: ignore[attr-defined]
        self.gate.makeConnection(self.transport)

    def build(self, address: str, port: int, has_spoken: bool) -> Protocol:
        self.built.append((address, port, has_spoken))
        return Protocol()

    def test_too_slow(self) -> None:
        """A header that does not end is waited for so long, however busily it comes."""
        for octet in b"PROXY TCP":
            self.clock.advance(PATIENCE / 10)
            self.gate.dataReceived(bytes([octet]))
        self.assertFalse(self.transport.disconnected)
        self.clock.advance(PATIENCE / 10)
        self.assertTrue(self.transport.disconnected)
        self.assertEqual(self.built, [])

    def test_in_time(self) -> None:
        """Nothing waits any more once it is there, or the proxy is gone."""
        self.gate.dataReceived(b"PROXY UNKNOWN\r\n")
        self.assertEqual(self.built, [("127.0.0.1", 5, False)])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.setUp()
        self.gate.connectionLost()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ServedTests(ServerCase):
    """Whole servers behind a proxy."""

    def behind(self, extra: str = "", tls: str = "starttls") -> str:
        return (
            f'[[listen]]\nservice = "smtp"\nendpoint = "tcp:0:interface=127.0.0.1"\ntls = "{tls}"\n{LOOPBACK}\n{extra}'
        )

    async def test_client(self) -> None:
        """The client is who the header names: for the limits, for the trace, for the Received field."""
        server = await self.serve(self.behind("[limits]\nconnections_per_address = 1\n"), "")
        line = await self.connect(server)
        line.say(version_2("192.0.2.7"))
        self.assertRegex(await line.reply(), "^220")
        other = await self.connect(server)
        other.say(b"PROXY TCP4 192.0.2.7 192.0.2.1 4712 25\r\n")
        self.assertRegex(await other.reply(), "^421 4.7.0 Too many connections")
        other = await self.connect(server)
        other.say(b"PROXY TCP4 192.0.2.8 192.0.2.1 4712 25\r\n")
        self.assertRegex(await other.reply(), "^220")
        for command in ("EHLO x", "MAIL FROM:<>", "RCPT TO:<bob@example.org>", "DATA"):
            await line.ask(command)
        line.say(b"Subject: x\r\n\r\nx\r\n.\r\n")
        [story] = await self.story(server, await line.reply())
        self.assertEqual((story["client"]["address"], story["client"]["port"]), ("192.0.2.7", 4711))
        [message] = await self.mailbox(server)
        self.assertIn(b"([192.0.2.7])", message)

    async def test_tls(self) -> None:
        """The header comes before the ClientHello."""
        server = await self.serve(self.behind(tls="implicit"), "")
        line = await self.connect(server)
        line.say(b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 465\r\n")
        await line.start_tls()
        self.assertRegex(await line.reply(), "^220")
        self.assertRegex(await line.ask("EHLO x"), "^250")

    async def test_early(self) -> None:
        """What comes in one segment with the header was said before the greeting."""
        server = await self.serve(self.behind(), "")
        line = await self.connect(server)
        line.say(b"PROXY TCP4 192.0.2.8 192.0.2.1 4712 25\r\nEHLO x\r\n")
        self.assertRegex(await line.line(), "^554 5.5.1")

    async def test_without(self) -> None:
        """A proxy that sends none is hung up on; from who is no proxy it is no SMTP."""
        server = await self.serve(self.behind(), "smtp")
        line = await self.connect(server)
        line.say(b"EHLO x\r\n")
        self.assertEqual(await line.line(), "(closed)")
        plain = server.listeners[1].port.getHost()
        self.assertEqual(len(server.listeners), 2)
        server.listeners.reverse()
        line = await self.connect(server)
        self.assertEqual(line.transport.getPeer().port, plain.port)
        self.assertRegex(await line.reply(), "^220")
        line.say(b"PROXY TCP4 192.0.2.8 192.0.2.1 4712 25\r\n")
        self.assertRegex(await line.reply(), "^500 5.5.2 This is a mail server")
