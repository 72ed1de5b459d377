"""Parts of messages, and where they lie."""

from __future__ import annotations

import mmap
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from mailserver.mime.part import Kind, Part
from mailserver.mime.structure import DEEPEST, MOST_PARTS, parse
from tests.mime.letters import RFC_9051, crlf

MIXED = "Content-Type: multipart/mixed; boundary={}\n\n"


def tree(part: Part) -> object:
    """Types, as a list in a list for each level."""
    name = f"{part.type}/{part.subtype}"
    return [name, *map(tree, part.parts)] if part.parts else name


def bodies(message: bytes) -> list[bytes]:
    """What its leaves hold."""
    return [message[each.body : each.end] for each in parse(message).walk() if each.kind is Kind.LEAF]


class StructureTests(SynchronousTestCase):
    """Well formed."""

    def test_text(self) -> None:
        message = crlf("Subject: x\nContent-type : TEXT/HTML; Charset=\"utf-8\"; x=y\n\none\ntwo\n")
        root = parse(message)
        self.assertEqual((root.kind, root.type, root.subtype, root.charset), (Kind.LEAF, "text", "html", "utf-8"))
        self.assertEqual((message[root.body : root.end], root.size, root.lines), (b"one\r\ntwo\r\n", 10, 2))
        self.assertEqual(root.parameters, ((b"Charset", b"utf-8"), (b"x", b"y")))

    def test_levels(self) -> None:
        """A message whose sections RFC 9051 numbers."""
        inner = ["message/rfc822", ["multipart/mixed", "text/plain", "application/octet-stream"]]
        alternative = ["multipart/alternative", "text/plain", "text/richtext"]
        last = ["multipart/mixed", "image/gif", ["message/rfc822", ["multipart/mixed", "text/plain", alternative]]]
        self.assertEqual(
            tree(parse(RFC_9051)), ["multipart/mixed", "text/plain", "application/octet-stream", inner, last]
        )
        self.assertEqual(bodies(RFC_9051), [
            b"first", b"second", b"three one", b"three two", b"four one", b"four two one", b"four two two one",
            b"four two two two",
        ])

    def test_fields(self) -> None:
        part = parse(crlf(
            "Content-ID: <a@b>\nContent-Description: a\n thing\nContent-MD5: Q2hlY2s=\nContent-Language: en, ja\n"
            "Content-Location: http://example.org/\nContent-Transfer-Encoding: BASE64 (really)\n"
            "Content-Disposition: Attachment; filename=\"a \\\"b\\\".txt\"\n\n"
        ))
        self.assertEqual((part.id, part.description, part.md5), (b"<a@b>", b"a thing", b"Q2hlY2s="))
        self.assertEqual((part.language, part.location), ((b"en", b"ja"), b"http://example.org/"))
        self.assertEqual((part.encoding, part.disposition, part.file_name), ("base64", "attachment", 'a "b".txt'))

    def test_lines(self) -> None:
        """Of text, and of messages with all that is in them."""
        message = crlf(MIXED.format("x") + "--x\n\na\nb\n\n--x\nContent-Type: message/rfc822\n\nA: b\n\nc\n--x--\n")
        first, second = parse(message).parts
        self.assertEqual((first.lines, second.lines, second.parts[0].lines), (2, 2, 0))

    def test_digest(self) -> None:
        """RFC 2046 5.1.5: its parts are messages unless they say otherwise."""
        message = crlf("Content-Type: multipart/digest; boundary=x\n\n--x\n\nA: b\n\nc\n--x--\n")
        self.assertEqual(tree(parse(message)), ["multipart/digest", ["message/rfc822", "text/plain"]])

    def test_global(self) -> None:
        message = crlf("Content-Type: message/global\n\nSubject: \u96e8\n\nc\n")
        self.assertEqual(tree(parse(message)), ["message/global", "text/plain"])

    def test_mapped(self) -> None:
        """A file that is mapped is read alike."""
        with tempfile.TemporaryFile() as file:
            file.write(RFC_9051)
            file.flush()
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                self.assertEqual(parse(mapped), parse(RFC_9051))


