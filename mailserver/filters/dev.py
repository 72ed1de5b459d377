"""``dev``: recipients whose names say which fault they want, so that a program can be tried against it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from zope.interface import implementer

from mailserver.address import Address
from mailserver.content import Content
from mailserver.envelope import Client, Envelope, Origin
from mailserver.interfaces import IFilter, IServer
from mailserver.reply import Reply
from mailserver.verdict import Verdicts, defer, reject

_FAULT = re.compile(r".*\+(?:(rcpt|data)-)?([45]\d\d|timeout)", re.IGNORECASE | re.DOTALL)


@attrs.frozen
class DevOptions:
    """A `timeout` lasts so many seconds; give this filter a ``budget`` that is longer."""

    timeout: float = attrs.field(default=3600.0, validator=attrs.validators.gt(0))


@implementer(IFilter)
class Dev:
    """``name+451@``, ``name+550@`` and any other 4xx or 5xx answer RCPT so; ``name+timeout@`` answers it too late.

    ``name+data-451@``, ``name+data-timeout@`` let RCPT pass and answer the message so; ``name+rcpt-550@`` is
    ``name+550@``.
    """

    Options = DevOptions
    origins = frozenset({Origin.ARRIVAL, Origin.SUBMISSION})

    def __init__(self, options: DevOptions, server: IServer) -> None:
        self._options = options
        self._server = server
        self._waiting: set[Deferred[None]] = set()      # those who get their timeout

    async def recipient(self, client: Client, envelope: Envelope, address: Address) -> Verdicts:
        return await self._answer("rcpt", [address])

    async def content(self, client: Client, envelope: Envelope, content: Content) -> Verdicts:
        return await self._answer("data", envelope.recipients)

    async def _answer(self, stage: str, addresses: Sequence[Address]) -> Verdicts:
        for address in addresses:
            fault = _FAULT.fullmatch(address.local)
            if fault is None or (fault[1] or "rcpt").lower() != stage:
                continue
            if fault[2].lower() == "timeout":
                await self._wait()
                return defer("You asked for a timeout, and waited for it")
            reply = Reply(int(fault[2]), "0.0", f"You asked for {fault[2]} with <{address}>")
            return reject(reply) if reply.severity == 5 else defer(reply)
        return None

    async def _wait(self) -> None:
        """For the whole timeout, or until the server stops: nobody shall wait for us then."""
        waiting: Deferred[None] = deferLater(self._server.clock, self._options.timeout)
        if not self._waiting and hasattr(self._server.reactor, "addSystemEventTrigger"):
            self._server.reactor.addSystemEventTrigger("before", "shutdown", self._give_up)
        self._waiting.add(waiting)
        try:
            await waiting
        except CancelledError:
            pass
        finally:
            self._waiting.discard(waiting)

    def _give_up(self) -> None:
        for each in list(self._waiting):
            each.cancel()
