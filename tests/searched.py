"""Messages of many kinds by chance, and texts to be looked for in them: the same for the same seed."""

from __future__ import annotations

import base64
import quopri
import random
import unicodedata
from collections.abc import Sequence

_LATIN = (
    "the and of a moon stone letter meeting report Straße naïve café résumé Köln ﬁnally over-night o'clock e-mail "
    "invoice 2026 x1y2 USER_NAME foo.bar Größe ångström coöperate Ελλάδα Ὀδυσσεύς москва ёлка Йод İstanbul שָׁלוֹם "
    "العَرَبِيَّة हिन्दी नमस्ते ไทยแลนด์ 한국어 안녕 🎉 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ½ ™"
)
_JAPANESE = (
    "東京 都 京都 会議 の 議事録 を 送ります 。 カタカナ ｶﾀｶﾅ ひらがな が か ガ ｶﾞ パソコン "
    "ﾊﾟｿｺﾝ ２０２６年 Ａｂｃ メール ー 々 佐々木 "
    "髙橋 𠮷野家 、 「見積」 請求書 様 株式会社 ㈱ ①"
)
LATIN, JAPANESE = _LATIN.split(), _JAPANESE.split()
CHARSETS = ("utf-8", "iso-2022-jp", "shift_jis", "euc-jp", "iso-8859-1", "utf-16")


class Corpus:
    """So many messages."""

    def __init__(self, seed: int, count: int) -> None:
        self.chance = random.Random(seed)
        self.messages = [self._message(number) for number in range(count)]

    # -- messages

    def _words(self, least: int, most: int) -> str:
        chance = self.chance
        words = JAPANESE if chance.random() < 0.3 else LATIN if chance.random() < 0.7 else LATIN + JAPANESE
        text = ""
        for word in chance.choices(words, k=chance.randint(least, most)):
            if chance.random() < 0.1:
                word = "".join(chance.choices("abcxyz0189", k=chance.randint(1, 90 if chance.random() < 0.1 else 12)))
            if chance.random() < 0.2:
                word = chance.choice((word.upper(), word.title(), unicodedata.normalize("NFD", word)))
            text += word + chance.choice(("" if words is JAPANESE else " ", " ", " ", ", ", ".", "-", "\r\n", "@", "_"))
        return text

    def _header(self, text: str) -> bytes:
        text = " ".join(text.split())
        how = self.chance.random()
        if text.isascii() or how < 0.2:
            return text.encode()
        if how < 0.6:
            return b"=?utf-8?b?" + base64.b64encode(text.encode()) + b"?="
        label = self.chance.choice(CHARSETS[:4])
        return b"=?" + label.encode() + b"?b?" + base64.b64encode(text.encode(label, "replace")) + b"?="

    def _part(self) -> bytes:
        chance = self.chance
        text, label = self._words(1, 60), chance.choice(CHARSETS)
        subtype = "plain"
        if chance.random() < 0.3:
            subtype = "html"
            text = f"<html><head><title>unseen</title></head><p>{text.replace(' ', ' <b>', 1)}</b>&eacute;</p>"
        octets, encoding = text.encode(label, "replace"), "8bit"
        how = chance.random()
        if how < 0.3 or label == "utf-16":
            octets, encoding = base64.encodebytes(octets).replace(b"\n", b"\r\n"), "base64"
        elif how < 0.6:
            octets, encoding = quopri.encodestring(octets), "quoted-printable"
        head = f"Content-Type: text/{subtype}; charset={label}\r\nContent-Transfer-Encoding: {encoding}\r\n"
        return head.encode() + b"\r\n" + octets

    def _message(self, number: int) -> bytes:
        chance = self.chance
        head = b"".join((
            b"From: ", self._header(self._words(1, 3)), b" <p%d@example.net>\r\n" % chance.randrange(9),
            b"To: ", self._header(self._words(1, 2)), b" <bob@example.org>\r\n" * chance.randint(1, 2),
            b"Subject: ", self._header(self._words(1, 8)), b"\r\n",
            b"Message-ID: <%d.%x@example.net>\r\n" % (number, chance.getrandbits(40)),
            b"X-Note: " + self._words(1, 6).encode().replace(b"\r\n", b"\r\n ") + b"\r\n",
            b"DKIM-Signature: v=1; b=%b\r\n" % base64.b64encode(chance.randbytes(40)),
        ))
        kind = chance.randrange(10)
        if kind < 3:
            text = self._words(5, 80)
            return head + b"\r\n" + (text.encode("ascii", "ignore") if kind else text.encode())
        if kind < 6:
            return head + self._part()
        if kind == 6:
            return head + (
                b"Content-Type: multipart/encrypted; boundary=b; protocol=\"application/pgp-encrypted\"\r\n\r\n--b\r\n"
                b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b\r\nContent-Type: application/octet-"
                b"stream\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n" + base64.encodebytes(chance.randbytes(200))
            )
        if kind == 7:                       # broken
            return head + b"Content-Type: multipart/mixed; boundary=\r\n\r\n" + chance.randbytes(chance.randint(0, 300))
        if kind == 8 and chance.random() < 0.2:
            return b"\r\n" + self._words(1, 5).encode()
        parts = [self._part() for _ in range(chance.randint(1, 3))]
        name = self._words(1, 2).strip()
        parts.append(
            b"Content-Type: application/pdf; name=\"" + self._header(name) + b"\"\r\nContent-Disposition: attachment;"
            b" filename*=utf-8''" + "".join(f"%{each:02X}" for each in name.encode()).encode() + b"\r\n\r\nJVBERi0\r\n"
        )
        return head + b"Content-Type: multipart/mixed; boundary=\"=b\"\r\n\r\n" + b"".join(
            b"--=b\r\n" + part + b"\r\n" for part in parts
        ) + b"--=b--\r\n"

    # -- what is looked for

    def needle(self, texts: Sequence[str]) -> str:
        """A text that may stand in these: a piece of one, some word, or nothing of the kind."""
        chance = self.chance
        how = chance.random()
        if how < 0.55:
            text = chance.choice(texts)
            start = chance.randrange(len(text)) if text else 0
            found = text[start : start + chance.choice((1, 2, 2, 3, 3, 4, 5, 8, 12, 20, 40))]
        elif how < 0.9:
            word = chance.choice(LATIN + JAPANESE)
            found = word[: chance.randint(1, 6)] if chance.random() < 0.5 else word[-chance.randint(1, 6) :]
            if chance.random() < 0.2:
                found += chance.choice(("", " ", ".", "@", "の")) + chance.choice(LATIN + JAPANESE)[:2]
        else:
            found = "".join(chance.choices("abcdefghij.@- あア漢字é", k=chance.randint(1, 5)))
        if chance.random() < 0.3:
            form = chance.choice(("NFC", "NFD", "NFKC", "NFKD"))
            found = unicodedata.normalize(form, chance.choice((str.lower, str.upper, str.title))(found))
        return "".join(each for each in found if each.isprintable()) or "a"
