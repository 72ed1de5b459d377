"""Recipients of relay domains: a real second server is asked, or a file."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.defer import Deferred, gatherResults

from mailserver.address import Address
from mailserver.delivery import recipients
from mailserver.reply import NO_SUCH_USER
from mailserver.store import directory
from tests.delivery.peers import SILENCE, Peer
from tests.serving import ServerCase, reactor

RELAY = """
    [relay]
    domains = ["example.com"]
    recipients = "{}"
    {}
    [outbound.route]
    "example.com" = "tcp:{}:{}"
"""


class RecipientsTests(ServerCase):
    async def behind(self, recipients: str, more: str = "", host: str = "127.0.0.1", port: int = 9):
        """A server in front of example.com."""
        return await self.serve(RELAY.format(recipients, more, host, port), "smtp")

    async def ask(self, server, *locals_: str) -> list[str]:
        line = await self.connect(server)
        await line.reply()
        await line.ask("EHLO x")
        await line.ask("MAIL FROM:<a@example.net>")
        return [(await line.ask(f"RCPT TO:<{each}>"))[:9] for each in locals_]

    async def test_call(self) -> None:
        """Who has the mailboxes is asked, once for each; nothing is taken for who is not there."""
        back = await self.serve("", "smtp")
        await back.database.write(directory.add_domain, "example.com", 0.0)
        await back.database.write(directory.add_account, Address("dave", "example.com"), 0.0)
        where = back.listeners[0].port.getHost()
        front = await self.behind("call", "", where.host, where.port)
        wanted = ["250 2.1.5", "550 5.1.1", "550 5.7.1"]
        asked = ("dave@example.com", "nobody@example.com", "x@example.net")
        self.assertEqual(await self.ask(front, *asked), wanted)
        await back.stopService()
        self.assertEqual(await self.ask(front, *asked), wanted)
        self.assertEqual(await self.ask(front, "erin@example.com", "bob@example.org"), ["450 4.1.1", "250 2.1.5"])

    async def test_call_to_who_says_nothing(self) -> None:
        """Those who ask wait for so long and no longer, however many they are; others do not wait for them."""
        self.patch(recipients, "LONGEST", 0.5)
        silent = Peer()
        silent.replies = {"": SILENCE}
        silent.listen()
        self.addCleanup(silent.stop)
        front = await self.behind("call", "", "127.0.0.1", silent.port)
        began = reactor.seconds()
        asking = [Deferred.fromCoroutine(self.ask(front, f"{number}@example.com")) for number in range(20)]
        self.assertEqual(await self.ask(front, "bob@example.org"), ["250 2.1.5"])
        self.assertEqual(await gatherResults(asking), [["450 4.1.1"]] * 20)
        self.assertLess(reactor.seconds() - began, 10.0)

    async def test_list(self) -> None:
        """Those in a file, which may change at any time."""
        self.patch(recipients, "LOOK", 0.0)
        path = Path(self.mktemp()).absolute()
        path.write_text("dave@example.com   # our friend\nnot an address\n", "utf-8")
        front = await self.behind("list", f'list = "{path}"')
        self.assertEqual(await self.ask(front, "Dave@example.com", "erin@example.com"), ["250 2.1.5", "550 5.1.1"])
        path.write_text("@EXAMPLE.com\n", "utf-8")
        os.utime(path, (1, 1))
        self.assertEqual(await self.ask(front, "erin@example.com"), ["250 2.1.5"])
        path.unlink()
        self.assertEqual(await self.ask(front, "erin@example.com"), ["450 4.1.1"])

    async def test_list_at_once(self) -> None:
        """Who comes while the file is read for the first time waits for it; one that is no text is "not now"."""
        path = Path(self.mktemp()).absolute()
        path.write_text("dave@example.com\n", "utf-8")
        server = await self.serve("", "smtp")
        listed = recipients.Listed(path, server.world)
        dave, erin = Address("dave", "example.com"), Address("erin", "example.com")
        asked = [Deferred.fromCoroutine(listed.refusal(each)) for each in (dave, dave, erin)]
        self.assertEqual([await each for each in asked], [None, None, NO_SUCH_USER])
        path.write_bytes(b"\xff\xfe")
        broken = recipients.Listed(path, server.world)
        for _ in range(2):
            self.assertEqual(await broken.refusal(dave), recipients.NOT_KNOWN)

    async def test_all(self) -> None:
        """Nobody is asked."""
        self.assertEqual(await self.ask(await self.behind("all"), "whoever@example.com"), ["250 2.1.5"])
