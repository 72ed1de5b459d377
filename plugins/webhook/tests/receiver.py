"""A real HTTP server on loopback that does what a test tells it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

reactor: Any = installed_reactor


class Receiver(Resource):
    """Answers `codes` one by one, then 200 with `answer`; "silence" is no answer."""

    isLeaf = True

    def __init__(self, tls: Any = None) -> None:
        super().__init__()
        self.codes: list[Any] = []
        self.answer: bytes = b"{}"
        self.headers: dict[str, str] = {}
        self.bodies: list[bytes] = []
        self.heads: list[dict[str, str]] = []
        self._waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []
        site = Site(self, timeout=60)
        site.noisy = False
        if tls is None:
            self.port = reactor.listenTCP(0, site, interface="127.0.0.1")
        else:
            self.port = reactor.listenSSL(0, site, tls, interface="127.0.0.1")
        self.scheme = "http" if tls is None else "https"

    def url(self, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port.getHost().port}/mail?key=1"

    def render_POST(self, request: Any) -> Any:
        self.bodies.append(request.content.read())
        self.heads.append({
            name.decode().lower(): values[0].decode() for name, values in request.requestHeaders.getAllRawHeaders()
        })
        code = self.codes.pop(0) if self.codes else 200
        for pair in list(self._waiting):
            if answer := pair[0]():
                self._waiting.remove(pair)
                pair[1].callback(answer)
        if code == "silence":
            request.notifyFinish().addErrback(lambda _: None)
            return NOT_DONE_YET
        request.setResponseCode(code)
        for name, value in self.headers.items():
            request.setHeader(name, value)
        return self.answer

    def heard(self) -> list[list[str]]:
        """The kinds and ids of what was told, batch by batch."""
        return [[each["recipient"] for each in json.loads(body)["data"]] for body in self.bodies]

    async def until(self, question: Callable[[], Any]) -> Any:
        """What a question answers, once that is something."""
        if answer := question():
            return answer
        waiting: Deferred[Any] = Deferred()
        self._waiting.append((question, waiting))
        return await waiting.addTimeout(10, reactor)

    async def stop(self) -> None:
        await self.port.stopListening()
