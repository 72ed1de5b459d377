"""What a password becomes before it is stored: the password itself never is."""

from __future__ import annotations

from argon2 import PasswordHasher

from mailserver.sasl import scram

# RFC 9106 4 would take more memory; a mail server checks a password for every session of every client.
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
ARGON2ID = "argon2id"


def derive(password: str) -> list[tuple[str, bytes]]:
    """Credentials of each kind for a password; takes tens of milliseconds, so call it in a thread.

    The SCRAM verifiers (RFC 5802) are made now, since no later mechanism could make them from a hash.
    Raises `ValueError` for an empty password, or one that RFC 4013 forbids.
    """
    prepared = scram.prepare(password)
    if not prepared:
        raise ValueError("a password may not be empty")
    return [
        (ARGON2ID, HASHER.hash(prepared).encode("ascii")),
        ("scram-sha-1", scram.verifier(prepared, "sha1")),
        ("scram-sha-256", scram.verifier(prepared, "sha256")),
    ]
