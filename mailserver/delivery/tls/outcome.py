"""How TLS went on one connection, and what is told of it to whoever writes reports (RFC 8460)."""

from __future__ import annotations

from dataclasses import dataclass

from mailserver.delivery.tls.proof import INVALID, Proof
from mailserver.errors import MailserverError

SECURED, FAILED, CLEAR = "secured", "failed", "clear"
NOT_SUPPORTED = "starttls-not-supported"        # RFC 8460 4.3
MOST_WORDS = 300                # characters of a reason


@dataclass(frozen=True, slots=True)
class Outcome:
    """One connection: inside TLS, ended because it could not be had, or going on in the clear."""

    kind: str
    tls: str = ""               # version and cipher
    result: str = ""            # the failure's type in RFC 8460 4.3; "" none
    reason: str = ""
    is_unproven: bool = False   # TLS was there, and ended because its certificate did not prove what it had to

    @classmethod
    def secured(cls, tls: str, proof: Proof | None = None) -> Outcome:
        """TLS is there; what a certificate did not prove that nobody insists on is told all the same."""
        failure = proof.failure if proof is not None else None
        return cls(SECURED, tls) if failure is None else cls(SECURED, tls, failure.result, failure.words[:MOST_WORDS])

    @classmethod
    def failed(cls, error: MailserverError, proof: Proof | None = None) -> Outcome:
        """It was begun, or had to be and was not offered, and came to nothing: `error` says why."""
        if proof is not None and proof.failure is not None:
            return cls(FAILED, "", proof.failure.result, proof.failure.words[:MOST_WORDS], is_unproven=True)
        # Who refuses STARTTLS by a reply has not begun with TLS.
        result = NOT_SUPPORTED if getattr(error, "reply", None) is not None else INVALID
        return cls(FAILED, "", result, str(error)[:MOST_WORDS])

    @classmethod
    def missing(cls) -> Outcome:
        """TLS had to be, and the server does not offer it."""
        return cls(FAILED, "", NOT_SUPPORTED, "the server offers no STARTTLS")

    @classmethod
    def in_clear(cls, reason: str = "the server offers no STARTTLS") -> Outcome:
        """It goes on without TLS, which it may."""
        return cls(CLEAR, "", NOT_SUPPORTED, reason[:MOST_WORDS])


@dataclass(frozen=True, slots=True)
class Seen:
    """What a report on TLS counts (RFC 8460 4.4); `result` is "" for a success."""

    time: float                 # seconds since the epoch
    domain: str                 # whose policy it is
    policy_type: str            # sts, tlsa, no-policy-found
    policy: tuple[str, ...]     # the lines of an MTA-STS policy, or TLSA records
    patterns: tuple[str, ...]   # its names of mail servers
    result: str
    mx: str = ""
    source: str = ""            # the address of this machine
    address: str = ""           # that of the mail server
    reason: str = ""
