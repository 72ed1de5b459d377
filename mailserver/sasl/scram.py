"""SCRAM (RFC 5802, RFC 7677): the verifiers that are stored instead of a password."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import stringprep
import unicodedata
from dataclasses import dataclass

ITERATIONS = 4096       # the least that RFC 5802 5.1 and RFC 7677 4 allow, and what clients can afford

_FORBIDDEN = (          # RFC 4013 2.3
    stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
    stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def prepare(text: str) -> str:
    """SASLprep (RFC 4013): one spelling for what looks the same; raises `ValueError` for what it forbids."""
    if text.isascii() and text.isprintable():
        return text
    mapped = "".join(
        " " if stringprep.in_table_c12(each) else each for each in text if not stringprep.in_table_b1(each)
    )
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    for each in prepared:
        if any(table(each) for table in _FORBIDDEN):
            raise ValueError(f"the character U+{ord(each):04X} may not stand in a password or a login")
    to_the_left = [stringprep.in_table_d1(each) for each in prepared]           # RFC 3454 6
    to_the_right = any(stringprep.in_table_d2(each) for each in prepared)
    if any(to_the_left) and (to_the_right or not (to_the_left[0] and to_the_left[-1])):
        raise ValueError("writing directions are mixed")
    return prepared


@dataclass(frozen=True, slots=True)
class Verifier:
    """What a server needs to know of a password (RFC 5802 3)."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes


def verifier(password: str, algorithm: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> bytes:
    """The stored form of a prepared password, ``iterations$salt$StoredKey:ServerKey`` as RFC 5803 writes it.

    `algorithm` is "sha1" or "sha256".  Blocks for some milliseconds.
    """
    salt = secrets.token_bytes(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac(algorithm, password.encode("utf-8"), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", algorithm)
    stored_key = hashlib.new(algorithm, client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", algorithm)
    parts = (base64.b64encode(each).decode("ascii") for each in (salt, stored_key, server_key))
    return "{}${}${}:{}".format(iterations, *parts).encode("ascii")


def read_verifier(stored: bytes) -> Verifier:
    """Read what `verifier` wrote; raises `ValueError`."""
    iterations, salt, keys = stored.decode("ascii").split("$")
    stored_key, server_key = keys.split(":")
    return Verifier(int(iterations), *(base64.b64decode(each) for each in (salt, stored_key, server_key)))
