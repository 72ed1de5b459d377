"""The TXT record at ``_smtp._tls``: where a domain wants its reports (RFC 8460 3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from mailserver.address import Address
from mailserver.errors import BadAddress

MOST_ENDPOINTS = 5          # of one domain; the others get none
LONGEST = 1000              # characters of one
_VERSION = re.compile(r"v=TLSRPTv1[ \t]*;")


def name_of(domain: str) -> str:
    """Where its record is."""
    return f"_smtp._tls.{domain}"


def endpoints(texts: Sequence[str]) -> tuple[str, ...]:
    """The URIs, ``mailto:`` and ``https:``, that the TXT records at the name ask for.

    None when there is no record of this version, or more than one: then the domain wants no reports.
    """
    records = [each for each in texts if _VERSION.match(each)]
    if len(records) != 1:
        return ()
    for field in records[0].split(";")[1:]:
        name, _, value = field.strip(" \t").partition("=")
        if name.rstrip(" \t") == "rua":
            wanted = [each.strip(" \t") for each in value.split(",")]
            usable = dict.fromkeys(each for each in wanted if is_mail(each) or is_web(each))
            return tuple(usable)[:MOST_ENDPOINTS]
    return ()


def is_mail(uri: str) -> bool:
    """Whether it is the address of a mailbox elsewhere."""
    try:
        mailbox(uri)
    except ValueError:
        return False
    return True


def mailbox(uri: str) -> Address:
    """The address of a ``mailto:`` URI (RFC 6068), whose other fields do not matter here; raises `ValueError`."""
    scheme, _, rest = uri.partition(":")
    if scheme.lower() != "mailto" or len(uri) > LONGEST:
        raise ValueError("no mailto URI")
    address = Address.parse(unquote(rest.partition("?")[0], errors="strict"))
    if not address.domain or not str(address).isascii():
        raise BadAddress("a report goes to an address in ASCII, with a domain")
    return address


def is_web(uri: str) -> bool:
    """Whether it is a page that takes a POST."""
    try:
        parts = urlsplit(uri)
        parts.port          # noqa: B018  raises `ValueError` when it is no number
    except ValueError:
        return False
    return (
        parts.scheme == "https" and bool(parts.hostname) and parts.username is None and len(uri) <= LONGEST
        and uri.isascii() and all("!" <= each <= "~" for each in uri)
    )
