"""Reading a report: DSN (RFC 3464, RFC 6533) and ARF (RFC 5965); others by `mailserver.feedback.unwritten`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailserver.feedback.fields import blocks, fields, first, parts, printable, split
from mailserver.feedback.told import Feedback, Sort, Told
from mailserver.feedback.unwritten import unwritten

MOST_READ = 128 * 1024      # octets of a report
MOST_RECIPIENTS = 1000
LONGEST_ADDRESS = 320       # RFC 5321 4.5.3.1

_ACTIONS = {
    "failed": Sort.BOUNCE, "delayed": Sort.DELAY, "delivered": Sort.DELIVERED, "relayed": Sort.DELIVERED,
    "expanded": Sort.DELIVERED,
}
_COMPLAINTS = ("abuse", "fraud", "virus", "miscategorized", "opt-out", "opt-out-list")
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_CODE = re.compile(r"\b([245]\d\d)(?![\d.])")
_JMRP = "x-hmxmroriginalrecipient"       # Hotmail's complaints: no ARF, the mail with one field more
_HEX = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_BY_ID = re.compile(r"\bby ([^\s;]{1,255})(?: [^;]{0,200}?)? id ([0-9A-Za-z]{1,40})\b")


def parse(content: bytes) -> Feedback | None:
    """What a message says of mail of ours; None: it is no report.  Only its beginning is read; never raises."""
    content = content[:MOST_READ]
    above, body = split(content)
    header = fields(above)
    recipients: list[Told] = []
    whole: list[tuple[str, str]] = []
    back: list[tuple[str, str]] = []
    for type, octets in parts(header, body):
        if type in ("message/delivery-status", "message/global-delivery-status") and not whole:
            whole, *each = [fields(block) for block in blocks(octets)] or [[]]
            recipients += [told for some in each[:MOST_RECIPIENTS] if (told := _recipient(some)) is not None]
        elif type == "message/feedback-report" and not whole:
            whole = fields(octets)
            recipients += _complaint(whole)
        elif type in ("message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"):
            back = fields(split(octets)[0])
    if not whole and (complainer := _address(first(back, _JMRP))):
        recipients, whole = [Told(Sort.COMPLAINT, complainer, text="abuse")], [("user-agent", "hotmail")]
    if not whole:
        found = unwritten(header, body)
        if found is None:
            return None
        recipients, back = list(found[0]), found[1] or back
    reporter = _behind_type(first(whole, "reporting-mta")) or first(whole, "user-agent")
    return Feedback(
        tuple(recipients),
        reporter[:255],
        first(whole, "original-envelope-id")[:200],
        _address(first(whole, "original-mail-from") or first(back, "return-path")),
        first(back, "message-id")[:300],
        _received(back),
    )


def _recipient(some: list[tuple[str, str]]) -> Told | None:
    """RFC 3464 2.3; what has no address, or an action that nobody knows, is left out."""
    sort = _ACTIONS.get(first(some, "action").split(" ")[0].lower())
    final = _address(_behind_type(first(some, "final-recipient")))
    original = _address(_behind_type(first(some, "original-recipient")))
    if sort is None or not (final or original):
        return None
    status = _STATUS.search(first(some, "status"))
    text = _behind_type(first(some, "diagnostic-code"))
    code = _CODE.search(text)
    return Told(
        sort, final or original, original, status[0] if status else "", int(code[1]) if code else 0, text[:1000]
    )


def _complaint(whole: list[tuple[str, str]]) -> Sequence[Told]:
    """RFC 5965 3.  Some leave out whose complaint it is: then a keyed reverse-path tells."""
    type = first(whole, "feedback-type").lower()
    sort = Sort.COMPLAINT if type in _COMPLAINTS else Sort.OTHER
    named = [_address(body) for name, body in whole if name == "original-rcpt-to"]
    told = [Told(sort, each, text=type[:100]) for each in named[:MOST_RECIPIENTS] if each]
    return told or [Told(sort, "", text=type[:100])]


def _behind_type(body: str) -> str:
    """"rfc822; bob@example.com": what stands behind the type."""
    type, semicolon, rest = body.partition(";")
    rest = rest.strip() if semicolon else body.strip()
    return _HEX.sub(_character, rest) if type.strip().lower() == "utf-8" else rest


def _character(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    return "?" if number > 0x10FFFF or 0xD800 <= number < 0xE000 else printable(chr(number))


def _address(text: str) -> str:
    """Without brackets; "" for what is none."""
    text = text.strip().strip("<>").strip()
    return text if "@" in text and len(text) <= LONGEST_ADDRESS and text.isprintable() and " " not in text else ""


def _received(back: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    found = []
    for name, body in back:
        if name == "received" and (match := _BY_ID.search(body)) is not None:
            found.append((match[1].lower(), match[2]))
    return tuple(found[:50])
