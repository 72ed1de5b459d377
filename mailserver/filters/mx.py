"""``mx``: mail from domains that could not be answered, and for domains that take none (RFC 7505)."""

from __future__ import annotations

import attrs
from zope.interface import implementer

from mailserver.address import Address, domain_key
from mailserver.envelope import Client, Envelope, Origin
from mailserver.errors import NotFound
from mailserver.interfaces import IFilter, IServer
from mailserver.reply import NO_MAIL_THERE, Reply
from mailserver.verdict import Verdicts, reject

NULL_MX = Reply(550, "7.27", "The sender's domain takes no mail (null MX), so nobody can answer")
NO_DOMAIN = Reply(550, "1.8", "The sender's domain does not exist")
NO_SERVER = Reply(550, "1.8", "The sender's domain has no mail server")


@attrs.frozen
class MxOptions:
    """A sender whose domain has a null MX is refused, and so is a recipient elsewhere whose domain has one.

    `exists`: a sender's domain must have an MX or an address, too.  What the DNS cannot say now is "not now".
    """

    exists: bool = True


@implementer(IFilter)
class Mx:
    """Asks the DNS about the domain of the sender (of strangers), and of recipients elsewhere (of logins)."""

    Options = MxOptions
    origins = frozenset({Origin.ARRIVAL, Origin.SUBMISSION})
    dry = True

    def __init__(self, options: MxOptions, server: IServer) -> None:
        self._exists = options.exists
        self._directory = server.directory
        self._resolver = server.resolver

    async def sender(self, client: Client, envelope: Envelope) -> Verdicts:
        sender = envelope.sender
        if sender is None or envelope.origin is not Origin.ARRIVAL or await self._is_ours(sender.domain):
            return None
        try:
            exchanges = await self._exchanges(sender.domain)
            if exchanges == ["."]:
                return reject(NULL_MX)
            if self._exists and not exchanges and not await self._has_address(sender.domain):
                return reject(NO_SERVER)
        except NotFound:
            return reject(NO_DOMAIN) if self._exists else None
        return None

    async def recipient(self, client: Client, envelope: Envelope, address: Address) -> Verdicts:
        if envelope.origin is not Origin.SUBMISSION or await self._is_ours(address.domain):
            return None
        try:
            return reject(NO_MAIL_THERE) if await self._exchanges(address.domain) == ["."] else None
        except NotFound:
            return None                 # delivery says so, in a report

    async def _is_ours(self, domain: str) -> bool:
        return not domain or domain.startswith("[") or await self._directory.is_local(domain)

    async def _exchanges(self, domain: str) -> list[str]:
        records = await self._resolver.query(domain_key(domain), "MX")
        return [record.exchange.to_text(omit_final_dot=True) or "." for record in records]

    async def _has_address(self, domain: str) -> bool:
        for type in ("A", "AAAA"):
            if await self._resolver.query(domain_key(domain), type):
                return True
        return False
