"""Commands and literals: what is asked for, what comes in pieces, what is refused, and that cuts do not matter."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from mailserver.imap.commands.append import Append, Draft, Replace
from mailserver.imap.commands.connection import Authenticate, Capability, Idle, Login, Noop, StartTls
from mailserver.imap.commands.mailboxes import Create, Rename
from mailserver.imap.commands.table import State
from mailserver.imap.error import ImapError
from mailserver.imap.events import Announced, Cancelled, Done, Piece, Request, Response, Wanted
from mailserver.imap.flags import Flags
from mailserver.imap.heads import LONGEST_TAG
from mailserver.imap.limits import BEFORE_LOGIN, Limits, after_login
from mailserver.imap.wire import ServerWire
from tests.imap.heard import commands, cut, hear, refused

NEW, IN = State.NOT_AUTHENTICATED, State.SELECTED
SMALL = Limits(command=400, literal=60, message=100, unasked=50, swallowed=1000)


def overquota(_: object) -> ImapError:
    return ImapError("there is no room", "NO", "OVERQUOTA")


class CommandTests(SynchronousTestCase):
    def test_case(self) -> None:
        """Commands have no case, tags do."""
        self.assertEqual(
            hear([b"a1 noop\r\nA1 CAPABILITY\r\n"], NEW), [Request("a1", Noop()), Request("A1", Capability())]
        )

    def test_literals(self) -> None:
        """Each that waits is asked for; what comes is one command."""
        self.assertEqual(
            hear([b"1 LOGIN {3}\r\nbob {6}\r\n pass \r\n"], NEW),
            [Wanted("1", 3), Wanted("1", 6), Request("1", Login("bob", " pass "))],
        )
        self.assertEqual(hear([b"1 LOGIN {3+}\r\nbob {2+}\r\n\"\\\r\n"], NEW), [Request("1", Login("bob", '"\\'))])
        self.assertEqual(
            commands(b"1 RENAME {1+}\r\na {1}\r\nb\r\n2 CREATE {2+}\r\na%\r\n"), [Rename("a", "b"), Create("a%")],
        )

    def test_literal_looks_like_lines(self) -> None:
        """What is in a literal is no command and no announcement."""
        self.assertEqual(
            hear([b'1 LOGIN {11}\r\n 2 NOOP\r\n{9 "x"\r\n'], NEW),
            [Wanted("1", 11), Request("1", Login(" 2 NOOP\r\n{9", "x"))],
        )

    def test_passwords_are_not_shown(self) -> None:
        for event in hear([b"1 LOGIN bob hunter2\r\n2 AUTHENTICATE PLAIN aHVudGVyMg==\r\naHVudGVyMg==\r\n"], NEW):
            self.assertNotIn("hunter2", repr(event))

    def test_errors(self) -> None:
        """Each costs its command, with its tag where there is one; the conversation goes on."""
        for line, tag in (
            (b"", None), (b"x", "x"), (b"x ", "x"), (b"+ NOOP", None), (b"* NOOP", None), (b"x XYZZY", "x"),
            (b"x NOOP now", "x"), (b"x NOOP  ", "x"), (b" x NOOP", None), (b"x UID NOOP", "x"), (b"x UID", "x"),
            (b"x {1}", "x"), (b"x UID {1}", "x"), (b"GET / HTTP/1.1", "GET"), (b"\xff\xfe NOOP", None),
            (b"a(b NOOP", None), (b"x SELECT", "x"),
            (b'x SELECT "INBOX', "x"), (b"x SELECT {5", "x"), (b"x SELECT {-1}", "x"), (b"x SELECT {x}", "x"),
            (b'x SELECT "a\\b"', "x"), (b"x" * LONGEST_TAG + b" XYZZY", "x" * LONGEST_TAG),
            (b"x" * (LONGEST_TAG + 1) + b" NOOP", None),
        ):
            with self.subTest(line):
                [error, after] = hear([line + b"\r\nz NOOP\r\n"])
                assert isinstance(error, tuple)
                self.assertEqual((error[0], error[1]), (tag, "BAD"))
                self.assertEqual(after, Request("z", Noop()))

    def test_when(self) -> None:
        """Some commands are for strangers, some for who has logged in, some for a mailbox."""
        for line in (b"SELECT a", b"ENABLE X", b"APPEND a {1}", b"FETCH 1 ALL", b"IDLE", b"COMPRESS DEFLATE"):
            self.assertEqual(refused(line, NEW), "BAD log in first")
        for line in (b"STARTTLS", b"LOGIN a b", b"AUTHENTICATE PLAIN"):
            self.assertEqual(refused(line, State.AUTHENTICATED), "BAD you are logged in already")
        for line in (b"FETCH 1 ALL", b"UID MOVE 1 a", b"CLOSE", b"SEARCH ALL", b"REPLACE 1 a {1}"):
            self.assertEqual(refused(line, State.AUTHENTICATED), "BAD choose a mailbox first")

    def test_restart(self) -> None:
        """STARTTLS: what was sent behind it is not taken for something said inside TLS."""
        wire = ServerWire()
        wire.receive(b"a STARTTLS\r\nb LOGIN bob pass\r\nc NOO")
        self.assertEqual(wire.next(), Request("a", StartTls()))
        self.assertGreater(wire.buffered, 0)        # by which a connection sees it
        wire.restart()
        self.assertEqual((wire.buffered, wire.next()), (0, None))
        wire.receive(b"P\r\nd NOOP\r\n")
        self.assertRaises(ImapError, wire.next)
        self.assertEqual(wire.next(), Request("d", Noop()))

    def test_restart_in_the_middle(self) -> None:
        """Whatever was going on."""
        for begun in (b"a LOGIN {3}\r\n", b"a LOGIN {3+}\r\nx", b"a X {9+}\r\nx", b"a AUTHENTICATE PLAIN\r\n", b"a \0"):
            wire = ServerWire()
            wire.receive(begun)
            try:
                event = wire.next()
                if isinstance(event, Request):
                    wire.challenge(event.tag)
            except ImapError:
                pass
            wire.restart()
            wire.receive(b"b NOOP\r\n")
            self.assertEqual(wire.next(), Request("b", Noop()), begun)


class MessageTests(SynchronousTestCase):
    def test_append(self) -> None:
        """RFC 9051 6.3.12's example: flags, then 326 octets of message."""
        message = b"Subject: afternoon meeting\r\n\r\nHello Joe, do you think we can meet at 3:30?\r\n"
        draft = Draft(len(message), True, Flags(1))
        self.assertEqual(
            hear([b"A003 APPEND saved-messages (\\Seen) {%d}\r\n" % len(message) + message + b"\r\n"]),
            [Announced("A003", Append("saved-messages"), draft), message, Request("A003", Append("saved-messages"))],
        )

    def test_several(self) -> None:
        """RFC 3502's example, the second message with a date and not waiting."""
        self.assertEqual(
            hear(cut(
                b"A003 APPEND saved-messages (\\Seen) {4}\r\none\n (\\Seen) \" 7-Feb-1994 22:43:04 -0800\" {5+}\r\n"
                b"two\r\n\r\nA004 NOOP\r\n", (),
            )),
            [
                Announced("A003", Append("saved-messages"), Draft(4, True, Flags(1))), b"one\n",
                Announced("A003", Append("saved-messages"), Draft(5, False, Flags(1), 760689784)), b"two\r\n",
                Request("A003", Append("saved-messages")), Request("A004", Noop()),
            ],
        )

    def test_mailbox_as_literal(self) -> None:
        for announced in (b"{5}", b"{5+}"):
            heard = hear([b"a APPEND " + announced + b"\r\nSent! {3}\r\nabc\r\n"])
            self.assertEqual(heard[-2:], [b"abc", Request("a", Append("Sent!"))])

    def test_binary(self) -> None:
        """A literal8 holds NUL, and a message may come in UTF8 (...)."""
        self.assertEqual(
            hear([b"a APPEND x ~{3}\r\na\0b\r\nb APPEND x utf8 (~{2+}\r\n\xc3\xbc)\r\n"]),
            [
                Announced("a", Append("x"), Draft(3, True, is_binary=True)), b"a\0b", Request("a", Append("x")),
                Announced("b", Append("x"), Draft(2, False, is_binary=True, is_utf8=True)), b"\xc3\xbc",
                Request("b", Append("x")),
            ],
        )

    def test_replace(self) -> None:
        """RFC 8508 3.5's commands; one message takes the place of one."""
        self.assertEqual(
            hear([b"R1 REPLACE 4 Drafts (\\Seen \\Draft) {2}\r\nab\r\nR2 UID REPLACE * x {1+}\r\nc\r\n"]),
            [
                Announced("R1", Replace(4, "Drafts"), Draft(2, True, Flags(17))), b"ab",
                Request("R1", Replace(4, "Drafts")),
                Announced("R2", Replace(0, "x", True), Draft(1, False)), b"c", Request("R2", Replace(0, "x", True)),
            ],
        )
        self.assertEqual(
            hear([b"R1 REPLACE 4 x {1}\r\na {1+}\r\nb\r\nR2 NOOP\r\n"])[2:],
            [("R1", "BAD", "", "one message takes the place of one"), Request("R2", Noop())],
        )

    def test_none(self) -> None:
        """No octet is a message too: the session knows that it takes the command back."""
        self.assertEqual(
            hear([b"a APPEND x {0}\r\n\r\nb APPEND x {0+}\r\n\r\n"]),
            [
                Announced("a", Append("x"), Draft(0, True)), b"", Request("a", Append("x")),
                Announced("b", Append("x"), Draft(0, False)), b"", Request("b", Append("x")),
            ],
        )

    def test_in_pieces(self) -> None:
        """A message is passed on as it comes, and never kept."""
        wire = ServerWire()
        wire.state = IN
        wire.receive(b"a APPEND x {8000000}\r\n")
        self.assertIsInstance(wire.next(), Announced)
        self.assertIsNone(wire.next())          # until somebody says whether it may come
        wire.grant()
        self.assertIsNone(wire.next())
        for number in range(1, 1001):
            wire.receive(b"x" * 8000)
            self.assertEqual(wire.next(), Piece(b"x" * 8000, number == 1000))
            self.assertEqual(wire.buffered, 0)
        wire.receive(b"\r\n")
        self.assertEqual(wire.next(), Request("a", Append("x")))

    def test_bad(self) -> None:
        """Nothing of these is asked for; what does not wait is swallowed."""
        for text in (
            b"\"x {3+}\r\nabc", b"x (\\Seen {3+}\r\nabc", b"x \"now\" {3+}\r\nabc",
            b"x (\\Recent) {3+}\r\nabc", b"x (\\Foo) {3+}\r\nabc", b"x UTF8 ({3+}\r\nabc)", b"x", b"x (\\Seen)",
            b'x "1-Feb-1994 00:00:00 +0000"', b"x UTF8 (~{3+}\r\nabc", b"x {3+}\r\nabc)", b"a//b {3+}\r\nabc",
            b"x \"31-Feb-1994 00:00:00 +0000\" {3}",
        ):
            with self.subTest(text):
                heard = hear([b"a APPEND " + text + b"\r\nb NOOP\r\n"])
                errors = [each for each in heard if isinstance(each, tuple)]
                self.assertEqual(([error[0] for error in errors], heard[-1]), (["a"], Request("b", Noop())), heard)


