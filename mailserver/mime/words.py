"""Unstructured text in headers, with encoded words (RFC 2047), as people sent it rather than as they should have."""

from __future__ import annotations

import binascii
import re

from mailserver.mime import charsets
from mailserver.mime.transfer import base64

# The charset, perhaps a language behind it (RFC 2231 5), the encoding, the text.
_WORD = re.compile(rb"=\?([^?\s*]{1,60})(?:\*[^?\s]{0,60})?\?([bBqQ])\?([^?]*)\?=")


def decode(value: bytes) -> str:
    """An unfolded value in characters.

    Neighbours of one charset are joined before they are decoded: many senders cut words within a character, or
    within a shift state of ISO-2022-JP.  What stands outside of words beyond ASCII is guessed.
    """
    if b"=?" not in value:
        return charsets.guess(value)
    done: list[str] = []
    run: list[tuple[bytes, bytes]] = []
    charset, at = b"", 0
    for found in _WORD.finditer(value):
        gap, label = value[at : found.start()], found[1].lower()
        is_alone = gap and not gap.isspace()
        if run and (is_alone or label != charset):
            done.append(_joined(run, charset))
            run = []
        if is_alone or not at:
            done.append(charsets.guess(gap))
        charset, at = label, found.end()
        run.append((found[2].lower(), found[3]))
    if run:
        done.append(_joined(run, charset))
    done.append(charsets.guess(value[at:]))
    return "".join(done)


def _joined(run: list[tuple[bytes, bytes]], charset: bytes) -> str:
    octets: list[bytes] = []
    cut: list[bytes] = []           # base64 that may have been cut anywhere, not between groups of four
    size = 0
    for encoding, text in run:
        if encoding == b"b":
            cut.append(text)
            size += len(text)
        if cut and (encoding != b"b" or size % 4 == 0 or text.endswith(b"=")):
            octets.append(base64(b"".join(cut)))
            cut, size = [], 0
        if encoding != b"b":
            octets.append(binascii.a2b_qp(text, header=True))
    octets.append(base64(b"".join(cut)))
    return charsets.decode(b"".join(octets), charset.decode("ascii", "replace"))
