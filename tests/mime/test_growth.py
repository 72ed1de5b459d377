"""Four times the message takes no more than about four times the work, wherever somebody repeats something."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from mailserver.mime import html
from mailserver.mime.section import Section, ranges
from mailserver.mime.stored import load
from mailserver.mime.strings import with_utf_8
from mailserver.mime.text import texts
from mailserver.mime.understood import understand
from tests.fuzz.growth import MOST, grows

MIXED = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
FIELDS = Section.parse(b"HEADER.FIELDS.NOT (from)")


def work(message: bytes) -> None:
    """All that is ever done with one."""
    found = understand(message)
    root = load(found.structure)
    with_utf_8(found.envelope)
    for _ in texts(message, root):
        pass
    ranges(message, root, FIELDS)


class GrowthTests(SynchronousTestCase):
    def check(self, *patterns: bytes, head: bytes = b"", work: Callable[[bytes], object] = work) -> None:
        for pattern in patterns:
            times = grows(work, pattern, head)
            self.assertLess(times, MOST, f"{head[:60]!r} and many {pattern!r}")

    def test_headers(self) -> None:
        """10^5 headers; one of many megabytes, folded and not; lines that are none."""
        self.check(
            b"X: 1\r\n", b"x", b"x\r\n", b" ", b"\r\n ", b":", b"\n", b"\r", b"\0", b"To: a\r\n", b"X" + b" " * 99
        )
        for name in (b"X: ", b"Subject: ", b"Content-Type: ", b"Date: ", b"Content-Language: "):
            self.check(b"x", b"x\r\n ", b"(", b"a ", head=name)

    def test_addresses(self) -> None:
        """10^6 of them, and comments in comments."""
        self.check(
            b"a@b, ", b"(", b"()", b"<", b"\\", b'"', b'"" ', b"a:;", b"a <b@c> ", b"@", b"[", b"\xff, ", b"<@a,",
            b"a ", head=b"From: ",
        )

    def test_depth(self) -> None:
        """10^5 deep, of both kinds, with the same boundary and with others."""
        self.check(MIXED + b"--x\r\n", b"Content-Type: message/rfc822\r\n\r\n")
        self.check(b"a\r\n", b"--a\r\n", b"\r\n--", head=b"Content-Type: message/rfc822\r\n\r\n" * 150)
        self.check(b"a\r\n", b"\r\n--", head=(MIXED + b"--x\r\n") * 150)

    def test_breadth(self) -> None:
        """10^6 wide, with empty lines and without; and what only looks like delimiters."""
        self.check(
            b"--x\r\n\r\na\r\n", b"--x\r\nA: b\r\n", b"--x\r\n", b"--x--\r\n", b"\r\n--", b"-", b"--", head=MIXED
        )
        self.check(b"\r\n--x" + b" " * 400, b"\r\n--" + b"-" * 400, head=MIXED + b"--x\r\n\r\n")

    def test_parameters(self) -> None:
        """RFC 2231 with 10^5 parts."""
        self.check(
            b";\r\n name*1*=%41", b";a=b", b"; ", b'\\"', b"(;", b"=", b" ", b"*", b"'", b'"',
            head=b'Content-Type: text/plain; a="',
        )
        self.check(b"%41", b"'", b"%", head=b"Content-Disposition: attachment; filename*=")

    def test_words_and_ids(self) -> None:
        self.check(
            b"=?utf-8?q?a?= ", b"=?utf-8?q?", b"=?", b"[a]", b"Re: ", b"[fwd: ", b"(fwd)", b"\xe9", head=b"Subject: "
        )
        self.check(b"=?utf-8?b?YQ?= ", b"=?utf-8?b?YWFh?=", head=b"Subject: ")
        self.check(b"<", b"<a@b> ", b"a", b'"', b'<"', b'"\\', b"> ", head=b"References: <")

    def test_encodings(self) -> None:
        for name in (b"base64", b"quoted-printable", b"x-uuencode"):
            head = b"Content-Transfer-Encoding: " + name + b"\r\n\r\n"
            self.check(
                b"=", b"aa=", b" ", b"=\r\n", b" \r\n", b"\n", b"!", b"begin 644 a\r\n#AAAA\r\n", b"=3D", head=head
            )

    def test_charsets(self) -> None:
        for name in (
            b"iso-2022-jp", b"shift_jis", b"euc-jp", b"utf-8", b"utf-7", b"hz-gb-2312", b"iso-2022-kr", b"idna",
            b"gb18030",
        ):
            head = b"Content-Type: text/plain; charset=" + name + b"\r\n\r\n"
            self.check(b"\x1b$B", b"\x82\xa0", b"\xa4\xa2\xff", b"\xe3\x81", b"+AAA", b"~{0!", b"\x0e0!\x0f", head=head)

    def test_html(self) -> None:
        self.check(
            b"<", b"<a ", b"<!--", b"<!---->", b"<head>", b"<script>", b"<script></script>", b"<title>", b"</a",
            b"&", b"&#1;",
            b"&#9", b"&aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", b"<p>", b'<a "', b"<svg>", b"<svg></svg>",
            b"<object><svg>",
            head=b"Content-Type: text/html\r\n\r\n",
        )

    def test_html_alone(self) -> None:
        """What is looked for and not there is looked for once, however far away the end is."""
        far = b"a" * 500
        self.check(
            b"<head>" + far, b"<title>" + far, b"<svg>" + far, b"<p" + far, b"<!-- >" + far, b"<" + far, b"&" + far,
            work=lambda octets: html.text(octets.decode("ascii")),
        )
