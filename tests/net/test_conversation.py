"""A connection: answers in order, timers, back-pressure, TLS, and an orderly end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase, TestCase

from mailserver.errors import StartRefused
from mailserver.net.conversation import MOST_BUFFERED, Conversation
from mailserver.net.conversations import Conversations
from mailserver.net.limits import Allowance, Limits
from mailserver.net.listen import ConversationFactory, Listener
from mailserver.net.tally import Private
from mailserver.net.tls import KeyPair, server_tls
from tests.net.certificates import key_pair
from tests.net.talkers import Echo

reactor: Any = installed_reactor


def limits(clock: Any, per_address: int) -> Limits:
    return Limits(Allowance(connections=100, connections_per_address=per_address), Private(clock.seconds))


class InMemoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.house = Conversations(self.clock, limits(self.clock, 2), idle=10, longest=100)
        self.house.start()

    def connect(self, address: str = "192.0.2.1") -> tuple[Echo, Conversation, Any]:
        talker = Echo()
        conversation = Conversation(talker, address, self.house, None, False)
        transport = StringTransport()
        conversation.makeConnection(transport)
        return talker, conversation, transport

    def said(self, transport: StringTransport) -> bytes:
        said = transport.value()
        transport.clear()
        return said

    def test_order(self) -> None:
        """A command is answered before the next is read, even when the first takes time."""
        talker, conversation, transport = self.connect()
        self.assertEqual(self.said(transport), b"hello\n")
        conversation.dataReceived(b"a\nwait\nb\nc")
        self.assertEqual(self.said(transport), b"a\n")
        conversation.dataReceived(b"\n")
        self.assertEqual(self.said(transport), b"")
        talker.go.callback(None)
        self.assertEqual(self.said(transport), b"wait\nb\nc\n")

    def test_joined(self) -> None:
        """The answers to one read go out in one write."""
        _, conversation, transport = self.connect()
        writes: list[bytes] = []
        transport.write = writes.append
        conversation.dataReceived(b"a\nb\nc\n")
        self.assertEqual(writes, [b"a\nb\nc\n"])

    def test_idle(self) -> None:
        """Silence has an end; each command begins the wait anew; our own slowness is not the peer's."""
        talker, conversation, transport = self.connect()
        self.clock.pump([1] * 9)
        conversation.dataReceived(b"a\n")
        self.clock.pump([1] * 9)
        self.assertFalse(transport.disconnecting)
        conversation.dataReceived(b"wait\n")
        self.clock.pump([1] * 30)
        self.assertFalse(transport.disconnecting)
        talker.go.callback(None)
        self.said(transport)
        self.clock.pump([1] * 11)
        self.assertEqual(self.said(transport), b"too slow\n")
        self.assertTrue(transport.disconnecting)

    def test_longest(self) -> None:
        """A connection that is never silent ends too."""
        _, conversation, transport = self.connect()
        for _ in range(101):
            conversation.dataReceived(b"a\n")
            self.clock.advance(1)
        self.assertTrue(transport.disconnecting)

    def test_flood(self) -> None:
        """While an answer is awaited, the transport reads no more than so much."""
        talker, conversation, transport = self.connect()
        conversation.dataReceived(b"wait\n")
        conversation.dataReceived(b"x" * MOST_BUFFERED)
        self.assertEqual(transport.producerState, "producing")
        conversation.dataReceived(b"x\n")
        self.assertEqual(transport.producerState, "paused")
        talker.go.callback(None)
        self.assertEqual(transport.producerState, "producing")

    def test_peer_does_not_read(self) -> None:
        """A stream waits for its peer, and a peer that never reads is hung up on."""
        talker, conversation, transport = self.connect()
        conversation.pauseProducing()
        conversation.dataReceived(b"stream 5\n")
        self.assertEqual(talker.streamed, 1)
        conversation.resumeProducing()
        self.assertEqual(talker.streamed, 5)
        conversation.pauseProducing()
        conversation.dataReceived(b"stream 5\n")
        self.clock.pump([1] * 12)
        self.assertTrue(transport.disconnected)
        conversation.connectionLost()
        self.assertTrue(talker.stream_ended)

    def test_limits(self) -> None:
        """One too many hears so, and nothing else."""
        self.connect()
        self.connect()
        _, conversation, transport = self.connect()
        self.assertEqual(self.said(transport), b"too many\n")
        self.assertTrue(transport.disconnecting)
        conversation.dataReceived(b"a\n")
        self.assertEqual(self.said(transport), b"")
        conversation.connectionLost()
        self.assertEqual(len(self.house), 2)

    def test_failure(self) -> None:
        """What nobody foresaw ends this conversation, with words, and no other."""
        _, conversation, transport = self.connect()
        self.said(transport)
        conversation.dataReceived(b"fail\n")
        self.assertEqual(self.said(transport), b"failed\n")
        self.assertTrue(transport.disconnecting)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_stop(self) -> None:
        """Whoever waits hears that the server stops; whoever is being answered gets the answer first."""
        idle_talker, idle, idle_transport = self.connect()
        talker, busy, busy_transport = self.connect("192.0.2.2")
        busy.dataReceived(b"wait\nnext\n")
        stopped = Deferred.fromCoroutine(self.house.stop())
        self.assertEqual(self.said(idle_transport), b"hello\nstopping\n")
        idle.connectionLost()
        self.said(busy_transport)
        talker.go.callback(None)
        self.assertEqual(self.said(busy_transport), b"wait\nstopping\n")
        busy.connectionLost()
        self.assertIsNone(self.successResultOf(stopped))
        self.assertTrue(idle_talker.is_lost and talker.is_lost)

    def test_stop_of_who_only_waits(self) -> None:
        """An answer that waits for something new ends when the server does."""
        _, busy, transport = self.connect()
        busy.dataReceived(b"listen\n")
        self.said(transport)
        Deferred.fromCoroutine(self.house.stop(patience=5))
        self.assertEqual(self.said(transport), b"heard\nstopping\n")
        busy.connectionLost()

    def test_over(self) -> None:
        """A stream may hold the last words."""
        _, conversation, transport = self.connect()
        conversation.dataReceived(b"over\na\n")
        self.assertEqual(self.said(transport), b"hello\nthe last\n")
        self.assertTrue(transport.disconnecting)
        conversation.connectionLost()

    def test_patience(self) -> None:
        """A protocol may grant more than the configuration."""
        talker, conversation, _ = self.connect()
        talker.patience = 10_000.0
        conversation.dataReceived(b"a\n")
        self.assertGreaterEqual(conversation.deadline or 0, 10_000.0)
        conversation.connectionLost()

    def test_stop_does_not_wait_for_ever(self) -> None:
        """After the patience, it hangs up."""
        _, busy, transport = self.connect()
        busy.dataReceived(b"wait\n")
        stopped = Deferred.fromCoroutine(self.house.stop(patience=5))
        self.clock.pump([1] * 5)
        self.assertTrue(transport.disconnected)
        self.clock.pump([1] * 2)
        self.assertTrue(stopped.called)

    def test_tls_with_who_says_no_more(self) -> None:
        """A peer that has closed its side behind STARTTLS does not keep us waiting for its handshake."""
        talker, transport = Echo(), StringTransport()
        conversation = Conversation(talker, "192.0.2.1", self.house, object(), False)
        conversation.makeConnection(transport)
        conversation.dataReceived(b"wait\ntls\n")
        conversation.readConnectionLost()
        talker.go.callback(None)
        self.assertTrue(transport.disconnecting)
        self.assertIsNone(talker.tls)

    def test_tls_without_leftovers(self) -> None:
        """What stands in clear behind STARTTLS means: hang up, and never hear of it again."""
        talker, conversation, transport = self.connect()
        conversation.dataReceived(b"tls\na\n")
        self.assertTrue(transport.disconnected)
        self.assertIsNone(talker.tls)


