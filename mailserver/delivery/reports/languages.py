"""In which languages a sender is told."""

from __future__ import annotations

import re

from mailserver.address import Address
from mailserver.delivery.reports.original import Original

ENGLISH = "en"
_JAPANESE_CHARSET = re.compile(r"iso-2022-jp|euc-jp|shift_jis|cp932|windows-31j|cp5022", re.IGNORECASE)
_TAG = re.compile(r"\s*([A-Za-z]{2,3})(?:-[A-Za-z0-9-]{1,30})?\s*(?:;\s*q=([0-9.]{1,5}))?")
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_KNOWN = {"ja": "ja", "jp": "ja", "en": ENGLISH}


def languages(original: Original, sender: Address | None) -> tuple[str, ...]:
    """The sender's language, as far as the message tells it, then English: who looks after the server reads along.

    Asked are Accept-Language and Content-Language, then charsets, then kana in the Subject, then the sender's domain.
    """
    for name in ("Accept-Language", "Content-Language"):
        if named := _first(original.field(name)):
            return _and_english(named)
    subject = original.field("Subject")
    if _JAPANESE_CHARSET.search(original.field("Content-Type")) or _JAPANESE_CHARSET.search(subject):
        return _and_english("ja")
    if _KANA.search(_decoded(subject)):
        return _and_english("ja")
    if sender is not None and sender.domain.endswith(".jp"):
        return _and_english("ja")
    return (ENGLISH,)


def _and_english(language: str) -> tuple[str, ...]:
    return (language,) if language == ENGLISH else (language, ENGLISH)


def _first(field: str) -> str:
    """The language that is wanted most of those that are spoken here."""
    found = []
    for number, part in enumerate(field.split(",")[:20]):
        tag = _TAG.match(part)
        if tag is not None and tag[1].lower() in _KNOWN:
            found.append((-_weight(tag[2]), number, _KNOWN[tag[1].lower()]))
    return min(found)[2] if found else ""


def _weight(text: str | None) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0


def _decoded(subject: str) -> str:
    """Encoded words (RFC 2047) of UTF-8, read; others name their charset."""
    from email.errors import HeaderParseError
    from email.header import decode_header

    if "=?" not in subject:
        return subject
    try:
        return "".join(
            each.decode("utf-8", "replace") if isinstance(each, bytes) else each for each, _ in decode_header(subject)
        )
    except (HeaderParseError, ValueError):
        return ""
