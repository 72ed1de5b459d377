"""What commands say, mostly in the words of the RFCs' examples."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailserver.imap.commands.connection import Authenticate, Compress, Enable, Id, Login, Logout, Unauthenticate
from mailserver.imap.commands.listing import List, Lsub
from mailserver.imap.commands.mailboxes import (
    STATUS_ITEMS,
    Create,
    Delete,
    GetQuota,
    GetQuotaRoot,
    Namespace,
    Qresync,
    Rename,
    Select,
    SetQuota,
    Status,
    Subscribe,
    Unsubscribe,
)
from mailserver.imap.commands.messages import Check, Close, Copy, Expunge, Move, Store, Unselect
from mailserver.imap.commands.table import PARSERS, State
from mailserver.imap.flags import Flags
from mailserver.imap.numbers import SAVED, SequenceSet
from mailserver.imap.numbers import parse as numbers
from mailserver.imap.patterns import Pattern
from tests.imap.heard import command, hear, refused

NEW = State.NOT_AUTHENTICATED


class ConnectionTests(SynchronousTestCase):
    def test_login(self) -> None:
        """Atoms, quotes, and 8-bit where people have it in their passwords."""
        self.assertEqual(command(b"LOGIN SMITH SESAME", NEW), Login("SMITH", "SESAME"))
        self.assertEqual(command(b'LOGIN "a b" "\\"\\\\"', NEW), Login("a b", '"\\'))
        self.assertEqual(command('LOGIN bob "pässwörd"'.encode(), NEW), Login("bob", "pässwörd"))
        self.assertEqual(command(b'LOGIN a] ""', NEW), Login("a]", ""))
        for line in (
            b"LOGIN", b"LOGIN a", b"LOGIN a b c", b"LOGIN  a b", b'LOGIN "\xff" b', b"LOGIN a (b)", b"LOGIN a\tb c",
        ):
            self.assertTrue(refused(line, NEW).startswith("BAD"), line)

    def test_id(self) -> None:
        """RFC 2971's examples."""
        self.assertEqual(command(b"ID NIL", NEW), Id())
        self.assertEqual(
            command(b'id ("name" "sodr" "version" "19.34" "vendor" nil)', NEW),
            Id((("name", "sodr"), ("version", "19.34"), ("vendor", None))),
        )
        self.assertEqual(command(b"ID ()", NEW), Id())
        value = "y" * 1024
        self.assertEqual(command(b'ID ("a" "' + value.encode() + b'")', NEW), Id((("a", value),)))
        many = b" ".join([b'"a" "b"'] * 31)
        long = b'"' + b"x" * 31 + b'" NIL', b'"a" "' + b"x" * 1025 + b'"'
        for fields in (many, *long, b'"a"', b'a "b"', b'"a" b', b'"a" "b" '):
            self.assertTrue(refused(b"ID (" + fields + b")", NEW).startswith("BAD"), fields)

    def test_others(self) -> None:
        self.assertEqual(command(b"AUTHENTICATE scram-sha-256", NEW), Authenticate("SCRAM-SHA-256"))
        self.assertEqual(command(b"ENABLE condstore X-GOOD=1"), Enable(("CONDSTORE", "X-GOOD=1")))
        self.assertEqual(command(b"COMPRESS deflate"), Compress("DEFLATE"))
        self.assertEqual(command(b"UNAUTHENTICATE"), Unauthenticate())
        self.assertEqual(command(b"LOGOUT"), Logout())
        self.assertTrue(refused(b"ENABLE" + b" X" * 65).startswith("BAD"))


