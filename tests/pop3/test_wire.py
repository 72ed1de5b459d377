"""Command lines of POP3: what is understood, what is refused, and that it does not matter how they arrive."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from mailserver.pop3.wire import LONGEST_AUTH, LONGEST_LINE, MOST_SWALLOWED, Command, Pop3Error, ServerWire, State

LINES = some.one_of(
    some.sampled_from([
        b"USER bob\r\n", b"PASS  a b \r\n", b"QUIT\n", b"capa\r\n", b"RETR 1\r\n", b"TOP 1 0\r\n", b"\r\n", b"\n",
        b"AUTH PLAIN\r\n", b"AUTH " + b"x" * 300 + b"\r\n", b"USER " + b"x" * 300 + b"\r\n", b"NOOP " + b"y" * 254,
        b"z" * (MOST_SWALLOWED - 1) + b"\n", b"z" * MOST_SWALLOWED,
    ]),
    some.binary(max_size=20),
)


def said(octets: bytes, state: State = State.AUTHORIZATION, cuts: frozenset[int] = frozenset()) -> list[object]:
    """All that the wire makes of these octets, cut into pieces behind `cuts`."""
    wire = ServerWire()
    wire.state = state
    found: list[object] = []
    start = 0
    for end in sorted({cut for cut in cuts if cut < len(octets)} | {len(octets)}):
        wire.receive(octets[start:end])
        start = end
        while True:
            try:
                command = wire.next()
            except Pop3Error as error:
                found.append(("error", str(error)))
                if error.fatal:
                    return found
                continue
            if command is None:
                break
            found.append(command)
    return found


def errors(octets: bytes, state: State = State.AUTHORIZATION) -> list[str]:
    return [each[1] for each in said(octets, state) if isinstance(each, tuple)]


class CommandTests(SynchronousTestCase):
    def test_login(self) -> None:
        """A password keeps its spaces; verbs have no case."""
        self.assertEqual(
            said(b"user bob@example.org \r\nPASS  two words \r\n"),
            [Command("USER", "bob@example.org"), Command("PASS", " two words ")],
        )

    def test_numbers(self) -> None:
        """As numbers, counted from one; the session looks whether there is such a message."""
        self.assertEqual(
            said(b"RETR 1\r\nTOP  2 10 \r\nLIST\r\nLIST 3\r\nUIDL 0\r\n", State.TRANSACTION),
            [
                Command("RETR", "1", 1), Command("TOP", "2 10", 2, 10), Command("LIST"), Command("LIST", "3", 3),
                Command("UIDL", "0", 0),
            ],
        )

    def test_bad_numbers(self) -> None:
        """Each of these is an error, and the conversation goes on."""
        for argument in ("", "x", "-1", "+1", "1 2", "1.0", "12345678901", "\u0661", "1\x0b", "\u00a01"):
            with self.subTest(argument):
                self.assertEqual(
                    errors(f"DELE {argument}\r\n".encode(), State.TRANSACTION), ["a message number is needed"]
                )
        self.assertEqual(len(errors(b"TOP 1\r\nTOP 1 x\r\nTOP 1 2 3\r\n", State.TRANSACTION)), 3)

    def test_unwanted_arguments(self) -> None:
        self.assertEqual(errors(b"QUIT now\r\n"), ["QUIT takes no argument"])
        self.assertEqual(errors(b"USER\r\n"), ["USER needs a name"])

    def test_states(self) -> None:
        """Mail is for those who have logged in, and nobody logs in twice."""
        for verb in ("STAT", "LIST", "RETR 1", "DELE 1", "NOOP", "RSET", "TOP 1 1", "UIDL"):
            self.assertEqual(errors(verb.encode() + b"\r\n"), ["log in first"])
        for verb in ("USER x", "PASS x", "AUTH PLAIN", "STLS"):
            self.assertEqual(errors(verb.encode() + b"\r\n", State.TRANSACTION), ["you are logged in already"])

    def test_unknown(self) -> None:
        """Other protocols, other alphabets, nothing at all."""
        for line in (b"GET / HTTP/1.1", b"EHLO x", b"", b" QUIT", b"\x16\x03\x01\x02", "\u017fTAT".encode(), b"\xff"):
            self.assertEqual(errors(line + b"\r\n"), ["unknown command"])

    def test_octets(self) -> None:
        """NUL and a bare CR are refused; arguments are UTF-8."""
        self.assertEqual(errors(b"USER a\0b\r\nPASS a\rb\r\nPASS \xff\r\n"), [
            "there is a control character in that line", "there is a control character in that line",
            "that is not UTF-8",
        ])
        self.assertEqual(said("PASS pässword\r\n".encode()), [Command("PASS", "pässword")])

    def test_exchange(self) -> None:
        """In the middle of an AUTH a line is a line."""
        self.assertEqual(said(b"QUIT\r\n\r\n*\r\n", State.EXCHANGE), [b"QUIT", b"", b"*"])

    def test_restart(self) -> None:
        """Behind TLS there is nothing left of before."""
        wire = ServerWire()
        wire.receive(b"x" * 1000)
        self.assertRaises(Pop3Error, wire.next)
        wire.restart()
        wire.receive(b"QUIT\r\n")
        self.assertEqual(wire.next(), Command("QUIT"))


class LengthTests(SynchronousTestCase):
    def test_longest(self) -> None:
        """255 octets with CRLF, not one more; the next command is heard."""
        for verb, longest in ((b"PASS ", LONGEST_LINE), (b"AUTH ", LONGEST_AUTH)):
            room = longest - len(verb) - 2
            [command] = said(verb + b"x" * room + b"\r\n")
            assert isinstance(command, Command)
            self.assertEqual(command.argument, "x" * room)
            self.assertEqual(
                said(verb + b"x" * (room + 1) + b"\r\nQUIT\r\n"), [("error", "that line is too long"), Command("QUIT")]
            )

    def test_no_end(self) -> None:
        """Eight megabytes without an end are not kept, and end the conversation."""
        wire = ServerWire()
        heard = []
        for _ in range(1024):
            wire.receive(b"x" * 8192)
            try:
                wire.next()
            except Pop3Error as error:
                heard.append((str(error), error.fatal))
            self.assertLess(wire.buffered, 2 * 8192)
        self.assertEqual(heard[:2], [("that line is too long", False), ("that line does not end", True)])


class ChunkTests(SynchronousTestCase):
    @settings(deadline=None, max_examples=200)
    @given(
        some.lists(LINES, max_size=8).map(b"".join), some.sampled_from(State), some.frozensets(some.integers(0, 900))
    )
    def test_any_pieces(self, octets: bytes, state: State, cuts: frozenset[int]) -> None:
        """The same commands and the same errors, however it is cut; nothing but the wire's own errors."""
        self.assertEqual(said(octets, state, cuts), said(octets, state))

    @settings(deadline=None, max_examples=50)
    @given(some.lists(LINES, max_size=4).map(b"".join))
    def test_single_octets(self, octets: bytes) -> None:
        self.assertEqual(said(octets, cuts=frozenset(range(len(octets)))), said(octets))
