"""Charsets by the names that mail gives them: a list of those that are let in, and a guess for the others.

Python knows codecs that are no charsets (zlib_codec, unicode_escape, idna, rot13 ...): a name is looked up here, and
never in `codecs`.
"""

from __future__ import annotations

from mailserver.mime import japanese

_CODECS = {
    "utf-8": "utf8 unicode-1-1-utf-8 utf-8-sig utf8mb4",
    "utf-7": "utf7 unicode-1-1-utf-7 x-unicode-2-0-utf-7",
    "utf-16": "utf16 ucs-2 iso-10646-ucs-2 unicode", "utf-16-le": "utf-16le", "utf-16-be": "utf-16be",
    "utf-32": "utf32 ucs-4", "utf-32-le": "utf-32le", "utf-32-be": "utf-32be",
    "cp1252": "iso-8859-1 iso8859-1 latin1 latin-1 l1 windows-1252 x-cp1252 ibm819 cp819 csisolatin1",
    **{f"iso8859-{each}": f"iso-8859-{each} iso8859-{each}" for each in (*range(2, 9), 10, 13, 14, 15, 16)},
    "cp1254": "iso-8859-9 iso8859-9 latin5 windows-1254", "cp874": "iso-8859-11 tis-620 tis620 windows-874",
    **{f"cp125{each}": f"windows-125{each} cp125{each} x-cp125{each}" for each in (0, 1, 3, 5, 6, 7, 8)},
    "iso8859-8": "iso-8859-8 iso-8859-8-i iso-8859-8-e", "iso8859-6": "iso-8859-6 iso-8859-6-i iso-8859-6-e",
    "koi8-r": "koi8r", "koi8-u": "koi8u", "koi8-t": "", "mac-roman": "macintosh x-mac-roman",
    "mac-cyrillic": "x-mac-cyrillic", "ptcp154": "",
    **{f"cp{each}": f"ibm{each}" for each in (437, 737, 775, 850, 852, 855, 857, 858, 860, 861, 862, 863, 865, 866)},
    "gb18030": "gb2312 gbk cp936 ms936 windows-936 euc-cn gb-2312-80 x-gbk chinese csgb2312 gb-18030",
    "hz": "hz-gb-2312", "cp950": "big5 big5-eten x-x-big5 csbig5", "big5hkscs": "big5-hkscs",
    "cp949": "euc-kr euckr ks-c-5601-1987 ks-c-5601 ksc5601 ksc-5601 windows-949 uhc iso-ir-149 korean cseuckr",
    "iso2022-kr": "iso-2022-kr csiso2022kr", "johab": "cp1361",
    "cp932": "shift-jis shift-jisx0213 shift-jis-2004 shiftjis sjis x-sjis s-jis ms-kanji csshiftjis ms932 "
    "windows-932 windows-31j cswindows31j x-ms-cp932",
    "euc_jp": "euc-jp eucjp x-euc-jp x-euc cseucpkdfmtjapanese euc-jp-ms eucjp-ms eucjp-win cp51932 ujis",
}
_CODEC = {name: codec for codec, names in _CODECS.items() for name in (codec, *names.split())}

_JIS = frozenset((
    "iso-2022-jp", "iso-2022-jp-1", "iso-2022-jp-2", "iso-2022-jp-3", "iso-2022-jp-ms", "iso-2022-jp-2004",
    "iso2022jp", "iso-2022", "csiso2022jp", "cp50220", "cp50221", "cp50222", "jis",
))
_ESCAPING = ("hz", "iso2022-kr")
_ASCII = bytes(range(0x80))
_WRONG_AT_ONCE = 0.1        # of the octets beyond ASCII: then the label was wrong, not the text


def _name(label: str) -> str:
    return label[:60].strip("\"' \t").lower().replace("_", "-").partition("*")[0]


def is_known(label: str) -> bool:
    """Whether a charset of this name is read as what it says, rather than guessed."""
    name = _name(label)
    return name in _CODEC or name in _JIS or name in ("us-ascii", "ascii")


def decode(octets: bytes, label: str) -> str:
    """Text of a charset; what cannot be read is U+FFFD, an unknown or wrong label leads to a guess; never raises."""
    name = _name(label)
    if name in _JIS:
        if b"\x1b" in octets or octets.isascii():
            return japanese.iso_2022_jp(octets)
        return _first_of(octets, "utf-8") or japanese.guess(octets) or _first_of(octets, "cp932") or guess(octets)
    codec = _CODEC.get(name, "")
    if codec not in _ESCAPING and _says_jis(octets):
        return japanese.iso_2022_jp(octets)
    if codec == "utf-8":
        return _utf_8(octets)
    if codec == "cp932":
        return _first_of(octets, "cp932", "utf-8", "euc_jp") or octets.decode("cp932", "replace")
    if codec == "euc_jp":
        return _euc_jp(octets)
    if codec == "cp1252":
        return _first_of(octets, "utf-8") or octets.decode("cp1252", "replace")
    return octets.decode(codec, "replace") if codec else guess(octets)


def guess(octets: bytes) -> str:
    """Text that nobody labelled: ASCII, UTF-8, one of the Japanese charsets, or else Windows' Latin."""
    if octets.isascii():
        return japanese.iso_2022_jp(octets) if _says_jis(octets) else octets.decode("ascii")
    found = _first_of(octets, "utf-8") or japanese.guess(octets)
    return octets.decode("cp1252", "replace") if found is None else found


def _says_jis(octets: bytes) -> bool:
    return b"\x1b" in octets and (b"\x1b$" in octets or b"\x1b(" in octets) and octets.isascii()


def _utf_8(octets: bytes) -> str:
    text = octets.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    if wrong and wrong > _WRONG_AT_ONCE * len(octets.translate(None, _ASCII)):
        text = japanese.guess(octets) or text
    return text.removeprefix("\ufeff")


def _euc_jp(octets: bytes) -> str:
    text = _first_of(octets, "euc_jp", "utf-8")
    if text is None:
        text = japanese.euc_jp(octets)
        if "\ufffd" in text:
            text = _first_of(octets, "cp932") or text
    return text


def _first_of(octets: bytes, *codecs: str) -> str | None:
    """As the first of them that finds no fault reads it."""
    for each in codecs:
        try:
            return octets.decode(each)
        except UnicodeDecodeError:
            continue
    return None