class DelimiterTests(SynchronousTestCase):
    """What ends a part, and what does not."""

    def test_prefix(self) -> None:
        """A boundary that begins as another does is another."""
        message = crlf(MIXED.format("x") + "--x\n" + MIXED.format("xy") + "--xy\n\na\n--xyz\n--xy--\n--x\n\nb\n--x--\n")
        self.assertEqual(tree(parse(message)), ["multipart/mixed", ["multipart/mixed", "text/plain"], "text/plain"])
        self.assertEqual(bodies(message), [b"a\r\n--xyz", b"b"])

    def test_ends_in_dashes(self) -> None:
        """The end of one boundary is the beginning of the other: the inner one counts."""
        message = crlf(MIXED.format("x") + "--x\n" + MIXED.format("x--") + "--x--\n\na\n--x----\n--x\n\nb\n--x--\n")
        self.assertEqual(bodies(message), [b"a", b"b"])

    def test_no_end(self) -> None:
        """Neither of the inner one nor of the outer one."""
        message = crlf(MIXED.format("x") + "--x\n" + MIXED.format("y") + "--y\n\na\n--x\n\nb\n")
        self.assertEqual(bodies(message), [b"a", b"b\r\n"])

    def test_white_space(self) -> None:
        """Behind a delimiter, and a boundary in quotes."""
        message = crlf('Content-Type: multipart/mixed; boundary="a b"\n\n--a b \t\n\nc\n--a b-- \n')
        self.assertEqual(bodies(message), [b"c"])

    def test_bare_line_feeds(self) -> None:
        message = RFC_9051.replace(b"\r\n", b"\n")
        self.assertEqual(tree(parse(message)), tree(parse(RFC_9051)))
        self.assertEqual(bodies(message), bodies(RFC_9051))

    def test_epilogue(self) -> None:
        """What stands behind the end is in no part, even if it looks like one."""
        message = crlf(MIXED.format("x") + "--x\n\na\n--x--\n--x\n\nb\n")
        self.assertEqual(bodies(message), [b"a"])

    def test_in_a_header(self) -> None:
        """A delimiter ends a header that has no empty line."""
        message = crlf(MIXED.format("x") + "--x\nContent-Type: text/html\n--x\nA: b\n--other\n\nb\n--x--")
        self.assertEqual(tree(parse(message)), ["multipart/mixed", "text/html", "text/plain"])
        self.assertEqual(bodies(message), [b"", b"b"])

    def test_empty(self) -> None:
        """An empty body ends where it begins, and no part ends behind the one that it is in."""
        message = crlf(MIXED.format("x") + "--x\nContent-Type: message/rfc822\n\nA: b\n\n--x--\n")
        message_part = parse(message).parts[0]
        inner = message_part.parts[0]
        self.assertEqual((inner.size, message_part.end), (0, inner.end))

    def test_nothing(self) -> None:
        for message in (b"", b"\n", b"\r\n", b"\r", b"A", b"A: b", b"--", b"\r\n--", b"\0"):
            root = parse(message)
            self.assertEqual((root.start, root.end, root.kind), (0, len(message), Kind.LEAF))

    def test_continued_boundary(self) -> None:
        """RFC 2231 lets even that be cut."""
        message = crlf("Content-Type: multipart/mixed; boundary*0=a;\n boundary*1=b\n\n--ab\n\nc\n--ab--\n")
        self.assertEqual(bodies(message), [b"c"])


class OpaqueTests(SynchronousTestCase):
    """What is not what it says, and what is too much."""

    def test_no_parts(self) -> None:
        """A multipart without any is text, so that somebody can read it."""
        for head in ("multipart/mixed", "multipart/mixed; boundary=x", "multipart/mixed; boundary=\"\"", "nonsense"):
            root = parse(crlf(f"Content-Type: {head}\n\nhello\n"))
            self.assertEqual((tree(root), root.lines), ("text/plain", 1), head)

    def test_encoded_message(self) -> None:
        message = crlf("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQTogYgoKYwo=\n")
        self.assertEqual(tree(parse(message)), "application/octet-stream")

    def test_too_deep(self) -> None:
        """What stands too deep is left alone, and what comes behind it is found."""
        deep = "".join(f"Content-Type: multipart/mixed; boundary=b{each}\n\n--b{each}\n" for each in range(10**4))
        root = parse(crlf(MIXED.format("x") + "--x\n" + deep + "\nhello\n--x\n\nbye\n"))
        self.assertEqual((len(root.parts), root.parts[1].size), (2, 5))
        depth, part = 1, root
        while part.parts:
            depth, part = depth + 1, part.parts[0]
        self.assertEqual((depth, tree(part)), (DEEPEST + 1, "application/octet-stream"))

    def test_too_many(self) -> None:
        """The last takes all that is left."""
        message = crlf(MIXED.format("x") + "--x\n\na\n" * 5000)
        root = parse(message)
        self.assertEqual(len(root.parts) + 1, MOST_PARTS)
        self.assertEqual((tree(root.parts[-1]), root.parts[-1].end), ("application/octet-stream", len(message)))

    def test_same_boundary(self) -> None:
        """Of a multipart within a multipart: the inner one gets what is there."""
        message = crlf((MIXED.format("x") + "--x\n") * 2 + "\na\n--x--\n--x--\n")
        self.assertEqual(tree(parse(message)), ["multipart/mixed", ["multipart/mixed", "text/plain"]])
