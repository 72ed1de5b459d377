"""Messages, whatever is in them: they are understood as far as that goes."""

from __future__ import annotations

from itertools import pairwise

from mailserver.mime.charsets import decode
from mailserver.mime.part import Kind, Part
from mailserver.mime.section import Range, Section, UnknownEncoding, binary, ranges
from mailserver.mime.stored import load
from mailserver.mime.strings import with_utf_8
from mailserver.mime.structure import DEEPEST, MOST_PARTS
from mailserver.mime.text import LONGEST_PREVIEW, texts
from mailserver.mime.understood import understand
from tests.fuzz.choices import split
from tests.mime.imap import read

WORDS = (
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", b"Content-Type: multipart/digest; boundary=\"bb\"\r\n\r\n",
    b"\r\n--b\r\n", b"\r\n--b--\r\n", b"\r\n--bb\r\n", b"--", b"\r\n\r\n", b"\r\n", b"\n", b"\r", b"\0", b"\xff",
    b" ", b"\t",
    b"Content-Type: message/rfc822\r\n\r\n", b"Content-Type: text/html; charset=", b"iso-2022-jp", b"shift_jis",
    b"idna",
    b"Content-Type: text/plain;\r\n charset*0*=utf-8''%41;\r\n charset*1=b", b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n", b"Content-Disposition: attachment; filename*=", b"filename=\"",
    b"From: ", b"To: ", b"Subject: ", b"Date: Tue, 24 Nov 2026 18:00:00 +0900\r\n", b"Message-ID: <", b"References: ",
    b"<a@b>", b"(", b")", b"\"", b"\\", b",", b";", b":", b"@", b"[", b"]", b"Re: ", b"[fwd: ", b"(fwd)",
    b"=?utf-8?B?6Zuo?=",
    b"=?iso-2022-jp?Q?=1B$BF|?=", b"\x1b$B", b"\x1b(B", b"\x82\xa0", b"\xa4\xa2", b"\xe9\x9b\xa8", b"=",
    b"=E9=9B=A8", b"<p>",
    b"<!--", b"<script>", b"</script>", b"&amp;", b"&#x", b"{3}\r\n", b"Content-ID:", b"begin 644 a\r\n",
)
SECTIONS = (
    b"", b"HEADER", b"TEXT", b"1", b"2", b"1.MIME", b"1.1", b"1.HEADER", b"1.TEXT", b"2.1", b"HEADER.FIELDS (to from)",
    b"HEADER.FIELDS.NOT (to from)", b"1.HEADER.FIELDS (subject)", b"1.1.1.1",
)


def run(octets: bytes) -> None:
    """Nothing raises; parts lie in each other; what is stored is the same again; what is sent can be read."""
    choices, message = split(octets)
    found = understand(message)
    root = found.root
    assert load(found.structure) == root
    _nested(root, 0, len(message), 0)
    assert sum(1 for _ in root.walk()) <= MOST_PARTS
    assert len(read(found.envelope)) == len(read(with_utf_8(found.envelope))) == 10
    _shaped(root, read(found.body), read(found.bodystructure))
    assert len(found.preview) <= LONGEST_PREVIEW and found.preview == " ".join(found.preview.split("\n"))
    assert found.header_size == root.body <= len(message)
    assert len(found.base_subject) <= 20_000 and len(found.references) <= 100
    assert sum(map(len, texts(message, root))) <= 1 << 20
    for name in SECTIONS:
        _section(message, root, Section.parse(name))
    decode(message, choices.decode("latin-1"))


def _nested(part: Part, start: int, end: int, depth: int) -> None:
    assert start <= part.start <= part.body <= part.end <= end, part
    assert depth <= DEEPEST
    assert bool(part.parts) == (part.kind is not Kind.LEAF)
    at = part.body
    for each in part.parts:
        _nested(each, at, part.end, depth + 1)
        at = each.end


def _shaped(part: Part, short: list[object], full: list[object]) -> None:
    """As RFC 9051 7.5.2 has it."""
    if part.kind is Kind.MULTIPART:
        assert len(short) == len(part.parts) + 1 and len(full) == len(part.parts) + 5
        for each, inner, whole in zip(part.parts, short, full, strict=False):
            assert isinstance(inner, list) and isinstance(whole, list)
            _shaped(each, inner, whole)
        return
    expected = 10 if part.kind is Kind.MESSAGE else 8 if part.type == "text" else 7
    assert (len(short), len(full)) == (expected, expected + 4)
    assert short[6] == part.size


def _section(message: bytes, root: Part, section: Section) -> None:
    found = ranges(message, root, section) or [Range(0, 0)]
    assert all(each.start <= each.end for each in found)
    assert all(one.end <= other.start for one, other in pairwise(found))
    decoded = binary(message, root, section.path)
    if decoded is not None and not isinstance(decoded, UnknownEncoding):
        assert len(b"".join(decoded)) <= len(message)
