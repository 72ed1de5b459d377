"""Dates in commands and answers (RFC 9051 9: `date`, `date-time`)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache

from mailserver.imap.error import ImapError

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DAY = 24 * 60 * 60          # seconds
EARLIEST = -62135596800     # seconds since the epoch: the year 1, before which nobody counts
LATEST = 253402300799       # and the end of the year 9999

_NUMBERS = {name.upper().encode(): number for number, name in enumerate(MONTHS, 1)}
_DATE: re.Pattern[bytes] = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
_DATE_TIME: re.Pattern[bytes] = re.compile(
    rb"([ 0-9]?[0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)


def read_date(octets: bytes) -> date:
    """``1-Feb-1994``; raises `ImapError`."""
    found = _DATE.fullmatch(octets)
    if found is None:
        raise ImapError("that is no date")
    try:
        return date(int(found[3]), _NUMBERS.get(found[2].upper(), 0), int(found[1]))
    except ValueError:
        raise ImapError("there is no such day") from None


def read_date_time(octets: bytes) -> int:
    """``17-Jul-1996 02:44:25 -0700`` in seconds since the epoch; raises `ImapError`."""
    found = _DATE_TIME.fullmatch(octets)
    if found is None:
        raise ImapError("that is no date and time")
    minutes = int(found[8]) * 60 + int(found[9])
    seconds = int(found[6])
    try:
        zone = timezone(timedelta(minutes=-minutes if found[7] == b"-" else minutes))
        moment = datetime(
            int(found[3]), _NUMBERS.get(found[2].upper(), 0), int(found[1]), int(found[4]), int(found[5]),
            min(seconds, 59), tzinfo=zone,
        )
        if seconds > 60 or int(found[9]) > 59:
            raise ValueError
        # A leap second is the one behind it.
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1) + (seconds == 60)
    except (ValueError, OverflowError):
        raise ImapError("there is no such moment") from None


def spell_date_time(seconds: float) -> bytes:
    """A moment, in seconds since the epoch, as INTERNALDATE has it: in quotes, and in UTC."""
    day, second = divmod(int(min(max(seconds, EARLIEST), LATEST)), DAY)
    minute, second = divmod(second, 60)
    return b'"%b %02d:%02d:%02d +0000"' % (_day(day), minute // 60, minute % 60, second)


@lru_cache(4096)
def _day(number: int) -> bytes:
    """``17-Jul-1996``, with a space where the day has one digit; days since the epoch."""
    day = date(1970, 1, 1) + timedelta(days=number)
    return f"{day.day:2d}-{MONTHS[day.month - 1]}-{day.year:04d}".encode("ascii")
