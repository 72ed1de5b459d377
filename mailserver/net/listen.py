"""Listeners: bound before anything else happens, so that a port in use stops the start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort, IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol

from mailserver.errors import StartRefused
from mailserver.net.answer import Talker
from mailserver.net.conversation import Conversation
from mailserver.net.conversations import Conversations
from mailserver.net.inherited import BACKLOG, adopt
from mailserver.net.proxy import Gate


class ConversationFactory(Factory):
    """Builds a `Conversation` for each connection.

    `talk` makes the session for a peer's address and port.  `tls` is a context factory or None.
    `is_proxy` says which peers begin with a PROXY header (`mailserver.net.proxy`).
    """

    noisy = False

    def __init__(
        self,
        talk: Callable[[str, int], Talker],
        house: Conversations,
        tls: Any = None,
        implicit_tls: bool = False,
        is_proxy: Callable[[str], bool] = lambda address: False,
    ) -> None:
        self.talk = talk
        self._house = house
        self.tls = tls
        self._implicit_tls = implicit_tls
        self.is_proxy = is_proxy

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        host = str(getattr(addr, "host", "") or "")
        port = int(getattr(addr, "port", 0) or 0)
        if host.startswith("::ffff:"):          # an IPv4 peer of a socket that serves both
            host = host.removeprefix("::ffff:")
        if self.is_proxy(host):
            return Gate(self._house.clock, host, port, self._converse)
        return self._converse(host, port)

    def _converse(self, host: str, port: int, has_spoken: bool = False) -> Conversation:
        talker = self.talk(host, port)
        if has_spoken and not self._implicit_tls:
            talker.spoke_first()
        conversation = Conversation(talker, host, self._house, self.tls, self._implicit_tls)
        conversation.factory = self
        return conversation


class Listener:
    """One endpoint string and the factory that serves it.

    `backlog`: how many connections the kernel keeps until they are accepted.
    """

    def __init__(self, reactor: Any, endpoint: str, factory: Factory, service: str) -> None:
        self._reactor = reactor
        self._endpoint = endpoint
        self._factory = factory
        self.service = service
        self.port: IListeningPort | None = None

    def bind(self) -> None:
        """Take the port; raises `StartRefused` with one sentence when it cannot be had."""
        text = self._endpoint
        if text.startswith("tcp") and "backlog=" not in text:
            text += f":backlog={BACKLOG}"
        try:
            endpoint: IStreamServerEndpoint = serverFromString(self._reactor, text)  # type: ignore[no-untyped-call]
        except Exception as failure:
            why = "systemd gave us no such socket" if text.startswith("systemd:") else failure
            raise StartRefused(f"cannot listen on {self._endpoint} for {self.service}: {why}") from None
        if isinstance(endpoint, AdoptedStreamServerEndpoint):
            self.adopt(endpoint.fileno, endpoint.addressFamily)
            return
        listening = endpoint.listen(self._factory)
        outcome: list[Any] = []
        listening.addBoth(outcome.append)
        if not outcome:
            raise StartRefused(f"the endpoint {self._endpoint!r} of {self.service} did not start listening at once")
        if hasattr(outcome[0], "raiseException"):
            error = outcome[0].value
            if isinstance(error, CannotListenError):
                why = getattr(error.socketError, "strerror", None) or error.socketError
                raise StartRefused(f"cannot listen on {self._endpoint} for {self.service}: {why}") from None
            raise StartRefused(f"cannot listen on {self._endpoint} for {self.service}: {error}") from None
        self.port = outcome[0]

    def adopt(self, descriptor: int, family: int) -> None:
        """Listen on a socket that was opened before us; raises `StartRefused`."""
        try:
            self.port = adopt(self._reactor, descriptor, family, self._factory)
        except (OSError, CannotListenError) as error:
            raise StartRefused(f"cannot listen on {self._endpoint} for {self.service}: {error}") from None

    def lend(self) -> None:
        """Accept nothing ourselves: others do, who have the same socket."""
        port: Any = self.port
        port.stopReading()
        port._shouldShutdown = False        # closing it must not end it for them

    @property
    def socket(self) -> Any:
        """The socket that listens; for whoever hands it to others."""
        return self.port.socket  # type: ignore[union-attr]

    async def stop(self) -> None:
        """Accept no more connections; those that are open stay."""
        if self.port is not None:
            port, self.port = self.port, None
            stopping = port.stopListening()
            if isinstance(stopping, Deferred):
                await stopping

    def __str__(self) -> str:
        where = self.port.getHost() if self.port is not None else self._endpoint
        return f"{self.service} on {where}"


