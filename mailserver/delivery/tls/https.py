"""Fetching a policy over HTTPS (RFC 8461 3.3): no redirects, not from inside our network, bounded in time and size."""

from __future__ import annotations

import ipaddress
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone, ResponseNeverReceived
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from mailserver.delivery.tls.proof import Contexts, Proof, by_authority
from mailserver.delivery.tls.sts import LARGEST
from mailserver.errors import MailserverError, NotFound, TemporaryFailure
from mailserver.net.connect import in_turn
from mailserver.world import World

PORT = 443
PATIENCE = 60.0             # seconds for all of it (RFC 8461 3.3)
CONNECT = 15.0              # for one address
MOST_ADDRESSES = 4
MOST_OCTETS = LARGEST + 64 * 1024       # of an answer, its header fields included

# RFC 8460 4.3.2.2
FETCH_ERROR, INVALID, UNTRUSTED = "sts-policy-fetch-error", "sts-policy-invalid", "sts-webpki-invalid"


class FetchFailed(MailserverError):
    """There is no policy to be had; `result` is the type of this failure in RFC 8460 4.3."""

    def __init__(self, words: str, result: str = FETCH_ERROR) -> None:
        super().__init__(words)
        self.result = result


class Https:
    """Fetches."""

    def __init__(self, world: World, contexts: Contexts, allow_loopback: bool, hostname: str) -> None:
        self._world = world
        self._contexts = contexts
        self._allow_loopback = allow_loopback
        self._hostname = hostname

    async def fetch(self, domain: str) -> str:
        """The text of a domain's policy; raises `FetchFailed` in plain words."""
        if not self._contexts.is_ready:
            try:
                await self._world.in_thread(self._contexts.proving)
            except OSError as error:
                raise FetchFailed(str(error)) from None
        visit = _Visit(self._world, self._contexts, self._allow_loopback, f"mta-sts.{domain}", PORT)
        try:
            return await Deferred.fromCoroutine(self._get(visit)).addTimeout(PATIENCE, self._world.clock)
        except TookTooLong:
            raise FetchFailed(f"no policy came from {visit.name} within {PATIENCE:g} s") from None
        finally:
            await visit.end()

    async def _get(self, visit: _Visit) -> str:
        reactor: Any = self._world.reactor
        pool = HTTPConnectionPool(reactor, persistent=False)  # type: ignore[no-untyped-call]
        agent: Any = Agent.usingEndpointFactory(reactor, visit, pool)  # type: ignore[no-untyped-call]
        port = "" if PORT == 443 else f":{PORT}"
        url = f"https://{visit.name}{port}/.well-known/mta-sts.txt"
        headers = Headers({"User-Agent": [f"mailserver ({self._hostname})"], "Accept": ["text/plain"]})
        try:
            response = await agent.request(b"GET", url.encode("ascii"), headers)
        except MailserverError as error:
            raise FetchFailed(str(error)) from None
        except Exception as error:
            if _was_cancelled(error):
                raise CancelledError from None
            if visit.proof.failure is not None:
                raise FetchFailed(visit.proof.failure.words, UNTRUSTED) from None
            raise FetchFailed(f"{visit.name} gave no answer: {_why(error)}") from None
        if response.code != 200:
            raise FetchFailed(f"{visit.name} answered {response.code}")
        kind = (response.headers.getRawHeaders("content-type") or [""])[0].partition(";")[0].strip().lower()
        if kind != "text/plain":
            raise FetchFailed(f"{visit.name} answered with something that is no text/plain", INVALID)
        body = _Body()
        response.deliverBody(body)
        try:
            return (await body.whole).decode("utf-8")
        except UnicodeDecodeError:
            raise FetchFailed(f"what {visit.name} answered is not UTF-8", INVALID) from None


def is_elsewhere(address: str) -> bool:
    """Whether it is in the Internet: neither ours nor of a network that strangers have no business in."""
    ip: Any = ipaddress.ip_address(address)
    if ip in _TRANSLATED:
        ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    ip = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None) or ip
    return bool(ip.is_global) and not ip.is_multicast


