"""Nothing left of what a server lives on: each message is "not now", none is lost, and it heals by itself."""

from __future__ import annotations

import os
import poplib
import resource
import time
from collections.abc import Callable

import pysqlite3

from tests.cli.commands import HouseTestCase
from tests.cli.running import PATIENCE, Running
from tests.needs import program
from tests.plain import Client, Refused

SMALL = b"Subject: small %d\r\n\r\nx\r\n"
LARGE = b"Subject: large %d\r\n\r\n" + b"0123456789abcdef\r\n" * 20_000     # a file beside the database


class TroubleTests(HouseTestCase):
    """A real server in a process of its own, from which something is taken away while it runs."""

    def setUp(self) -> None:
        super().setUp()
        self.base = self.move()
        self.accepted: list[str] = []           # the subjects that were promised
        self.number = 0

    def begin(self, *under: str) -> Running:
        server = Running("run", "--config", str(self.config), under=under)
        self.addCleanup(server.stop)
        server.wait_for(str(self.base + 995))
        return server

    def send(self, content: bytes) -> int:
        """Send one message over a connection of its own; the code of the reply that decided."""
        self.number += 1
        content = content.replace(b"%d", b"%d" % self.number, 1)
        try:
            with Client(self.base + 25) as client:
                client.say("EHLO client.example.net")
                client.send("bob@example.net", ["alice@example.org"], content)
        except Refused as error:
            return int(error.args[0])
        self.accepted.append(content.partition(b"\r\n")[0].decode())
        return 250

    def assert_kept(self) -> None:
        """What was promised is there; what is there besides was answered with "not now"."""
        box = poplib.POP3("127.0.0.1", self.base + 110, timeout=30)
        box.user("alice@example.org")
        box.pass_("secret")
        found = []
        for number in range(box.stat()[0]):
            found += [line.decode() for line in box.top(number + 1, 0)[1] if line.startswith(b"Subject: ")]
        box.quit()
        self.assertEqual(set(self.accepted) - set(found), set())
        self.assertLessEqual(len(found), self.number)

    def until_it_heals(self) -> None:
        """A message is taken again, and a large one."""
        until = time.monotonic() + PATIENCE
        while self.send(SMALL) != 250 or self.send(LARGE) != 250:
            self.assertLess(time.monotonic(), until, "it does not heal")
            time.sleep(0.2)
        self.assert_kept()

    def not_now(self, send: Callable[[], int]) -> int:
        """Try something some times; how often it was refused, and then always for now."""
        codes = [send() for _ in range(5)]
        for code in codes:
            self.assertIn(code, (250, 421, 451, 452), codes)
        return sum(code != 250 for code in codes)

    def test_no_room(self) -> None:
        """Files may not grow: neither the database nor those beside it."""
        server = self.begin()
        self.assertEqual(self.send(SMALL), 250)
        process = server.process.pid
        before = resource.prlimit(process, resource.RLIMIT_FSIZE)
        resource.prlimit(process, resource.RLIMIT_FSIZE, (4096, before[1]))
        self.assertEqual(self.not_now(lambda: self.send(LARGE)), 5)
        self.assertEqual(self.not_now(lambda: self.send(SMALL)), 5)
        resource.prlimit(process, resource.RLIMIT_FSIZE, before)
        self.until_it_heals()

    def test_no_file_descriptors(self) -> None:
        """Who is on the line is answered; who comes is not turned away for good."""
        server = self.begin()
        self.assertEqual(self.send(SMALL), 250)
        process = server.process.pid
        before = resource.prlimit(process, resource.RLIMIT_NOFILE)
        with Client(self.base + 25) as client:
            client.say("EHLO client.example.net")
            used = max(int(each) for each in os.listdir(f"/proc/{process}/fd")) + 1
            resource.prlimit(process, resource.RLIMIT_NOFILE, (used, before[1]))
            for content in (LARGE, SMALL, LARGE):
                try:
                    client.send("bob@example.net", ["alice@example.org"], content)
                except Refused as error:
                    self.assertIn(error.args[0], (421, 451, 452))
                else:
                    self.number += 1
            client.say("NOOP")
            for _ in range(20):
                try:
                    Client(self.base + 25).close()
                except OSError:
                    pass            # closed at once, or not at all: it comes back later
            client.say("NOOP")
        resource.prlimit(process, resource.RLIMIT_NOFILE, before)
        self.until_it_heals()

    def test_no_tables(self) -> None:
        """Somebody takes a table away, and puts it back."""
        self.begin()
        self.assertEqual(self.send(SMALL), 250)
        database = pysqlite3.connect(self.folder / "data" / "mailserver.sqlite3", isolation_level=None, timeout=30)
        self.addCleanup(database.close)
        for table in ("content", "message"):
            database.execute(f"ALTER TABLE {table} RENAME TO elsewhere")
            self.assertEqual(self.not_now(lambda: self.send(SMALL)), 5, table)
            self.assertGreaterEqual(self.not_now(lambda: self.send(LARGE)), 5, table)
            database.execute(f"ALTER TABLE elsewhere RENAME TO {table}")
            self.until_it_heals()

    def test_a_disk_that_fails(self) -> None:
        """Some syncs fail with EIO: no message that was promised is missing, and the next ones are taken."""
        strace = program("strace")
        self.begin(
            strace, "-D", "-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync",
            "-e", "inject=fsync,fdatasync:error=EIO:when=25..30",
        )
        # Each thread has its own count of syncs, so that the last bad one may come late.
        codes: list[int] = []
        while len(codes) < 300 and (451 not in codes or codes[-10:] != [250] * 10):
            codes.append(self.send(SMALL if len(codes) % 3 else LARGE))
        self.assertIn(451, codes)
        self.assertEqual(set(codes) - {250, 421, 451, 452}, set())
        self.assertEqual(codes[-10:], [250] * 10)
        self.assert_kept()
