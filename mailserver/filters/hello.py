"""``hello``: what strangers call themselves in EHLO, and what the DNS calls them."""

from __future__ import annotations

import ipaddress

import attrs
from zope.interface import implementer

from mailserver.address import domain_key, parse_domain
from mailserver.envelope import Client, Envelope, Origin
from mailserver.errors import BadAddress, NotFound
from mailserver.interfaces import IFilter, IServer
from mailserver.reply import Reply
from mailserver.verdict import Verdicts, defer, reject, score

NOT_A_NAME = Reply(550, "7.1", "Your EHLO is neither a host name nor an address in brackets (RFC 5321 4.1.1.1)")
OURS = Reply(550, "7.1", "Your EHLO is our name")
NOT_YOURS = Reply(550, "7.1", "Your EHLO is the address of somebody else")
NOT_IN_DNS = Reply(550, "7.1", "Your EHLO is no name of the DNS")
NO_REVERSE = Reply(550, "7.25", "Your address has no confirmed name in the DNS (RFC 8601 2.7.3)")      # RFC 7372 3.2


@attrs.frozen
class HelloOptions:
    """Strangers are refused, at MAIL, for each of these that is true; who may relay is not looked at.

    `syntax`: the name must be a host name (underscores are passed over) or an address in brackets.  `ours`: it must not
    be this server's, nor one of its domains'.  `literal`: an address in brackets must be the peer's own.  `exists`: the
    name must be in the DNS (many honest servers fail this).  `reverse`: the peer's address must have a name that leads
    back to it; `reverse_points` is how much it counts against those who have none, when they are not refused for it.
    """

    syntax: bool = True
    ours: bool = True
    literal: bool = True
    exists: bool = False
    reverse: bool = False
    reverse_points: float = 0.0


@implementer(IFilter)
class Hello:
    """Judges at MAIL, so that who has logged in by then is spared."""

    Options = HelloOptions
    origins = frozenset({Origin.ARRIVAL})
    dry = True

    def __init__(self, options: HelloOptions, server: IServer) -> None:
        self._options = options
        self._hostname = server.hostname.lower()
        self._directory = server.directory
        self._resolver = server.resolver

    async def sender(self, client: Client, envelope: Envelope) -> Verdicts:
        options = self._options
        if client.may_relay or client.service == "lmtp":
            return None
        try:
            # No host has an underscore in its name by RFC 1123 2.1, and many honest ones do.
            parse_domain(client.hello.replace("_", "x"))
            name = domain_key(client.hello)
        except BadAddress:
            return reject(NOT_A_NAME) if options.syntax else self._reverse(client)
        if _is_bare_address(name):
            return reject(NOT_A_NAME) if options.syntax else self._reverse(client)
        if name.startswith("["):
            if options.literal and not _is(client.address, name):
                return reject(NOT_YOURS)
        elif options.ours and (name == self._hostname or await self._directory.is_local(name)):
            return reject(OURS)
        elif options.exists and not await self._exists(name):
            return reject(NOT_IN_DNS)
        return self._reverse(client)

    def _reverse(self, client: Client) -> Verdicts:
        options, found = self._options, client.reverse
        if found is None or found.result == "pass" or not (options.reverse or options.reverse_points):
            return None
        if not options.reverse:
            return score(options.reverse_points, f"no confirmed name in the DNS ({found.result})")
        if found.result == "temperror":
            return defer(Reply(450, NO_REVERSE.detail, "Your name in the DNS cannot be looked up now"))
        return reject(NO_REVERSE)

    async def _exists(self, name: str) -> bool:
        for type in ("A", "AAAA", "MX"):
            try:
                if await self._resolver.query(name, type):
                    return True
            except NotFound:
                return False
        return False


def _is_bare_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is(address: str, literal: str) -> bool:
    inside = literal[1:-1]
    inside = inside[5:] if inside[:5].lower() == "ipv6:" else inside
    try:
        return ipaddress.ip_address(address.partition("%")[0]) == ipaddress.ip_address(inside)
    except ValueError:
        return False
