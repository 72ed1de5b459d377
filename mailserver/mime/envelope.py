"""ENVELOPE (RFC 9051 7.5.2), ready to be sent."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mailserver.mime.addresses import Address, parse
from mailserver.mime.strings import nstring, string

_DATE = re.compile(rb'\((?:"((?:[^"\\]|\\.)*+)"|\{([0-9]{1,9})\}\r\n)')


def date_of(envelope: bytes) -> bytes:
    """The Date field of an envelope; b"" when it has none."""
    found = _DATE.match(envelope)
    if found is None:
        return b""
    return envelope[found.end() : found.end() + int(found[2])] if found[1] is None else found[1]


def envelope(fields: Mapping[bytes, bytes]) -> bytes:
    """Of a message's unfolded fields.  Sender and Reply-To are From where they are missing or empty."""
    sender = _addresses(fields.get(b"from"))
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        nstring(fields.get(b"date")),
        nstring(fields.get(b"subject")),
        sender,
        _addresses(fields.get(b"sender"), sender),
        _addresses(fields.get(b"reply-to"), sender),
        _addresses(fields.get(b"to")),
        _addresses(fields.get(b"cc")),
        _addresses(fields.get(b"bcc")),
        nstring(fields.get(b"in-reply-to")),
        nstring(fields.get(b"message-id")),
    )


def _addresses(value: bytes | None, otherwise: bytes = b"NIL") -> bytes:
    found = parse(value) if value else ()
    return b"(" + b"".join(map(_address, found)) + b")" if found else otherwise


def _address(address: Address) -> bytes:
    """Name, route, local part (or name of a group), domain."""
    name, route, local, domain = address
    if route is None and local is not None and domain is not None:
        return b"(%b NIL %b %b)" % (nstring(name), string(local), string(domain))
    return b"(%b %b %b %b)" % (nstring(name), nstring(route), nstring(local), nstring(domain))
