"""A house that sends by the DNS: zones of a test behind unbound, mail servers on several addresses of loopback."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed_reactor

from mailserver.delivery import hosts, kept
from mailserver.delivery.scheduler import Scheduler
from mailserver.net.resolver import Resolver
from mailserver.settings import OutboundTls
from mailserver.wishes import Wishes
from tests.delivery.house import HouseCase
from tests.delivery.peers import Peer
from tests.interop.zones import GOOD, Zones
from tests.net.certificates import Authority

reactor: Any = installed_reactor


class SignedHouseCase(HouseCase):
    """Mail servers listen at `smtp`, and the mail of every domain of `zones` goes where its zone says."""

    timeout = 90

    def setUp(self) -> None:
        super().setUp()
        self.authority = Authority(Path(self.mktemp()))
        self.smtp = free_port()
        self.patch(hosts, "SMTP", self.smtp)
        self.patch(kept, "IDLE", 0.0)           # each message over a connection of its own

    def at(self, address: str, **how: Any) -> Peer:
        """A mail server at this address."""
        return self.peer(interface=address, port=self.smtp, **how)

    def zones(self, texts: Mapping[str, str], signed: Mapping[str, str] | None = None) -> None:
        """Publish zones, in whose texts PORT is that of mail servers; those in `signed` are not signed well."""
        texts = {name: text.replace("PORT", str(self.smtp)) for name, text in texts.items()}
        ways = {name: GOOD for name in texts if not name.startswith("plain")} | dict(signed or {})
        zones = Zones(texts, ways)
        self.addCleanup(zones.stop)
        zones.start()
        self.world.resolver = Resolver(reactor, [zones.resolver])

    def begin(self, **tls: Any) -> Scheduler:
        """Send."""
        tls.setdefault("ca", self.authority.file)
        return self.work(allow_loopback=True, tls=OutboundTls(allow_loopback=True, **tls))

    async def delivered(self, recipient: str, **wishes: Any) -> dict[str, Any]:
        """Send to somebody; the attempt by which it was delivered."""
        return await self._attempt(recipient, "delivered", **wishes)

    async def deferred(self, recipient: str, **wishes: Any) -> dict[str, Any]:
        """Send to somebody; the attempt by which it was not."""
        return await self._attempt(recipient, "deferred", **wishes)

    async def _attempt(self, recipient: str, result: str, **wishes: Any) -> dict[str, Any]:
        id = await self.send(recipient, wishes=Wishes(**wishes))
        told: list[dict[str, Any]] = await self.until(lambda: self.attempts(id))
        self.assertEqual(told[0]["result"], result, told[0])
        return told[0]


def free_port() -> int:
    """A port that no address of loopback has given away."""
    with socket.create_server(("0.0.0.0", 0)) as held:
        port: int = held.getsockname()[1]
    return port
