"""Surrogates for messages with UTF-8 in the header, for clients that do not know it (RFC 6856 2.1, RFC 6858).

Only the header section of the message itself changes, and of it only the fields that are not ASCII: display names and
texts become encoded words (RFC 2047), an address that nobody could answer becomes text beside one that leads nowhere.
"""

from __future__ import annotations

import base64
import re

INVALID = "<invalid@internationalized-address.invalid>"
LONGEST_WORD = 45           # octets in an encoded word, which then has 72 of the 75 characters that it may have

_ADDRESSES = frozenset((
    "from", "sender", "reply-to", "to", "cc", "bcc", "resent-from", "resent-sender", "resent-reply-to", "resent-to",
    "resent-cc", "resent-bcc", "disposition-notification-to", "mail-followup-to", "mail-reply-to",
))
# Whose syntax knows no encoded words (RFC 2047 5).
_STRUCTURED = re.compile(
    "return-path|delivered-to|received|message-id|references|in-reply-to|resent-message-id|date|mime-version|content-.*|"
    "authentication-results|dkim-signature|arc-.*|list-.*|autocrypt|errors-to|x-original-to"
)
_UNSTRUCTURED = frozenset(("content-description",))
_NEXT = re.compile(r"\r\n(?![ \t])")
_BEYOND = re.compile(r"[^\x00-\x7f]")
_TOKEN = re.compile(
    r'(?P<quoted>"(?:[^"\\]|\\.)*+")|(?P<comment>\([^()]*+\))|(?P<angle><[^<>]*+>)|(?P<words>[^"()<>,;:]++)|(?P<other>.)',
    re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def needs_utf8(header: bytes) -> bool:
    """Whether RFC 6532 alone lets this stand in a header.

    Octets beyond ASCII that are no UTF-8 are another thing: mail from before MIME, which passes as it always has.
    """
    if header.isascii():
        return False
    try:
        header.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def surrogate(header: bytes) -> bytes:
    """The same header section in ASCII; it must be UTF-8.  Takes time in proportion to its length."""
    fields = _NEXT.split(header.decode("utf-8"))
    return "\r\n".join(each if each.isascii() else _field(each) for each in fields).encode("ascii")


def _field(field: str) -> str:
    name, colon, value = field.partition(":")
    if not colon or not name.isascii():
        return _BEYOND.sub("?", field)
    key = name.strip().lower()
    value = value.replace("\r\n", "")
    if key in _ADDRESSES:
        return f"{name}:{_addresses(value)}"
    if _STRUCTURED.fullmatch(key) and key not in _UNSTRUCTURED:
        return f"{name}:" + _BEYOND.sub("?", field[len(name) + 1:])
    return f"{name}:{_text(value)}"


def _text(value: str) -> str:
    """Encoded words from the first word that needs it to the last: what is between two of them is not shown."""
    words = value.split(" ")
    those = [number for number, word in enumerate(words) if not word.isascii()]
    if not those:
        return value
    first, last = those[0], those[-1] + 1
    return " ".join([*words[:first], _encoded(" ".join(words[first:last])), *words[last:]])


def _addresses(value: str) -> str:
    if value.isascii():
        return value
    made: list[str] = []
    tokens = list(_TOKEN.finditer(value))
    for number, token in enumerate(tokens):
        text, kind = token[0], token.lastgroup
        follows = tokens[number + 1][0] if number + 1 < len(tokens) else ""
        if kind == "quoted" and follows.startswith("@"):
            continue                    # it is the local part of what follows
        if kind == "words" and number and text.startswith("@") and tokens[number - 1].lastgroup == "quoted":
            text = tokens[number - 1][0] + text
        if text.isascii():
            made.append(text)
        elif kind == "quoted":
            made.append(_encoded(_ESCAPED.sub(r"\1", text[1:-1])))
        elif kind == "comment":
            made.append(f"({_encoded(text[1:-1])})")
        elif kind == "angle":
            made.append(f" {_encoded(text)} {INVALID}")
        elif "@" in text:
            made.append(f" {_encoded(text.strip())} {INVALID}")
        else:
            made.append(f" {_encoded(text.strip())} ")
    return "".join(made)


def _encoded(text: str) -> str:
    """Encoded words for a text, each on a line of its own and none with a part of a character."""
    pieces: list[str] = []
    piece = b""
    for each in text:
        octets = each.encode("utf-8")
        if len(piece) + len(octets) > LONGEST_WORD:
            pieces.append(_word(piece))
            piece = b""
        piece += octets
    pieces.append(_word(piece))
    return "\r\n ".join(pieces)


def _word(octets: bytes) -> str:
    return f"=?utf-8?B?{base64.b64encode(octets).decode()}?="
