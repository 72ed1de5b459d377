"""Encoded words, as they are sent: RFC 2047's, and those of Japan."""

from __future__ import annotations

import base64
from email.header import Header, decode_header, make_header

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from mailserver.mime.words import decode

TITLE = "日本語の件名について、①㈱テスト"


def word(octets: bytes, charset: str) -> bytes:
    return b"=?%b?B?%b?=" % (charset.encode(), base64.b64encode(octets))


class WordTests(SynchronousTestCase):
    def check(self, *pairs: tuple[bytes, str]) -> None:
        for value, expected in pairs:
            self.assertEqual(decode(value), expected, value)

    def test_rfc_2047(self) -> None:
        """The examples of its section 8, as far as they are no comments."""
        self.check(
            (b"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
            (b"=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld Jørn Simonsen"),
            (b"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
             "If you can read this you understand the example."),
            (b"=?ISO-8859-1?Q?a?=", "a"),
            (b"=?ISO-8859-1?Q?a?= b", "a b"),
            (b"=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"),
            (b"=?ISO-8859-1?Q?a_b?=", "a b"),
            (b"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        )

    def test_language(self) -> None:
        """RFC 2231 5."""
        self.check((b"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"))

    def test_no_words(self) -> None:
        self.check(
            (b"", ""), (b"plain", "plain"), (b"=?utf-8?Q?a", "=?utf-8?Q?a"), (b"=?utf-8?X?a?=", "=?utf-8?X?a?="),
            (b"=?=", "=?="), (b"a =?utf-8?q??= b", "a  b"), (b"=?utf-8?q?a=ZZ=?=", "a=ZZ"),
        )

    def test_touching(self) -> None:
        """Words without white space around them are read too: people send them."""
        self.check((b"Re:=?utf-8?B?5pel?=x=?utf-8?B?5pys?=", "Re:日x本"))

    def test_cut_within_a_character(self) -> None:
        """Wherever a sender cuts, and however it cuts."""
        for charset, python in (("utf-8", "utf-8"), ("Shift_JIS", "cp932"), ("EUC-JP", "euc_jp")):
            octets = "日本語の件名".encode(python)
            for at in range(len(octets)):
                value = word(octets[:at], charset) + b" " + word(octets[at:], charset)
                self.assertEqual(decode(value), "日本語の件名", (charset, at))

    def test_cut_within_base64(self) -> None:
        """Between words that have no whole groups of four."""
        whole = base64.b64encode(TITLE.encode())
        for at in range(len(whole)):
            value = b"=?utf-8?B?%b?= =?utf-8?b?%b?=" % (whole[:at], whole[at:])
            self.assertEqual(decode(value), TITLE, at)

    def test_cut_within_a_shift_state(self) -> None:
        """ISO-2022-JP cut where a state was open; and where each word opens its own and none closes it."""
        whole = "日本語の件名".encode("iso2022_jp")
        for at in range(3, len(whole) - 3, 2):
            value = word(whole[:at], "ISO-2022-JP") + b"\t" + word(whole[at:], "iso-2022-jp")
            self.assertEqual(decode(value), "日本語の件名", at)
        self.check((word(b"\x1b$BF|", "ISO-2022-JP") + b" " + word(b"\x1b$BK\\", "ISO-2022-JP"), "日本"))

    def test_cp50221(self) -> None:
        """Circled digits, (kabu) and half-width kana, which no codec of Python reads in ISO-2022-JP."""
        self.check(
            (word(b"\x1b$B-!-j\x1b(B", "ISO-2022-JP"), "①㈱"),
            (word(b"\x1b(I\x43\x3d\x44\x1b(B!", "ISO-2022-JP"), "ﾃｽﾄ!"),
            (word("ﾃｽﾄ".encode("cp932"), "ISO-2022-JP"), "ﾃｽﾄ"),
        )

    def test_wrong_labels(self) -> None:
        self.check(
            (word("日本語です".encode("cp932"), "ISO-2022-JP"), "日本語です"),
            (word("日本語です".encode(), "Shift_JIS"), "日本語です"),
            (word("日本語です".encode("euc_jp"), "UTF-8"), "日本語です"),
            (word("日本語です".encode("iso2022_jp"), "US-ASCII"), "日本語です"),
            (word("日本語です".encode("iso2022_jp"), "UTF-8"), "日本語です"),
            (word("日本語です".encode(), "x-unknown"), "日本語です"),
            (word("日本語です".encode(), "ISO-8859-1"), "日本語です"),
        )

    def test_raw(self) -> None:
        """Octets beyond ASCII that nobody labelled."""
        for python in ("utf-8", "cp932", "euc_jp", "iso2022_jp"):
            self.check(("Re: お知らせ（重要）".encode(python), "Re: お知らせ（重要）"))
        self.check(("Müller, Gräfe & Café".encode("latin-1"), "Müller, Gräfe & Café"))
        self.check((b"x " + "日".encode() + b" =?utf-8?Q?y?=", "x 日 y"))

    @settings(deadline=None, max_examples=200)
    @given(some.text(some.characters(exclude_categories=("C", "Z")), max_size=80))
    def test_as_python(self, text: str) -> None:
        """What Python's encoder folds into words is read as its decoder reads it."""
        sent = Header(text, "utf-8", maxlinelen=40).encode().replace("\n", "").encode()
        self.assertEqual(decode(sent), str(make_header(decode_header(sent.decode()))))
