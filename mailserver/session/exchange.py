"""One AUTH, from its command to its end (RFC 4954 4)."""

from __future__ import annotations

from mailserver import reply as replies
from mailserver.authentication import Authentication
from mailserver.envelope import Client
from mailserver.errors import TemporaryFailure
from mailserver.interfaces import Account
from mailserver.reply import Reply
from mailserver.sasl import Challenge, Mechanism, SaslError
from mailserver.sasl.mechanism import Step


class Exchange:
    """Takes the peer's messages; each gives a challenge, the account that was proved, or the reply to a failure."""

    def __init__(self, mechanism: Mechanism, authentication: Authentication, client: Client) -> None:
        self._mechanism = mechanism
        self._authentication = authentication
        self._client = client

    async def begin(self, initial: bytes | None) -> Challenge | Account | Reply:
        """The initial response, or None where there was none."""
        try:
            said = self._mechanism.start(initial)
        except SaslError as error:
            return _malformed(error)
        return await self._judge(said)

    async def go_on(self, response: bytes) -> Challenge | Account | Reply:
        """The answer to a challenge."""
        try:
            said = self._mechanism.step(response)
        except SaslError as error:
            return _malformed(error)
        return await self._judge(said)

    async def _judge(self, said: Step) -> Challenge | Account | Reply:
        if isinstance(said, Challenge):
            return said
        if said.authorize_as not in ("", said.name):
            return replies.AUTH_FAILED
        try:
            account = await self._authentication.check(said.name, said.password, self._client)
        except TemporaryFailure:
            return replies.AUTH_NOT_NOW
        return account or replies.AUTH_FAILED


def _malformed(error: SaslError) -> Reply:
    return Reply(501, "5.2", f"Malformed authentication: {error}")
