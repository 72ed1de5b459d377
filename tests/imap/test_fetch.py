"""FETCH: attributes, sections and modifiers, and the names of the answers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailserver.imap.commands.fetch import Fetch
from mailserver.imap.commands.sections import Attribute, Binary, BinarySize, Body, Item, Preview, Section
from mailserver.imap.numbers import parse as numbers
from tests.imap.heard import command, refused


def items(words: bytes) -> tuple[Item, ...]:
    fetch = command(b"FETCH 1 " + words)
    assert isinstance(fetch, Fetch)
    return fetch.items


class ItemTests(SynchronousTestCase):
    def test_attributes(self) -> None:
        for attribute in Attribute:
            self.assertEqual(items(attribute.value.lower().encode()), (attribute,))

    def test_macros(self) -> None:
        self.assertEqual(items(b"FAST"), (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE))
        self.assertEqual(items(b"all"), (*items(b"FAST"), Attribute.ENVELOPE))
        self.assertEqual(items(b"FULL"), (*items(b"ALL"), Attribute.BODY))
        self.assertTrue(refused(b"FETCH 1 (ALL)").startswith("BAD"))

    def test_sections(self) -> None:
        for words, section in (
            (b"", Section()), (b"1", Section((1,))), (b"HEADER", Section((), "HEADER")), (b"text", Section((), "TEXT")),
            (b"4.2.2.1", Section((4, 2, 2, 1))), (b"3.HEADER", Section((3,), "HEADER")),
            (b"4.1.MIME", Section((4, 1), "MIME")),
            (b"HEADER.FIELDS (DATE From)", Section((), "HEADER.FIELDS", ("DATE", "From"))),
            (b"1.header.fields.not (\"X Y\" Z)", None),
            (b"2.HEADER.FIELDS.NOT ({1+}\r\nZ)", Section((2,), "HEADER.FIELDS.NOT", ("Z",))),
        ):
            if section is None:
                self.assertTrue(refused(b"FETCH 1 BODY[" + words + b"]").startswith("BAD"))
            else:
                self.assertEqual(items(b"BODY[" + words + b"]"), (Body(section),))

    def test_bad_sections(self) -> None:
        for words in (
            b"BODY[", b"BODY[]]", b"BODY[0]", b"BODY[1.0]", b"BODY[MIME]", b"BODY[1.]", b"BODY[.1]", b"BODY[X]",
            b"BODY[1.X]",
            b"BODY[HEADER.FIELDS]", b"BODY[HEADER.FIELDS ()]", b"BODY[HEADER (A)]", b"BODY[HEADER.FIELDS (A:B)]",
            b"BODY[1.HEADER.2]", b"BODY[99999999]", b"BODY[" + b".".join([b"1"] * 102) + b"]", b"BODY[]<0>",
            b"BODY[]<0.0>",
            b"BODY[]<-1.5>", b"BODY[]<1.>", b"BODY[]<9223372036854775808.1>", b"BINARY[HEADER]", b"BINARY",
            b"BINARY.SIZE",
            b"BINARY.SIZE[]<0.1>", b"BODY.PEEK", b"PREVIEW (X)", b"PREVIEW ()", b"X", b"()", b"(FLAGS", b"FLAGS UID",
            b"BODY[HEADER.FIELDS (" + b" ".join([b"x"] * 257) + b")]", b'BODY[HEADER.FIELDS ("a\\"b")]',
        ):
            self.assertTrue(refused(b"FETCH 1 " + words).startswith("BAD"), words)

    def test_partial(self) -> None:
        self.assertEqual(items(b"BODY[]<0.2048>"), (Body(Section(), (0, 2048)),))
        self.assertEqual(items(b"BODY.PEEK[TEXT]<5.1>"), (Body(Section((), "TEXT"), (5, 1), marks_seen=False),))
        self.assertEqual(items(b"BINARY.PEEK[1.2]<1.9>"), (Binary((1, 2), (1, 9), marks_seen=False),))
        self.assertEqual(items(b"(BINARY[] BINARY.SIZE[3])"), (Binary(()), BinarySize((3,))))

    def test_preview(self) -> None:
        self.assertEqual(items(b"PREVIEW"), (Preview(),))
        self.assertEqual(items(b"(PREVIEW (LAZY) FLAGS)"), (Preview(lazy=True), Attribute.FLAGS))

    def test_spelled(self) -> None:
        """As it was asked for, but for its length; in an answer there is no PEEK."""
        for words, spelled in (
            (b"BODY.PEEK[1.2.HEADER]<5.10>", b"BODY[1.2.HEADER]<5>"), (b"BODY[]", b"BODY[]"),
            (b"BODY[HEADER.FIELDS (From \"a(\")]", b'BODY[HEADER.FIELDS (From "a(")]'),
            (b"BINARY[3]<0.1>", b"BINARY[3]<0>"),
            (b"BINARY.SIZE[3]", b"BINARY.SIZE[3]"), (b"PREVIEW (LAZY)", b"PREVIEW"),
        ):
            [item] = items(words)
            assert not isinstance(item, Attribute)
            self.assertEqual(item.spelled(), spelled)


class FetchTests(SynchronousTestCase):
    def test_uid(self) -> None:
        """UID FETCH answers with the UID, and each item once."""
        self.assertEqual(
            command(b"UID FETCH 4827313:4828442 FLAGS"),
            Fetch(numbers(b"4827313:4828442"), (Attribute.FLAGS, Attribute.UID), by_uid=True),
        )
        self.assertEqual(
            command(b"UID FETCH 1 (UID FLAGS UID FLAGS)"),
            Fetch(numbers(b"1"), (Attribute.UID, Attribute.FLAGS), by_uid=True),
        )

    def test_modifiers(self) -> None:
        """RFC 7162 3.1.4.1, 3.2.6 and RFC 9394."""
        self.assertEqual(
            command(b"FETCH 1:* (UID) (CHANGEDSINCE 12345)"),
            Fetch(numbers(b"1:*"), (Attribute.UID, Attribute.MODSEQ), changed_since=12345),
        )
        self.assertEqual(
            command(b"UID FETCH 300:500 FLAGS (CHANGEDSINCE 12345 VANISHED)"),
            Fetch(numbers(b"300:500"), (Attribute.FLAGS, Attribute.UID, Attribute.MODSEQ), True, 12345, True),
        )
        self.assertEqual(
            command(b"UID FETCH 25900:26600 (UID FLAGS) (PARTIAL -1:-30)"),
            Fetch(numbers(b"25900:26600"), (Attribute.UID, Attribute.FLAGS), True, partial=(-1, -30)),
        )
        self.assertEqual(command(b"FETCH 1 UID (PARTIAL 9:2)"), Fetch(numbers(b"1"), (Attribute.UID,), partial=(2, 9)))
        for modifiers in (
            b"()", b"(X)", b"(VANISHED)", b"(CHANGEDSINCE)", b"(CHANGEDSINCE 1 VANISHED)", b"(PARTIAL 0:1)",
            b"(PARTIAL -1:1)",
            b"(PARTIAL 1)", b"(PARTIAL 1:*)", b"(CHANGEDSINCE -1)",
        ):
            self.assertTrue(refused(b"FETCH 1 FLAGS " + modifiers).startswith("BAD"), modifiers)

    def test_many(self) -> None:
        self.assertTrue(refused(b"FETCH 1 (" + b" ".join([b"FLAGS"] * 1025) + b")").startswith("BAD"))