class RefusalTests(SynchronousTestCase):
    def test_waits(self) -> None:
        """A literal that waits is refused at once, and never comes."""
        self.assertEqual(
            hear([b"a APPEND x {50}\r\nb NOOP\r\n"], refuses=overquota)[1:],
            [("a", "NO", "OVERQUOTA", "there is no room"), Request("b", Noop())],
        )

    def test_does_not_wait(self) -> None:
        """One that does not is swallowed with the rest of its command, then its sender hears of it."""
        self.assertEqual(
            hear(
                [b"a APPEND x {9+}\r\nz NOOP\r\n  {8+}\r\ny NOOP\r\n (\\Seen) {4}\r\nb NOOP\r\n"], refuses=overquota
            )[1:],
            [("a", "NO", "OVERQUOTA", "there is no room"), Request("b", Noop())],
        )

    def test_second(self) -> None:
        """Of several messages the second may be refused; the error ends the command."""
        asked: list[object] = []

        def second(event: object) -> ImapError | None:
            asked.append(event)
            return overquota(event) if len(asked) == 2 else None

        heard = hear([b"a APPEND x {1}\r\na {2+}\r\nbc\r\nb NOOP\r\n"], refuses=second)
        self.assertEqual(
            heard[1:2] + heard[3:], [b"a", ("a", "NO", "OVERQUOTA", "there is no room"), Request("b", Noop())]
        )

    def test_too_large(self) -> None:
        """The wire refuses by itself what no session could take."""
        for line, condition in (
            (b"APPEND x {101}", "NO"), (b"APPEND x {99999999999999999999999999}", "NO"), (b"SELECT {61}", "BAD"),
            (b"APPEND x {51+}\r\n" + b"m" * 51, "BAD"), (b"SELECT {61+}\r\n" + b"m" * 61, "BAD"),
            (b"SELECT {51+}\r\n" + b"m" * 51, "BAD"),
        ):
            with self.subTest(line):
                heard = hear([b"a " + line + b"\r\nb NOOP\r\n"], limits=SMALL)
                self.assertEqual([heard[0][:3], *heard[1:]], [("a", condition, "TOOBIG"), Request("b", Noop())])

    def test_far_too_large(self) -> None:
        """What nobody would swallow ends the conversation, before it comes."""
        for line in (b"APPEND x {1001+}", b"NOOP {4294967296+}", b"SELECT {99999999999999999999999+}"):
            heard = hear([b"a " + line + b"\r\n"], limits=SMALL)
            self.assertEqual([each[1:3] for each in heard], [("BYE", "TOOBIG")])

    def test_line(self) -> None:
        """A command is as long as it may be, not one octet longer."""
        for state, limits in ((IN, SMALL), (NEW, BEFORE_LOGIN)):
            for size in (limits.command, limits.command + 1):
                line = b"a XYZZY " + b"y" * (size - len(b"a XYZZY \r\n")) + b"\r\n"
                text = "there is no such command" if size == limits.command else "that is too long"
                self.assertEqual(
                    hear([line + b"b NOOP\r\n"], state, limits=SMALL), [("a", "BAD", "", text), Request("b", Noop())]
                )

    def test_many_literals(self) -> None:
        """All of a command together have a limit too."""
        keys = b"".join([b" SUBJECT {50+}\r\n" + b"x" * 50] * 8)
        heard = hear([b"a SEARCH" + keys + b"\r\n"], limits=SMALL)
        self.assertEqual(heard, [("a", "BAD", "TOOBIG", "that is too long")])

    def test_literal_at_the_end(self) -> None:
        """A literal fits when the CRLF behind it does."""
        for more, heard in ((0, [Request]), (1, [tuple])):
            room = SMALL.command - len(b"a SEARCH BODY  BODY {50+}\r\n\r\n") - 50 + more
            line = b"a SEARCH BODY " + b"x" * room + b" BODY {50+}\r\n" + b"y" * 50 + b"\r\n"
            self.assertEqual([type(each) for each in hear([line], limits=SMALL)], heard)

    def test_no_end(self) -> None:
        """Eight megabytes without an end are not kept, and end the conversation."""
        for state in (NEW, IN):
            wire = ServerWire()
            wire.state = state
            heard = []
            for _ in range(1024):
                wire.receive(b"x" * 8192)
                try:
                    wire.next()
                except ImapError as error:
                    heard.append((str(error), error.fatal))
                    if error.fatal:
                        break
                self.assertLess(wire.buffered, wire.limits.command + 8192)
            self.assertEqual(heard[0], ("that is too long", False))
            self.assertTrue(heard[-1][1])

    def test_swallowed(self) -> None:
        """As much as may be is thrown away, and not one octet more, however it comes."""
        for size, end in ((SMALL.swallowed, Request("b", Noop())), (SMALL.swallowed + 1, (None, "BYE", "TOOBIG"))):
            line = b"x" * size + b"\r\nb NOOP\r\n"
            literal = b"a X {900+}\r\n" + b"y" * 900 + b"x" * (size - 900) + b"\r\nb NOOP\r\n"
            for octets in (line, literal):
                for places in ((), range(len(octets)), (size,), (size + 1,), (size + 13,), (size + 14,)):
                    last = hear(cut(octets, places), limits=SMALL)[-1]
                    self.assertEqual(last[:3] if isinstance(last, tuple) else last, end, (octets[:9], places))

    def test_octets(self) -> None:
        """NUL and bare line ends are refused at sight; the line that holds them is none."""
        for bad in (b"\0", b"\n", b"\r", b"\r\r\n", b"x\n\n"):
            for line in (b"a NOOP" + bad, b"a LOGIN x {1+}\r\ny" + bad, b"a" + bad + b" NOOP"):
                with self.subTest(line):
                    heard = hear([line + b" z\r\nb NOOP\r\n"], NEW)
                    errors = [each[3] for each in heard if isinstance(each, tuple)]
                    self.assertEqual(errors[0], "there is a NUL, or a line end that is not CRLF")
                    self.assertEqual(len(errors), 1 + bad.count(b"\r\n"))       # behind that another line begins
                    self.assertEqual(heard[len(errors) :], [Request("b", Noop())])
        self.assertEqual(len(hear([b"a NOOP\n"], NEW)), 1)      # nobody waits for the rest
        self.assertEqual(refused(b"LOGIN {3+}\r\na\0b x", NEW), "BAD there is a NUL in a literal")

    def test_literal_ends_with_cr(self) -> None:
        """The CR of a literal is no half of a line's end."""
        self.assertEqual(
            hear([b"a LOGIN x {1+}\r\n\r\nb NOOP\r\n"], NEW),
            [("a", "BAD", "", "there is a NUL, or a line end that is not CRLF")],
        )


