"""Names of mailboxes and the patterns that find them."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from mailserver.imap.error import ImapError
from mailserver.imap.names import LONGEST_LEVEL, LONGEST_NAME, canonical, encode, read, to_utf7
from mailserver.imap.patterns import Pattern, joined

TEXTS = some.text(some.characters(exclude_categories=("Cs",)), max_size=20)


class NameTests(SynchronousTestCase):
    def test_modified_utf7(self) -> None:
        """RFC 3501 5.1.3's example, and others in both directions."""
        for octets, name in (
            (b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"), (b"Entw&APw-rfe", "Entwürfe"),
            (b"&-", "&"), (b"a&-b", "a&b"), (b"&2D3eCQ-", "😉"), (b"Tom &- Jerry", "Tom & Jerry"),
        ):
            self.assertEqual(read(octets, utf8=False), name)
            self.assertEqual(encode(name, utf8=False), octets)

    def test_bad_modified_utf7(self) -> None:
        """Whatever is broken, or has another spelling."""
        for octets in (
            b"&", b"&A", b"&APw", b"a&b", b"&AGE-", b"&ZeVnLIqe=-", b"&Jjo-!&Jjo", b"&U,BTFw-&ZeVnLIqe-", b"&2D0-",
            b"&APx-", b"&AP-", b"&/w-", b"&APw\x00-", b"\xc3\xbc", b"&3gk-", b"&-&", b"&&-",
        ):
            self.assertRaises(ImapError, read, octets, False)

    def test_utf8(self) -> None:
        """After ENABLE a name is UTF-8, where "&" is nothing special."""
        self.assertEqual(read("Entwürfe".encode(), utf8=True), "Entwürfe")
        self.assertEqual(read(b"&APw-", utf8=True), "&APw-")
        self.assertEqual(encode("a&ü", utf8=True), "a&ü".encode())
        for octets in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf"):
            self.assertRaises(ImapError, read, octets, True)

    def test_inbox(self) -> None:
        """Has no case, nor has it above others."""
        for octets, name in (
            (b"inbox", "INBOX"), (b"InBox/x", "INBOX/x"), (b"inboxes", "inboxes"), (b"x/inbox", "x/inbox"),
            (b"\xc4\xb1nbox", "\u0131nbox"),
        ):
            self.assertEqual(read(octets, True), name)

    def test_normalised(self) -> None:
        """One name for what looks the same."""
        self.assertEqual(read(b"Entwu\xcc\x88rfe", True), "Entw\u00fcrfe")

    def test_refused(self) -> None:
        for name in (
            "", "/", "a/", "/a", "a//b", "a\x00b", "a\nb", "a\x1b[0m", "a\x7f", "a\x9bb", "a\u2028b", "a\ufffe",
            "x" * (LONGEST_LEVEL + 1), "ü" * (LONGEST_LEVEL // 2 + 1), "/".join(["x" * 100] * 10), "x/" * 600,
        ):
            error = self.assertRaises(ImapError, canonical, name)
            self.assertEqual((error.condition, error.code), ("NO", "CANNOT"))

    def test_only_names(self) -> None:
        """What would be a path elsewhere is a name like any other."""
        for name in (
            "../x", "..", ".", "~root", "a\\b", "C:", "a%b", "a*b", "{x}", "$x", " a ", "x" * LONGEST_LEVEL,
            "/".join(["x" * 199] * 5),
        ):
            self.assertEqual(canonical(name), name)
        self.assertEqual(len("/".join(["x" * 199] * 5)), LONGEST_NAME - 1)

    @given(TEXTS)
    def test_there_and_back(self, text: str) -> None:
        """Every name that may be comes back as it was, in both spellings."""
        try:
            name = canonical(text)
        except ImapError:
            return
        self.assertEqual(read(to_utf7(name), utf8=False), name)
        self.assertEqual(read(encode(name, utf8=True), utf8=True), name)
        self.assertTrue(re.fullmatch(rb"[ -~]+", to_utf7(name)))

    @given(some.binary(max_size=20), some.booleans())
    def test_any_octets(self, octets: bytes, utf8: bool) -> None:
        """A name or an error, and a name has one spelling."""
        try:
            name = read(octets, utf8)
        except ImapError:
            return
        self.assertEqual(canonical(name), name)


class PatternTests(SynchronousTestCase):
    def test_examples(self) -> None:
        for pattern, found, others in (
            ("*", ["INBOX", "a/b", "a"], []), ("%", ["INBOX", "a"], ["a/b"]), ("a/%", ["a/b", "a/"], ["a", "a/b/c"]),
            ("a*", ["a", "a/b/c"], ["b"]), ("%/b", ["a/b"], ["a/c/b", "b"]), ("*b", ["b", "a/b"], ["ba"]),
            ("a%c*e", ["abc/d/e", "ace"], ["a/ce"]), ("inbox", ["INBOX"], ["inbox/x"]), ("InB%", ["INBOX", "InBx"], []),
            ("", [""], ["a"]), ("a", ["a"], ["A", "ab"]), ("a.c", ["a.c"], ["abc"]), ("%%%", ["a"], ["a/b"]),
            ("*%", ["a/b"], []), ("日*", ["日本語"], ["本"]),
        ):
            for name in found:
                self.assertTrue(Pattern(pattern).matches(name), (pattern, name))
            for name in others:
                self.assertFalse(Pattern(pattern).matches(name), (pattern, name))

    def test_reference(self) -> None:
        """RFC 9051 6.3.9: below the reference, but for a pattern that begins at the root."""
        self.assertEqual(joined("a/", "%"), Pattern("a/%"))
        self.assertEqual(joined("a/", "/b"), Pattern("/b"))
        self.assertEqual(joined("", "b"), Pattern("b"))

    def test_long(self) -> None:
        self.assertTrue(Pattern("x" * LONGEST_NAME).matches("x" * LONGEST_NAME))
        self.assertRaises(ImapError, Pattern, "x" * (LONGEST_NAME + 1))

    @given(some.text("ab/*%", max_size=8), some.text("ab/", max_size=8))
    def test_any(self, pattern: str, name: str) -> None:
        """The same as an expression says that is made for it."""
        parts = {"*": ".*", "%": "[^/]*"}
        expression = "".join(parts.get(each, re.escape(each)) for each in pattern)
        self.assertEqual(Pattern(pattern).matches(name), re.fullmatch(expression, name) is not None)
