"""A login to IMAP: by LOGIN, or by AUTHENTICATE and its exchange (RFC 9051 6.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.task import deferLater
from twisted.logger import Logger

from mailserver.envelope import Client
from mailserver.imap.commands import connection
from mailserver.imap.error import ImapError
from mailserver.imap.events import Cancelled, Response
from mailserver.imap.responses import status
from mailserver.interfaces import Account
from mailserver.net.answer import Then
from mailserver.net.limits import peer_key
from mailserver.sasl import MECHANISMS, Challenge, Mechanism, SaslError
from mailserver.session.imap.policy import ImapPolicy
from mailserver.session.imap.reply import Reply

log = Logger()

MOST_FAILURES = 3           # wrong logins before the connection ends
FAILURE_WAIT = 1.0          # seconds after each


class Login:
    """Of one session, until it has succeeded.  A step is a challenge, the account, or a reply that says no."""

    __slots__ = ("_failures", "_mechanism", "_policy", "tag")

    def __init__(self, policy: ImapPolicy) -> None:
        self._policy = policy
        self._mechanism: Mechanism | None = None
        self._failures = 0
        self.tag = ""

    @property
    def mechanisms(self) -> list[str]:
        """Those that there are."""
        return list(MECHANISMS)

    def is_allowed(self, client: Client) -> bool:
        """Passwords are taken inside TLS, from this machine, or where the operator says so."""
        return client.tls is not None or self._policy.clear_passwords or peer_key(client.address) == ""

    async def begin(
        self, tag: str, command: connection.Login | connection.Authenticate, client: Client
    ) -> bytes | Account | Reply:
        """A command came."""
        self.tag = tag
        if not self.is_allowed(client):
            return Reply("passwords are taken inside TLS only: STARTTLS first", condition="NO", code="PRIVACYREQUIRED")
        if isinstance(command, connection.Login):
            return await self._check(command.name, command.password, client, "LOGIN")
        make = MECHANISMS.get(command.mechanism)
        if make is None:
            return Reply("that mechanism is not known", condition="NO", code="CANNOT")
        mechanism = make()
        return await self._step(mechanism, lambda: mechanism.start(command.initial), client)

    async def proceed(self, event: Response | Cancelled, client: Client) -> bytes | Account | Reply:
        """The peer answered a challenge."""
        mechanism, self._mechanism = self._mechanism, None
        assert mechanism is not None
        if isinstance(event, Cancelled):
            raise ImapError("authentication cancelled")
        return await self._step(mechanism, lambda: mechanism.step(event.octets), client)

    async def _step(self, mechanism: Mechanism, step: Callable[[], Any], client: Client) -> bytes | Account | Reply:
        try:
            said = step()
        except SaslError as error:
            raise ImapError(f"malformed authentication: {error}") from None
        if isinstance(said, Challenge):
            self._mechanism = mechanism
            return said.octets
        if said.authorize_as not in ("", said.name):
            return await self._wrong(client)
        return await self._check(said.name, said.password, client, "SASL")

    async def _check(self, name: str, password: str, client: Client, how: str) -> Account | Reply:
        account = await self._policy.authentication.check(name, password, client)
        self._policy.figures.auth["imap", how, "wrong" if account is None else "right"] += 1
        return account if account is not None else await self._wrong(client)

    async def _wrong(self, client: Client) -> Reply:
        """The same words, after the same while, for whatever was wrong."""
        self._failures += 1
        log.info("login failed from {address}", address=client.address)
        await deferLater(self._policy.world.clock, FAILURE_WAIT, lambda: None)
        wrong = Reply("name or password is wrong", condition="NO", code="AUTHENTICATIONFAILED")
        if self._failures < MOST_FAILURES:
            return wrong
        return replace(wrong, lines=[status("BYE", "too many wrong logins")], then=Then.CLOSE)
