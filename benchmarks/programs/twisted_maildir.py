"""A server made of twisted.mail alone that delivers to Maildir with fsync before the reply.

    python -m benchmarks.programs.twisted_maildir PORT MAILBOXES CERTIFICATE KEY
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import ServerFactory
from twisted.mail.smtp import ESMTP, IMessage, IMessageDelivery, SMTPBadRcpt
from zope.interface import implementer

from benchmarks.programs.maildir import deliver

DOMAIN = b"example.org"


@implementer(IMessage)
class Message:
    """One message for one mailbox."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines: list[bytes] = []

    def lineReceived(self, line: bytes) -> None:
        self._lines.append(line)

    def eomReceived(self) -> Deferred[None]:
        self._lines.append(b"")
        deliver(self._folder, [b"\n".join(self._lines)])
        return succeed(None)

    def connectionLost(self) -> None:
        self._lines.clear()


@implementer(IMessageDelivery)
class Mailboxes:
    """Takes mail for the folders there are."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def receivedHeader(self, helo: Any, origin: Any, recipients: Any) -> bytes:
        name: bytes = helo[0]
        return b"Received: from " + name + b" by mx.example.org with ESMTP"

    def validateFrom(self, helo: Any, origin: Any) -> Any:
        return origin

    def validateTo(self, user: Any) -> Callable[[], Message]:
        name = user.dest.local.decode("ascii", "replace")
        folder = self._folder / name
        if user.dest.domain != DOMAIN or "/" in name or name.startswith(".") or not folder.is_dir():
            raise SMTPBadRcpt(user)  # type: ignore[no-untyped-call]
        return lambda: Message(folder)


class Server(ServerFactory):
    noisy = False

    def __init__(self, mailboxes: Path, certificate: str, key: str) -> None:
        self._delivery = Mailboxes(mailboxes)
        self._tls = ssl.DefaultOpenSSLContextFactory(key, certificate)  # type: ignore[no-untyped-call]

    def buildProtocol(self, addr: Any) -> ESMTP:
        made = ESMTP(contextFactory=self._tls)  # type: ignore[no-untyped-call]
        made.delivery = self._delivery
        made.host = b"mx.example.org"
        made.factory = self
        return made


def main(port: str, mailboxes: str, certificate: str, key: str) -> None:
    reactor.listenTCP(int(port), Server(Path(mailboxes), certificate, key), 200, "127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