class MailboxTests(SynchronousTestCase):
    def test_select(self) -> None:
        self.assertEqual(command(b"SELECT inbox"), Select("INBOX"))
        self.assertEqual(command(b'EXAMINE "a b" (CONDSTORE)'), Select("a b", True, True))
        self.assertEqual(command(b"SELECT &ZeVnLIqe-"), Select("日本語"))
        self.assertEqual(command('SELECT "日本語"'.encode(), utf8=True), Select("日本語"))

    def test_qresync(self) -> None:
        """RFC 7162 3.2.5's examples."""
        self.assertEqual(
            command(b"SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))"),
            Select("INBOX", qresync=Qresync(67890007, 20050715194045000, numbers(b"41,43:211,214:541"))),
        )
        self.assertEqual(
            command(b"SELECT INBOX (QRESYNC (67890007 90060115194045000 41:211,214:541 (1:20 100:119)))"),
            Select("INBOX", qresync=Qresync(
                67890007, 90060115194045000, numbers(b"41:211,214:541"), numbers(b"1:20"), numbers(b"100:119")
            )),
        )
        self.assertEqual(
            command(b"SELECT a (CONDSTORE QRESYNC (1 2 (3 4)))"),
            Select("a", condstore=True, qresync=Qresync(1, 2, None, numbers(b"3"), numbers(b"4"))),
        )
        for parameters in (
            b"", b"X", b"QRESYNC", b"QRESYNC ()", b"QRESYNC (1)", b"QRESYNC (0 1)", b"QRESYNC (1 2 1:*)",
            b"QRESYNC (1 2 $)", b"QRESYNC (1 2 3 (4))", b"QRESYNC (1 9223372036854775808)",
            b"QRESYNC (1 2) QRESYNC (1 2)",
        ):
            self.assertTrue(refused(b"SELECT a (" + parameters + b")").startswith("BAD"), parameters)

    def test_made_and_removed(self) -> None:
        """A name that is made may end with the separator: others shall come below it."""
        self.assertEqual(command(b"CREATE owatagusiam/"), Create("owatagusiam"))
        self.assertEqual(
            command(b"CREATE MySpecial (USE (\\Drafts \\Sent))"), Create("MySpecial", ("\\Drafts", "\\Sent"))
        )
        self.assertEqual(command(b"RENAME blurdybloop sarasoon/"), Rename("blurdybloop", "sarasoon"))
        self.assertEqual(command(b"DELETE foo/bar"), Delete("foo/bar"))
        self.assertEqual(command(b"SUBSCRIBE ../x"), Subscribe("../x"))
        self.assertEqual(command(b"UNSUBSCRIBE inbox"), Unsubscribe("INBOX"))
        for line in (b"CREATE /", b"CREATE a//", b"CREATE //", b"DELETE a/", b'CREATE ""', b"RENAME a /b"):
            self.assertTrue(refused(line).startswith("NO CANNOT"), line)
        for line in (
            b"CREATE a (SIZE 5)", b"CREATE a (USE", b"CREATE a (USE (\\X)", b"CREATE a b", b"DELETE &", b"SELECT a%",
        ):
            self.assertTrue(refused(line).startswith("BAD"), line)

    def test_status(self) -> None:
        self.assertEqual(
            command(b"STATUS blurdybloop (UIDNEXT messages)"), Status("blurdybloop", ("UIDNEXT", "MESSAGES"))
        )
        self.assertEqual(
            command(b"STATUS a (" + " ".join(STATUS_ITEMS).encode() + b" SIZE SIZE)"), Status("a", STATUS_ITEMS)
        )
        for line in (b"STATUS a ()", b"STATUS a (X)", b"STATUS a MESSAGES", b"STATUS (MESSAGES)"):
            self.assertTrue(refused(line).startswith("BAD"), line)

    def test_quota(self) -> None:
        """RFC 9208's."""
        self.assertEqual(command(b'GETQUOTA "!partition/sda4"'), GetQuota("!partition/sda4"))
        self.assertEqual(command(b"GETQUOTAROOT inbox"), GetQuotaRoot("INBOX"))
        self.assertEqual(command(b'SETQUOTA "#user/alice" (STORAGE 510)'), SetQuota("#user/alice", (("STORAGE", 510),)))
        self.assertEqual(command(b'SETQUOTA "" ()'), SetQuota("", ()))

    def test_namespace(self) -> None:
        self.assertEqual(command(b"NAMESPACE"), Namespace())


