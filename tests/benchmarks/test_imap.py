"""The client that looks at nothing it hears, and the mailbox that it reads."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.imap import Imap, pop3_all, shares
from benchmarks.mails import SIZE, mails


class Script:
    """A server of one connection on loopback: for each line that comes it sends octets, in small pieces.

    ``TAG`` in them is the tag of that line.
    """

    def __init__(self, greeting: bytes, answers: Sequence[bytes], piece: int = 7) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.heard: list[bytes] = []
        self._thread = threading.Thread(target=self._play, args=(greeting, answers, piece), daemon=True)
        self._thread.start()

    def _play(self, greeting: bytes, answers: Sequence[bytes], piece: int) -> None:
        peer, _ = self._listening.accept()
        with peer, self._listening, peer.makefile("rb") as lines:
            peer.sendall(greeting)
            for answer in answers:
                line = lines.readline()
                self.heard.append(line)
                octets = answer.replace(b"TAG", line.split(b" ")[0])
                for at in range(0, len(octets), piece):
                    peer.sendall(octets[at:at + piece])

    def join(self) -> None:
        self._thread.join(10)


class ImapTests(SynchronousTestCase):
    def test_literals(self) -> None:
        """A literal with what looks like the end of a response is gone through all the same."""
        body = b"\r\nA1 OK done\r\n* BAD\r\n)\r\n"
        first = b"* 1 FETCH (BODY[] {%d}\r\n%b)\r\nTAG OK done\r\n" % (len(body), body)
        server = Script(b"* OK ready\r\n", [first, b"TAG OK [X] and once more\r\n", b"* 1 EXISTS\r\nTAG NO\r\n"])
        client = Imap(server.port, 10)
        heard = client.do(b"FETCH 1 BODY[]", keep=True)
        tag = server.heard[0].split(b" ")[0]
        self.assertEqual(heard.kept, first.replace(b"TAG", tag))
        self.assertEqual((heard.octets, heard.last), (len(heard.kept), tag + b" OK done\r\n"))
        self.assertEqual(client.do(b"NOOP").kept, b"")
        self.assertIn("NO", str(self.assertRaises(AssertionError, client.do, b"SELECT x")))
        client.close()
        server.join()

    def test_long_response(self) -> None:
        """Many pieces and a tagged line that is cut at any place."""
        for piece in (1000, 4096, 4097, 65536):
            server = Script(b"* OK\r\n", [b"* 1 FETCH (x)\r\n" * 20_000 + b"TAG OK\r\n"], piece)
            client = Imap(server.port, 10)
            self.assertGreater(client.do(b"FETCH").octets, 300_000)
            client.close()
            server.join()

    def test_end(self) -> None:
        """A server that hangs up in the middle has not answered."""
        server = Script(b"* OK\r\n", [b"* 1 FETCH (x)\r\n"])
        client = Imap(server.port, 10)
        self.assertIn("has ended", str(self.assertRaises(AssertionError, client.do, b"FETCH")))
        client.close()

    def test_append(self) -> None:
        """One message, or several by one command, with and without options."""
        server = Script(b"* OK\r\n", [b""] * 5)
        client = Imap(server.port, 10)
        # It hangs up when it has heard everything.
        self.assertRaises(AssertionError, client.append, b"Sent", [(b"(x)", b"a\r\n"), (b"", b"b\r\n")])
        client.close()
        server.join()
        self.assertRegex(b"".join(server.heard), rb"^\w+ APPEND Sent \(x\) {3\+}\r\na\r\n {3\+}\r\nb\r\n\r\n$")

    def test_shares(self) -> None:
        those = [(b"", b"%d" % number) for number in range(10)]
        self.assertEqual(sorted(each for share in shares(those, 3) for each in share), those)


class Pop3Tests(SynchronousTestCase):
    def test_all(self) -> None:
        """The ends of responses are found wherever they are cut."""
        message = b"+OK\r\nSubject: x\r\n\r\n.\r.\n\r\n.\r\n"
        for piece in (5, 6, 7, 11, 1000):           # the first answers are short enough to come whole
            server = Script(b"+OK\r\n", [b"+OK\r\n", b"+OK\r\n", *[message] * 50, b"+OK\r\n"], piece)
            self.assertGreaterEqual(pop3_all(server.port, "x", "y", 50, 10, 7), 50 * len(message))
            server.join()


class MailsTests(SynchronousTestCase):
    def test_each(self) -> None:
        """One size, lines with CRLF and no other, none with a dot in front; the same each time."""
        made = list(mails(100))
        self.assertEqual(made, list(mails(100)))
        self.assertEqual({len(each.octets) for each in made}, {SIZE})
        for each in made:
            self.assertNotRegex(each.octets, rb"(?<!\r)\n|\r(?!\n)|\r\n\.|[^\x00-\x7f]|zq[0-9]+qz")
            self.assertTrue(each.octets.endswith(b"\r\n"))
            self.assertTrue(re.fullmatch(rb'\([^"]*\) "\d\d-\w{3}-\d{4} \d\d:\d\d:\d\d \+0000"', each.options))
        self.assertEqual(len({each.octets for each in made}), 100)