class ExchangeTests(SynchronousTestCase):
    def test_authenticate(self) -> None:
        """A line of base64 answers each challenge; it is no command."""
        self.assertEqual(
            hear([b"a AUTHENTICATE plain\r\nAGEAYg==\r\nb NOOP\r\n"], NEW),
            [Request("a", Authenticate("PLAIN")), Response(b"\0a\0b"), Request("b", Noop())],
        )
        self.assertEqual(hear([b"a AUTHENTICATE X\r\n\r\n"], NEW)[1], Response(b""))

    def test_initial(self) -> None:
        """RFC 4959: at once; "=" is an empty one."""
        self.assertEqual(
            hear([b"a AUTHENTICATE PLAIN AGEAYg==\r\n*\r\nb AUTHENTICATE EXTERNAL =\r\n*\r\n"], NEW),
            [
                Request("a", Authenticate("PLAIN", b"\0a\0b")), Cancelled(),
                Request("b", Authenticate("EXTERNAL", b"")), Cancelled(),
            ],
        )

    def test_not_base64(self) -> None:
        for line in (b"*x", b"=", b"A", b"AA=", b"AAAA AAAA", b"\xff", b"AA==AA=="):
            heard = hear([b"a AUTHENTICATE PLAIN\r\n" + line + b"\r\nb NOOP\r\n"], NEW)
            self.assertEqual(heard[1:], [("a", "BAD", "", "that is not base64"), Request("b", Noop())])
        self.assertEqual(refused(b"AUTHENTICATE PLAIN x", NEW), "BAD that is not base64")

    def test_long(self) -> None:
        heard = hear([b"a AUTHENTICATE PLAIN\r\n" + b"A" * 20000 + b"\r\nb NOOP\r\n"], NEW)
        self.assertEqual(heard[1:], [("a", "BAD", "", "that is too long"), Request("b", Noop())])

    def test_idle(self) -> None:
        """RFC 2177: DONE, in any case, and nothing else."""
        self.assertEqual(hear([b"a IDLE\r\ndone\r\nb NOOP\r\n"]), [Request("a", Idle()), Done(), Request("b", Noop())])
        self.assertEqual(
            hear([b"a IDLE\r\nb NOOP\r\nc NOOP\r\n"])[1:], [("a", "BAD", "", "DONE was expected"), Request("c", Noop())]
        )


