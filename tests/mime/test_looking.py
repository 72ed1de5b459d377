"""Texts are found however they are written; what is quick finds what is thorough finds."""

from __future__ import annotations

import email.message
import email.policy
import random
import re
import sys
import tracemalloc
import unicodedata

from twisted.trial.unittest import SynchronousTestCase

from mailserver.mime import dates
from mailserver.mime.envelope import date_of, envelope
from mailserver.mime.folding import fold
from mailserver.mime.headers import fields
from mailserver.mime.looking import WINDOW, Looked, Needle, _header_end
from mailserver.mime.structure import parse
from mailserver.mime.text import MOST_TEXT, texts
from tests.mime.letters import crlf


def in_body(octets: bytes, text: str) -> bool:
    return Looked(b"", octets).in_body(Needle.of(text))


def in_field(octets: bytes, name: bytes, text: str) -> bool:
    return Looked(b"X-Mine: Prefix\r\n", octets).in_field(name, Needle.of(text))


def in_header(octets: bytes, text: str) -> bool:
    return Looked(b"X-Mine: Prefix\r\n", octets).in_header(Needle.of(text))


class FoldingTests(SynchronousTestCase):
    def test_casemap(self) -> None:
        """What i;unicode-casemap (RFC 5051) makes the same, is the same: of every character there is."""
        wrong = []
        for code in range(sys.maxunicode + 1):
            one = chr(code)
            title = one.title()
            if 0xD800 <= code < 0xE000 or len(title) != 1:
                continue
            if fold(one) != fold(title) or fold(one) != fold(unicodedata.normalize("NFKD", title)):
                wrong.append(one)
        self.assertEqual(wrong, [])

    def test_width(self) -> None:
        self.assertEqual(fold("ﾃｽﾄ ＡＢｃ"), fold("テスト abC"))
        self.assertEqual(fold("Straße É"), fold("STRASSE é"))