# RFC 6052: a way to any IPv4 address, and where machines without IPv4 find those of others.
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")


def _was_cancelled(error: Exception) -> bool:
    """Whether it was we who ended it; the agent tells so in its own way."""
    if isinstance(error, ResponseNeverReceived):
        return any(isinstance(each.value, CancelledError) for each in error.reasons)
    return isinstance(error, CancelledError)


def _why(error: Exception) -> str:
    if isinstance(error, ResponseNeverReceived) and error.reasons:
        return str(error.reasons[0].getErrorMessage())[:200]
    return (str(error) or type(error).__name__)[:200]


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
class _Visit:
    """The way to one server: its addresses by our resolver, the first that can be connected to, and TLS."""

    def __init__(self, world: World, contexts: Contexts, allow_loopback: bool, name: str, port: int) -> None:
        self.name = name
        self.proof = Proof(contexts.proving(), name, by_authority((name,)))
        self._world = world
        self._allow_loopback = allow_loopback
        self._port = port
        self._wrapper: _Bounded | None = None

    def endpointForURI(self, uri: Any) -> Any:
        return self

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: Any) -> Any:
        why = f"{self.name} has no address"
        for address in (await self._addresses())[:MOST_ADDRESSES]:
            if not self._allow_loopback and not is_elsewhere(address):
                why = f"{self.name} is not on the Internet: {address}"
                continue
            kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
            endpoint: Any = kind(self._world.reactor, address, self._port, timeout=int(CONNECT))
            wrapping: Any = WrappingFactory(factory)  # type: ignore[no-untyped-call]
            wrapping.noisy = False
            wrapping.protocol = _Bounded
            try:
                connected: Any = await wrapClientTLS(self.proof, endpoint).connect(wrapping)
            except (CancelledError, ConnectingCancelledError):
                raise CancelledError from None      # the time is over, or the server stops
            except Exception as error:
                why = f"no connection to {self.name} ({address}): {error}"
                continue
            self._wrapper = connected
            return connected.wrappedProtocol
        raise FetchFailed(why)

    async def _addresses(self) -> list[str]:
        found: list[str] = []
        for type in ("A", "AAAA"):
            try:
                found += [each.address for each in await self._world.resolver.query(self.name, type)]
            except (NotFound, TemporaryFailure):
                continue
        return in_turn(found)

    async def end(self) -> None:
        """Hang up, whatever is still said."""
        if self._wrapper is not None:
            if not self._wrapper.gone.called:
                self._wrapper.abort()
            await self._wrapper.gone


class _Bounded(ProtocolWrapper):
    """Hangs up on who sends too much."""

    transport: Any

    def __init__(self, factory: Any, wrappedProtocol: Any) -> None:
        super().__init__(factory, wrappedProtocol)
        self.gone: Deferred[None] = Deferred()
        self._octets = 0

    def dataReceived(self, data: bytes) -> None:
        self._octets += len(data)
        if self._octets > MOST_OCTETS:
            self.abort()
        else:
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        self.gone.callback(None)

    def abort(self) -> None:
        """End it now."""
        self.transport.abortConnection()


class _Body(Protocol):
    """The body of an answer, as long as it is no longer than a policy may be."""

    def __init__(self) -> None:
        self.whole: Deferred[bytes] = Deferred()
        self._octets = b""

    def dataReceived(self, data: bytes) -> None:
        self._octets += data
        if len(self._octets) > LARGEST and not self.whole.called:
            self.whole.errback(FetchFailed(f"the policy is larger than {LARGEST} octets", INVALID))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.whole.called:
            return
        if isinstance(reason.value, ResponseDone):
            self.whole.callback(self._octets)
        else:
            # A policy that was cut may name fewer mail servers than there are.
            self.whole.errback(FetchFailed(f"the policy did not come to its end: {reason.getErrorMessage()}"))
