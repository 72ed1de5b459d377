"""URLs of servers to which a login is referred (RFC 2221, RFC 5092)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

LONGEST = 1000              # octets of a URL

# A bracket would end the response code that the URL stands in: no IPv6 addresses.
_URL: re.Pattern[str] = re.compile(
    r"imap://(?:([A-Za-z0-9%!$'()+,~._&=-]*)(;AUTH=(?:\*|[A-Za-z0-9_-]{1,20}))?@)?"
    r"([A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)(?::([0-9]{1,5}))?/?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Referral:
    """Where an account's mailboxes are; `may_log_in`: here it has some too, that others share (RFC 2221 4)."""

    url: str
    may_log_in: bool = False


def of_anybody(url: str) -> str:
    """The URL of a server, as a client should hear it; raises `ValueError`.

    It says ``;AUTH=*``, so that no client falls back to an anonymous login (RFC 2221 3).
    """
    return _whole(url, "")


def of_account(url: str, address: str) -> str:
    """The same for one account, which it names by its address here, unless it names another.  Raises `ValueError`."""
    return _whole(url, quote(address, safe=""))


def _whole(url: str, user: str) -> str:
    found = _URL.fullmatch(url)
    if found is None or len(url) > LONGEST or not 0 < int(found[4] or 143) < 65536:
        raise ValueError(f"needs to be the URL of an IMAP server, such as imap://imap.example.net/, not {url[:100]!r}")
    port = f":{found[4]}" if found[4] else ""
    return f"imap://{found[1] or user}{found[2] or ';AUTH=*'}@{found[3].lower()}{port}/"
