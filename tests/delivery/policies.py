"""A web server on loopback that has MTA-STS policies, and whatever else a test wants it to say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from mailserver.net.tls import KeyPair, server_tls

reactor: Any = installed_reactor


class PolicyServer(Resource):
    """Says `texts` by name of the host; `odd` answers instead of it when it is there."""

    isLeaf = True

    def __init__(self, pair: KeyPair) -> None:
        super().__init__()
        self.pair = pair
        self.texts: dict[str, str] = {}
        self.odd: Callable[[Any], Any] | None = None
        self.asked: list[tuple[str, str]] = []
        self._open: set[Any] = set()

    def listen(self, interface: str = "127.0.0.9") -> int:
        """Take a port; returns its number."""
        server = self

        class Channel(HTTPChannel):
            def connectionMade(self) -> None:
                super().connectionMade()
                self.ended: Deferred[None] = Deferred()
                server._open.add(self)

            def connectionLost(self, reason: Any = None) -> None:
                super().connectionLost(reason)
                server._open.discard(self)
                self.ended.callback(None)

        site: Any = Site(self)
        site.noisy = False
        site.protocol = Channel
        self._listening = reactor.listenSSL(0, site, server_tls(self.pair), interface=interface)
        port: int = self._listening.getHost().port
        return port

    async def stop(self) -> None:
        await maybeDeferred(self._listening.stopListening)
        channels = list(self._open)
        for each in channels:
            each.transport.abortConnection()
        await gatherResults([each.ended for each in channels])

    def render_GET(self, request: Any) -> Any:
        host = request.getRequestHostname().decode()
        self.asked.append((host, request.uri.decode()))
        if self.odd is not None:
            return self.odd(request)
        if host not in self.texts:
            request.setResponseCode(404)
            return b""
        request.setHeader("content-type", "text/plain; charset=utf-8")
        return self.texts[host].encode()


def policy(*mx: str, mode: str = "enforce", max_age: int = 604800) -> str:
    """A policy as RFC 8461 3.2 writes it."""
    return "".join([
        f"version: STSv1\r\nmode: {mode}\r\n", *(f"mx: {each}\r\n" for each in mx), f"max_age: {max_age}\r\n",
    ])


def silent(request: Any) -> Any:
    """No answer."""
    return NOT_DONE_YET
