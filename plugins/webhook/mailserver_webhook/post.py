"""One POST: to an address that may be asked, signed, within a time, with a bounded answer, and no redirect followed."""

# mypy: allow-untyped-calls

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, RequestTransmissionFailed, ResponseFailed
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

from mailserver.errors import TemporaryFailure
from mailserver.interfaces import IServer
from mailserver.net.resolver import NoSuchName
from mailserver_webhook.signature import signed
from mailserver_webhook.target import Target, is_public

LONGEST_ANSWER = 64 * 1024      # octets
MOST_ADDRESSES = 4              # that are tried
AGENT = "mailserver"


class Unheard(TemporaryFailure):
    """It cannot be reached, or does not answer as it should; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `later` is how many seconds it asks us to wait (Retry-After, RFC 9110 10.2.3), or 0."""

    code: int
    body: bytes
    later: float = 0.0


class Post:
    """Posts to one target.  `close` ends the connections that are kept for the next time."""

    def __init__(self, target: Target, server: IServer) -> None:
        parts = urlsplit(target.url)
        self._url = target.url.encode("ascii")
        self._host = str(parts.hostname)
        self._is_https = parts.scheme == "https"
        self._port = parts.port or (443 if self._is_https else 80)
        self._key = target.key()
        self._allow_private = target.allow_private
        self._timeout = target.timeout
        self._trust = _authorities(Path(target.certificate)) if target.certificate else None
        self._server = server
        self._pool: Any = None

    async def send(self, id: str, body: bytes) -> Answer:
        """Post JSON under this id; raises `Unheard`."""
        def late(result: Any, seconds: float) -> Any:
            raise Unheard(f"{self._host} did not answer within {seconds:g} s")

        asking: Deferred[Answer] = Deferred.fromCoroutine(self._send(id, body))
        return await asking.addTimeout(self._timeout, self._server.clock, late)

    async def _send(self, id: str, body: bytes) -> Answer:
        problem: Exception = Unheard(f"{self._host} has no address")
        for address in (await self._addresses())[:MOST_ADDRESSES]:
            for _ in range(2):
                try:
                    return await self._ask(address, id, body)
                except ConnectError as error:
                    problem = Unheard(f"no connection to {self._host} at {address}: {error}")
                    break
                except (ResponseFailed, RequestTransmissionFailed) as error:
                    problem = Unheard(f"{self._host} gave no whole answer: {_reasons(error)}")
                    if not _was_idle(error):
                        raise problem from None
                    # A connection that was kept may have been closed at the same moment.
        raise problem

    async def _ask(self, address: str, id: str, body: bytes) -> Answer:
        if self._pool is None:
            self._pool = HTTPConnectionPool(self._server.reactor)
            self._pool.maxPersistentPerHost = 4
            self._pool.cachedConnectionTimeout = 30
        agent: Any = Agent.usingEndpointFactory(self._server.reactor, _To(self, address), self._pool)
        fields = {**signed(self._key, id, self._server.now(), body), "content-type": "application/json",
                  "user-agent": AGENT}
        headers = Headers({name: [value] for name, value in fields.items()})
        response = await agent.request(b"POST", self._url, headers, _Body(body))
        collector = _Collector(LONGEST_ANSWER)
        response.deliverBody(collector)
        found = await collector.done
        if found is None:
            raise Unheard(f"{self._host} answers more than {LONGEST_ANSWER} octets")
        return Answer(response.code, found, _seconds(response.headers.getRawHeaders("retry-after")))

    async def _addresses(self) -> Sequence[str]:
        """Those of the host that may be asked; raises `Unheard`.  What is connected to is what was looked at."""
        found = await self._found()
        allowed = [each for each in found if self._allow_private or is_public(each)]
        if found and not allowed:
            raise Unheard(f"{self._host} is in a private network, at {found[0]}; allow_private = true allows that")
        return allowed

    async def _found(self) -> list[str]:
        if self._host == "localhost":
            return ["127.0.0.1", "::1"]
        try:
            return [str(ipaddress.ip_address(self._host))]
        except ValueError:
            pass
        found: list[str] = []
        problem: Exception | None = None
        for type in ("A", "AAAA"):
            try:
                found += [record.address for record in await self._server.resolver.query(self._host, type)]
            except (NoSuchName, TemporaryFailure) as error:
                problem = error
        if not found and problem is not None:
            raise Unheard(f"{self._host}: {problem}")
        return found

    def endpoint(self, address: str) -> Any:
        """Where to connect to, with TLS where the URL says so, for the name that it has."""
        make: Any = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
        endpoint = make(self._server.reactor, address, self._port, self._timeout)
        if not self._is_https:
            return endpoint
        return wrapClientTLS(optionsForClientTLS(self._host, trustRoot=self._trust), endpoint)

    async def close(self) -> None:
        """Keep no connection."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.closeCachedConnections()


@implementer(IAgentEndpointFactory)
class _To:
    """Whatever the URL says: to this address."""

    def __init__(self, post: Post, address: str) -> None:
        self._post = post
        self._address = address

    def endpointForURI(self, uri: Any) -> Any:
        return self._post.endpoint(self._address)


@implementer(IBodyProducer)
class _Body:
    """Octets that lie in memory, as a body."""

    def __init__(self, octets: bytes) -> None:
        self.length = len(octets)
        self._octets = octets

    def startProducing(self, consumer: Any) -> Deferred[None]:
        consumer.write(self._octets)
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def stopProducing(self) -> None:
        """All was said at once."""

    def pauseProducing(self) -> None:
        """All was said at once."""

    def resumeProducing(self) -> None:
        """All was said at once."""


class _Collector(Protocol):
    """Takes so many octets; `done` fires with them, or with None when there are more."""

    transport: Any

    def __init__(self, most: int) -> None:
        self._left = most
        self._octets: list[bytes] = []
        self.done: Deferred[bytes | None] = Deferred(lambda _: self._abort())

    def dataReceived(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            done, self.done = self.done, Deferred()
            self._abort()
            if not done.called:
                done.callback(None)
            return
        self._octets.append(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        if self.done.called or self._left < 0:
            return
        if reason.check(PotentialDataLoss) or not reason.check(ConnectionDone, ConnectionLost, ResponseFailed):
            self.done.callback(b"".join(self._octets))
        else:
            self.done.errback(reason)

    def _abort(self) -> None:
        # What stands between us and the transport cannot always abort.
        abort = getattr(self.transport, "abortConnection", None) or self.transport.loseConnection
        abort()


def _authorities(file: Path) -> Any:
    parts = file.read_text("ascii").split("-----END CERTIFICATE-----")
    pems = [f"{each.strip()}\n-----END CERTIFICATE-----\n" for each in parts if "-----BEGIN" in each]
    if not pems:
        raise ValueError(f"there is no certificate in {file}")
    return trustRootFromCertificates([Certificate.loadPEM(each.encode()) for each in pems])


def _reasons(error: Any) -> str:
    return ", ".join(each.getErrorMessage().rstrip(".") for each in error.reasons) or "it ended too early"


def _was_idle(error: Any) -> bool:
    return all(each.check(ConnectionDone, ConnectionLost) for each in error.reasons)


def _seconds(values: Sequence[str] | None) -> float:
    text = values[0].strip() if values else ""
    return float(text) if text.isdigit() and len(text) < 8 else 0.0
