"""Reverse-paths that say whose delivery they are for, with a keyed hash, so that nobody books what did not happen.

``news@example.org`` sends to bob@example.com as ``news+<hash>=<message>=bob=example.com@example.org``.  A local part
has 64 octets (RFC 5321 4.5.3.1.1): where a recipient does not fit, a digest of it stands behind ``=~``, and the story
of the message says who is meant.  Case does not count, since some servers change it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass

from mailserver.address import LONGEST_LOCAL_PART, Address
from mailserver.errors import BadAddress
from mailserver.ident import read, spell

HASH, DIGEST = 10, 12       # characters of five bits

_PATH = re.compile(r"(.+?)\+([a-z2-7]{10})=([0-9a-z]{13})=(.+)", re.IGNORECASE)
_WRITABLE = re.compile(r"[A-Za-z0-9._+-]+")


@dataclass(frozen=True, slots=True)
class Path:
    """What such a reverse-path says: the sender, the message's id, and the recipient or its digest."""

    sender: Address
    message: int
    recipient: Address | None
    digest: str

    def is_for(self, recipient: Address) -> bool:
        """Whether this recipient is meant."""
        return self.digest == digest(recipient)


def encode(sender: Address, recipient: Address, message: int, key: bytes) -> Address:
    """The reverse-path of `sender` for one recipient; the plain sender where it is too long for it."""
    start = f"{sender.local}+{_hash(sender, digest(recipient), message, key)}={spell(message).lower()}="
    whole = f"{start}{recipient.local}={recipient.domain}"
    if recipient.is_ascii and _WRITABLE.fullmatch(recipient.local) and len(whole.encode()) <= LONGEST_LOCAL_PART:
        return Address(whole, sender.domain)
    short = f"{start}~{digest(recipient)}"
    return Address(short, sender.domain) if len(short.encode()) <= LONGEST_LOCAL_PART else sender


def decode(path: Address, key: bytes) -> Path | None:
    """What a reverse-path of ours says; None for every other address, and for those that were made up."""
    found = _PATH.fullmatch(path.local)
    if found is None:
        return None
    try:
        message = read(found[3])
        recipient = None
        if found[4].startswith("~"):
            named = found[4][1:].lower()
        else:
            local, _, domain = found[4].rpartition("=")
            recipient = Address.parse(f"{local}@{domain}")
            named = digest(recipient)
    except (BadAddress, ValueError):
        return None
    sender = Address(found[1], path.domain)
    if not hmac.compare_digest(_hash(sender, named, message, key).encode(), found[2].lower().encode()):
        return None
    return Path(sender, message, recipient, named)


def digest(recipient: Address) -> str:
    """Stands for a recipient."""
    return _letters(hashlib.sha256(recipient.key.encode()).digest(), DIGEST)


def _hash(sender: Address, named: str, message: int, key: bytes) -> str:
    said = f"{sender.key}\0{named}\0{message}"
    return _letters(hmac.digest(key, said.encode(), "sha256"), HASH)


def _letters(octets: bytes, count: int) -> str:
    return base64.b32encode(octets).decode("ascii").lower()[:count]
