"""Whole servers inside the test's own reactor, and conversations with them over TCP."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.task import deferLater

from mailserver.address import Address
from mailserver.config import load
from mailserver.ident import read
from mailserver.service import MailServer
from mailserver.store import credentials, directory, traces
from mailserver.store.database import Database
from mailserver.testing import DialogueTestCase, Line
from tests.databases import ready
from tests.net.certificates import key_pair

reactor: Any = installed_reactor
PATIENCE = 15.0


class ServerCase(DialogueTestCase):
    """`serve` starts a server whose accounts are alice and bob at example.org; each test may start several."""

    timeout = 60
    dialogues = Path(__file__).parent / "dialogues"

    def configure(self, extra: str = "", services: str = "smtp submission lmtp pop3", name: str = "mx") -> Path:
        """A configuration, a certificate and a directory with two accounts; the path of the file."""
        folder = Path(self.mktemp())
        pair = key_pair(folder, "mx.example.org")
        text = f'hostname = "{name}.example.org"\ndata = "data"\n{textwrap.dedent(extra)}\n'
        if "[tls]" not in text:
            text += f'[tls]\ncertificate = "{pair.certificate.name}"\nkey = "{pair.key.name}"\n'
        for service in services.split():
            text += f'[[listen]]\nservice = "{service}"\nendpoint = "tcp:0:interface=127.0.0.{len(text) % 7 + 1}"\n'
        # Port 0 may be listened on as often as one likes, on different addresses of loopback.
        number = iter(range(1, 200))
        text = re.sub(r"interface=127\.0\.0\.\d", lambda _: f"interface=127.0.0.{next(number)}", text)
        path = folder / "mailserver.toml"
        path.write_text(text, "utf-8")
        ready(folder / "data")
        database = Database(None, folder / "data")
        database.open(migrate=True)
        with database.transaction() as connection:
            directory.add_domain(connection, "example.org", 0.0)
            for local in ("alice", "bob"):
                account = directory.add_account(connection, Address(local, "example.org"), 0.0)
                if local == "alice":
                    directory.set_credentials(connection, account.id, credentials.derive("secret"))
            directory.add_alias(connection, "sales@example.org", ["alice@example.org"], 0.0, database.contents)
        database.close()
        return path

    async def serve(self, extra: str = "", services: str = "smtp submission lmtp pop3") -> MailServer:
        """A running server; it is stopped at the end of the test."""
        return self.start(self.configure(extra, services))

    def start(self, path: Path) -> MailServer:
        server = MailServer(load(path), reactor)
        server.privilegedStartService()
        server.startService()
        self.addCleanup(self._stop, server)
        return server

    async def _stop(self, server: MailServer) -> None:
        if server.running:
            await server.stopService()

    async def connect(self, server: MailServer, service: str = "smtp") -> Line:
        for listener in server.listeners:
            if listener.service == service:
                where = listener.port.getHost()
                return await self.over_tcp(TCP4ClientEndpoint(reactor, where.host, where.port))
        raise AssertionError(f"nobody listens for {service}")

    async def mailbox(
        self, server: MailServer, local: str = "bob", name: str = "INBOX", domain: str = "example.org"
    ) -> list[bytes]:
        """The messages in somebody's mailbox."""
        account = await server.directory.account(Address(local, domain))
        assert account is not None
        store = next(iter(server.rooms.stores.values()))
        try:
            mailbox = await store.open(account, name)
        except LookupError:
            return []
        found = []
        for message in await mailbox.messages():
            found.append(b"".join([octets async for octets in mailbox.read(message.uid)]))
        return found

    async def story(self, server: MailServer, reply: str) -> list[dict[str, Any]]:
        """What the trace knows under the id in a reply."""
        id = re.search(r"\b([0-9A-HJKMNP-TV-Z]{13})\b", reply)
        assert id is not None, reply
        for _ in range(50):
            try:
                return await server.database.read(traces.story, read(id[1]))
            except LookupError:
                await deferLater(reactor, 0.05, lambda: None)
        raise AssertionError(f"no story under {id[1]}")

    async def until(self, question: Any, patience: float = PATIENCE) -> Any:
        """What a coroutine function answers, once that is something."""
        for _ in range(int(patience / 0.05)):
            answer = await question()
            if answer:
                return answer
            await deferLater(reactor, 0.05, lambda: None)
        raise AssertionError("it did not come to that in time")
