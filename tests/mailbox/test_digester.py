"""Messages are understood a moment after they came, when nothing more comes; nothing they contain stops that."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from mailserver.content import LARGE
from mailserver.interfaces import INBOX
from mailserver.mailbox import digester
from mailserver.mailbox.digester import AT_ONCE, LONGEST, QUIET
from mailserver.testing.imapstores import PLAIN, ImapSteps
from mailserver.testing.stores import octets
from tests.mailbox.databases import PostgresqlCase, SqliteCase

if TYPE_CHECKING:
    class _Case(ImapSteps, SqliteCase):
        pass
else:
    _Case = ImapSteps


class DigesterContract(_Case):
    timeout = 60

    async def running(self) -> Any:
        """The store, with its digester at work until the test ends."""
        store = self.build()
        store.start()
        self.addCleanup(store.stop)
        return store

    def known(self) -> int:
        return int(self.ask("SELECT COUNT(*) FROM digest")[0][0])

    async def until(self, true: Callable[[], bool]) -> None:
        for _ in range(500):
            if true():
                return
            await deferLater(self.server.reactor, 0.01, lambda: None)
        self.fail("it does not come to that")

    async def a_while(self) -> None:
        await deferLater(self.server.reactor, 0.1, lambda: None)

    async def test_when_it_is_quiet(self) -> None:
        """Not while mail comes in; soon after the last."""
        store, bob = await self.running(), self.account("bob")
        for _ in range(3):
            await self.deliver(store, bob, PLAIN)
            self.server.clock.advance(QUIET * 0.7)
            await self.a_while()
        self.assertEqual(self.known(), 0)
        await self.until(lambda: self.server.clock.advance(QUIET) or self.known() == 3)
        await self.append(store, bob, PLAIN, octets(3 * LARGE), b"")
        await self.until(lambda: self.server.clock.advance(QUIET) or self.known() == 6)

    async def test_never_quiet(self) -> None:
        """When it is never quiet, it does not wait for ever."""
        store, bob = await self.running(), self.account("bob")
        await self.deliver(store, bob, PLAIN)
        waited = 0.0
        while waited < LONGEST + 1 and not self.known():
            await self.deliver(store, bob, PLAIN)
            self.server.clock.advance(QUIET * 0.9)
            waited += QUIET * 0.9
        await self.until(lambda: self.known() > 0)

    async def test_at_start(self) -> None:
        """What was left undone by the server before: more than one step of it."""
        bob, before = self.account("bob"), self.build()
        await before.append(bob, INBOX, [await self.appended(b"Subject: %d\r\n\r\n" % number)
                                         for number in range(2 * AT_ONCE + 7)])
        await self.deliver(before, bob, octets(3 * LARGE))
        self.assertEqual(self.known(), 0)
        await self.running()
        await self.until(lambda: self.server.clock.advance(0.1) or self.known() == 2 * AT_ONCE + 8)

    async def test_hostile(self) -> None:
        """One that breaks the understanding is shown as an empty one, and stops none of the others."""
        store, bob = await self.running(), self.account("bob")
        real = digester.understand
        self.patch(digester, "understand", lambda octets: real(octets) if octets[:1] != b"!" else 1 / 0)
        await self.append(store, bob, PLAIN, b"!", PLAIN, b"!" + octets(3 * LARGE), PLAIN)
        await self.until(lambda: self.server.clock.advance(QUIET) or self.known() == 5)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        rows = await self.columns(await store.open(bob, INBOX), "uid", "subject", "size")
        self.assertEqual([(uid, subject) for uid, subject, _ in rows],
                         [(1, "MOON"), (2, ""), (3, "MOON"), (4, ""), (5, "MOON")])
        await self.append(store, bob, PLAIN)
        await self.until(lambda: self.server.clock.advance(QUIET) or self.known() == 6)

    async def test_file_is_missing(self) -> None:
        """A content whose file was lost is passed over, and said to whoever reads it."""
        if self.url is not None:
            return
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, PLAIN, octets(3 * LARGE), PLAIN)
        for each in self.server.database.contents.iterdir():
            each.unlink()
        box = await store.open(bob, INBOX)
        self.assertEqual([uid for uid, _ in await self.columns(box, "uid", "subject")], [1, 3])
        self.assertEqual([uid async for some in box.scan([(1, 3)], lambda *each: None) for uid, _ in some], [1, 3])

    async def test_digests_go(self) -> None:
        """With the last message that holds the content."""
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, PLAIN, octets(3 * LARGE))
        box = await store.open(bob, INBOX)
        await box.copy([(1, 2)], bob, "Sent")
        await self.columns(box, "subject")
        await box.remove([1, 2])
        self.assertEqual(self.known(), 2)
        sent = await store.open(bob, "Sent")
        self.assertEqual(len(await self.columns(sent, "subject")), 2)
        await sent.remove([1, 2])
        self.assertEqual(self.known(), 0)

    async def test_gone_meanwhile(self) -> None:
        """What is expunged while it is being understood leaves nothing behind."""
        store, bob = await self.running(), self.account("bob")
        for _ in range(2):
            await self.deliver(store, bob, PLAIN)
        box = await store.open(bob, INBOX)
        real = digester.understand

        def slow(content: Any) -> Any:
            self.server.reactor.callFromThread(gone.callback, None) if not gone.called else None
            freed.wait(10)
            return real(content)

        from threading import Event
        gone: Deferred[None] = Deferred()
        freed = Event()
        self.patch(digester, "understand", slow)
        self.server.clock.advance(QUIET)
        await gone
        await box.remove([1])
        freed.set()
        await self.until(lambda: self.known() == 1)
        self.check_contents()

    async def test_what_a_client_brings(self) -> None:
        """It is understood when it is kept, or soon after where it is much, though the clock stands still."""
        store, bob = await self.running(), self.account("bob")
        await self.append(store, bob, PLAIN)
        self.assertEqual(self.known(), 1)
        await self.append(store, bob, *[PLAIN] * 120)
        await self.until(lambda: self.known() == 121)

    async def test_once(self) -> None:
        """Who asks for what is being understood waits for that."""
        store, bob = await self.running(), self.account("bob")
        for _ in range(3):
            await self.deliver(store, bob, PLAIN)
        asked, real = list[object](), digester.understand

        def noted(content: Any) -> Any:
            asked.append(content)
            return real(content)

        self.patch(digester, "understand", noted)
        ids = [row[0] for row in self.ask("SELECT id FROM content")]
        await gatherResults([Deferred.fromCoroutine(store._digester.understand(ids)) for _ in range(3)])
        self.assertEqual((len(asked), self.known()), (3, 3))

    async def test_stops_at_once(self) -> None:
        """Whatever it does, and though the clock stands still."""
        bob = self.account("bob")
        for prepared in range(3):
            store = self.build()
            await store.append(bob, INBOX, [await self.appended(PLAIN) for _ in range(1200)] if prepared == 2 else
                               [await self.appended(PLAIN)])
            store.start()
            if prepared == 1:
                await self.deliver(store, bob, PLAIN)
                await self.a_while()
            stopped = Deferred.fromCoroutine(store.stop())
            stopped.addTimeout(5, self.server.reactor)
            await stopped
            known = self.known()
            await self.deliver(store, bob, PLAIN)
            self.server.clock.advance(QUIET)
            await self.a_while()
            self.assertEqual(self.known(), known)


class SqliteTests(DigesterContract, SqliteCase):
    pass


class PostgresqlTests(DigesterContract, PostgresqlCase):
    pass