class Peer(Protocol):
    """Collects what it hears."""

    def __init__(self) -> None:
        self.heard = b""
        self.closed: Deferred[None] = Deferred()
        self._until: tuple[bytes, Deferred[bytes]] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        if self._until is not None and self.heard.endswith(self._until[0]):
            until, self._until = self._until, None
            heard, self.heard = self.heard, b""
            until[1].callback(heard)

    async def hear(self, end: bytes) -> bytes:
        """Everything up to and with `end`."""
        if self.heard.endswith(end):
            heard, self.heard = self.heard, b""
            return heard
        self._until = (end, Deferred())
        self._until[1].addTimeout(10, reactor)
        return await self._until[1]

    def connectionLost(self, reason: Any = None) -> None:
        self.closed.callback(None)


class OverTcpTests(TestCase):
    def setUp(self) -> None:
        self.house = Conversations(reactor, limits(reactor, 50))
        self.house.start()
        self.talkers: list[Echo] = []
        self.pair = key_pair(Path(self.mktemp()), "mx.example.org")

    def listen(self, implicit_tls: bool = False) -> Listener:
        factory = ConversationFactory(self.talk, self.house, server_tls(self.pair), implicit_tls)
        listener = Listener(reactor, "tcp:0:interface=127.0.0.1", factory, "echo")
        listener.bind()
        self.addCleanup(self.stop, listener)
        return listener

    def talk(self, address: str, port: int) -> Echo:
        self.talkers.append(Echo(address, port))
        return self.talkers[-1]

    async def stop(self, listener: Listener) -> None:
        await listener.stop()
        await self.house.stop(1)

    async def connect(self, listener: Listener) -> Peer:
        assert listener.port is not None
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", listener.port.getHost().port)
        return await connectProtocol(endpoint, Peer())

    async def test_starttls(self) -> None:
        """The same conversation goes on inside TLS, and knows what was agreed."""
        peer = await self.connect(self.listen())
        await peer.hear(b"hello\n")
        peer.transport.write(b"tls\n")
        await peer.hear(b"go\n")
        peer.transport.startTLS(CertificateOptions(verify=False))
        peer.transport.write(b"a\n")
        self.assertEqual(await peer.hear(b"a\n"), b"a\n")
        tls = self.talkers[0].tls
        assert tls is not None
        self.assertEqual(tls.version, "TLSv1.3")
        peer.transport.loseConnection()
        await peer.closed

    async def test_implicit_tls(self) -> None:
        """Nothing is said before TLS is on."""
        peer = await self.connect(self.listen(implicit_tls=True))
        peer.transport.startTLS(CertificateOptions(verify=False))
        self.assertEqual(await peer.hear(b"hello\n"), b"hello\n")
        peer.transport.loseConnection()
        await peer.closed

    async def test_large_answers_over_tls(self) -> None:
        """A stream arrives whole, in order, through a slow reader."""
        peer = await self.connect(self.listen(implicit_tls=True))
        peer.transport.startTLS(CertificateOptions(verify=False))
        await peer.hear(b"hello\n")
        peer.transport.write(b"stream 500\nend\n")
        peer.transport.pauseProducing()
        await deferLater(reactor, 0.2, lambda: None)
        self.assertLess(self.talkers[0].streamed, 500)
        peer.transport.resumeProducing()
        heard = await peer.hear(b"end\n")
        self.assertEqual(len(heard), 500 * 10_000 + 4)
        peer.transport.loseConnection()
        await peer.closed

    async def test_writes_keep_their_order(self) -> None:
        """Six megabytes of answers to a slow reader: the quick way and the ordinary way do not mix up."""
        peer = await self.connect(self.listen())
        await peer.hear(b"hello\n")
        asked = b"".join(b"%d\nstream 7\n" % number for number in range(90)) + b"end\n"
        peer.transport.pauseProducing()
        peer.transport.write(asked)
        await deferLater(reactor, 0.1, lambda: None)
        peer.transport.resumeProducing()
        heard = await peer.hear(b"end\n")
        self.assertEqual(heard, b"".join(b"%d\n" % number + b"x" * 70_000 for number in range(90)) + b"end\n")
        peer.transport.loseConnection()
        await peer.closed

    async def test_writes_keep_their_order_over_tls(self) -> None:
        """The same inside TLS: answers and streams, at once and by way of the buffer."""
        peer = await self.connect(self.listen(implicit_tls=True))
        peer.transport.startTLS(CertificateOptions(verify=False))
        await peer.hear(b"hello\n")
        asked = b"".join(b"%d\nstream 7\n" % number for number in range(90)) + b"end\n"
        peer.transport.pauseProducing()
        peer.transport.write(asked)
        await deferLater(reactor, 0.1, lambda: None)
        peer.transport.resumeProducing()
        heard = await peer.hear(b"end\n")
        self.assertEqual(heard, b"".join(b"%d\n" % number + b"x" * 70_000 for number in range(90)) + b"end\n")
        peer.transport.loseConnection()
        await peer.closed

    async def test_answers_inside_tls_go_out_at_once(self) -> None:
        """A short answer does not wait until the poller says that the socket can be written to."""
        peer = await self.connect(self.listen(implicit_tls=True))
        peer.transport.startTLS(CertificateOptions(verify=False))
        await peer.hear(b"hello\n")
        connection = next(iter(self.house)).transport
        asked: list[object] = []
        add = reactor.addWriter

        def add_writer(writer: object) -> None:
            asked.append(writer)
            add(writer)

        self.patch(reactor, "addWriter", add_writer)
        for said in (b"a\n", b"b\n"):
            peer.transport.write(said)
            self.assertEqual(await peer.hear(said), said)
        self.assertNotIn(connection, asked)
        peer.transport.loseConnection()
        await peer.closed

    async def test_linger(self) -> None:
        """A peer in mid-sentence hears the last words before the connection goes."""
        peer = await self.connect(self.listen())
        await peer.hear(b"hello\n")
        peer.transport.write(b"linger\n" + b"x" * 200_000)
        self.assertEqual(await peer.hear(b"go away\n"), b"go away\n")
        peer.transport.loseConnection()
        await peer.closed

    async def test_last_words_of_a_half_closed_peer(self) -> None:
        """Who says all at once and closes its side gets every answer."""
        peer = await self.connect(self.listen())
        await peer.hear(b"hello\n")
        peer.transport.write(b"a\nwait\nb\n")
        peer.transport.loseWriteConnection()
        await deferLater(reactor, 0.05, lambda: None)
        self.talkers[0].go.callback(None)
        await peer.closed
        self.assertEqual(peer.heard, b"a\nwait\nb\n")

    async def test_port_in_use(self) -> None:
        """One sentence says which port, for what, and why."""
        listener = self.listen()
        assert listener.port is not None
        port = listener.port.getHost().port
        factory = ConversationFactory(self.talk, self.house)
        second = Listener(reactor, f"tcp:{port}:interface=127.0.0.1", factory, "smtp")
        with self.assertRaises(StartRefused) as raised:
            second.bind()
        self.assertEqual(
            str(raised.exception), f"cannot listen on tcp:{port}:interface=127.0.0.1 for smtp: Address already in use"
        )


