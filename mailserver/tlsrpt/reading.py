"""Reading reports of strangers: whatever it is, it takes bounded time and memory, and is a report or a `BadReport`."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mailserver.errors import MailserverError
from mailserver.tlsrpt.report import Failure, Policy, Report, Section

LARGEST = 4 * 1024 * 1024       # octets of the JSON
MOST_VALUES = 200_000           # in it: each costs some fifty octets of memory
MOST_SECTIONS = 100
MOST_FAILURES = 500             # of one section; the rest is left out
MOST_STRINGS = 100
LONGEST = 300                   # characters of a text
LAST_SECOND = 253402300799      # of the year 9999
MOST_SESSIONS = 2**53 - 1       # RFC 7493 2.2


class BadReport(MailserverError, ValueError):
    """It is no report that can be read; the text says why."""


def unpacked(octets: bytes) -> bytes:
    """What is inside of gzip, or the octets as they are; raises `BadReport` when it is too large or broken."""
    if not octets.startswith(b"\x1f\x8b"):
        if len(octets) > LARGEST:
            raise BadReport(f"it is larger than {LARGEST} octets")
        return octets
    opener = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        inside = opener.decompress(octets, LARGEST + 1)
    except zlib.error as error:
        raise BadReport(f"it is no gzip: {error}") from None
    if len(inside) > LARGEST:
        raise BadReport(f"it is larger than {LARGEST} octets when it is unpacked")
    if not opener.eof:
        raise BadReport("its gzip is cut off")
    return inside


def read_report(octets: bytes) -> Report:
    """A report out of its JSON, with or without gzip; raises `BadReport`.

    What is no number counts as 0, texts are cut, and what is not understood is passed over: whoever reports makes small
    mistakes, and the numbers are of use all the same.
    """
    inside = unpacked(octets)
    if inside.count(b",") + inside.count(b"[") + inside.count(b"{") > MOST_VALUES:
        raise BadReport(f"it has more than {MOST_VALUES} values")
    try:
        told = json.loads(inside.removeprefix(b"\xef\xbb\xbf").decode("utf-8"))
    except RecursionError:
        raise BadReport("it is nested too deeply") from None
    except ValueError as error:                 # UnicodeDecodeError, JSONDecodeError, numbers of 5000 digits
        raise BadReport(f"it is no JSON: {str(error)[:LONGEST]}") from None
    if not isinstance(told, dict) or not isinstance(told.get("policies"), list):
        raise BadReport('it has no "policies"')
    dates = _object(told.get("date-range"))
    report = Report(
        _text(told.get("organization-name")),
        _text(told.get("contact-info")),
        _text(told.get("report-id")),
        _time(dates.get("start-datetime")),
        _time(dates.get("end-datetime")),
        tuple(_section(each) for each in told["policies"][:MOST_SECTIONS] if isinstance(each, dict)),
    )
    if not report.sections:
        raise BadReport('its "policies" are empty')
    return report


def _section(told: Mapping[str, Any]) -> Section:
    policy, summary = _object(told.get("policy")), _object(told.get("summary"))
    failures = told.get("failure-details")
    return Section(
        Policy(
            _text(policy.get("policy-type")),
            _text(policy.get("policy-domain")).lower().rstrip("."),
            _texts(policy.get("policy-string")),
            _texts(policy.get("mx-host")),
        ),
        _count(summary.get("total-successful-session-count")),
        _count(summary.get("total-failure-session-count")),
        tuple(_failure(each) for each in failures[:MOST_FAILURES] if isinstance(each, dict))
        if isinstance(failures, list) else (),
    )


def _failure(told: Mapping[str, Any]) -> Failure:
    return Failure(
        _text(told.get("result-type")),
        _count(told.get("failed-session-count")),
        _text(told.get("sending-mta-ip")),
        _text(told.get("receiving-mx-hostname")).lower().rstrip("."),
        _text(told.get("receiving-ip")),
        _text(told.get("failure-reason-code")),
        _text(told.get("receiving-mx-helo")),
        _text(told.get("additional-information")),
    )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    """A text that every database takes: no NUL, no half of a surrogate pair."""
    if not isinstance(value, str):
        return ""
    return value[:LONGEST].replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _texts(value: Any) -> tuple[str, ...]:
    """A list of texts, or the one text that some write in its place."""
    if isinstance(value, str):
        return (_text(value),)
    return tuple(_text(each) for each in value[:MOST_STRINGS] if each) if isinstance(value, list) else ()


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return max(0, min(value, MOST_SESSIONS))


def _time(value: Any) -> int:
    """Seconds since the epoch of an RFC 3339 date-time; 0 when it is none."""
    try:
        found = datetime.fromisoformat(value if len(value) < 40 else "")
        seconds = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (AttributeError, OverflowError, TypeError, ValueError):
        return 0
    return max(0, min(int(seconds), LAST_SECOND))
