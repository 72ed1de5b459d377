"""What a server says that it can do (RFC 2449): its answer to CAPA."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from mailserver.pop3.multiline import END


def capabilities(
    mechanisms: Iterable[str], may_log_in: bool, may_start_tls: bool, login_delay: float, expire: int | None
) -> bytes:
    """The lines below the status line, with their end.

    `may_log_in`: a login would be heard here and now; `login_delay` is in seconds, 0 for none (RFC 2449 6.5);
    `expire` in days for which messages are kept at the least, None for ever (6.7).
    """
    lines = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"]
    lines.append("EXPIRE NEVER" if expire is None else f"EXPIRE {expire}")
    if login_delay:
        lines.append(f"LOGIN-DELAY {ceil(login_delay)}")
    lines += ["UTF8 USER", "LANG"]
    if may_log_in:
        lines += ["USER", " ".join(["SASL", *mechanisms])]
    if may_start_tls:
        lines.append("STLS")
    return "".join(f"{line}\r\n" for line in lines).encode() + END
