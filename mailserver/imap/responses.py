"""Answers other than those about messages and mailboxes (RFC 9051 7.1, 7.2, 7.6)."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable

from mailserver.imap.error import ImapError
from mailserver.imap.flags import Flags
from mailserver.imap.flags import spell as spell_flags
from mailserver.imap.numbers import spell as spell_numbers
from mailserver.imap.numbers import spell_ranges
from mailserver.imap.strings import NIL, nstring, string

LONGEST_TEXT = 512          # octets of what people read

_UNPRINTABLE: re.Pattern[str] = re.compile(r"[^\x20-\x7e]")


def status(condition: str, text: str, code: str = "", tag: str = "*") -> bytes:
    """``a1 NO [CODE] text``; OK, NO and BAD with a tag are the end of a command, PREAUTH and BYE never have one.

    Whatever would break a line or a terminal becomes ``?``; a text that begins like a code is kept from being one.
    """
    words = _UNPRINTABLE.sub("?", text)[:LONGEST_TEXT] or "."
    if code:
        words = f"[{_UNPRINTABLE.sub('?', code)}] {words}"
    elif words.startswith("["):
        words = f"- {words}"
    return f"{tag} {condition} {words}\r\n".encode("ascii")


def failure(error: ImapError) -> bytes:
    """What a peer hears of its mistake; a fatal one is the end of the conversation."""
    if error.fatal:
        return status("BYE", str(error), error.code)
    if error.tag is None:
        return status("BAD", str(error), error.code)
    return status(error.condition, str(error), error.code, error.tag)


def continuation(text: str = "") -> bytes:
    """``+ text``: the literal may come, or IDLE has begun."""
    return f"+ {_UNPRINTABLE.sub('?', text)[:LONGEST_TEXT]}\r\n".encode("ascii")


def challenge(octets: bytes) -> bytes:
    """A step of AUTHENTICATE."""
    return b"+ %b\r\n" % b64encode(octets)


def untagged(*parts: bytes) -> bytes:
    """``* a b c``, of parts that are ready to send."""
    return b"* %b\r\n" % b" ".join(parts)


def capability(words: Iterable[str]) -> bytes:
    """RFC 9051 7.2.2."""
    return f"* CAPABILITY {' '.join(words)}\r\n".encode("ascii")


def enabled(words: Iterable[str]) -> bytes:
    """RFC 9051 7.2.1."""
    return " ".join(["* ENABLED", *words]).encode("ascii") + b"\r\n"


def identity(fields: Iterable[tuple[str, str | None]]) -> bytes:
    """RFC 2971 3.2: which program this is."""
    pairs = [
        b"%b %b" % (string(name.encode()), nstring(None if value is None else value.encode()))
        for name, value in fields
    ]
    return untagged(b"ID", b"(%b)" % b" ".join(pairs) if pairs else NIL)


def exists(count: int) -> bytes:
    """RFC 9051 7.4.1."""
    return b"* %d EXISTS\r\n" % count


def recent(count: int) -> bytes:
    """RFC 3501 7.3.2."""
    return b"* %d RECENT\r\n" % count


def flags(known: Flags) -> bytes:
    """Which flags there are (RFC 9051 7.3.5)."""
    return untagged(b"FLAGS", spell_flags(known.bits, known.keywords))


def permanent_flags(known: Flags, may_make: bool) -> bytes:
    """Which of them stay; `may_make`: new keywords too (RFC 9051 7.1)."""
    words = spell_flags(known.bits, (*known.keywords, *["\\*"] * may_make)).decode("ascii")
    return status("OK", "these stay", f"PERMANENTFLAGS {words}")


def expunged(number: int) -> bytes:
    """RFC 9051 7.5.1."""
    return b"* %d EXPUNGE\r\n" % number


def vanished(uids: Iterable[int], earlier: bool = False) -> bytes:
    """RFC 7162 3.2.10; nothing for none."""
    return _vanished(spell_numbers(uids), earlier)


def vanished_ranges(ranges: Iterable[tuple[int, int]], earlier: bool = False) -> bytes:
    """The same for ranges of UIDs."""
    return _vanished(spell_ranges(ranges), earlier)


def _vanished(numbers: bytes, earlier: bool) -> bytes:
    return b"* VANISHED %b%b\r\n" % (b"(EARLIER) " * earlier, numbers) if numbers else b""
