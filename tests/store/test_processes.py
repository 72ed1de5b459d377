"""Several processes on one database, and the death of one of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import select

from mailserver.interfaces import Account
from mailserver.store.schema import content, message, spool, trace
from tests.store.cases import Contract, PostgresqlCase, SqliteCase

ROOT = Path(__file__).parent.parent.parent


class ProcessesContract(Contract):
    def busy(self, account: Account) -> subprocess.Popen[bytes]:
        """A process that accepts mail for this account, from now on."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.store.busy", self.url or "", str(self.data), account.address.key],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, bufsize=0,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        self.assertNotEqual(process.stdout.readline(), b"", "it ended at once")
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> set[int]:
        """End it at once; the ids that it had promised by then."""
        process.send_signal(signal.SIGKILL)
        out, error = process.communicate(timeout=20)
        lines = out.split(b"\n")[:-1]           # the last one may have been cut
        self.assertGreater(len(lines), 20, error.decode())
        return {int(line) for line in lines}

    def stored(self) -> set[int]:
        """The messages that are here whole; checks that none is here in part or twice."""
        with self.reading() as connection:
            ids = [sorted(connection.execute(select(column)).scalars()) for column in (
                content.c.id, message.c.content_id, spool.c.content_id, trace.c.id
            )]
            uses = set(connection.execute(select(content.c.uses)).scalars())
        for each in ids[1:]:
            self.assertEqual(each, ids[0])
        self.assertEqual(uses, {2})
        self.assertEqual(len(set(ids[0])), len(ids[0]))
        return set(ids[0])

    def wait_for(self, count: int) -> None:
        until = time.monotonic() + 20
        while self.count(trace) < count:
            self.assertLess(time.monotonic(), until, "nothing is written")
            time.sleep(0.05)

    def test_kill_in_the_midst(self) -> None:
        """kill -9, again and again: whatever was promised is there whole, and the next process goes on."""
        bob = self.account("bob")
        promised: set[int] = set()
        for _ in range(3):
            process = self.busy(bob)
            self.wait_for(self.count(trace) + 200)
            promised |= self.kill(process)
        self.assertLessEqual(promised, self.stored())
        uids = [each.uid for each in self.inbox(bob)]
        self.assertEqual(uids, list(range(1, len(uids) + 1)))

    def test_two_at_once(self) -> None:
        """Both write all the time, one of them to the other's mailbox; both get on, and one's death is its own."""
        bob, eve = self.account("bob"), self.account("eve")
        first, second, third = self.busy(bob), self.busy(eve), self.busy(bob)
        self.wait_for(self.count(trace) + 600)
        promised = self.kill(first)
        before = self.count(trace)
        self.wait_for(before + 200)
        self.assertGreaterEqual(self.count(trace), before + 200)
        promised |= self.kill(second) | self.kill(third)
        self.assertLessEqual(promised, self.stored())
        for account in (bob, eve):
            uids = [each.uid for each in self.inbox(account)]
            self.assertEqual(uids, list(range(1, len(uids) + 1)))


class ProcessesOnSqlite(ProcessesContract, SqliteCase):
    def test_kill_while_it_holds_the_lock(self) -> None:
        """A process that was stopped holds everybody up; once it is killed, the others go on."""
        process = self.busy(self.account("bob"))
        self.wait_for(200)
        os.kill(process.pid, signal.SIGSTOP)
        self.kill(process)
        with self.writing() as connection:
            self.assertEqual(connection.exec_driver_sql("PRAGMA integrity_check").scalar(), "ok")


class ProcessesOnPostgresql(ProcessesContract, PostgresqlCase):
    pass
