"""What one transaction carries to another server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mailserver.address import Address
from mailserver.wishes import NONE, Wishes


class Recipient(NamedTuple):
    """One RCPT, with what is passed on to a server that sends DSNs (RFC 3461)."""

    address: Address
    notify: str = ""
    orcpt: str = ""             # "type;address"


@dataclass(frozen=True, slots=True, eq=False)
class Consignment:
    """One message for some recipients.

    `size` is in octets; `body` is 7BIT, 8BITMIME or BINARYMIME; `whole` is the content when it is at hand, else
    `content` gives it in pieces.  `may_send` is asked before the final dot: whoever has lost the right to send hangs
    up instead.  `utf8_header`: its header fields are beyond ASCII (RFC 6532), as the sender said.
    """

    sender: Address | None
    recipients: Sequence[Recipient]
    size: int
    body: str
    whole: bytes | None
    content: Callable[[], AsyncIterator[bytes]]
    may_send: Callable[[], Awaitable[bool]]
    utf8_header: bool = False
    wishes: Wishes = NONE
