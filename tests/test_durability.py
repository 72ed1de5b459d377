"""The disk has a message before its sender is told so: seen with strace, from outside.

A kill cannot show this, since the kernel keeps what a dead process wrote.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.cli.commands import HouseTestCase
from tests.cli.running import Running
from tests.needs import program
from tests.plain import Client

WATCHED = "fsync,fdatasync,write,writev,pwrite64,sendto,sendmsg,?rename,?renameat,?renameat2,?link,?linkat"
SYNCS = ("fsync", "fdatasync")
LINE = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>(.*)|(\w+)\((.*))")


@dataclass(frozen=True)
class Call:
    """A system call: its name, its arguments as strace writes them, and when it began and ended, in lines."""

    name: str
    said: str
    began: int
    ended: int

    def on(self, path: str) -> bool:
        """Whether it is about a file whose path ends so."""
        return f"{path}>" in self.said or f'{path}"' in self.said


def calls(lines: Iterable[str]) -> Iterator[Call]:
    """The calls that succeeded, in the order of their ends."""
    begun: dict[tuple[str, str], tuple[int, str]] = {}
    for number, line in enumerate(lines):
        found = LINE.match(line)
        if found is None:
            continue
        thread, resumed, rest, name, said = found.groups()
        if name is not None and said.endswith("<unfinished ...>"):
            begun[thread, name] = (number, said)
            continue
        began = number
        if resumed is not None:
            name = resumed
            began, first = begun.pop((thread, name))
            said = first + rest
        if not re.search(r"= -1 \w+ ", said):
            yield Call(name, said, began, number)


class OrderTests(HouseTestCase):
    """What is written and synced before a 250."""

    def setUp(self) -> None:
        super().setUp()
        strace = program("strace")
        self.trace = self.folder / "strace"
        base = self.move()
        # -D: the server is our child, and strace nobody's.
        self.server = Running(
            "run", "--config", str(self.config),
            under=(strace, "-D", "-f", "-y", "-s", "9000", "-o", str(self.trace), "-e", f"trace={WATCHED}"),
        )
        self.addCleanup(self.server.stop)
        self.server.wait_for(str(base + 995))
        self.port = base + 25

    def send(self, *contents: bytes) -> list[str]:
        """Send messages over one connection; the ids that their replies tell."""
        with Client(self.port) as client:
            client.say("EHLO client.example.net")
            return [
                client.send("bob@example.net", ["alice@example.org"], each).rpartition(" ")[2] for each in contents
            ]

    def seen(self) -> list[Call]:
        """All calls of the server, which ends with this."""
        self.assertEqual(self.server.stop(), 0)
        return list(calls(self.trace.read_text(errors="replace").split("\n")))

    def reply(self, seen: list[Call], id: str) -> Call:
        """The sending of a 250 with this id."""
        return next(
            each for each in seen if each.name in ("sendto", "sendmsg", "write", "writev")
            and f"250 2.0.0 Ok, accepted as {id}" in each.said
        )

    def assert_synced(self, seen: list[Call], what: str, path: str, reply: Call) -> Call:
        """`what` was written to a file, and a sync of that file ran from beginning to end before the reply."""
        written = [
            each for each in seen
            if each.name in ("write", "pwrite64") and each.on(path) and what in each.said and each.ended < reply.began
        ]
        self.assertNotEqual(written, [], f"{what} was not written to {path} before the reply")
        synced = [
            each for each in seen
            if each.name in SYNCS and each.on(path) and each.began > written[0].ended and each.ended < reply.began
        ]
        self.assertNotEqual(synced, [], f"{path} was not synced between the write of {what} and the reply")
        return synced[0]

    def test_one_by_one(self) -> None:
        """Each message is in the write-ahead log, and that is on the disk, before its 250."""
        ids = self.send(*(f"Subject: s\r\n\r\nmark-{number}-end\r\n".encode() for number in range(5)))
        seen = self.seen()
        for number, id in enumerate(ids):
            self.assert_synced(seen, f"mark-{number}-end", "mailserver.sqlite3-wal", self.reply(seen, id))

    def test_many_at_once(self) -> None:
        """Messages that share a transaction wait for its sync, all of them."""
        ids: dict[str, str] = {}

        def talk(client: int) -> None:
            marks = [f"mark-{client}-{number}-end" for number in range(5)]
            ids.update(zip(marks, self.send(*(f"\r\n{each}\r\n".encode() for each in marks)), strict=True))

        threads = [threading.Thread(target=talk, args=(client,)) for client in range(6)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(60)
        self.assertEqual(len(ids), 30)
        seen = self.seen()
        for mark, id in ids.items():
            self.assert_synced(seen, mark, "mailserver.sqlite3-wal", self.reply(seen, id))

    def test_large(self) -> None:
        """A large content is a file: synced, named, its folder synced; only then the row, and then the 250."""
        (id,) = self.send(b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 20_000)
        seen = self.seen()
        reply = self.reply(seen, id)
        (name,) = (path.name for path in (self.folder / "data" / "contents").rglob("*") if path.is_file())
        named = next(each for each in seen if each.name.startswith(("rename", "link")) and each.on(name))
        file = re.findall(r'"([^"]*)"', named.said)[0].rpartition("/")[2]
        self.assertTrue([each for each in seen if each.name in SYNCS and each.on(file) and each.ended < named.began])
        folder = [
            each for each in seen
            if each.name in SYNCS and re.search(r"/contents[^>.]*>", each.said) and named.ended < each.began
            and each.ended < reply.began
        ]
        self.assertNotEqual(folder, [], "the folder was not synced")
        synced = self.assert_synced(seen, name, "mailserver.sqlite3-wal", reply)
        self.assertGreater(synced.began, folder[0].ended)


class CallsTests(HouseTestCase):
    """Reading what strace writes."""

    def test_calls_of_several_threads(self) -> None:
        lines = [
            '7 fdatasync(5</d/wal> <unfinished ...>',
            '6 sendto(9<socket:[1]>, "250 ok", 6, 0, NULL, 0) = 6',
            "7 <... fdatasync resumed>) = 0",
            "6 fsync(5</d/wal>) = -1 EIO (Input/output error)",
            "7 +++ exited with 0 +++",
        ]
        self.assertEqual(
            [(each.name, each.began, each.ended) for each in calls(lines)], [("sendto", 1, 1), ("fdatasync", 0, 2)]
        )
        self.assertTrue(list(calls(lines))[1].on("wal"))
