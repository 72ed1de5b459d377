"""The AUTHORIZATION state of POP3 (RFC 1939 4, RFC 5034): who it is that wants a maildrop."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from twisted.internet.task import deferLater
from twisted.logger import Logger

from mailserver.authentication import Authentication
from mailserver.envelope import Client
from mailserver.figures import Figures
from mailserver.interfaces import Account
from mailserver.net.limits import peer_key
from mailserver.pop3 import phrases
from mailserver.pop3.wire import Pop3Error
from mailserver.sasl import MECHANISMS, Challenge, Mechanism, SaslError
from mailserver.sasl.mechanism import Step
from mailserver.world import World

log = Logger()

MOST_FAILURES = 3           # wrong logins before the connection ends
FAILURE_WAIT = 1.0          # seconds after each


class WrongLogin(Pop3Error):
    """The same words, after the same while, for whatever was wrong; a fatal one is one too many."""

    def __init__(self, fatal: bool) -> None:
        super().__init__(phrases.WRONG, fatal=fatal)


class Authorization:
    """Of one peer until TLS starts, or until it is known who that is.

    `has_tls`: STLS would be answered; `clear`: passwords are taken outside of TLS, too.
    """

    def __init__(
        self, authentication: Authentication, world: World, figures: Figures, client: Client, has_tls: bool, clear: bool
    ) -> None:
        self._authentication = authentication
        self._world = world
        self._figures = figures
        self._client = client
        self._has_tls = has_tls
        self._clear = clear
        self._user: str | None = None
        self._mechanism: Mechanism | None = None
        self._failures = 0

    @property
    def is_open(self) -> bool:
        """Whether passwords are taken: inside TLS, from this machine, or where the operator says so."""
        return self._client.tls is not None or self._clear or peer_key(self._client.address) == ""

    @property
    def in_exchange(self) -> bool:
        """Whether what comes next is an answer to a challenge."""
        return self._mechanism is not None

    def name(self, name: str) -> None:
        """USER; raises `Pop3Error`."""
        self._refuse_clear()
        self._user = name

    async def password(self, password: str) -> Account:
        """PASS; raises `Pop3Error`, a `WrongLogin` among them."""
        self._refuse_clear()
        user, self._user = self._user, None
        if user is None:
            raise Pop3Error(phrases.USER_FIRST)
        return await self._proved("USER", user, password)

    async def begin(self, argument: str) -> bytes | Account:
        """AUTH with a mechanism: a challenge, not yet in base64, or who it is; raises `Pop3Error`."""
        self._refuse_clear()
        words = [word for word in argument.split(" ") if word]     # spaces alone part words, not all that Python takes
        make = MECHANISMS.get(words[0].upper())
        if make is None or len(words) > 2:
            raise Pop3Error(phrases.NO_SUCH_MECHANISM)
        mechanism = make()
        initial = None
        if len(words) == 2:
            initial = b"" if words[1] == "=" else _base64(words[1].encode())        # RFC 5034 4
        return await self._step(mechanism, lambda: mechanism.start(initial))

    async def go_on(self, line: bytes) -> bytes | Account:
        """The answer to a challenge; raises `Pop3Error`."""
        mechanism = self._mechanism
        assert mechanism is not None
        self.end_exchange()
        if line == b"*":
            raise Pop3Error(phrases.CANCELLED)
        response = _base64(line)
        return await self._step(mechanism, lambda: mechanism.step(response))

    def end_exchange(self) -> None:
        """What comes next is a command."""
        self._mechanism = None

    async def _step(self, mechanism: Mechanism, step: Callable[[], Step]) -> bytes | Account:
        try:
            said = step()
        except SaslError:
            raise Pop3Error(phrases.MALFORMED) from None
        if isinstance(said, Challenge):
            self._mechanism = mechanism
            return said.octets
        if said.authorize_as not in ("", said.name):
            await self._wrong()             # nobody acts for another
        return await self._proved("SASL", said.name, said.password)

    async def _proved(self, how: str, name: str, password: str) -> Account:
        account = await self._authentication.check(name, password, self._client)
        self._figures.auth["pop3", how, "wrong" if account is None else "right"] += 1
        if account is None:
            await self._wrong()
        assert account is not None
        return account

    async def _wrong(self) -> None:
        self._failures += 1
        log.info("login failed from {address}", address=self._client.address)
        await deferLater(self._world.clock, FAILURE_WAIT, lambda: None)
        raise WrongLogin(self._failures >= MOST_FAILURES)

    def _refuse_clear(self) -> None:
        if not self.is_open:
            raise Pop3Error(phrases.CLEAR_TEXT if self._has_tls else phrases.NO_WAY_IN)


def _base64(line: bytes) -> bytes:
    try:
        return base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raise Pop3Error(phrases.NOT_BASE64) from None
