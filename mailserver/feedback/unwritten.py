"""Reports that no RFC describes, as well as can be: qmail's, Exim's, Exchange's and some that look like them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailserver.feedback.fields import fields, first, printable, split
from mailserver.feedback.told import Sort, Told

MOST_LINES = 400            # in which recipients are looked for
MOST_NAMED = 100

_ADDRESS = r"[^\s<>@,;:'\"()]{1,64}@[^\s<>@,;:'\"()]{1,255}"
_QMAIL = re.compile(rb"Hi\. This is the |(?:qmail|deliver)-?\w{0,20} program at ")
_QMAIL_LINE = re.compile(rf"<({_ADDRESS})>:?\s*$")
_PLAIN_LINE = re.compile(rf"\s{{0,8}}<?({_ADDRESS})>?:?\s*$")
_EXCHANGE = re.compile(
    rb"did not reach (?:some|all|the following)|Delivery has failed to these recipients|could not be delivered to"
)
_EXCHANGE_LINE = re.compile(rf"\s{{0,8}}'?({_ADDRESS})'? on \d")
_BACK = re.compile(
    rb"\n-{2,8} ?(?:Below this line is a copy|This is a copy of|The header of the original)[^\n]{0,200}\n"
)
_REPLY = re.compile(r"\b([45]\d\d)[ -](?:#?([45]\.\d{1,3}\.\d{1,3}))?")
_FOR_NOW = re.compile(
    r"will be (?:retried|tried again)|has not yet been delivered|warning: message|delayed", re.IGNORECASE
)


def unwritten(
    header: list[tuple[str, str]], body: bytes
) -> tuple[Sequence[Told], list[tuple[str, str]]] | None:
    """The recipients and the header of the original; None when it looks like no report."""
    start = body[:2000]
    failed = first(header, "x-failed-recipients")
    line = _PLAIN_LINE
    if failed:
        pass
    elif _QMAIL.search(start):
        line = _QMAIL_LINE
    elif not _EXCHANGE.search(start) or not _by_a_program(header):
        return None
    above, back = body, b""
    copy = _BACK.search(body)
    if copy is not None:
        above, back = body[: copy.start()], body[copy.end() :].lstrip(b"\r\n")
    lines = [
        printable(each[:1000].decode("utf-8", "replace").rstrip())
        for each in above.split(b"\n", MOST_LINES)[:MOST_LINES]
    ]
    beginning = f"{first(header, 'subject')[:300]} {start.decode('utf-8', 'replace')}"
    sort = Sort.DELAY if _FOR_NOW.search(beginning) else Sort.BOUNCE
    found: dict[str, Told] = {}
    for address, text in _named(lines, line):
        reply = _REPLY.search(text)
        code, status = (int(reply[1]), reply[2] or "") if reply else (0, "")
        found.setdefault(address.lower(), Told(sort, address, "", status, code, text[:1000]))
    said = next((each.strip() for each in lines if _REPLY.match(each.strip())), "") if failed else ""
    for address in re.findall(_ADDRESS, failed)[:MOST_NAMED]:
        reply = _REPLY.match(said)
        code, status = (int(reply[1]), reply[2] or "") if reply else (0, "")
        found.setdefault(address.lower(), Told(sort, address, "", status, code, said[:1000]))
    if failed:
        named = {each.lower() for each in re.findall(_ADDRESS, failed)}
        found = {key: told for key, told in found.items() if key in named}
    return tuple(found.values()), fields(split(back)[0])


def _by_a_program(header: list[tuple[str, str]]) -> bool:
    sender = first(header, "from").lower()
    return (
        "mailer-daemon" in sender or "postmaster" in sender or "microsoftexchange" in sender
        or first(header, "return-path").strip() == "<>" or "auto-" in first(header, "auto-submitted").lower()
    )


def _named(lines: Sequence[str], pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    """Addresses on a line of their own, each with the words below it."""
    found: list[tuple[str, list[str]]] = []
    for each in lines:
        match = pattern.match(each) or _EXCHANGE_LINE.match(each)
        if match is not None:
            if len(found) == MOST_NAMED:
                break
            found.append((match[1], []))
        elif found and each.strip() and len(found[-1][1]) < 10:
            found[-1][1].append(each.strip())
    return [(address, " ".join(words)) for address, words in found]
