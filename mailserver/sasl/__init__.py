"""SASL mechanisms (RFC 4422), as small machines that SMTP, POP3 and IMAP share.

A mechanism is made for one exchange: `start` takes the initial response, or None when there is none, and
`step` each further one.  They return a `Challenge` to send, or the `Credentials` that the peer gave.
"""

from __future__ import annotations

from mailserver.sasl.login import Login
from mailserver.sasl.mechanism import Challenge, Credentials, Mechanism, SaslError
from mailserver.sasl.plain import Plain

MECHANISMS: dict[str, type[Plain] | type[Login]] = {"PLAIN": Plain, "LOGIN": Login}

__all__ = ["MECHANISMS", "Challenge", "Credentials", "Login", "Mechanism", "Plain", "SaslError"]
