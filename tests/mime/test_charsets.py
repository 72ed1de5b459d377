"""Charsets by name: those of mail, and those that only look like charsets."""

from __future__ import annotations

import encodings.aliases

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from mailserver.mime import charsets
from mailserver.mime.charsets import decode, guess, is_known

DANGEROUS = (
    "idna", "punycode", "zlib_codec", "zlib-codec", "zip", "bz2", "base64", "hex", "uu", "quopri", "rot13", "rot_13",
    "unicode_escape", "unicode-escape", "raw_unicode_escape", "undefined", "mbcs", "oem", "charmap", "palmos",
    "", "\0", "utf-8\0", "../../etc/passwd", "x" * 10**6, "ｕｔｆ-8",
)
JAPANESE = "吾輩は猫である。名前はまだ無い。"


class CharsetTests(SynchronousTestCase):
    def test_names(self) -> None:
        """In whatever spelling."""
        for label in ("utf-8", "UTF8", '"utf-8"', " Utf-8 ", "utf_8", "'utf-8'", "utf-8*ja"):
            self.assertTrue(is_known(label), label)
            self.assertEqual(decode("雨".encode(), label), "雨")
        for label, python in (
            ("gb2312", "gbk"), ("GBK", "gb18030"), ("big5", "cp950"), ("ks_c_5601-1987", "cp949"), ("euc-kr", "cp949"),
            ("koi8-r", "koi8-r"), ("windows-1251", "cp1251"), ("iso-8859-2", "iso8859-2"),
            ("iso-8859-15", "iso8859-15"),
            ("tis-620", "cp874"), ("utf-16", "utf-16"), ("hz-gb-2312", "hz"), ("iso-2022-kr", "iso2022-kr"),
            ("iso-8859-1", "cp1252"), ("utf-7", "utf-7"), ("ibm866", "cp866"), ("macintosh", "mac-roman"),
        ):
            text = {"gbk": "中", "gb18030": "中", "cp950": "中", "hz": "中", "cp949": "한", "iso2022-kr": "한",
                    "koi8-r": "Да", "cp1251": "Да", "cp866": "Да", "cp874": "ก", "cp1252": "“é€”"}.get(python, "é")
            self.assertEqual(decode(text.encode(python), label), text, label)

    def test_every_codec_exists(self) -> None:
        """Whatever is let in, Python has it, and it makes text of octets."""
        for name in charsets._CODEC:
            self.assertIsInstance(decode(b"\x1b$B\xff\xa4~{+A\0", name), str)
            self.assertIsInstance(bytes(range(256)).decode(charsets._CODEC[name], "replace"), str)

    def test_dangerous(self) -> None:
        """A codec that is no charset is never used: its name is as good as any unknown one."""
        for label in DANGEROUS:
            self.assertFalse(is_known(label), label[:30])
            for octets in (b"\\x41", b"x\x9c\x03\0\0\0\0\x01", b"xn--caf-dma", b"uryyb", b"aGVsbG8="):
                self.assertEqual(decode(octets, label), guess(octets))

    def test_all_of_pythons(self) -> None:
        """None of the names that Python knows raises anything."""
        for label in {*encodings.aliases.aliases, *encodings.aliases.aliases.values()}:
            self.assertIsInstance(decode(bytes(range(256)), label), str)

    def test_japanese(self) -> None:
        """Each of the four, labelled rightly, wrongly and not at all."""
        for python in ("utf-8", "cp932", "euc_jp", "iso2022_jp"):
            octets = JAPANESE.encode(python)
            self.assertEqual(guess(octets), JAPANESE)
            for label in (
                "utf-8", "Shift_JIS", "x-sjis", "windows-31j", "EUC-JP", "ISO-2022-JP", "us-ascii", "", "klingon",
            ):
                self.assertEqual(decode(octets, label), JAPANESE, (python, label))

    def test_extensions(self) -> None:
        """NEC's row 13 and IBM's kanji, in all spellings."""
        text = "①⑳Ⅳ㍉㈱髙﨑彅"
        sjis = text.encode("cp932")
        self.assertEqual(decode(sjis, "Shift_JIS"), text)
        # NEC's row 13, and IBM's kanji as NEC has them in rows 89 to 92.
        self.assertEqual(decode(b"\x1b$B-!-4-8-B-jy\x22\x1b(B", "iso-2022-jp"), "①⑳Ⅳ㌢㈱褜")
        self.assertEqual(decode(b"\xad\xa1\xad\xea\xa4\xa2", "euc-jp"), "①㈱あ")
        self.assertEqual(decode(b"\x8e\xb1\x8e\xb2\xa4\xa2", "euc-jp"), "ｱｲあ")
        self.assertEqual(decode(b"\x1b$(D0!\x1b(B", "iso-2022-jp-1"), "丂")

    def test_states(self) -> None:
        """A line that does not close its state; seven-bit kana by SO and SI; an odd octet."""
        self.assertEqual(decode(b"\x1b$BF|\r\nabc", "iso-2022-jp"), "日\r\nabc")
        self.assertEqual(decode(b"\x0e12\x0fa", "iso-2022-jp"), "ｱｲa")
        self.assertEqual(decode(b"\x1b$BF|K", "iso-2022-jp"), "日\ufffd")
        self.assertEqual(decode(b"\x1b(J\\\x1b(B", "iso-2022-jp"), "\\")

    def test_truncated(self) -> None:
        """One fault does not make a text another charset's."""
        self.assertEqual(decode(JAPANESE.encode()[:-1], "utf-8"), JAPANESE[:-1] + "\ufffd")
        self.assertEqual(decode(JAPANESE.encode("cp932")[:-1], "shift_jis")[:-1], JAPANESE[:-1])

    @given(some.binary(max_size=100), some.sampled_from([*charsets._CODEC, *charsets._JIS, "us-ascii", "x"]))
    def test_nothing_raises(self, octets: bytes, label: str) -> None:
        self.assertIsInstance(decode(octets, label), str)
        self.assertIsInstance(guess(octets), str)
