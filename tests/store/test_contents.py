"""Contents: kept once, counted, streamed; their files come before their rows and go after them."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

from sqlalchemy import select
from twisted.internet.threads import deferToThread

from mailserver.content import LARGE, Content
from mailserver.errors import NotFound
from mailserver.ident import spell
from mailserver.store import contents
from mailserver.store.accepting import write_many
from mailserver.store.schema import content, piece
from tests.store.cases import Contract, PostgresqlCase, SqliteCase

DAY = 86400.0


class ContentsContract(Contract):
    def files(self) -> list[str]:
        return sorted(os.listdir(self.database.contents))

    async def whole(self, id: int) -> bytes:
        return b"".join([octets async for octets in contents.stream(self.database, id, deferToThread)])

    async def test_small_content_comes_back_as_it_was(self) -> None:
        """Any octets, in one piece, from its row."""
        self.start()
        octets = bytes(range(256)) * 16
        with self.writing() as connection:
            contents.insert_many(connection, [(7, Content.of(octets), 1)])
        self.assertEqual(await self.whole(7), octets)
        with self.reading() as connection:
            self.assertEqual(contents.beginning(connection, self.database.contents, 7, 100), octets[:100])
        self.assertEqual(self.files(), [])

    async def test_large_content_comes_back_as_it_was(self) -> None:
        """In pieces of bounded size, wherever it lies."""
        self.start()
        large = await self.large(5 * LARGE + 17)
        octets = b"".join(large.chunks())
        await self.database.write(contents.insert_many, [(7, large, 1)])
        pieces = [each async for each in contents.stream(self.database, 7, deferToThread)]
        self.assertEqual(b"".join(pieces), octets)
        self.assertLessEqual(max(map(len, pieces)), 256 * 1024)
        with self.reading() as connection:
            self.assertEqual(contents.beginning(connection, self.database.contents, 7, 300_000), octets[:300_000])

    async def test_many_at_once(self) -> None:
        """Small ones, as many as fit; large ones are left out, also when there are no others."""
        self.start()
        await self.database.write(contents.insert_many, [(7, await self.large(), 1), (8, Content.of(b"x" * 100), 1),
                                                         (9, Content.of(b"y" * 100), 1)])
        for ids, most, found in (([7], 1000, []), ([7, 8, 9, 10], 1000, [8, 9]), ([8, 9], 150, [8]), ([8, 9], 50, []),
                                 ([], 1000, [])):
            got = await self.database.read(contents.load_many, ids, most)
            self.assertEqual([(id, each.whole) for id, each in sorted(got.items())],
                             [(id, (b"x" if id == 8 else b"y") * 100) for id in found])

    async def test_as_content(self) -> None:
        """What a store outside the database is given is the same whether large or small, and nothing stays behind."""
        self.start()
        large = await self.large(LARGE + 5)
        octets = b"".join(large.chunks())
        await self.database.write(contents.insert_many, [(7, large, 1), (8, Content.of(b"x\r\n"), 1)])
        before = self.files()
        for id, expected in ((7, octets), (8, b"x\r\n")):
            value, temporary = await contents.as_content(self.database, id, deferToThread)
            self.assertEqual((value.size, b"".join(value.chunks())), (len(expected), expected))
            self.assertEqual(value.beginning, expected[:LARGE])
            if temporary is not None:
                await temporary._throw_away()
        self.assertEqual(self.files(), before)

    async def test_kept_once_for_all_who_hold_it(self) -> None:
        """Three mailboxes and one destination: one row; it goes, with its file, when the last of them lets go."""
        self.start()
        everybody = [self.account(name) for name in ("ann", "ben", "cid")]
        accepting = self.accepting(await self.large(), *everybody, entries=1)
        await self.database.write_with(write_many, accepting)
        self.assertEqual(self.count(content), 1)
        for left in (3, 2, 1):
            await self.database.write(contents.release, self.database.contents, accepting.id)
            with self.reading() as connection:
                self.assertEqual(connection.execute(select(content.c.uses)).scalar(), left)
        self.assertNotEqual(await self.whole(accepting.id), b"")
        await self.database.write(contents.release, self.database.contents, accepting.id)
        self.assertEqual((self.count(content), self.count(piece), self.files()), (0, 0, []))
        with self.assertRaises(NotFound):
            await self.whole(accepting.id)

    async def test_rollback_keeps_the_file(self) -> None:
        """What was released in a transaction that failed is still whole."""
        self.start()
        large = await self.large()
        await self.database.write(contents.insert_many, [(7, large, 1)])
        before = self.files()
        with self.assertRaises(ZeroDivisionError), self.writing() as connection:
            contents.release(connection, self.database.contents, 7)
            raise ZeroDivisionError
        self.assertEqual(self.files(), before)
        self.assertEqual(len(await self.whole(7)), large.size)

    def test_acquire_what_has_gone(self) -> None:
        """Nobody comes to hold a content that was deleted meanwhile."""
        with self.writing() as connection:
            contents.insert_many(connection, [(7, Content.of(b"x"), 1)])
            contents.acquire(connection, 7, 2)
            contents.release(connection, self.database.contents, 7, 3)
        with self.writing() as connection, self.assertRaises(NotFound):
            contents.acquire(connection, 7)

    async def test_sweep(self) -> None:
        """Files without a row go when they are older than a day; younger ones, and those with a row, stay."""
        self.start()
        held, orphan, young = [self.new_id() for _ in range(3)]
        await self.database.write(contents.insert_many, [(held, await self.large(id=held), 1)])
        await self.large(id=orphan)
        await self.large(id=young)
        (self.database.contents / "copy-1.part").write_bytes(b"x")
        for name in self.files():
            if name != spell(young):
                os.utime(self.database.contents / name, (1, 1))
        removed = await self.database.read(contents.sweep, self.database.contents)
        self.assertEqual(removed, 2)
        self.assertNotIn(spell(orphan), self.files())
        self.assertIn(spell(young), self.files())
        self.assertGreater(len(await self.whole(held)), LARGE)


class ContentsOnSqlite(ContentsContract, SqliteCase):
    async def test_file_is_named_before_its_row(self) -> None:
        """A finished large content lies under its name, private, and no row speaks of it yet."""
        large = await self.large(id=99)
        assert large.path is not None
        self.assertEqual(Path(large.path).name, spell(99))
        self.assertEqual(os.stat(large.path).st_mode & 0o777, 0o600)
        self.assertEqual(self.count(content), 0)

    async def test_delete_does_not_look_through_the_messages(self) -> None:
        """No foreign key makes each delete of a content a walk through everybody's mail."""
        with self.reading() as connection:
            for table in ("message", "spool"):
                keys = connection.exec_driver_sql(f"PRAGMA foreign_key_list({table})").fetchall()
                self.assertNotIn("content", [row[2] for row in keys])


