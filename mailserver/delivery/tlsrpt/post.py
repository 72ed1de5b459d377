"""Handing a report in by HTTPS (RFC 8460 5.4): to whom the certificate says it is, outside of our own networks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from mailserver.delivery.tls.https import is_elsewhere
from mailserver.delivery.tls.proof import Contexts, Proof, by_authority
from mailserver.errors import MailserverError, NotFound, PermanentFailure, TemporaryFailure
from mailserver.net.connect import in_turn
from mailserver.settings import Outbound
from mailserver.world import World

CONNECT = 15.0              # seconds for one address
LONGEST = 60.0              # seconds for all of it
MOST_ADDRESSES = 4
MOST_ANSWER = 8192          # octets until its status is known
TYPE = "application/tlsrpt+gzip"
_STATUS = re.compile(rb"HTTP/1\.\d ([1-5]\d\d)(?: [^\r\n]*)?")


class Post:
    """Hands reports in, to whom the authorities of `outbound` vouch for (its `tls.ca`, else the system's)."""

    def __init__(self, world: World, outbound: Callable[[], Outbound]) -> None:
        self._world = world
        self._outbound = outbound
        self._authorities: Path | None = None
        self._contexts = Contexts()

    async def send(self, uri: str, packed: bytes) -> str:
        """Hand in one report; the words of the answer.  A redirection is not followed.

        Raises `TemporaryFailure`, or `PermanentFailure` when the answer says that it makes no sense to come again.
        """
        work = Deferred.fromCoroutine(self._send(uri, packed))
        work.addTimeout(LONGEST, self._world.clock, _too_late)
        status: int = await work
        if 200 <= status < 300:
            return f"answered {status}"
        # What is wrong with us stays wrong; all else may be mended within a day.
        kind = PermanentFailure if 400 <= status < 500 and status not in (408, 425, 429) else TemporaryFailure
        raise kind(f"answered {status}")

    async def _send(self, uri: str, packed: bytes) -> int:
        parts = urlsplit(uri)
        name, port = parts.hostname or "", parts.port or 443
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        head = (
            f"POST {target} HTTP/1.1\r\nHost: {name}{f':{port}' if port != 443 else ''}\r\n"
            f"User-Agent: mailserver\r\nContent-Type: {TYPE}\r\nContent-Length: {len(packed)}\r\n"
            "Connection: close\r\n\r\n"
        )
        connection = await self._connected(name, port)
        transport: Any = connection.transport
        try:
            transport.write(head.encode("ascii") + packed)
            status: int = await connection.status
            return status
        finally:
            transport.abortConnection()

    async def _proving(self) -> Contexts:
        """With the authorities as they are configured now; they are read once.  Raises `TemporaryFailure`."""
        wanted = self._outbound().tls.ca
        if wanted != self._authorities:
            self._authorities, self._contexts = wanted, Contexts(wanted)
        contexts = self._contexts
        if not contexts.is_ready:
            try:
                await self._world.in_thread(contexts.proving)
            except OSError as error:
                raise TemporaryFailure(str(error)) from None
        return contexts

    async def _connected(self, name: str, port: int) -> _Answer:
        contexts = await self._proving()
        why = f"{name} has no address that may be used"
        for address in (await self._addresses(name))[:MOST_ADDRESSES]:
            kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
            proof = Proof(contexts.proving(), name, by_authority((name,)))
            factory = Factory.forProtocol(_Answer)
            factory.noisy = False
            try:
                endpoint = wrapClientTLS(proof, kind(self._world.reactor, address, port, CONNECT))
                connection: Any = await endpoint.connect(factory)
            except CancelledError:
                raise
            except Exception as error:
                why = f"{address}: {proof.failure.words if proof.failure is not None else _words(error)}"
                continue
            answer: _Answer = connection
            return answer
        raise TemporaryFailure(why)

    async def _addresses(self, name: str) -> Sequence[str]:
        found: list[str] = []
        for type in ("A", "AAAA"):
            try:
                found += [each.address for each in await self._world.resolver.query(name, type)]
            except NotFound as error:
                raise TemporaryFailure(str(error)) from None
        return in_turn([each for each in found if self._outbound().allow_loopback or is_elsewhere(each)])


def read_status(octets: bytes) -> int | None:
    """The status of an answer, None while it is not there; raises `TemporaryFailure` when this is no HTTP/1."""
    while True:
        line, end, _ = octets.partition(b"\r\n")
        if not end:
            return None
        found = _STATUS.fullmatch(line)
        if found is None:
            raise TemporaryFailure("the answer is no HTTP")
        if found[1][:1] != b"1":
            return int(found[1])
        _, _, octets = octets.partition(b"\r\n\r\n")            # behind an interim answer (RFC 9110 15.2)


class _Answer(Protocol):
    """Waits for the status of an answer, and reads no further."""

    def __init__(self) -> None:
        self.status: Deferred[int] = Deferred()
        self._read = b""

    def dataReceived(self, data: bytes) -> None:
        if self.status.called:
            return
        self._read += data[:MOST_ANSWER]
        try:
            status = read_status(self._read)
            if status is None and len(self._read) >= MOST_ANSWER:
                raise TemporaryFailure("the answer is too long")
        except TemporaryFailure as failure:
            self.status.errback(failure)
        else:
            if status is not None:
                self.status.callback(status)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.status.called:
            error: Any = reason.value
            why = "" if isinstance(error, ConnectionDone) else f": {_words(error)}"
            self.status.errback(TemporaryFailure(f"hung up before it answered{why}"))


def _too_late(value: Any, seconds: float) -> Any:
    raise TemporaryFailure(f"no answer within {seconds:g} s")


def _words(error: BaseException) -> str:
    return str(error)[:300] if isinstance(error, MailserverError) else f"{type(error).__name__}: {error}"[:300]
