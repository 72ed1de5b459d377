"""Mail for a server that somebody else wrote: twisted.mail's."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.protocol import ServerFactory
from twisted.mail import smtp
from zope.interface import implementer

from tests.delivery.house import HouseCase

reactor: Any = installed_reactor


@implementer(smtp.IMessage)
class Taken:
    def __init__(self, told: list[bytes]) -> None:
        self.told = told
        self.lines: list[bytes] = []

    def lineReceived(self, line: bytes) -> None:
        self.lines.append(line)

    def eomReceived(self) -> Deferred[None]:
        self.told.append(b"".join(line + b"\r\n" for line in self.lines))
        return succeed(None)

    def connectionLost(self) -> None:
        """Half a message is none."""


@implementer(smtp.IMessageDelivery)
class Desk:
    """Takes mail for everybody but nobody@."""

    def __init__(self, told: list[bytes]) -> None:
        self.told = told

    def receivedHeader(self, helo: Any, origin: Any, recipients: Any) -> bytes:
        return b"Received: by a stranger"

    def validateFrom(self, helo: Any, origin: Any) -> Any:
        return origin

    def validateTo(self, user: Any) -> Any:
        if user.dest.local == b"nobody":
            raise smtp.SMTPBadRcpt(user)
        return lambda: Taken(self.told)


class IndependentTests(HouseCase):
    async def test_delivered_and_refused(self) -> None:
        """Long lines of dots, an empty line at the end, one recipient refused."""
        told: list[bytes] = []
        desk = Desk(told)

        class Factory(ServerFactory):
            def buildProtocol(self, addr: Any) -> Any:
                protocol = smtp.ESMTP()
                protocol.delivery = desk
                protocol.host = b"stranger.example"
                protocol.factory = self
                return protocol

        port = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
        self.addCleanup(lambda: maybeDeferred(port.stopListening))
        self.work(route={"example.com": f"tcp:127.0.0.1:{port.getHost().port}"})
        content = b"Subject: x\r\n\r\n.\r\n..\r\n" + b".x" * 400 + b"\r\n" + b"text\r\n" * 5000 + b"\r\n"
        id = await self.send("bob@example.com", "nobody@example.com", content=content)
        await self.empty()
        [message] = told
        received, _, rest = message.partition(b"\r\n")
        self.assertEqual(received, b"Received: by a stranger")
        self.assertTrue(rest.endswith(content), rest[-100:])
        self.assertEqual(
            {each["recipient"]: each["result"] for each in await self.attempts(id)},
            {"bob@example.com": "delivered", "nobody@example.com": "failed"},
        )
        self.assertEqual(len(await self.reports()), 1)