class CertificateTests(SynchronousTestCase):
    def test_not_there(self) -> None:
        """A file that is missing is named."""
        with self.assertRaises(StartRefused) as raised:
            server_tls(KeyPair(Path("/no/such.pem"), Path("/no/such.key")))
        self.assertEqual(str(raised.exception), "cannot read /no/such.pem: No such file or directory")

    def test_wrong_key(self) -> None:
        """A key of another certificate is noticed at start."""
        folder = Path(self.mktemp())
        one, other = key_pair(folder, "one.example"), key_pair(folder, "other.example")
        with self.assertRaises(StartRefused):
            server_tls(KeyPair(one.certificate, other.key))

    def test_by_name(self) -> None:
        """The certificate is chosen by the name that the peer asks for."""
        folder = Path(self.mktemp())
        options = server_tls(key_pair(folder, "one.example"), [key_pair(folder, "other.example")])
        for asked, shown in ((b"other.example", "other.example"), (b"OTHER.example", "other.example"),
                             (b"x\xff", "one.example"), (None, "one.example")):
            server = SSL.Connection(options.getContext(), None)
            server.set_accept_state()
            client = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
            client.set_connect_state()
            if asked:
                client.set_tlsext_host_name(asked)
            for _ in range(4):
                for one, other in ((client, server), (server, client)):
                    try:
                        one.do_handshake()
                    except SSL.WantReadError:
                        pass
                    try:
                        other.bio_write(one.bio_read(1 << 16))
                    except SSL.WantReadError:
                        pass
            certificate = client.get_peer_certificate()
            assert certificate is not None
            self.assertEqual(certificate.get_subject().CN, shown)
