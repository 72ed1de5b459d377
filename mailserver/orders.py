"""What an operator may ask of one process: who is there, end one, read the configuration again, stop."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mailserver.control.lines import Order, OrderFailed
from mailserver.ident import spell
from mailserver.net.conversation import Conversation
from mailserver.net.conversations import Conversations

LAST_WORDS = 0.2        # seconds in which the answer to "stop" gets away


class Present:
    """Who is connected to this process, as operators see it."""

    def __init__(self, conversations: Conversations, worker: int, now: Callable[[], float]) -> None:
        self._conversations = conversations
        self._worker = worker
        self._now = now

    async def who(self, value: Mapping[str, Any]) -> list[dict[str, Any]]:
        """An object for each connection, the oldest first."""
        return [self._told(each) for each in self._conversations]

    async def kick(self, value: Mapping[str, Any]) -> int:
        """End those that any of ``whom`` means: an id, an address, a network, a login.  Returns how many."""
        wanted = [_meant(each) for each in _texts(value, "whom")]
        chosen = [each for each in self._conversations if any(means(self._told(each)) for means in wanted)]
        for each in chosen:
            each.dismiss()
        return len(chosen)

    def _told(self, conversation: Conversation) -> dict[str, Any]:
        about = conversation.about()
        client = about.client
        tls = client.tls
        return {
            "id": spell(about.id) if about.id else "",
            "worker": self._worker,
            "service": client.service,
            "address": client.address or conversation.address,
            "port": client.port,
            "hello": client.hello,
            "login": str(client.login) if client.login is not None else "",
            "tls": f"{tls.version} {tls.cipher}".strip() if tls is not None else "",
            "since": round(self._now() - (self._conversations.clock.seconds() - conversation.began), 3),
            "doing": about.doing,
        }


class Work:
    """What is being sent by this process, as operators see it; `delivery` is its scheduler at the moment."""

    def __init__(self, delivery: Callable[[], Any], wake: Callable[[], None], rates: Callable[[], Any]) -> None:
        self._delivery = delivery
        self._wake = wake
        self._rates = rates

    async def queue(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """The attempts that are being made, and how many messages a minute each lane had delivered of late."""
        at_work = getattr(self._delivery(), "at_work", None)
        return {"at_work": at_work() if at_work is not None else [], "rates": self._rates()}

    async def wake(self, value: Mapping[str, Any]) -> None:
        """Somebody changed the queue: look at it now."""
        self._wake()


def checked(value: Mapping[str, Any]) -> None:
    """Raises `OrderFailed` when nobody could say who is meant by an order to kick."""
    for each in _texts(value, "whom"):
        _meant(each)


def _texts(value: Mapping[str, Any], key: str) -> Sequence[str]:
    texts = value.get(key)
    if not isinstance(texts, list) or not texts or not all(isinstance(each, str) and each for each in texts):
        raise OrderFailed(f'the order needs "{key}": a list of texts')
    return texts


def _meant(whom: str) -> Callable[[Mapping[str, Any]], bool]:
    """Tells whether a connection is meant by what an operator wrote."""
    if "@" in whom:
        return lambda told: bool(told["login"].casefold() == whom.casefold())
    try:
        network = ipaddress.ip_network(whom, strict=False)
    except ValueError:
        return lambda told: bool(told["id"].casefold() == whom.casefold())
    return lambda told: _is_inside(told["address"], network)


def _is_inside(address: str, network: Any) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]) in network
    except ValueError:
        return False


def status_of(config: Any, since: float, listeners: Iterable[Any], workers: Sequence[Mapping[str, Any]]) -> Any:
    """The answer to the order ``status``; times are seconds since the epoch."""
    return {
        "hostname": config.hostname,
        "configuration": str(config.path),
        "pid": os.getpid(),
        "since": round(since, 3),
        "listeners": [str(each) for each in listeners],
        "workers": list(workers),
    }


def stopping(reactor: Any, end: Callable[[], Any]) -> Order:
    """The order ``stop``: it is answered, and then carried out."""

    async def stop(value: Mapping[str, Any]) -> str:
        reactor.callLater(LAST_WORDS, end)
        return "stopping"

    return stop
