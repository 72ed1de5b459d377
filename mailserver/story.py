"""What happened to a message, gathered while it happens and written once: its trace.

A story is kept as lists, not objects, because one is written for every message: `Story.record` is the
JSON text that the store keeps, `mailserver.cli` is who reads it.
"""

from __future__ import annotations

import json
from typing import Any

from mailserver.envelope import Client, Envelope
from mailserver.ident import spell
from mailserver.wishes import NONE

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


class Story:
    """One message, or one session that was refused, from its connection to its reply."""

    __slots__ = ("destinations", "forwarded", "id", "verdicts")

    def __init__(self, id: int) -> None:
        self.id = id
        self.verdicts: list[list[Any]] = []
        self.destinations: list[list[Any]] = []
        self.forwarded: dict[str, str] | None = None        # what XFORWARD says of where it came from

    def verdict(self, stage: str, plugin: str, milliseconds: float, said: str, about: str = "") -> None:
        """A plugin's answer: `said` is "no opinion", "reject 550 5.7.1 ...", "failed: ..." and so on."""
        self.verdicts.append([stage, plugin, round(milliseconds, 3), said, about])

    def destination(self, recipient: str, by: str, where: str) -> None:
        """Routing's answer: the plugin `by` sends `recipient` to `where` (in words)."""
        self.destinations.append([recipient, by, where])

    def record(self, now: float, client: Client, envelope: Envelope | None, size: int, reply: str) -> str:
        """The story as JSON, to be written in the transaction that it tells of."""
        told: dict[str, Any] = {"id": spell(self.id), "at": round(now, 3), "client": _client(client)}
        if self.forwarded is not None:
            told["forwarded"] = self.forwarded
        if envelope is not None:
            told["origin"] = envelope.origin.value
            told["sender"] = str(envelope.sender) if envelope.sender else ""
            told["recipients"] = [str(each) for each in envelope.recipients]
            if envelope.wishes is not NONE:
                told["wishes"] = json.loads(envelope.wishes.write() or "{}")
        if size:
            told["size"] = size
        if self.verdicts:
            told["verdicts"] = self.verdicts
        if self.destinations:
            told["destinations"] = self.destinations
        told["reply"] = reply
        return _encode(told)


def event(now: float, kind: str, **fields: Any) -> str:
    """A later event of a story ("attempt", "interrupted", "delivered", "bounced", "removed" ...), as JSON."""
    return _encode({"at": round(now, 3), "event": kind, **fields})


def _client(client: Client) -> dict[str, Any]:
    told: dict[str, Any] = {"address": client.address, "port": client.port, "service": client.service}
    if client.hello:
        told["hello"] = client.hello
    if client.reverse is not None and client.reverse.name != "localhost":
        told["reverse"] = client.reverse.name or client.reverse.result
    if client.tls is not None:
        told["tls"] = f"{client.tls.version} {client.tls.cipher}"
    if client.login is not None:
        told["login"] = str(client.login)
    if client.trusted:
        told["trusted"] = True
    return told
