"""PLAIN (RFC 4616): one message with everything in it."""

from __future__ import annotations

from mailserver.sasl.mechanism import Challenge, Credentials, SaslError, Step, text


class Plain:
    """``[authzid] NUL authcid NUL passwd``."""

    def start(self, initial: bytes | None) -> Step:
        return Challenge(b"") if initial is None else self.step(initial)

    def step(self, response: bytes) -> Step:
        parts = response.split(b"\0")
        if len(parts) != 3:
            raise SaslError("PLAIN takes three parts")
        authorize_as, name, password = (text(part) for part in parts)
        if not name or not password:
            raise SaslError("a name and a password are needed")
        return Credentials(name, password, authorize_as)
