"""Both ends of a conversation in orders, for Twisted."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from mailserver.errors import MailserverError

log = Logger()

Order: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[Any]]       # takes the whole object

LONGEST = 64 * 1024                 # octets of a line from an operator
LONGEST_INSIDE = 64 * 1024 * 1024   # octets of a line between a master and a worker: certificates, a long "who"


class OrderFailed(MailserverError):
    """An order could not be carried out, and nothing was changed; the text says why."""


def spelled(value: Mapping[str, Any]) -> bytes:
    """An object as a line."""
    return json.dumps(value).encode() + b"\n"


class Lines(LineOnlyReceiver):
    """Objects in and out, a line each."""

    delimiter = b"\n"
    transport: Any

    def __init__(self, longest: int = LONGEST) -> None:
        self.MAX_LENGTH = longest

    def say(self, value: Mapping[str, Any]) -> None:
        """Send an object."""
        self.transport.write(spelled(value))

    def lineReceived(self, line: bytes) -> None:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            self.heard(value)
        else:
            self.say({"error": "this is no JSON object"})

    def lineLengthExceeded(self, line: bytes) -> None:
        self.say({"error": f"a line may have {self.MAX_LENGTH} octets"})
        self.transport.loseConnection()

    def heard(self, value: Mapping[str, Any]) -> None:
        """An object came."""
        raise NotImplementedError


class Given(Factory):
    """Builds the one protocol that is there already."""

    noisy = False

    def __init__(self, protocol: Lines) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: Any) -> Lines:
        return self._protocol


class Desk(Lines):
    """Where orders are taken: each is looked up, carried out and answered."""

    def __init__(self, orders: Mapping[str, Order], longest: int = LONGEST) -> None:
        super().__init__(longest)
        self._orders = orders

    def heard(self, value: Mapping[str, Any]) -> None:
        Deferred.fromCoroutine(self._carry_out(value)).addErrback(
            lambda failure: log.failure("an order broke", failure)
        )

    async def _carry_out(self, value: Mapping[str, Any]) -> None:
        answer: dict[str, Any] = {"number": value["number"]} if "number" in value else {}
        name = value.get("order")
        order = self._orders.get(name) if isinstance(name, str) else None
        if order is None:
            answer["error"] = f"there is no order {name!r}; there are {', '.join(sorted(self._orders))}"
        else:
            try:
                answer["done"] = await order(value)
            except MailserverError as error:
                answer["error"] = str(error)
            except Exception:
                log.failure("the order {order} failed", order=name)
                answer["error"] = f"the order {name!r} failed; the log says how"
        if self.transport.connected:
            self.say(answer)


class Asker(Lines):
    """Gives orders, any number at once; `told` hears what the other side says by itself."""

    def __init__(self, told: Callable[[Mapping[str, Any]], None], lost: Callable[[], None]) -> None:
        super().__init__(LONGEST_INSIDE)
        self._told = told
        self._lost = lost
        self._waiting: dict[int, Deferred[Any]] = {}
        self._number = 0
        self._is_lost = False

    def ask(self, order: str, **details: Any) -> Deferred[Any]:
        """What the order came to; fails with `OrderFailed`."""
        answer: Deferred[Any] = Deferred()
        if self._is_lost:
            answer.errback(OrderFailed("it has ended"))
            return answer
        self._number += 1
        self._waiting[self._number] = answer
        self.say({"order": order, "number": self._number, **details})
        return answer

    def heard(self, value: Mapping[str, Any]) -> None:
        answer = self._waiting.pop(value.get("number", 0), None)
        if answer is None:
            self._told(value)
        elif "done" in value:
            answer.callback(value["done"])
        else:
            answer.errback(OrderFailed(str(value.get("error"))))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._is_lost = True
        waiting, self._waiting = self._waiting, {}
        for each in waiting.values():
            each.errback(OrderFailed("it has ended"))
        self._lost()
