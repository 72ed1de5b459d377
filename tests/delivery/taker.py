"""A web server on loopback that takes reports by POST, as twisted.web serves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from tests.net.certificates import key_pair

reactor: Any = installed_reactor


class Taker(Resource):
    """Answers with the `statuses`, one after the other and the last again and again; status 0 is no answer."""

    isLeaf = True

    def __init__(self, folder: Path, name: str, *statuses: int) -> None:
        super().__init__()
        self.statuses = list(statuses) or [201]
        self.taken: list[tuple[str, str, bytes]] = []          # path, type, body
        pair = key_pair(folder, name)
        self.certificate = pair.certificate             # who trusts it, trusts this server
        site = Site(self)
        context = DefaultOpenSSLContextFactory(str(pair.key), str(pair.certificate))
        self.channels: list[HTTPChannel] = []
        self.listening = reactor.listenSSL(0, site, context, interface="127.0.0.1")
        self.port: int = self.listening.getHost().port

    def render_POST(self, request: Request) -> Any:
        content_type = request.getHeader("content-type") or ""
        self.taken.append((request.uri.decode(), content_type, request.content.read()))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if not status:
            return NOT_DONE_YET
        request.setResponseCode(status)
        return b"x" * 1_000_000         # which nobody reads

    async def stop(self) -> None:
        await maybeDeferred(self.listening.stopListening)
