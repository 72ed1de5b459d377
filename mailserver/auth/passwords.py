"""``passwords``: the accounts of the directory, and the argon2id hashes of their passwords (RFC 9106)."""

from __future__ import annotations

import base64
import hmac
import secrets
from collections import OrderedDict
from typing import Any

import attrs
from argon2.exceptions import InvalidHashError, VerificationError
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.threads import deferToThreadPool
from zope.interface import implementer

from mailserver.address import Address
from mailserver.envelope import Client
from mailserver.errors import BadAddress, TemporaryFailure
from mailserver.interfaces import IAuthenticator, IServer
from mailserver.store.credentials import ARGON2ID, HASHER

MOST_REMEMBERED = 10_000


@attrs.frozen
class PasswordsOptions:
    """A right login is remembered for `remember` seconds; at most `queue` wait for one of `threads` to hash."""

    remember: float = attrs.field(default=300.0, validator=attrs.validators.ge(0))
    threads: int = attrs.field(default=2, validator=attrs.validators.ge(1))
    queue: int = attrs.field(default=200, validator=attrs.validators.ge(1))


@implementer(IAuthenticator)
class Passwords:
    """A name without a domain is nobody's.

    What is remembered of a right login is a keyed hash of name, password and stored credential: it says
    nothing to who reads this process's memory, and ends with the credential.
    """

    Options = PasswordsOptions

    def __init__(self, options: PasswordsOptions, server: IServer) -> None:
        self._options = options
        self._server = server
        self._key = secrets.token_bytes(32)
        self._nobody = _nobodys()
        self._right: OrderedDict[bytes, float] = OrderedDict()
        self._turn = DeferredSemaphore(options.threads)

    async def check(self, name: str, password: str, client: Client) -> Address | None:
        stored: list[bytes] = []
        account = None
        try:
            account = await self._server.directory.account(Address.parse(name))
        except BadAddress:
            pass
        if account is not None and account.enabled:
            stored = list(await self._server.directory.credentials(account, ARGON2ID))
        right = any(self._remembers(self._proof(name, password, each)) for each in stored)
        if not right:
            for each in stored or [self._nobody]:
                if await self._is_of(each, password):
                    right = True
                    self._remember(self._proof(name, password, each))
        return account.address if right and account is not None else None

    async def _is_of(self, stored: bytes, password: str) -> bool:
        """Takes a core for tens of milliseconds: in a thread, a few at a time, and not without end."""
        if len(self._turn.waiting) >= self._options.queue:
            raise TemporaryFailure("too many logins at once")
        await self._turn.acquire()
        answer: Deferred[bool] = Deferred()

        def done(result: Any) -> None:
            self._turn.release()
            answer.callback(result)

        # A thread cannot be stopped: whoever stops waiting for it does not make room for another before it ends.
        reactor = self._server.reactor
        deferToThreadPool(reactor, reactor.getThreadPool(), _verify, stored, password).addBoth(done)
        return await answer

    def _proof(self, name: str, password: str, stored: bytes) -> bytes:
        message = b"\0".join((name.encode(), password.encode(), stored))
        return hmac.digest(self._key, message, "sha256")

    def _remembers(self, proof: bytes) -> bool:
        until = self._right.get(proof)
        if until is None:
            return False
        if until <= self._server.clock.seconds():
            del self._right[proof]
            return False
        return True

    def _remember(self, proof: bytes) -> None:
        self._right[proof] = self._server.clock.seconds() + self._options.remember
        self._right.move_to_end(proof)
        if len(self._right) > MOST_REMEMBERED:
            self._right.popitem(last=False)


def _nobodys() -> bytes:
    """The hash of no password, for names that nobody has: it costs to check what all others cost."""
    salt, hash = (
        base64.b64encode(secrets.token_bytes(length)).rstrip(b"=") for length in (HASHER.salt_len, HASHER.hash_len)
    )
    costs = f"m={HASHER.memory_cost},t={HASHER.time_cost},p={HASHER.parallelism}".encode("ascii")
    return b"$argon2id$v=19$" + b"$".join((costs, salt, hash))


def _verify(stored: bytes, password: str) -> bool:
    try:
        return HASHER.verify(stored.decode("ascii"), password)
    except (VerificationError, InvalidHashError):
        return False
