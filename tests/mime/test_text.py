"""What is searched and shown of a message."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from mailserver.mime import html
from mailserver.mime.structure import parse
from mailserver.mime.text import LONGEST_PREVIEW, header, preview, texts
from tests.mime.letters import RFC_9051, crlf


def shown(markup: str) -> str:
    """White space collapsed."""
    return " ".join(html.text(markup).split())


class HtmlTests(SynchronousTestCase):
    def test_text(self) -> None:
        for markup, expected in (
            ("<p>Hello <b>wor</b>ld</p><p>again</p>", "Hello world again"),
            ("<html><head><title>t</title><style>p {}</style></head><body>x</body></html>", "x"),
            ("a<script>if (a<b) x()</script>b<STYLE>\n</Style >c", "abc"),
            ("a<!-- <p> -- > -->b<!doctype html><?php x ?>c", "abc"),
            ("1 < 2 &lt; 3 &amp;amp; &eacute;&#233;&#xe9;&nbsp;&copy", "1 < 2 < 3 &amp; ééé ©"),
            ("&#128;&#0;&#xd800;&#x110000;&#99999999;&bogus;&", "€\ufffd\ufffd\ufffd\ufffd9;&bogus;&"),
            ("<a href='x'>link</a>.", "link."), ("<br>a<br/>b", "a b"), ("<head>a <title>b", "a b"),
            ("a<script>b", "a"),
            ("a<b", "a"), ("a<!--b", "a"), ("a</b", "a"), ("日<wbr>本", "日本"), ("İ<style>x</style>y", "İy"), ("", ""),
        ):
            self.assertEqual(shown(markup), expected, markup)

    @given(some.lists(some.sampled_from([
        "<", ">", "<!--", "-->", "<script>", "</script", "&", "#", "x", "<p", "İ", "9",
    ])))
    def test_nothing_raises(self, pieces: list[str]) -> None:
        html.text("".join(pieces))


class TextTests(SynchronousTestCase):
    def read(self, message: bytes, most: int = 10**6) -> list[str]:
        return [" ".join(each.split()) for each in texts(message, parse(message), most)]

    def test_all_parts(self) -> None:
        """Decoded by encoding and charset, HTML without tags, names of files, and whom an attached message is from."""
        body = base64.encodebytes("本文".encode("iso2022_jp")).decode()
        message = crlf(
            "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain; charset=iso-2022-jp\n"
            f"Content-Transfer-Encoding: base64\n\n{body}\n--x\nContent-Type: text/html; charset=utf-8\n"
            "Content-Transfer-Encoding: quoted-printable\n\n<p>caf=C3=A9</p>\n--x\n"
            "Content-Type: image/png; name=\"=?utf-8?B?6Zuo?=.png\"\n\nxyz\n--x\nContent-Type: message/rfc822\n\n"
            "Subject: =?utf-8?B?6Zuo?=\nFrom: a@b\nX-Other: c\n\ninner\n--x--\n"
        )
        self.assertEqual(self.read(message), ["本文", "café", "雨.png", "雨", "a@b", "inner"])

    def test_bounded(self) -> None:
        message = b"\r\n" + b"a" * 10**6
        self.assertEqual(sum(map(len, self.read(message, 1000))), 1000)
        self.assertEqual(len(self.read(RFC_9051, 5)), 1)
        self.assertEqual(self.read(crlf("Content-Transfer-Encoding: x-zip\n\nabc")), [])


class HeaderTests(SynchronousTestCase):
    def test_decoded(self) -> None:
        """All fields, in order, as people read them."""
        message = crlf("Subject: =?utf-8?B?6Zuo?=\n x\nX-A: b\nno field\nx-a: \u96e8\n\nNot: this\n")
        self.assertEqual(
            list(header(message, parse(message))), [("subject", "\u96e8 x"), ("x-a", "b"), ("x-a", "\u96e8")]
        )

    def test_bounded(self) -> None:
        message = b"X: " + b"a" * 10**6 + b"\r\n" + b"Y: b\r\n" * 10**5 + b"\r\n"
        found = list(header(message, parse(message), 10_000))
        self.assertEqual((len(found), len(found[0][1])), (1, 10_000))


class PreviewTests(SynchronousTestCase):
    def check(self, message: str, expected: str) -> None:
        octets = crlf(message)
        self.assertEqual(preview(octets, parse(octets)), expected)

    def test_preview(self) -> None:
        self.check("\nHello,\n\n  world\t!\n", "Hello, world !")
        self.check("\n" + "word " * 100, ("word " * 40).rstrip())
        self.check("\n" + " \n" * 3000 + "x", "x")
        self.check("\n" + "日" * 500, "日" * LONGEST_PREVIEW)
        self.check("", "")
        self.check("\na\x1b]0;b\x07c\u202ed", "a ]0;b c d")

    def test_which_part(self) -> None:
        """Plain text before HTML, and nothing that is attached."""
        mixed = "Content-Type: multipart/mixed; boundary=x\n\n"
        page, plain = "--x\nContent-Type: text/html\n\n<b>page</b>\n", "--x\n\nplain\n"
        attached = "--x\nContent-Disposition: attachment\n\nfile\n"
        self.check(mixed + attached + page + plain, "plain")
        self.check(mixed + attached + page, "page")
        self.check(mixed + attached, "")
        self.check("Content-Type: image/png\n\nx", "")

    def test_styles_first(self) -> None:
        """A page whose text comes late."""
        self.check("Content-Type: text/html\n\n<style>" + "p {}\n" * 10**4 + "</style>hello", "hello")
