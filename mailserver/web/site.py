"""The service ``http``: /metrics for whom the configuration names, /livez and /readyz for everybody."""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer

from mailserver.errors import MailserverError
from mailserver.figures import Told
from mailserver.web.exposition import CONTENT_TYPE, exposition

log = Logger()

IDLE = 60.0                 # seconds of silence after which a connection ends
MOST = 100                  # connections at a time
LONGEST_BODY = 16 * 1024    # octets of a request's body, which nobody here reads


class Pages:
    """What is behind the paths.  `told` gathers what is measured, `ready` says what is wrong ("" is nothing),
    `may_measure` says which addresses may see the first.
    """

    def __init__(
        self, told: Callable[[], Awaitable[Told]], ready: Callable[[], Awaitable[str]],
        may_measure: Callable[[str], bool],
    ) -> None:
        self.told = told
        self.ready = ready
        self.may_measure = may_measure


def site(pages: Pages, tls: Callable[[], Any] | None = None) -> Any:
    """The factory for listeners; `tls` gives the context factory of the moment, where TLS is on from the start."""
    root = Resource()
    root.putChild(b"metrics", _Metrics(pages))
    root.putChild(b"livez", _Live())
    root.putChild(b"readyz", _Ready(pages))
    factory = _Few(root, _Asked, timeout=IDLE)
    factory.noisy = False
    return factory if tls is None else TLSMemoryBIOFactory(_Newest(tls), False, factory)


class _Asked(Request):
    """twisted.web writes a body to the disk, in the reactor's thread, however long it is; here it stays in memory."""

    _octets = 0

    def gotLength(self, length: int | None) -> None:
        super().gotLength(0)

    def handleContentChunk(self, data: bytes) -> None:
        self._octets += len(data)
        if self._octets > LONGEST_BODY:
            transport: Any = self.channel.transport
            transport.abortConnection()
        else:
            super().handleContentChunk(data)


class _Few(Site):
    """No more than `MOST` connections, and nothing in the log for what was well asked.

    Whoever comes then takes the place of the one that is there longest: an answer takes a moment, and whoever trickles
    octets cannot keep others from hearing that the server lives.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._open: dict[Any, None] = {}        # transports, the oldest first

    def buildProtocol(self, addr: Any) -> Any:
        protocol: Any = super().buildProtocol(addr)
        make, lose = protocol.makeConnection, protocol.connectionLost

        def made(transport: Any) -> None:
            if len(self._open) >= MOST:
                oldest = next(iter(self._open))
                del self._open[oldest]
                oldest.abortConnection()
            self._open[transport] = None

            def lost(reason: Any) -> None:
                self._open.pop(transport, None)
                lose(reason)

            protocol.connectionLost = lost
            make(transport)

        protocol.makeConnection = made
        return protocol

    def log(self, request: Any) -> None:
        if request.code >= 500:
            log.warn("{address} asked for {path} over HTTP: {code}", address=str(request.getClientAddress().host),
                     path=request.path.decode("ascii", "replace"), code=request.code)


@implementer(IOpenSSLServerConnectionCreator)
class _Newest:
    """TLS with the certificate that is there when somebody connects."""

    def __init__(self, tls: Callable[[], Any]) -> None:
        self._tls = tls

    def serverConnectionForTLS(self, protocol: Any) -> Any:
        from OpenSSL import SSL

        return SSL.Connection(self._tls().getContext(), None)


class _Page(Resource):
    """One that takes a moment."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()

    def render_GET(self, request: Request) -> Any:
        if request.postpath:
            return self._said(request, 404, "there is nothing here")
        gone: list[Any] = []
        request.notifyFinish().addErrback(gone.append)
        answered = Deferred.fromCoroutine(self._answer_to(request, gone))
        answered.addErrback(lambda failure: log.failure("an answer over HTTP failed", failure))
        return NOT_DONE_YET

    async def _answer_to(self, request: Request, gone: Sequence[Any]) -> None:
        try:
            code, body, type = await self._answer(request)
        except MailserverError as error:
            code, body, type = 503, f"{error}\n".encode(), TEXT
        except Exception:
            log.failure("an answer over HTTP failed")
            code, body, type = 500, b"internal error\n", TEXT
        if gone:
            return
        request.setResponseCode(code)
        request.setHeader("content-type", type)
        request.setHeader("cache-control", "no-store")
        request.write(body)
        request.finish()

    async def _answer(self, request: Request) -> tuple[int, bytes, str]:
        raise NotImplementedError

    def _said(self, request: Request, code: int, words: str) -> bytes:
        request.setResponseCode(code)
        request.setHeader("content-type", TEXT)
        return f"{words}\n".encode()


class _Live(_Page):
    """The process lives, and its reactor runs."""

    async def _answer(self, request: Request) -> tuple[int, bytes, str]:
        return 200, b"ok\n", TEXT


class _Ready(_Page):
    """Mail can be taken."""

    def __init__(self, pages: Pages) -> None:
        super().__init__()
        self._pages = pages

    async def _answer(self, request: Request) -> tuple[int, bytes, str]:
        wrong = await self._pages.ready()
        return (503, f"{wrong}\n".encode(), TEXT) if wrong else (200, b"ok\n", TEXT)


class _Metrics(_Page):
    """For Prometheus."""

    def __init__(self, pages: Pages) -> None:
        super().__init__()
        self._pages = pages

    async def _answer(self, request: Request) -> tuple[int, bytes, str]:
        address = str(getattr(request.getClientAddress(), "host", ""))
        if address and not self._pages.may_measure(address.removeprefix("::ffff:")):
            return 403, b"not for you: [http] metrics does not name your address\n", TEXT
        return 200, exposition(await self._pages.told()), CONTENT_TYPE


TEXT = "text/plain; charset=utf-8"
