"""Opening a database: what is refused, with which sentence, and what is made."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from twisted.trial.unittest import SynchronousTestCase

from mailserver.errors import StartRefused, TemporaryFailure
from mailserver.store import engine, migrate
from mailserver.store.database import Database
from mailserver.store.schema import metadata
from tests.store.cases import Contract, PostgresqlCase, SqliteCase


class OpeningContract(Contract):
    def test_migrated_tables_are_the_schemas(self) -> None:
        """Alembic finds nothing to add, to remove or to change."""
        with self.writing() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            self.assertEqual(compare_metadata(context, metadata), [])

    def test_opened_twice(self) -> None:
        """The second start changes nothing."""
        self.account("bob")
        again = self.open(migrate=True)
        with again.reading() as connection:
            self.assertEqual(migrate.revision(connection), migrate.HEAD)
            self.assertEqual(connection.execute(text("SELECT count(*) FROM account")).scalar(), 2)

    def test_a_foreign_revision(self) -> None:
        """Neither a command nor a server works with the tables of another program, or a newer one."""
        with self.writing() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        for migrates in (False, True):
            with self.assertRaises(StartRefused) as refused:
                Database(self.url, self.data).open(migrate=migrates)
            self.assertIn("9999", str(refused.exception))

    def test_an_empty_one(self) -> None:
        """A command does not make tables."""
        with self.writing() as connection:
            connection.execute(text("DROP TABLE alembic_version"))
        with self.assertRaises(StartRefused) as refused:
            Database(self.url, self.data).open()
        self.assertIn("mailserver init", str(refused.exception))

    def test_readers_see_one_moment(self) -> None:
        """What another one commits meanwhile is seen by the next look."""
        with self.reading() as connection:
            before = connection.execute(text("SELECT count(*) FROM account")).scalar()
        self.account("bob")
        with self.reading() as connection:
            self.assertEqual(connection.execute(text("SELECT count(*) FROM account")).scalar(), (before or 0) + 1)


class OpeningSqlite(OpeningContract, SqliteCase):
    def test_it_loses_nothing(self) -> None:
        """Write-ahead log, and an fsync for every commit."""
        with self.writing() as connection:
            settings = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
        self.assertEqual(settings, ["wal", 2, 1])

    def test_readers_cannot_write(self) -> None:
        with self.assertRaises(TemporaryFailure), self.reading() as connection:
            connection.execute(text("DELETE FROM account"))

    def test_nobody_else_reads_the_mail(self) -> None:
        """Whatever the umask."""
        self.addCleanup(os.umask, os.umask(0))
        data = self.data / "another"
        database = Database(None, data)
        database.open(migrate=True)
        self.addCleanup(database.close)
        with database.transaction():
            for name in ("mailserver.sqlite3", "mailserver.sqlite3-wal", "write.lock"):
                self.assertEqual(os.stat(data / name).st_mode & 0o077, 0, name)
        self.assertEqual(os.stat(data / "contents").st_mode & 0o077, 0)

    def test_no_database(self) -> None:
        with self.assertRaises(StartRefused) as refused:
            Database(None, self.data / "nowhere").open()
        self.assertIn("mailserver init", str(refused.exception))

    def test_not_a_database(self) -> None:
        data = self.data / "other"
        data.mkdir()
        (data / "mailserver.sqlite3").write_bytes(b"this is a letter, not a database" * 100)
        with self.assertRaises(StartRefused) as refused:
            Database(None, data).open(migrate=True)
        self.assertIn("not a database", str(refused.exception))

    def test_a_folder_that_is_none(self) -> None:
        (self.data / "file").write_bytes(b"")
        with self.assertRaises(StartRefused):
            Database(None, self.data / "file").open(migrate=True)


class OpeningPostgresql(OpeningContract, PostgresqlCase):
    def test_two_starts_at_once(self) -> None:
        """One migrates, the other waits and finds it done."""
        from threading import Thread

        url = self.server.url(self.server.create(is_empty=True))
        self.addCleanup(self.server.drop, url.rpartition("/")[2])
        failures = []

        def start() -> None:
            database = Database(url, self.data)
            try:
                database.open(migrate=True)
            except Exception as error:
                failures.append(error)
            finally:
                database.close()

        threads = [Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_nobody_answers(self) -> None:
        with self.assertRaises(StartRefused):
            Database(self.server.url("mail", 1), self.data).open()


class RefusedTest(SynchronousTestCase):
    """What is refused before any database is touched."""

    def test_old_sqlite(self) -> None:
        """It could lose a committed message; one sentence says so and what to do."""
        for version in ("3.40.1", "3.51.2"):
            with self.assertRaises(StartRefused) as refused:
                engine.refuse_old_sqlite(version)
            self.assertIn("WAL-reset bug", str(refused.exception))
            self.assertIn(version, str(refused.exception))
        engine.refuse_old_sqlite("3.51.3")
        engine.refuse_old_sqlite("3.100.0")

    def test_the_driver_in_use_is_asked(self) -> None:
        """Not Python's own sqlite3, and not only the requirement in setup.cfg."""
        from pysqlite3 import dbapi2

        self.patch(dbapi2, "sqlite_version", "3.46.0")
        with self.assertRaises(StartRefused):
            engine.sqlite_engine(Path("unused"), writing=True)

    def test_missing_drivers(self) -> None:
        """What to install is part of the sentence."""
        for name in ("psycopg", "pysqlite3"):
            self.addCleanup(sys.modules.__setitem__, name, __import__(name))
            sys.modules[name] = None  # type: ignore[assignment]
        with self.assertRaises(StartRefused) as refused:
            engine.postgresql_engine("postgresql://mail@localhost/mail")
        self.assertIn("mailserver[postgresql]", str(refused.exception))
        with self.assertRaises(StartRefused) as refused:
            engine.sqlite_engine(Path("unused"), writing=True)
        self.assertIn("pip install pysqlite3", str(refused.exception))

    def test_other_databases(self) -> None:
        """A URL with a secret in it is not repeated."""
        for url in ("mysql://mail:secret@localhost/mail", "secret nonsense"):
            with self.assertRaises(StartRefused) as refused:
                engine.postgresql_engine(url)
            self.assertNotIn("secret", str(refused.exception))

    def test_head_is_the_newest_revision(self) -> None:
        """The constant that spares most starts from importing Alembic."""
        config = Config()
        config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
        self.assertEqual(ScriptDirectory.from_config(config).get_heads(), [migrate.HEAD])