class ContentsOnPostgresql(ContentsContract, PostgresqlCase):
    async def test_no_file_stays(self) -> None:
        """Large content is rows that every machine can read; the file it came in is gone after the commit."""
        self.start()
        await self.database.write(contents.insert_many, [(7, await self.large(), 1)])
        self.assertEqual(self.files(), [])
        self.assertGreater(self.count(piece), 1)


class IncomingTest(SqliteCase):
    """How a content comes in."""

    def incoming(self) -> contents.Incoming:
        return contents.Incoming(self.database.contents, "0000000000001", deferToThread)

    async def test_small_ones_touch_no_disk(self) -> None:
        """Up to LARGE it lies in memory."""
        incoming = self.incoming()
        await incoming.write(b"a" * (LARGE - 1))
        await incoming.write(b"b")
        content = await incoming.finish()
        self.assertEqual((content.size, content.path), (LARGE, None))
        self.assertEqual(os.listdir(self.database.contents), [])

    async def test_large_ones_do_not_fill_the_memory(self) -> None:
        """64 MiB come in and go out, and never more than 8 MiB are held."""
        piece = os.urandom(64 * 1024)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        incoming = self.incoming()
        for _ in range(1024):
            await incoming.write(piece)
        large = await incoming.finish()
        with self.writing() as connection:
            contents.insert_many(connection, [(1, large, 1)])
        self.start()
        size = 0
        async for octets in contents.stream(self.database, 1, deferToThread):
            size += len(octets)
        self.assertEqual(size, 64 * 1024 * 1024)
        self.assertLess(tracemalloc.get_traced_memory()[1], 8 * 1024 * 1024)

    async def test_discard_while_it_is_being_written(self) -> None:
        """The file goes, whatever was under way; nothing is written to a descriptor that is somebody else's by now."""
        for _ in range(20):
            incoming = self.incoming()
            await incoming.write(b"x" * (LARGE + 1))
            await incoming.write(b"y" * (contents.WRITE_AT + 1))
            await incoming._throw_away()
            self.assertEqual(os.listdir(self.database.contents), [])

    async def test_discard_after_it_is_finished(self) -> None:
        """The message was refused after all: its file goes."""
        incoming = self.incoming()
        await incoming.write(b"x" * (LARGE + 1))
        await incoming.finish()
        await incoming._throw_away()
        self.assertEqual(os.listdir(self.database.contents), [])

    async def test_file_that_cannot_be_written(self) -> None:
        """Whoever writes hears of it, at the latest at the end; discarding raises nothing."""
        self.database.contents.rmdir()
        self.database.contents.write_bytes(b"not a folder")
        incoming = self.incoming()
        with self.assertRaises(OSError):
            await incoming.write(b"x" * (LARGE + 1))
            await incoming.finish()
        await incoming._throw_away()