LINES = some.one_of(
    some.sampled_from([
        b"a NOOP\r\n", b"a LOGIN bob pass\r\n", b"a LOGIN {3}\r\nbob {4+}\r\npass\r\n", b"a APPEND x {3+}\r\nabc\r\n",
        b"a APPEND x (\\Seen) {3}\r\nab\0 ~{1+}\r\nx\r\n", b"a IDLE\r\n", b"DONE\r\n", b"*\r\n",
        b"a AUTHENTICATE X\r\n", b"AAAA\r\n", b"a APPEND {1+}\r\nx UTF8 (~{2}\r\nyy)\r\n",
        b"a SELECT {60}\r\n", b"{3+}\r\n", b"a X {9+}\r\n",
        b"x" * 399 + b"\r\n", b"x" * 401, b" {999+}\r\n", b"{1}\r\n", b"\r\n", b"\n", b"\r", b"\0", b" ", b'"', b"~",
        b"a UID REPLACE 1 x {2+}\r\nzz\r\n", b"x" * 1200,
    ]),
    some.binary(max_size=12),
)


class CutTests(SynchronousTestCase):
    @settings(deadline=None, max_examples=300)
    @given(
        some.lists(LINES, max_size=10).map(b"".join), some.sampled_from(State), some.booleans(),
        some.frozensets(some.integers(0, 900)),
    )
    def test_any_pieces(self, octets: bytes, state: State, refusing: bool, cuts: frozenset[int]) -> None:
        """The same is heard however it is cut; nothing but the wire's own errors is raised."""
        refuses = overquota if refusing else (lambda _: None)
        self.assertEqual(
            hear(cut(octets, cuts), state, refuses, limits=SMALL), hear([octets], state, refuses, limits=SMALL)
        )

    @settings(deadline=None, max_examples=100)
    @given(some.lists(LINES, max_size=5).map(b"".join), some.sampled_from(State))
    def test_single_octets(self, octets: bytes, state: State) -> None:
        self.assertEqual(
            hear(cut(octets, range(len(octets))), state, limits=SMALL), hear([octets], state, limits=SMALL)
        )

    def test_defaults(self) -> None:
        self.assertEqual(after_login().message, 64 * 1024 * 1024)
        self.assertLess(BEFORE_LOGIN.swallowed, 100_000)
