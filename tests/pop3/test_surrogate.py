"""Headers with UTF-8 for those who do not know it: the same to read, in ASCII."""

from __future__ import annotations

import email
import time
from email.header import decode_header, make_header

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailserver.pop3.surrogate import needs_utf8, surrogate

# Without what ends a line somewhere, and without what has no UTF-8.
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs"), exclude_characters="=?"), min_size=1)


def shown(field: str) -> str:
    """What a mail program shows of a field's value."""
    header = surrogate(field.encode())
    assert header.isascii() and max(map(len, header.split(b"\r\n"))) < 998, header
    [value] = email.message_from_bytes(header + b"\r\n\r\n").values()
    return str(make_header(decode_header(value)))


class SurrogateTests(SynchronousTestCase):
    def test_needs(self) -> None:
        self.assertFalse(needs_utf8(b"Subject: x"))
        self.assertFalse(needs_utf8(b"Subject: \x93\xfa"))
        self.assertTrue(needs_utf8("Subject: 日".encode()))

    def test_texts(self) -> None:
        """Only the words that need it, and none of them cut; long ones on several lines."""
        self.assertEqual(surrogate("Subject: Re: 日本 and 語 x".encode()),
                         b"Subject: Re: =?utf-8?B?5pel5pysIGFuZCDoqp4=?= x")
        long = "件名" * 200
        self.assertEqual(shown(f"Subject: {long}"), long)
        self.assertEqual(shown("X-Anything: é\r\n folded"), "é folded")

    @given(TEXT)
    def test_any_text(self, text: str) -> None:
        self.assertEqual(shown(f"Subject: é{text}"), f"é{text}")

    def test_others_stay(self) -> None:
        """A field in ASCII is the same to the octet, whatever its neighbours."""
        header = "A: b\r\n\tc\r\nSubject: 日\r\nD: =?x?q?y?=\r\n e".encode()
        self.assertEqual(surrogate(header), b"A: b\r\n\tc\r\nSubject: =?utf-8?B?5pel?=\r\nD: =?x?q?y?=\r\n e")

    def test_names(self) -> None:
        """A display name is a name still, and its address is the same."""
        for value in (
            "日本 <a@example.org>", '"日本, \\"x\\"" <a@example.org>', "a@example.org (日本)",
            "x <b@example.org>, 日本 <a@example.org>",
            "グループ: a@example.org, b@example.org;",
        ):
            header = surrogate(f"To: {value}".encode())
            self.assertTrue(header.isascii())
            self.assertIn(b"a@example.org", header)
            self.assertNotIn(b"invalid", header)
        self.assertEqual(shown("To: 日本 <a@example.org>").split(), ["日本", "<a@example.org>"])

    def test_addresses(self) -> None:
        """One that cannot be written to is text, and nobody answers it by mistake."""
        for value in (
            "用户@例子.org", "x <用户@example.org>", "<用户@example.org>", '"用户"@example.org',
            "用户 <用户@example.org>",
        ):
            seen = shown(f"From: {value}")
            self.assertIn("用户", seen)
            self.assertIn("<invalid@internationalized-address.invalid>", seen)
            self.assertEqual(seen.count("<invalid@"), 1, seen)

    def test_structured(self) -> None:
        """Where no encoded word may stand there is none."""
        for field in (
            "Return-Path: <用户@example.org>", 'Content-Type: text/plain; name="日.txt"', "Message-ID: <日@x>",
        ):
            header = surrogate(field.encode())
            self.assertTrue(header.isascii())
            self.assertNotIn(b"=?", header)

    def test_nonsense(self) -> None:
        for header in (
            "日本", "日: x", ":日", "To: (((日", 'To: "日', "To: <日", "To: 日@@@", "To: \\日", "Subject:日", "\r\n日",
        ):
            self.assertTrue(surrogate(header.encode()).isascii(), header)

    @given(st.text(st.characters(exclude_categories=("Cs",)), max_size=200))
    def test_anything(self, text: str) -> None:
        for name in ("To: ", "Subject: ", "Content-Type: ", ""):
            made = surrogate((name + text).encode())
            self.assertTrue(made.isascii())
            if "\r\n\r\n" not in name + text:
                self.assertNotIn(b"\r\n\r\n", made)

    def test_growth(self) -> None:
        """A quarter of a megabyte of anything takes no time to speak of."""
        for piece in ("日", '"日', "(日", "<日", "日@", "日 ", "日\r\n ", "\\日", '"\\日', "日,", "a:日;"):
            for name in ("To: ", "Subject: "):
                header = (name + piece * (250_000 // len(piece.encode()))).encode()
                began = time.perf_counter()
                surrogate(header)
                self.assertLess(time.perf_counter() - began, 2.0, piece)
