"""Who sends, who is meant, and where a message came in: values that live one connection or one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mailserver.address import Address
from mailserver.wishes import NONE, Wishes


class Origin(StrEnum):
    """By which way a message enters; filters declare which of them they judge."""

    ARRIVAL = "arrival"             # from a stranger, or a relay
    SUBMISSION = "submission"       # from a login or a trusted network (RFC 6409)
    INTERNAL = "internal"           # made here: a DSN, a list, a vacation reply, a report


@dataclass(frozen=True, slots=True)
class Tls:
    """What was agreed with a peer."""

    version: str                    # "TLSv1.3"
    cipher: str                     # "TLS_AES_256_GCM_SHA384"
    server_name: str | None = None  # the name that the peer asked for (SNI)


@dataclass(frozen=True, slots=True)
class Reverse:
    """What the DNS says of who has an address, by RFC 8601 2.7.3.

    `result` is "pass" (then `name` leads back to the address), "fail" (no name does), "permerror" (there is none) or
    "temperror" (nobody could say).
    """

    result: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Client:
    """The other end of one connection; a new value replaces it as more is known."""

    address: str                    # "192.0.2.1", "2001:db8::1"; "" for a local program or ourselves
    port: int = 0
    service: str = "smtp"           # smtp, submission, lmtp, pop3, imap, internal
    hello: str = ""                 # the name given with EHLO, HELO or LHLO, as it came
    extended: bool = False          # EHLO rather than HELO (RFC 5321 3.2)
    tls: Tls | None = None
    login: Address | None = None    # the account that it proved to be
    trusted: bool = False           # inside [relay] networks
    reverse: Reverse | None = None  # known from EHLO on

    @property
    def may_relay(self) -> bool:
        """Whether mail for domains that are not ours is taken from it."""
        return self.trusted or self.login is not None


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who a message is from and for: born at MAIL, grown by RCPT, dropped whole."""

    id: int                                     # the message's id, see `mailserver.ident`
    origin: Origin
    sender: Address | None                      # None is the null reverse-path <>
    recipients: tuple[Address, ...] = ()
    size: int = 0                               # octets, as declared (RFC 1870); 0 is unknown
    body: str = "7BIT"                          # 7BIT, 8BITMIME (RFC 6152) or BINARYMIME (RFC 3030)
    wishes: Wishes = NONE
