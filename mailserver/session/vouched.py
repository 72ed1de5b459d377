"""What a named peer says of whom it speaks for: XCLIENT changes who the client is, XFORWARD is for the trace."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import replace

from mailserver.address import Address
from mailserver.envelope import Client
from mailserver.errors import BadAddress
from mailserver.interfaces import IDirectory
from mailserver.reply import Reply
from mailserver.smtp.lines import SmtpError

LONGEST = 255


async def speaks_for(
    client: Client,
    attributes: Mapping[str, str | None],
    trusted: Callable[[str], bool],
    directory: IDirectory,
) -> Client:
    """The client that XCLIENT describes; what was known of the old one is gone, but for TLS.

    Raises `SmtpError` for what describes nobody.
    """
    address = client.address
    if "ADDR" in attributes:
        address = _address(attributes["ADDR"])
    port = client.port
    if "PORT" in attributes:
        text = attributes["PORT"] or "0"
        if not (text.isascii() and text.isdecimal() and len(text) < 6 and int(text) < 65536):
            raise _wrong("PORT")
        port = int(text)
    told = Client(address, port, client.service, tls=client.tls, trusted=bool(address) and trusted(address))
    hello = attributes.get("HELO")
    if hello is not None:
        if len(hello) > LONGEST or not hello.isascii() or " " in hello:
            raise _wrong("HELO")
        told = replace(told, hello=hello)
    if "PROTO" in attributes:
        proto = (attributes["PROTO"] or "SMTP").upper()
        if proto not in ("SMTP", "ESMTP"):
            raise _wrong("PROTO")
        told = replace(told, extended=proto == "ESMTP")
    if attributes.get("LOGIN"):
        told = replace(told, login=await _login(attributes["LOGIN"] or "", directory))
    return told


async def _login(name: str, directory: IDirectory) -> Address:
    try:
        account = await directory.account(Address.parse(name))
    except BadAddress:
        account = None
    if account is None or not account.enabled:
        raise _wrong("LOGIN")
    return account.address


def forwarded(attributes: Mapping[str, str | None]) -> dict[str, str]:
    """What XFORWARD says, for the story; raises `SmtpError` for an address that is none."""
    told = {name.lower(): (value or "")[:LONGEST] for name, value in attributes.items()}
    if told.get("addr"):
        told["addr"] = _address(attributes["ADDR"])
    return {name: value for name, value in told.items() if value}


def _address(text: str | None) -> str:
    if text is None:
        return ""
    if "%" in text:             # a zone may be any text, and means nothing on another machine (RFC 4007 6)
        raise _wrong("ADDR")
    try:
        return str(ipaddress.ip_address(text[5:] if text[:5].upper() == "IPV6:" else text))
    except ValueError:
        raise _wrong("ADDR") from None


def _wrong(name: str) -> SmtpError:
    return SmtpError(Reply(501, "5.4", f"This {name} is none"))
