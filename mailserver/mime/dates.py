"""The Date field (RFC 5322 3.3 and its obsolete forms) as seconds since 1970."""

from __future__ import annotations

import re
from datetime import date

_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
_DATE = re.compile(
    rb"(?:[A-Za-z]{2,10}\.?\s*,?\s*)?([0-9]{1,2})[\s-]+([A-Za-z]{3})[A-Za-z]{0,7}\.?[\s,-]+([0-9]{2,4})(?=\D|\Z)"
    rb"(?:[\s,]*([0-9]{1,2})\s*[:.]\s*([0-9]{1,2})(?:\s*[:.]\s*([0-9]{1,2}))?(?:\.[0-9]{1,9})?)?\s*(?:([+-][0-9]{4})|([A-Za-z]{1,5}))?"
)
# ctime's, and RFC 850's cousins: the year stands behind the time.
_CTIME = re.compile(
    rb"(?:[A-Za-z]{3,9}\.?\s*,?\s*)?([A-Za-z]{3})[A-Za-z]{0,6}\.?\s+([0-9]{1,2})\s*,?\s+([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2}))?\s+"
    rb"(?:([+-][0-9]{4}|[A-Za-z]{1,5})\s+)?([0-9]{4})(?:\s+([+-][0-9]{4}))?"
)
_ZONES = {b"edt": -4, b"est": -5, b"cdt": -5, b"cst": -6, b"mdt": -6, b"mst": -7, b"pdt": -7, b"pst": -8, b"jst": 9}
_COMMENT = re.compile(rb"\([^()]*\)")
LONGEST = 200               # octets of a date that are looked at
_DAY = 86400
_EPOCH = date(1970, 1, 1).toordinal()


def sent(value: bytes) -> int | None:
    """The date that a message says it was sent, in UTC; None: that cannot be known.

    As RFC 5256 2.2 has it, a time that is missing is midnight, and a zone that is missing or unknown is UTC.
    """
    found = _read(value)
    return None if found is None else found[0] * _DAY + found[1] - found[2]


def day(value: bytes) -> int | None:
    """The day that a date names, whatever its time and zone, in days since 1970; None: that cannot be known."""
    found = _read(value)
    return None if found is None else found[0]


def _read(value: bytes) -> tuple[int, int, int] | None:
    """The day, the seconds behind its midnight, and how many of these the zone is ahead of UTC."""
    value = value[:LONGEST].strip()
    if b"(" in value:
        value = _COMMENT.sub(b" ", value).strip()
    found = _DATE.match(value)
    if found is not None:
        day, month, year, hour, minute, second, offset, name = found.groups()
        zone = offset or name
    elif (found := _CTIME.match(value)) is not None:
        month, day, hour, minute, second, before, year, after = found.groups()
        zone = after or before
    else:
        return None
    number = _MONTHS.get(month.decode().lower())
    if number is None:
        return None
    try:
        days = date(_year(year), number, int(day)).toordinal() - _EPOCH
    except ValueError:
        return None
    clock = (int(hour or 0), int(minute or 0), int(second or 0))
    if clock > (23, 59, 60) or clock[1] > 59 or clock[2] > 60:
        return None
    return days, clock[0] * 3600 + clock[1] * 60 + clock[2], _offset(zone)


def _year(digits: bytes) -> int:
    """RFC 5322 4.3: two digits below 50 are of this century, others, and three digits, count from 1900."""
    year = int(digits)
    if len(digits) == 2 and year < 50:
        return year + 2000
    return year + 1900 if len(digits) < 4 else year


def _offset(zone: bytes | None) -> int:
    """Seconds east of Greenwich."""
    if not zone:
        return 0
    if zone[:1] in b"+-":
        seconds = int(zone[1:3]) * 3600 + int(zone[3:5]) * 60
        return 0 if seconds > 24 * 3600 else -seconds if zone[:1] == b"-" else seconds
    return _ZONES.get(zone.lower(), 0) * 3600