class ListingTests(SynchronousTestCase):
    def test_list(self) -> None:
        self.assertEqual(command(b'LIST "" ""'), List((), asks_for_separator=True))
        self.assertEqual(command(b'LIST a/ %'), List((Pattern("a/%"),), "a/"))
        self.assertEqual(command(b'LIST "" &ZeVnLIqe-/*'), List((Pattern("日本語/*"),)))
        self.assertEqual(command(b'LSUB "" *'), Lsub(Pattern("*")))

    def test_extended(self) -> None:
        """RFC 5258 5, RFC 5819 and RFC 6154."""
        self.assertEqual(
            command(b'LIST (SUBSCRIBED RECURSIVEMATCH) "" "%" RETURN (CHILDREN)'),
            List((Pattern("%"),), "", frozenset({"SUBSCRIBED", "RECURSIVEMATCH"}), frozenset({"CHILDREN"}), (), True),
        )
        self.assertEqual(
            command(b'LIST () "" ("INBOX" Drafts "Sent/%")'),
            List((Pattern("INBOX"), Pattern("Drafts"), Pattern("Sent/%")), is_extended=True),
        )
        self.assertEqual(
            command(b'LIST "" % RETURN (STATUS (MESSAGES UNSEEN) SPECIAL-USE)'),
            List(
                (Pattern("%"),), returns=frozenset({"STATUS", "SPECIAL-USE"}), status=("MESSAGES", "UNSEEN"),
                is_extended=True,
            ),
        )
        self.assertFalse(command(b'LIST (SUBSCRIBED) "" ""').asks_for_separator)        # type: ignore[attr-defined]

    def test_bad(self) -> None:
        for arguments in (
            b'""', b'"" ()', b'(RECURSIVEMATCH) "" *', b'(RECURSIVEMATCH REMOTE) "" *', b'(X) "" *', b'"" * RETURN (X)',
            b'"" * RETURN', b'"" * CHILDREN', b'"" * RETURN (STATUS)', b'"" &', b'"" "\xff"', b"* *",
            b'"" (' + b" ".join([b"a"] * 33) + b")", b'"" ' + b"x" * 1001,
        ):
            self.assertTrue(refused(b"LIST " + arguments).startswith("BAD"), arguments)

    def test_names_found(self) -> None:
        found = command(b'LIST "" (a* b)')
        assert isinstance(found, List)
        self.assertEqual([name for name in ("a", "ax", "b", "c") if found.matches(name)], ["a", "ax", "b"])


class MessageTests(SynchronousTestCase):
    def test_store(self) -> None:
        """RFC 9051 6.4.6 and RFC 7162 3.1.3."""
        self.assertEqual(command(b"STORE 2:4 +FLAGS (\\Deleted)"), Store(numbers(b"2:4"), "+", Flags(8)))
        self.assertEqual(
            command(b"UID STORE * -flags.silent $Junk x"),
            Store(numbers(b"*"), "-", Flags(0, ("$Junk", "x")), True, True),
        )
        self.assertEqual(command(b"STORE $ FLAGS ()"), Store(SAVED, "", Flags()))
        self.assertEqual(
            command(b"STORE 7 (UNCHANGEDSINCE 320162338) +FLAGS.SILENT (\\Deleted)"),
            Store(numbers(b"7"), "+", Flags(8), True, False, 320162338),
        )
        for line in (
            b"STORE 1 FLAGS (\\Recent)", b"STORE 1 FLAGS", b"STORE 1 FLAG (a)", b"STORE 1 FLAGS.LOUD (a)",
            b"STORE a FLAGS a",
            b"STORE 1 (X 1) FLAGS a", b"STORE 1 *FLAGS a", b"STORE 0 FLAGS a", b"STORE 1 FLAGS (\\Seen",
            b"STORE 1 FLAGS \\*",
        ):
            self.assertTrue(refused(line).startswith("BAD"), line)

    def test_moved(self) -> None:
        self.assertEqual(command(b"COPY 2:4 MEETING"), Copy(numbers(b"2:4"), "MEETING"))
        self.assertEqual(command(b"UID COPY 1 inbox"), Copy(numbers(b"1"), "INBOX", True))
        self.assertEqual(command(b"UID MOVE 42:69 foo"), Move(numbers(b"42:69"), "foo", True))
        self.assertEqual(command(b"MOVE $ foo"), Move(SAVED, "foo"))

    def test_left(self) -> None:
        self.assertEqual(
            [command(b"CHECK"), command(b"CLOSE"), command(b"UNSELECT"), command(b"EXPUNGE")],
            [Check(), Close(), Unselect(), Expunge()],
        )
        self.assertEqual(command(b"UID EXPUNGE 3000:3002"), Expunge(SequenceSet(((3000, 3002),))))
        self.assertTrue(refused(b"EXPUNGE 1").startswith("BAD"))


class TableTests(SynchronousTestCase):
    def test_each_begins_somehow(self) -> None:
        """Every command of the table, without arguments and with odd ones: a value or an error."""
        for name in PARSERS:
            for arguments in (
                b"", b" ", b" (", b' "', b" {1+}\r\n", b" NIL", b" \\", b" 1", b" 1 (", b" x (", b" x y z",
            ):
                for state in State:
                    hear([b"a " + name.encode() + arguments + b"\r\n"], state)
