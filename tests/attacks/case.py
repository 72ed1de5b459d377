"""Where attacks are made: a server, a hostile line, a polite one beside it, and a look at what came of it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from twisted.internet.task import deferLater

from mailserver.address import Address
from mailserver.service import MailServer
from mailserver.store import directory, queue
from mailserver.store.database import Database
from mailserver.store.spool import Entry
from mailserver.testing import Line
from tests.serving import ServerCase, reactor


class AttackCase(ServerCase):
    """alice and bob live at example.org; nothing of an attack may reach alice."""

    timeout = 120

    def configure(self, extra: str = "", services: str = "smtp submission lmtp pop3", name: str = "mx") -> Path:
        """The usual one, with replies that come at once: what a tarpit costs is another test's business."""
        extra = textwrap.dedent(extra)
        if "[limits]" not in extra:
            extra += '[limits]\ntarpit = 0\n'
        return super().configure(extra, services, name)

    async def greeted(self, server: MailServer, service: str = "smtp") -> Line:
        """A line on which EHLO (or LHLO) was said."""
        line = await self.connect(server, service)
        await line.reply()
        self.assertRegex(await line.ask("LHLO x" if service == "lmtp" else "EHLO x"), "^250")
        return line

    async def at_data(self, server: MailServer, service: str = "smtp", to: str = "bob@example.org") -> Line:
        """A line whose next octets are content."""
        line = await self.greeted(server, service)
        for command, code in (("MAIL FROM:<a@example.net>", "250"), (f"RCPT TO:<{to}>", "250"), ("DATA", "354")):
            self.assertEqual((await line.ask(command))[:3], code, command)
        return line

    async def is_polite(self, server: MailServer) -> None:
        """Somebody else is served."""
        line = await self.greeted(server)
        self.assertEqual(await line.ask("NOOP"), "250 2.0.0 Ok")
        self.assertRegex(await line.ask("QUIT"), "^221")

    async def say_in_pieces(self, line: Line, pieces: Iterable[bytes]) -> None:
        """Each piece in a segment of its own, as far as that can be had: the reactor goes round between them."""
        line.transport.setTcpNoDelay(True)
        for piece in pieces:
            if line.is_closed:
                return
            line.say(piece)
            for _ in range(3):
                await deferLater(reactor, 0, lambda: None)

    async def to_the_end(self, line: Line, patience: float = 20.0) -> bytes:
        """All that is still heard until the connection closes."""
        if not line.is_closed:
            line.closed.addTimeout(patience, reactor)
            await line.closed
        return line.heard

    async def all_mail(self, server: MailServer) -> dict[str, list[bytes]]:
        """What lies in everybody's inbox."""
        return {local: await self.mailbox(server, local) for local in ("alice", "bob")}

    async def queue(self, server: MailServer) -> list[Entry]:
        """What waits to be sent."""
        return await server.database.read(queue.listing)

    async def assert_nothing_came_of_it(self, server: MailServer) -> None:
        """Nobody got mail, nothing leaves."""
        self.assertEqual(await self.all_mail(server), {"alice": [], "bob": []})
        self.assertEqual(await self.queue(server), [])

    async def no_files(self, server: MailServer) -> None:
        """Until nothing lies beside the database: what is thrown away is removed in a thread."""

        async def none() -> bool:
            return not list(server.database.contents.iterdir())

        await self.until(none)

    def with_domain(self, path: Path, domain: str, *locals: str) -> None:
        """One more domain with accounts in the directory of a configuration that is not running."""

        def add(connection: Connection, database: Database) -> None:
            directory.add_domain(connection, domain, 0.0)
            for local in locals:
                directory.add_account(connection, Address(local, domain), 0.0)

        self.change(path, add)

    def with_alias(self, path: Path, address: str, *targets: str) -> None:
        """One more alias."""
        self.change(
            path, lambda connection, database: directory.add_alias(
                connection, address, targets, 0.0, database.contents
            ),
        )

    def without_domain(self, path: Path, domain: str) -> None:
        """Its accounts and aliases are gone, and it is not local any more."""

        def remove(connection: Connection, database: Database) -> None:
            directory.remove_alias(connection, f"sales@{domain}", 0.0)
            for local in ("alice", "bob"):
                directory.remove_account(connection, Address(local, domain), database.contents)
            directory.remove_domain(connection, domain)

        self.change(path, remove)

    def change(self, path: Path, work: Callable[[Connection, Database], None]) -> None:
        """Change the directory of a configuration that is not running."""
        database = Database(None, path.parent / "data")
        database.open()
        with database.transaction() as connection:
            work(connection, database)
        database.close()

    def port_of(self, server: MailServer, service: str = "smtp") -> tuple[str, int]:
        """Where a service listens."""
        for listener in server.listeners:
            if listener.service == service and listener.port is not None:
                where: Any = listener.port.getHost()
                return where.host, where.port
        raise AssertionError(f"nobody listens for {service}")
