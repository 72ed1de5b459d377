"""The lines that we put above a message: Return-Path, Delivered-To, Received (RFC 5321 4.4)."""

from __future__ import annotations

import time
from functools import lru_cache

from mailserver.address import Address
from mailserver.envelope import Client, Envelope
from mailserver.ident import spell

HIDDEN = "hidden.invalid"       # a name that nobody has (RFC 2606 2)

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def mail_date(now: float) -> str:
    """A date-time of RFC 5322 3.3, in UTC."""
    return _date(int(now // 1))


@lru_cache(maxsize=4)           # many messages come in one second
def _date(second: int) -> str:
    t = time.gmtime(second)
    return (
        f"{_DAYS[t.tm_wday]}, {t.tm_mday} {_MONTHS[t.tm_mon - 1]} {t.tm_year}"
        f" {t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} +0000"
    )


def protocol(client: Client, utf8: bool = False) -> str:
    """The keyword behind "with" (RFC 3848, RFC 6531 4.3): SMTP, ESMTPSA, UTF8LMTPS ..."""
    if client.service == "lmtp":
        name = "LMTP"
    elif client.extended:
        name = "SMTP" if utf8 else "ESMTP"
    else:
        return "SMTP"
    name += ("S" if client.tls is not None else "") + ("A" if client.login is not None else "")
    return f"UTF8{name}" if utf8 else name


def received(client: Client, envelope: Envelope, hostname: str, date: str, hides: bool = True) -> bytes:
    """The Received field for a message (RFC 5321 4.4; "with" by RFC 3848, "tls" by RFC 8314 4.3).

    With `hides`, the address of a client that logged in is its own business and is not shown.  "for" is given
    only where it tells no recipient of another.
    """
    if client.service in ("internal", "sendmail"):
        lines = [f"Received: by {hostname} id {spell(envelope.id)}"]
    else:
        if client.login is not None and hides:
            lines = [f"Received: from {HIDDEN}"]
        elif client.address:
            literal = f"IPv6:{client.address}" if ":" in client.address else client.address
            name = f"{client.reverse.name} " if client.reverse is not None and client.reverse.name else ""
            lines = [f"Received: from {_word(client.hello)} ({name}[{literal}])"]
        else:
            lines = [f"Received: from {_word(client.hello)}"]
        with_ = protocol(client, envelope.wishes.utf8)
        lines.append(f"\tby {hostname} with {with_} id {spell(envelope.id)}")
    if len(envelope.recipients) == 1:
        lines.append(f"\tfor <{envelope.recipients[0]}>")
    if client.tls is not None:
        lines.append(f"\ttls {client.tls.cipher} ({client.tls.version})")
    return ("\r\n".join(lines) + f"; {date}\r\n").encode("utf-8")


def return_path(sender: Address | None) -> bytes:
    """The Return-Path field: what stood in MAIL FROM."""
    return f"Return-Path: <{sender or ''}>\r\n".encode()


def delivered_to(account: Address) -> bytes:
    """The Delivered-To field, by which a loop of forwardings is noticed (RFC 9228)."""
    return f"Delivered-To: {account}\r\n".encode()


def _word(hello: str) -> str:
    """What a peer calls itself, such as it may stand in a header field."""
    return "".join(c if c.isascii() and c.isprintable() and c not in " ()<>;\\\"" else "?" for c in hello) or "unknown"