class LookingTests(SynchronousTestCase):
    def test_plain(self) -> None:
        octets = crlf("Subject: One two\nX-Long: folded\n here\n\nThree Four\nfive\n")
        self.assertTrue(in_body(octets, "tHREE fOUR"))
        self.assertFalse(in_body(octets, "one two"))
        self.assertFalse(in_body(octets, "日"))
        self.assertTrue(in_body(octets, ""))
        self.assertTrue(in_header(octets, "subject: ONE"))
        self.assertTrue(in_header(octets, "folded HERE"))
        self.assertTrue(in_header(octets, "prefix"))
        self.assertFalse(in_header(octets, "three"))
        self.assertTrue(in_field(octets, b"subject", "two"))
        self.assertFalse(in_field(octets, b"x-long", "two"))
        self.assertTrue(in_field(octets, b"x-mine", "Prefix"))

    def test_plain_by_its_fields(self) -> None:
        """Fields that say no more than that the text is what it is spare it a parse, one right behind another too."""
        head = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n"
        for octets, is_plain in (
            (head, True), (head + "Subject: x\n", True), (head + "Content-Language: en\n", True),
            (head.replace("7bit", "base64"), False), (head + " ; x=y\n", False), (head + head, False),
        ):
            looked = Looked(b"", crlf(octets + "\nThree\n"))
            self.assertTrue(looked.in_body(Needle.of("three")) or not is_plain)
            self.assertIs(looked._is_text(), is_plain, octets)

    def test_there_is_a_field(self) -> None:
        octets = crlf("Subject:\nReply-To: x\n\nX-Body: y\n")
        self.assertTrue(in_field(octets, b"subject", ""))
        self.assertFalse(in_field(octets, b"to", ""))
        self.assertFalse(in_field(octets, b"x-body", ""))
        self.assertFalse(in_field(octets, b"subject", "x"))

    def test_encoded(self) -> None:
        octets = crlf(
            "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= =?iso-2022-jp?B?GyRCRnxLXBsoQg==?=\nMIME-Version: 1.0\n"
            "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nw4RwZmVsIHVuZCBCaXJuZW4=\n"
        )
        self.assertTrue(in_field(octets, b"subject", "GRÜSSE日本"))
        self.assertTrue(in_header(octets, "grüße"))
        self.assertTrue(in_body(octets, "äpfel UND birnen"))
        self.assertFalse(in_body(octets, "w4RwZmVs"))

    def test_iso_2022_jp(self) -> None:
        head = "Content-Type: text/plain; charset=iso-2022-jp\n\n"
        octets = crlf(head) + "本日は晴天なり".encode("iso2022_jp") + b"\r\n"
        self.assertTrue(octets.isascii())
        self.assertTrue(in_body(octets, "晴天"))
        self.assertFalse(in_body(octets, "$@"))
        # Without a label, as mail of old comes, it is known by its escapes.
        self.assertTrue(in_body(b"\r\n" + "本日は晴天なり".encode("iso2022_jp"), "晴天"))

    def test_parts(self) -> None:
        octets = crlf(
            "Content-Type: multipart/mixed; boundary=hidden\n\npreamble\n--hidden\nContent-Type: text/html\n\n"
            "<style>secret</style>fi<b>n</b>d &amp; me\n--hidden\n"
            "Content-Type: application/pdf; name=\"Report.pdf\"\n\n"
            "raw\n--hidden\nContent-Type: message/rfc822\n\nSubject: Inner\nFrom: carol@example.org\n\n"
            "inmost\n--hidden--\n"
        )
        for text in ("FIND & ME", "report.PDF", "inner", "carol@", "inmost"):
            self.assertTrue(in_body(octets, text), text)
        for text in ("hidden", "preamble", "secret", "raw"):
            self.assertFalse(in_body(octets, text), text)

    def test_octets_are_not_always_text(self) -> None:
        """What looks plain and is not: charsets that hide in ASCII, HTML, names, fields that are there twice."""
        for head, body, text in (
            ("Content-Type: text/plain; charset=utf-7", "+AMQ-pfel", "äpfel"),
            ("Content-Type: text/html", "&Auml;pfel", "äpfel"),
            ("Content-Type: text/plain; name=apple.txt", "x", "apple"),
            ("Content-Type: text/plain\nContent-Disposition: attachment; filename=apple", "x", "apple"),
            ("Content-Transfer-Encoding: quoted-printable", "app=\nle", "apple"),
            ("Content-Type : text/html", "a&amp;p", "a&p"),
            ("Content-Type: text/plain;\n charset=hz-gb-2312", "~{<:Ky2;~}", "己所不"),
        ):
            self.assertTrue(in_body(crlf(f"{head}\n\n{body}\n"), text), head)

    def test_broken(self) -> None:
        """Nothing is too broken to be looked at."""
        chance = random.Random(2)
        pieces = [
            b"Content-Type: ", b"multipart/mixed; boundary=x", b"\r\n", b"\n", b"\r\n\r\n", b"--x", b"=?utf-8?B?",
            b"?=", b"\x1b$B", b"\xff", b"\0", b"Subject:", b" ", b"base64", b"Content-Transfer-Encoding: ",
            b"text/html", b"<a",
        ]
        for _ in range(3000):
            octets = b"".join(chance.choices(pieces, k=chance.randint(0, 20)))
            looked = Looked(b"", octets)
            for text in ("", "a", "ü", "text/html"):
                needle = Needle.of(text)
                looked.in_header(needle), looked.in_body(needle), looked.in_field(b"subject", needle)
            self.assertEqual(_header_end(octets)[1], parse(octets).body, octets)

    def test_quick_is_thorough(self) -> None:
        """What is found in the octets of an ASCII message is what Python's own parser finds in its text."""
        chance = random.Random(3)
        words = ["apple", "Banana", "CHERRY", "re:", "a b", "=", "text"]
        for _ in range(300):
            message = email.message.EmailMessage(email.policy.SMTP.clone(max_line_length=chance.choice([40, 78])))
            message["Subject"] = " ".join(chance.choices(words, k=chance.randint(1, 12)))
            message["X-Other"] = " ".join(chance.choices(words, k=chance.randint(1, 30)))
            body = "\n".join(" ".join(chance.choices(words, k=5)) for _ in range(chance.randint(0, 4)))
            cte = chance.choice(["7bit", "quoted-printable", "base64"])
            message.set_content(body, charset=chance.choice(["utf-8", "us-ascii"]), cte=cte)
            octets = message.as_bytes()
            for text in (*words, "apple banana", "cherry\r\n", chance.choice(body.split("\n")), "utf-8", "nothing"):
                shown = re.sub(r"\r?\n", "\r\n", message.get_content()).lower()
                self.assertEqual(in_body(octets, text), text.lower() in shown, (text, octets))
                self.assertEqual(
                    in_field(octets, b"subject", text), text.lower() in message["Subject"].lower(), (text, octets)
                )
                unfolded = re.sub(rb"\r\n(?=[ \t])", b"", octets.partition(b"\r\n\r\n")[0]).decode().lower()
                self.assertEqual(
                    in_header(octets, text), any(text.lower() in line for line in unfolded.split("\r\n")),
                    (text, octets),
                )

    def test_quick_is_thorough_in_html(self) -> None:
        """What is ruled out by a message's octets is not in its text: tags in words, what nobody sees, odd names."""
        chance = random.Random(4)
        pieces = [
            "ab", "cd", "e", "<b>", "</b>", "<p>", "<!-- > -->", "<style>x</style>", "<title>", "&nbsp;", "&amp;", " ",
            "\\", "\r\n", "<!--x-->", "<", "--b\r\n", "\r\n\r\n", "=",
        ]
        needles = list(map(Needle.of, ("abcd", "cde", "ab cd", "eab", "é")))
        heads = (
            "Content-Type: text/html\r\n\r\n",
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n",
            "Content-Type: text/plain; name=\"%s\"\r\n\r\n",
        )
        for _ in range(8000):
            text = "".join(chance.choices(pieces, k=chance.randint(1, 10)))
            head = chance.choice(heads)
            octets = ((head % text.replace("\r\n", "") if "%s" in head else head) + text).encode()
            shown = list(map(fold, texts(octets, parse(octets))))
            for needle in needles:
                self.assertEqual(
                    Looked(b"", octets).in_body(needle), any(needle.text in each for each in shown), (needle, octets)
                )

    def test_long(self) -> None:
        """In a long text a needle is found wherever it lies, and what grows when it is folded takes no room."""
        head = crlf("Content-Type: text/plain; charset=utf-8\n\n")
        for before in (0, WINDOW - 4, WINDOW - 2, WINDOW, 3 * WINDOW - 1):
            octets = head + ("é" * before + "nädel" + "x" * WINDOW).encode()
            self.assertTrue(in_body(octets, "NÄDEL"), before)
            self.assertTrue(in_body(octets, "nadel"), before)
            self.assertFalse(in_body(octets, "nodel"), before)
        octets = head + ("\ufdfa" * (MOST_TEXT // 2)).encode()
        tracemalloc.start()
        try:
            self.assertFalse(in_body(octets, "nädel"))
            self.assertLess(tracemalloc.get_traced_memory()[1], 24 << 20)
        finally:
            tracemalloc.stop()

    def test_long_marks(self) -> None:
        """What becomes shorter when it is folded hides nothing that is cut by the end of a piece."""
        head = crlf("Content-Type: text/plain; charset=utf-8\n\n")
        for before in range(WINDOW - 8, WINDOW + 2):
            for marks in ("\u0301", "\u0301\u0316\u0300"):
                octets = head + ("x" * before + "".join(each + marks for each in "needle") + "y" * WINDOW).encode()
                self.assertTrue(in_body(octets, "xneedley"), (before, marks))

    def test_alike(self) -> None:
        """Accents, points, widths and the two kana do not keep a text from being found; other letters do."""
        head = crlf("Content-Type: text/plain; charset=utf-8\n\n")
        for text, needle in (
            ("résumé", "resume"), ("resume", "résumé"), ("Ёлка", "елка"), ("שָׁלוֹם", "שלום"), ("カタカナ", "かたかな"),
            ("ｶﾞﾗｽ", "がらす"), ("Ｔｏｋｙｏ", "tokyo"), ("Straße", "STRASSE"),
        ):
            self.assertTrue(in_body(head + text.encode(), needle), (text, needle))
        for text, needle in (("かき", "がき"), ("はは", "ぱぱ"), ("o", "ø"), ("नम", "नमस्")):
            self.assertFalse(in_body(head + text.encode(), needle), (text, needle))

    def test_signature(self) -> None:
        """Nobody looks for the digits of a signature; who asks for that field has it."""
        octets = crlf("DKIM-Signature: v=1; b=Needle\nSubject: x\n\n")
        looked = Looked(b"", octets)
        self.assertFalse(looked.in_header(Needle.of("needle")))
        self.assertTrue(looked.in_header(Needle.of("dkim-sig")))
        self.assertTrue(looked.in_field(b"dkim-signature", Needle.of("needle")))

    def test_header_without_end(self) -> None:
        """Of a header that never ends so much is looked at as is understood of it."""
        octets = b"X: " + b"a" * (1 << 20) + b"needle"
        self.assertFalse(in_header(octets, "needle"))
        self.assertEqual(len(list(fields(octets, 0, len(octets)))), 1)


class DayTests(SynchronousTestCase):
    """The day of a Date field, whatever its zone."""

    def test_day(self) -> None:
        value = b"Sat, 1 Jan 2000 00:30:00 +0900"
        self.assertEqual(dates.day(value), 10957)
        self.assertEqual(dates.sent(value), 10957 * 86400 + 1800 - 9 * 3600)
        self.assertIsNone(dates.day(b"some day"))

    def test_of_an_envelope(self) -> None:
        for value in (
            b"Sat, 1 Jan 2000 00:30:00 +0900", b'1 Jan 2000 (a "day" \\)', b"\xe6\x97\xa5 2000", b"x" * 2000, b""
        ):
            found = date_of(envelope({b"date": value, b"subject": b"x"}))
            self.assertEqual(found.replace(b"\\", b""), value.replace(b"\\", b""))
        self.assertEqual(date_of(envelope({})), b"")
