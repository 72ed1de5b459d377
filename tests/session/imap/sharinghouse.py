"""A server on which mailboxes are shared: alice and bob of one domain, carol of another."""

from __future__ import annotations

from typing import Any

from mailserver.address import Address
from mailserver.store import credentials, directory, publics
from tests.session.imap.house import ImapCase, Peer

ALICE = '"Other Users/alice@example.org/'
NO_SUCH = rb"^NO \[(NONEXISTENT|TRYCREATE)\]"


class SharingCase(ImapCase):
    async def begin(self, extra: str = "", *commands: str) -> Peer:
        """The server, and alice, who has said these commands."""
        self.server = await self.serve(extra)
        await self.server.database.write(_more)
        return await self.log_in(self.server, "alice", *commands)

    async def bob(self, *commands: str) -> Peer:
        """bob, who has said these commands."""
        return await self.log_in(self.server, "bob", *commands)

    async def carol(self, *commands: str) -> Peer:
        """carol of example.net."""
        peer = await self.peer(self.server)
        for each in ("LOGIN carol@example.net secret", *commands):
            await peer.ok(each)
        return peer

    async def public(self, name: str) -> None:
        """A public mailbox of example.org."""
        await self.server.database.write(publics.create_public, "example.org", name, 0.0)

    async def refused(self, peer: Peer, command: str, words: bytes = rb"^NO \[NOPERM\]") -> None:
        """What a peer may not."""
        self.assertRegex((await peer.ask(command)).end, words, command)

    async def listed(self, peer: Peer, command: str) -> list[str]:
        """The names that a LIST has."""
        return [each.decode().rpartition('"/" ')[2].strip('"') for each in (await peer.ok(command)).of(b"LIST")]

    async def append(self, peer: Peer, name: str, flags: str = "", subject: int = 1) -> Any:
        """A small message; what the peer hears."""
        message = f"Subject: {subject}\r\n\r\nbody {subject}\r\n"
        return await peer.ask(f"APPEND {name} {flags}{' ' * bool(flags)}{{{len(message)}+}}\r\n{message}")


def _more(connection: Any) -> None:
    directory.add_domain(connection, "example.net", 0.0)
    carol = directory.add_account(connection, Address("carol", "example.net"), 0.0)
    directory.set_credentials(connection, carol.id, credentials.derive("secret"))


