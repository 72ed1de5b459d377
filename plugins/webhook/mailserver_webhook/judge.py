"""The filter: a program elsewhere is shown each message, and says what is to become of it."""

from __future__ import annotations

import base64
import json
from typing import Any, Literal

import attrs
from zope.interface import implementer

from mailserver.content import Content
from mailserver.envelope import Client, Envelope, Origin
from mailserver.hooks import Broken
from mailserver.ident import Ids, spell
from mailserver.interfaces import IFilter, IResident, IServer
from mailserver.verdict import Verdict
from mailserver_webhook.answers import read_answer
from mailserver_webhook.post import Post, Unheard
from mailserver_webhook.target import Target


@attrs.frozen
class JudgeOptions(Target):
    """The keys of the table; README.rst tells them."""

    origins: tuple[Literal["arrival", "submission"], ...] = ("arrival",)
    content_limit: int = attrs.field(default=256 * 1024, validator=attrs.validators.ge(0))


@implementer(IFilter, IResident)
class Judge:
    """Whatever goes wrong is a "not now" for the peer, unless its table says ``on_error = "skip"``."""

    Options = JudgeOptions
    origins: frozenset[Origin] = frozenset({Origin.ARRIVAL})

    def __init__(self, options: JudgeOptions, server: IServer) -> None:
        self.origins = frozenset(map(Origin, options.origins))
        self._limit = options.content_limit
        self._post = Post(options, server)
        self._server = server
        self._new_id = Ids(server.now)

    def start(self) -> None:
        """Nothing is begun before there is a message."""

    async def stop(self) -> None:
        await self._post.close()

    async def content(self, client: Client, envelope: Envelope, content: Content) -> list[Verdict]:
        octets = content.beginning[: self._limit]
        if len(octets) < min(self._limit, content.size):
            octets = await self._server.in_thread(content.read, 0, self._limit)
        asked = {"type": "judge", "data": {**about(client, envelope), **_shown(content, octets)}}
        body = json.dumps(asked, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        try:
            answer = await self._post.send(f"msg_{spell(self._new_id())}", body)
        except Unheard as failure:
            raise Broken(str(failure)) from None
        if answer.code != 200:
            raise Broken(f"the webhook answers {answer.code}")
        try:
            return read_answer(answer.body)
        except ValueError as error:
            raise Broken(f"the webhook gives no verdict: {error}") from None


def about(client: Client, envelope: Envelope) -> dict[str, Any]:
    """Who sends what to whom, as JSON has it."""
    return {
        "id": spell(envelope.id),
        "origin": envelope.origin.value,
        "client": {
            "service": client.service,
            "address": client.address,
            "hello": client.hello,
            "reverse": client.reverse.name if client.reverse is not None else "",
            "tls": f"{client.tls.version} {client.tls.cipher}".strip() if client.tls is not None else "",
            "login": str(client.login) if client.login is not None else "",
        },
        "sender": str(envelope.sender) if envelope.sender is not None else "",
        "recipients": [str(each) for each in envelope.recipients],
    }


def _shown(content: Content, octets: bytes) -> dict[str, Any]:
    """As much of the content as is shown; whoever judges by it is told when that is not all."""
    return {
        "size": content.size,
        "truncated": len(octets) < content.size,
        "content": base64.b64encode(octets).decode("ascii"),
    }
