"""Signatures as https://www.standardwebhooks.com has them: who knows the secret knows that it was we who wrote this."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping

PREFIX = "whsec_"
SHORTEST = 16           # octets of a secret


def key_of(secret: str) -> bytes:
    """The octets of a secret, which is ``whsec_`` and base64, or any other text; raises `ValueError`."""
    if not secret.startswith(PREFIX):
        key = secret.encode()
    else:
        try:
            key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            raise ValueError("what follows whsec_ is no base64") from None
    if len(key) < SHORTEST:
        raise ValueError(f"it is shorter than {SHORTEST} octets")
    return key


def signed(key: bytes, id: str, now: float, body: bytes) -> Mapping[str, str]:
    """The header fields for a body: its id, when it is sent (seconds since the epoch), and the signature of it all."""
    timestamp = str(int(now))
    digest = hmac.digest(key, f"{id}.{timestamp}.".encode() + body, "sha256")
    return {
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
