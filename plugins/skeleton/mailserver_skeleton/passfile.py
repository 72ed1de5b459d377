"""``passfile``: names and passwords from a file with a line for each account, ``bob@example.org:$argon2id$...``."""

from __future__ import annotations

from collections.abc import Awaitable
from pathlib import Path

import attrs
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zope.interface import implementer

from mailserver.address import Address
from mailserver.envelope import Client
from mailserver.errors import BadAddress, TemporaryFailure
from mailserver.interfaces import IAuthenticator, IServer

# The cost for a name that does not exist: that of the file's hashes, if they were made by the same.
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@attrs.frozen
class PassfileOptions:
    """The keys of its table: the `file`, beside the server's data unless its path is absolute."""

    file: Path


@implementer(IAuthenticator)
class Passfile:
    """Says whose a login is, when the file has it; the account itself is the directory's."""

    Options = PassfileOptions

    def __init__(self, options: PassfileOptions, server: IServer) -> None:
        self._file = server.data / options.file
        self._server = server
        self._nobody: str | None = None

    def check(self, name: str, password: str, client: Client) -> Awaitable[Address | None]:
        # Reading and hashing take long, so they are done in a thread.
        return self._server.in_thread(self._look, name, password)

    def _look(self, name: str, password: str) -> Address | None:
        try:
            lines = self._file.read_text("utf-8").split("\n")
        except OSError as error:
            raise TemporaryFailure(f"cannot read {self._file}: {error.strerror}") from None
        known = dict(line.strip().split(":", 1) for line in lines if ":" in line)
        is_known = name in known
        try:
            # A name that nobody has takes as long as a wrong password.
            HASHER.verify(known[name] if is_known else self._hash_of_nobody(), password)
            return Address.parse(name) if is_known else None
        except (VerificationError, InvalidHashError, BadAddress):
            return None

    def _hash_of_nobody(self) -> str:
        if self._nobody is None:
            self._nobody = HASHER.hash("nobody")
        return self._nobody
