"""Mail in Maildir folders, beside other programs that read and write them."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some
from pysqlite3 import dbapi2
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase

from mailserver.address import Address
from mailserver.errors import NotFound, TemporaryFailure
from mailserver.imapstore import Flags
from mailserver.interfaces import FLAGGED, INBOX, JUNK, SEEN, Account
from mailserver.mailbox import dotlock
from mailserver.mailbox.keywords import MOST
from mailserver.mailbox.lineends import LineEnds
from mailserver.mailbox.maildir import Maildir, MaildirOptions
from mailserver.mailbox.maildirnames import LONGEST, folder_name, mailbox_name, safe_name
from mailserver.options import OptionError, structure
from mailserver.testing import PluginCase
from mailserver.testing.imapstores import ImapSteps, ImapStoreContract
from mailserver.testing.standin import NOW
from mailserver.testing.stores import PREFIX, RECEIVED, MailboxStoreContract, octets
from tests.needs import program


class MaildirTests(ImapStoreContract, MailboxStoreContract, PluginCase):
    plugin = Maildir
    longest_name = LONGEST
    most_keywords = MOST
    has_prefixes = False

    def another(self) -> Any:
        return self.build()


class MaildirCase(ImapSteps, PluginCase):
    """`self.store`, `self.bob`, and `self.folder`, where bob's mail lies."""

    plugin = Maildir

    def setUp(self) -> None:
        super().setUp()
        self.store = self.build()
        self.bob = self.account("bob")
        self.folder = self.server.data / "maildir" / "example.org" / "bob"

    def drop(self, name: str, text: bytes, part: str = "new") -> Path:
        """Another program delivers something."""
        for each in ("tmp", "new", "cur"):
            (self.folder / each).mkdir(parents=True, exist_ok=True)
        path = self.folder / part / name
        path.write_bytes(text)
        return path

    async def box(self) -> Any:
        box = await self.store.open(self.bob, INBOX)
        await box.messages()
        return box


class FilesTests(MaildirCase):
    async def test_layout(self) -> None:
        """What is new lies in new/, what has flags in cur/, other mailboxes in folders of Maildir++; for us alone."""
        await self.deliver(self.store, self.bob, b"a")
        await self.deliver(self.store, self.bob, b"b", flags=SEEN | FLAGGED)
        await self.deliver(self.store, self.bob, b"c", mailbox=JUNK)
        [new] = (self.folder / "new").iterdir()
        [cur] = (self.folder / "cur").iterdir()
        [junk] = (self.folder / ".Junk" / "new").iterdir()
        self.assertRegex(new.name, rf"^{RECEIVED:.0f}\.[0-9A-Z]{{13}}\.mailserver$")
        self.assertRegex(cur.name, rf"^{RECEIVED:.0f}\.[0-9A-Z]{{13}}\.mailserver:2,FS$")
        for path, content in ((new, b"a"), (cur, b"b"), (junk, b"c")):
            self.assertEqual(path.read_bytes(), PREFIX + content)
        self.assertTrue((self.folder / ".Junk" / "maildirfolder").exists())
        self.assertEqual(list((self.folder / "tmp").iterdir()), [])
        for path in (new, self.folder, self.folder.parent, self.folder.parent.parent, self.folder / ".Junk" / "cur"):
            self.assertEqual(path.stat().st_mode & 0o077, 0, path)

    async def test_delivered_and_seen(self) -> None:
        """A retry finds what was delivered, even when somebody has read it meanwhile."""
        delivery = await self.delivery(self.bob, b"a")
        await self.store.deliver(delivery)
        [path] = (self.folder / "new").iterdir()
        path.rename(self.folder / "cur" / f"{path.name}:2,S")
        await self.store.deliver(delivery)
        self.assertEqual(await self.all(self.store, self.bob), [PREFIX + b"a"])

    async def test_leftovers(self) -> None:
        """What a crash left in tmp/ is removed when it is old, and never listed."""
        old, young = self.drop("1.old", b"x", "tmp"), self.drop("2.young", b"x", "tmp")
        os.utime(old, (NOW - 40 * 3600, NOW - 40 * 3600))
        os.utime(young, (NOW - 30 * 3600, NOW - 30 * 3600))
        self.assertEqual(await self.uids(self.store, self.bob), [])
        self.assertEqual((old.exists(), young.exists()), (False, True))

    async def test_broken_disk(self) -> None:
        """What the disk refuses is "not now", and says why; nothing is left behind."""
        self.folder.parent.mkdir(parents=True)
        self.folder.write_bytes(b"")
        delivery = await self.delivery(self.bob, b"a")
        with self.assertRaisesRegex(TemporaryFailure, "bob@example.org"):
            await self.store.deliver(delivery)
        with self.assertRaises(TemporaryFailure):
            await self.store.open(self.bob, INBOX)
        self.folder.unlink()
        await self.store.deliver(delivery)
        self.assertEqual(await self.all(self.store, self.bob), [PREFIX + b"a"])

    async def test_short_writes(self) -> None:
        """A disk that takes a message bit by bit gets all of it."""
        delivery = await self.delivery(self.bob, octets(100_000))
        written = os.write
        self.patch(os, "write", lambda descriptor, data: written(descriptor, bytes(data[:700])))
        await self.store.deliver(delivery)
        self.assertTrue(await self.all(self.store, self.bob) == [PREFIX + octets(100_000)])

    async def test_many(self) -> None:
        """Two thousand messages are listed, read and removed in reasonable time."""
        for number in range(2000):
            self.drop(f"{number:05}.x.host", b"A: %d\r\n\r\n" % number, "cur")
        box = await self.box()
        rows = await box.messages()
        self.assertEqual(len(rows), 2000)
        self.assertEqual(len(await box.read_many([each.uid for each in rows])), 2000)
        await box.remove([each.uid for each in rows])
        self.assertEqual(list((self.folder / "cur").iterdir()), [])


class OthersTests(MaildirCase):
    """Other programs at work in the same folders."""

    async def test_their_mail(self) -> None:
        """It has UIDs from its first listing on, in the order in which it came; its flags are seen."""
        for number, name in enumerate(["3.c.host", "1.a.host", "2.b.host:2,RS"]):
            os.utime(self.drop(name, b"x\n", "cur" if ":" in name else "new"), (number, number))
        box = await self.box()
        self.assertEqual([(row.uid, row.received, row.flags) for row in await box.messages()], [
            (1, 0.0, 0), (2, 1.0, 0), (3, 2.0, 3),
        ])

    async def test_renamed(self) -> None:
        """A message that is marked as read keeps its UID, and can be read by whoever listed it before."""
        path = self.drop("1.[a]*?.host", b"A: b\r\n\r\nx\r\n")
        box = await self.box()
        path = path.rename(self.folder / "cur" / f"{path.name}:2,")
        self.assertEqual(await self.read(box, 1), b"A: b\r\n\r\nx\r\n")
        path = path.rename(f"{path}FS")
        self.assertEqual(await box.beginning(1, 4), b"A: b")
        self.assertEqual(await box.read_many([1]), {1: b"A: b\r\n\r\nx\r\n"})
        [row] = await box.messages()
        self.assertEqual((row.uid, row.flags), (1, SEEN | FLAGGED))
        path.rename(f"{path}T")
        await box.remove([1])
        self.assertEqual(list((self.folder / "cur").iterdir()), [])

    async def test_removed_by_them(self) -> None:
        """What they removed is gone; its UID is not given again."""
        self.drop("1.a", b"x\r\n")
        path = self.drop("2.b", b"x\r\n")
        box = await self.box()
        path.unlink()
        with self.assertRaises(NotFound):
            await self.read(box, 2)
        self.assertEqual([row.uid for row in await box.messages()], [1])
        self.drop("3.c", b"x\r\n")
        self.assertEqual([row.uid for row in await box.messages()], [1, 3])

    async def test_line_ends(self) -> None:
        """Files with bare LF are sent with CRLF, and their size is that of what is sent, also the next time."""
        text = b"A: b\n\n" + b"x" * 300_000 + b"\r\nmixed\n\r\n.\n"
        path = self.drop("1.a.host", text)
        self.drop("2.b.host,S=4,W=6", b"a\nb\n")
        expected = re.sub(rb"\r?\n", b"\r\n", text)
        for _ in range(2):
            box = await self.box()
            self.assertEqual([row.size for row in await box.messages()], [len(expected), 6])
            self.assertTrue(await self.read(box, 1) == expected)
            self.assertEqual(await box.beginning(1, 8), b"A: b\r\n\r\n")
            self.assertEqual(await self.read(box, 2), b"a\r\nb\r\n")
        self.assertTrue(path.read_bytes() == text)
        self.assertRegex((self.folder / "dovecot-uidlist").read_text(), r"(?m)^1 :1\.a\.host$")

    async def test_strange_names(self) -> None:
        """Names that are no text are mail too; what would break our list, links, folders and dot files are not."""
        self.drop("1.a", b"a\r\n")
        (self.folder / "new" / os.fsdecode(b"2.\xff\xfe")).write_bytes(b"b\r\n")
        self.drop("3. :spaces ", b"c\r\n", "cur")
        self.drop("evil\n9 :x", b"d\r\n")
        self.drop(".hidden", b"e\r\n")
        (self.folder / "new" / "folder").mkdir()
        (self.folder / "new" / "link").symlink_to("/etc/passwd")
        for _ in range(2):
            self.assertEqual(sorted(await self.all(self.store, self.bob)), [b"a\r\n", b"b\r\n", b"c\r\n"])
            self.assertEqual(await self.uids(self.store, self.bob), [1, 2, 3])

    async def test_link_behind_our_back(self) -> None:
        """A file that became a link after it was listed is not followed."""
        path = self.drop("1.a", b"a\r\n")
        box = await self.box()
        path.unlink()
        path.symlink_to("/etc/passwd")
        with self.assertRaises(TemporaryFailure):
            await self.read(box, 1)


class UidTests(MaildirCase):
    async def test_file(self) -> None:
        """The list has the form of Dovecot's, and is read with whatever Dovecot adds to it."""
        self.drop("1.a.host", b"x\r\n")
        await self.box()
        uids = self.folder / "dovecot-uidlist"
        self.assertRegex(uids.read_text(), r"^3 V[0-9]+ N2 G[0-9a-f]{32}\n1 :1\.a\.host\n$")
        uids.write_text("3 V42 N1001 Gabcdef\n7 W3 G12 :1.a.host:2,S\n1000 :9.gone\nnonsense\n\n")
        box = await self.box()
        self.assertEqual((box.uidvalidity, [row.uid for row in await box.messages()]), (42, [7]))
        self.drop("2.b", b"y\r\n")
        self.assertEqual([row.uid for row in await box.messages()], [7, 1001])

    async def test_broken_list(self) -> None:
        """A list that cannot be read is not guessed at: UIDs start anew, under a new UIDVALIDITY."""
        self.drop("1.a", b"x\r\n")
        await self.box()
        (self.folder / "dovecot-uidlist").write_bytes(b"\xff\0garbage")
        box = await self.box()
        self.assertEqual([row.uid for row in await box.messages()], [1])
        self.assertGreater(box.uidvalidity, 1_700_000_000)

    async def test_at_once(self) -> None:
        """Several servers that list at once agree on the UIDs."""
        for number in range(200):
            self.drop(f"{number}.x", b"%d" % number)
        stores = [self.build() for _ in range(4)]
        boxes = [await store.open(self.bob, INBOX) for store in stores]
        found = await gatherResults([Deferred.fromCoroutine(self._listed(box)) for box in boxes])
        self.assertEqual(len(found[0]), 200)
        self.assertTrue(all(each == found[0] for each in found))

    async def _listed(self, box: Any) -> list[tuple[int, str]]:
        return [(each.uid, (await self.read(box, each.uid)).decode()) for each in await box.messages()]


DYING = """
import os, shutil, sys
from pathlib import Path
from mailserver.content import Content
from mailserver.imapstore import Appended, Flags
from mailserver.mailbox import maildirchanging as changing
from mailserver.mailbox.home import Home

home, what, calls = Home(Path(sys.argv[1]), 1, lambda: 1_800_000_000.0), sys.argv[2], int(sys.argv[3])

def dying(function):
    def call(*args, **others):
        global calls
        calls -= 1
        if not calls:
            os._exit(9)
        return function(*args, **others)
    return call

with home.locked():
    row = home.find("INBOX")
    home.find("Sent")
    box = changing.Box(home, row.guid, row.uidvalidity)
    for name in ("unlink", "rename", "fsync", "open", "scandir", "link"):
        setattr(os, name, dying(getattr(os, name)))
    if what == "expunge":
        changing.expunge(box, [(1, 3)], False)
    elif what == "append":
        texts = [b"one", b"two", b"three"]
        messages = [Appended(id, Content.of(text), Flags(1, ["Moon"]), 5.0) for id, text in enumerate(texts)]
        changing.append(home, "Sent", messages, (box, 1), (0, 0))
    elif what == "move":
        changing.copy(box, [(1, 3)], home, "Sent", True, (0, 0))
    elif what == "copy":
        changing.copy(box, [(1, 3)], home, "Sent", False, (0, 0))
    else:
        home.rename("a", "z")
os._exit(0)
"""


class KilledTests(MaildirCase):
    """Killed at any moment, all of it is done or nothing: whoever looks next finishes it."""

    timeout = 120

    async def test_expunge(self) -> None:
        await self._die("expunge", {(4, 0), (1, 0)})

    async def test_append(self) -> None:
        """What is replaced goes with it."""
        await self._die("append", {(4, 0), (3, 3)})

    async def test_move(self) -> None:
        await self._die("move", {(4, 0), (1, 3)})

    async def test_copy(self) -> None:
        await self._die("copy", {(4, 0), (4, 3)})

    async def test_rename(self) -> None:
        """With what lies below it."""
        await self._die("rename", {(4, 0)}, {"a", "a/b", "a/b/c"}, {"z", "z/b", "z/b/c"})

    async def _die(self, what: str, allowed: set[tuple[int, int]], *names: set[str]) -> None:
        """At the first, the fourth, the seventh ... call, until it comes to its end."""
        for calls in range(1, 200, 3):
            local = f"bob{calls}"
            self.bob, self.folder = self.account(local), self.folder.parent / local
            for number in range(4):
                await self.deliver(self.store, self.bob, b"%d" % number)
            for name in ("a", "a/b", "a/b/c"):
                await self.store.create(self.bob, name)
            await self.uids(self.store, self.bob)
            died = subprocess.run(
                [sys.executable, "-c", DYING, str(self.folder), what, str(calls)], check=False, env=_environment()
            ).returncode
            self.assertIn(died, (0, 9))
            seen = len(await self.uids(self.store, self.bob)), len(await self.uids(self.store, self.bob, "Sent"))
            self.assertIn(seen, allowed, f"killed at call {calls}")
            if names:
                there = {each for each in await self.store.mailboxes(self.bob) if each[0] in "az"}
                self.assertIn(there, names)
            for each in self.folder.rglob("tmp/*"):
                self.assertNotEqual(died, 0, each)
            if died == 0:
                self.assertEqual(seen, max(allowed, key=lambda each: (each[1], -each[0])))
                return
        self.fail("it never ended")


class OrderTests(MaildirCase):
    async def test_order(self) -> None:
        """fsync of the message, its name, fsync of the folder: in this order, before it counts as delivered."""
        script = textwrap.dedent("""
            import os, sys
            from pathlib import Path
            from mailserver.address import Address
            from mailserver.content import Content
            from mailserver.interfaces import Account, Delivery
            from mailserver.mailbox.folder import Folder
            bob = Account(1, Address("bob", "example.org"))
            Folder(Path(sys.argv[1])).deliver(Delivery(7, 7, bob, "INBOX", b"A: b", Content.of(b"x"), 1.0))
            os.write(1, b"delivered")
        """)
        trace = self.server.data / "trace"
        subprocess.run(
            [program("strace"), "-y", "-o", str(trace), "-e", "trace=write,fsync,rename,mkdir", sys.executable, "-c",
             script, str(self.folder)],
            check=True, env=_environment(), capture_output=True,
        )
        seen = re.findall(
            r'^(?:(fsync)\(\d+<[^>]*?/bob(/[a-z]+)?[^>]*>|(rename)\(".*/bob/tmp/|(write)\(1<)', trace.read_text(), re.M
        )
        steps = ["".join(each) for each in seen]
        self.assertEqual(steps[-4:], ["fsync/tmp", "rename", "fsync/new", "write"])
        self.assertEqual(steps[:-4], ["fsync"] * 3)       # the names of tmp, new and cur


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


class IndexTests(MaildirCase):
    """What lies beside the files and may be lost."""

    async def test_lost(self) -> None:
        """UIDs, flags, keywords and ids stay; mod-sequences go on, and what was expunged is not known any more."""
        await self.append(self.store, self.bob, b"a", b"b", b"c", system=SEEN, keywords=["Moon"])
        box = await self.box()
        await box.copy([(1, 1)], self.bob, INBOX)
        since = (await box.load()).modseq
        await box.store([(2, 2)], "+", Flags(FLAGGED))
        before = await self.flags(box), await self.columns(box, "uid", "size", "received", "content_id")
        told = (await box.load()).modseq
        for how in (lambda: None, lambda: self.index.write_bytes(b"garbage" * 1000), self.spoil):
            self.lose(how)
            self.server.clock.advance(1)
            self.assertEqual((await self.flags(box),
                              await self.columns(box, "uid", "size", "received", "content_id")), before)
            changes = await box.changes(since)
            self.assertIsNone(changes.gone)
            self.assertEqual([uid for uid, _, _ in changes.changed], [1, 2, 3, 4])
            self.assertGreater(changes.modseq, told)
            told = changes.modseq
        self.assertEqual(before[1][0][3], before[1][3][3])      # a copy is the same content

    @property
    def index(self) -> Path:
        return self.folder / "mailserver-index"

    def lose(self, then: Any) -> None:
        """Another program takes the index away, while nobody has it open."""
        self.store.home(self.bob).close()
        for each in self.folder.glob("mailserver-index*"):
            each.unlink()
        then()

    def spoil(self) -> None:
        """A database of somebody else's."""
        connection = dbapi2.connect(str(self.index))
        connection.execute("PRAGMA user_version = 77")
        connection.close()

    async def test_another_process(self) -> None:
        """Each sees what the other has changed, and neither says anything twice."""
        other = self.build()
        [uid] = await self.append(other, self.bob, b"a")
        mine, yours = await self.box(), await other.open(self.bob, INBOX)
        for number in range(5):
            done = await (mine, yours)[number % 2].store([(uid, uid)], "+-="[number % 3], Flags(SEEN))
            self.assertEqual((await mine.load()).modseq, (await yours.load()).modseq, number)
            self.assertGreaterEqual((await mine.load()).modseq, done.modseq)

    async def test_copied_folder(self) -> None:
        """A folder that was copied with everything in it is another mailbox, with the same UIDs."""
        await self.append(self.store, self.bob, b"a", b"b", name="Sent")
        await self.store.status(self.bob)
        shutil.copytree(self.folder / ".Sent", self.folder / ".Sent2")
        found = {each.name: each for each in await self.store.status(self.bob)}
        self.assertNotEqual(found["Sent"].id, found["Sent2"].id)
        for name in ("Sent", "Sent2", "Sent"):
            self.assertEqual(await self.all(self.store, self.bob, name), [b"a", b"b"])
        self.assertEqual([each.id for each in await self.store.status(self.bob, {"Sent", "Sent2"})],
                         [found["Sent"].id, found["Sent2"].id])

    async def test_renamed_folder(self) -> None:
        """A mailbox that another program has renamed is the same, for who has it open, too."""
        await self.append(self.store, self.bob, b"a", name="Sent")
        box = await self.store.open(self.bob, "Sent")
        state = await box.load()
        (self.folder / ".Sent").rename(self.folder / ".Posted")
        [found] = await self.store.status(self.bob, {"Posted"})
        self.assertEqual((found.id, found.modseq), (box.id, state.modseq))
        self.assertEqual(await self.read(box, 1), b"a")
        self.assertNotIn("Sent", await self.store.mailboxes(self.bob))


class HostileTests(MaildirCase):
    async def test_damaged_uidlist(self) -> None:
        """Lines that are none are passed over; what has no UID any more gets the next one."""
        for number in range(4):
            self.drop(f"{number}.x", b"%d\r\n" % number)
        await self.box()
        uids = self.folder / "dovecot-uidlist"
        head, *lines = uids.read_text().split("\n")[:-1]
        for damage in ("-1 :0.x", "5000000000 :0.x", "\0\0\0", "1 0.x", "x" * 100_000, ":", "2 :", "9"):
            uids.write_text("\n".join([head, damage, *lines[1:], "3 :again", "17"]))
            self.store = self.build()
            self.assertEqual(sorted(await self.all(self.store, self.bob)), [b"0\r\n", b"1\r\n", b"2\r\n", b"3\r\n"])
            found = await self.uids(self.store, self.bob)
            self.assertEqual(found[:3], [2, 3, 4])
            self.assertGreater(found[3], 4)
            head, *lines = [head, lines[0], *uids.read_text().split("\n")[1:4]]
        for nonsense in ("", "3 V0 N1\n", "3 V99999999999 N1\n", "4 V1 N1\n", "\n\n"):
            uids.write_text(nonsense)
            self.assertEqual(len(await self.all(self.build(), self.bob)), 4)

    async def test_first_version(self) -> None:
        """Courier's list is read, and given its new form."""
        self.drop("1.a", b"x\r\n", "cur")
        self.drop("2.b", b"y\r\n", "cur")
        (self.folder / "dovecot-uidlist").write_text("1 4711 100\n7 1.a\n9 2.b\n")
        box = await self.box()
        self.assertEqual((box.uidvalidity, await self.uids(self.store, self.bob)), (4711, [7, 9]))
        self.assertRegex((self.folder / "dovecot-uidlist").read_text(),
                         r"^3 V4711 N100 G[0-9a-f]{32}\n7 :1\.a\n9 :2\.b\n$")

    async def test_damaged_keywords(self) -> None:
        """What the file does not tell is no keyword; the letter stays in the name."""
        for text in (b"", b"\xff\xfe\n0\n0 two words\n-1 x\n1 b\n99 z\n\n1", b"\0" * 5000, b"1 b\n1 b\n"):
            path = self.drop("1.x:2,Sab", b"x\r\n", "cur")
            (self.folder / "dovecot-keywords").write_bytes(text)
            box = await self.box()
            self.assertIn(await self.flags(box), ({1: (SEEN, set())}, {1: (SEEN, {"b"})}))
            await box.store([(1, 1)], "+", Flags(FLAGGED))
            self.assertTrue((self.folder / "cur" / "1.x:2,FSab").exists())
            (self.folder / "cur" / "1.x:2,FSab").rename(path)

    async def test_damaged_subscriptions(self) -> None:
        """Either form is read, and kept; what is no name is passed over."""
        self.drop("1.x", b"x\r\n")
        file = self.folder / "subscriptions"
        file.write_bytes(b"INBOX\nLists.cats\n\xff\xfe\n&broken\n\n")
        self.assertEqual(list(await self.store.subscriptions(self.bob)), [INBOX, "Lists/cats"])
        await self.store.subscribe(self.bob, "a/\u65e5")
        self.assertEqual(file.read_bytes(), b"INBOX\nLists.cats\n\xff\xfe\n&broken\na.&ZeU-\n")
        file.write_bytes(b"V\t2\n\nINBOX\nLists\tcats\n")
        await self.store.subscribe(self.bob, INBOX, False)
        await self.store.subscribe(self.bob, "a/b")
        self.assertEqual(file.read_bytes(), b"V\t2\n\nLists\tcats\na\tb\n")

    async def test_wrong_sizes(self) -> None:
        """A size that a name tells wrongly is found out before anything is promised by it."""
        self.drop("1.x,S=4,W=5", b"a\nb\n", "cur")
        self.drop("2.x,S=4,W=999999", b"a\nb\n", "cur")
        box = await self.box()
        self.assertEqual([each.size for each in await box.messages()], [5, 6])
        with self.assertRaises(TemporaryFailure):
            [each async for each in box.octets(1, 0, 5, 100)]
        self.assertEqual([each.size for each in await box.messages()], [6, 6])
        self.assertEqual(b"".join([each async for each in box.octets(1, 1, 6, 2)]), b"\r\nb\r\n")

    async def test_links(self) -> None:
        """Folders and files that are links lead to others, and are not followed."""
        self.drop("1.x", b"x\r\n")
        secret = self.server.data / "secret"
        for part in ("cur", "new", "tmp"):
            (secret / part).mkdir(parents=True)
        (secret / "cur" / "1.secret:2,").write_bytes(b"secret")
        (self.folder / ".linked").symlink_to(secret)
        (self.folder / ".half").mkdir()
        (self.folder / ".half" / "cur").symlink_to(secret / "cur")
        (self.folder / "cur" / "9.link:2,").symlink_to(secret / "cur" / "1.secret:2,")
        os.mkfifo(self.folder / "cur" / "8.pipe:2,")
        self.assertEqual(list(await self.store.mailboxes(self.bob)), [INBOX])
        self.assertEqual(await self.all(self.store, self.bob), [b"x\r\n"])
        for name in ("linked", "half"):
            with self.assertRaises(NotFound):
                await self.store.open(self.bob, name)

    async def test_locked(self) -> None:
        """Somebody who holds Dovecot's lock is waited for, but not for ever; a dead one is not."""
        self.patch(dotlock, "PATIENCE", 0.1)
        lock = self.folder / "dovecot-uidlist.lock"
        self.drop("1.x", b"x\r\n")
        lock.write_text("1:elsewhere")
        os.utime(lock)
        with self.assertRaises(TemporaryFailure):
            await self.store.open(self.bob, INBOX)
        dead = subprocess.Popen(["true"])
        dead.wait()
        lock.write_text(f"{dead.pid}:{socket.gethostname()}")
        self.assertEqual(await self.uids(self.store, self.bob), [1])
        self.drop("2.x", b"x\r\n")
        lock.write_text("1:elsewhere")
        os.utime(lock, (1.0, 1.0))
        self.assertEqual(await self.uids(self.store, self.bob), [1, 2])
        self.assertFalse(lock.exists())

    async def test_came_back(self) -> None:
        """A file that was gone and is there again is another message; its letters that are nobody's stay."""
        path = self.drop("1.x:2,SP", b"x\r\n", "cur")
        self.drop("2.x", b"x\r\n")
        box = await self.box()
        path.rename(self.folder / "tmp" / "aside")
        self.assertEqual(await self.uids(self.store, self.bob), [2])
        (self.folder / "tmp" / "aside").rename(path)
        self.assertEqual(await self.uids(self.store, self.bob), [2, 3])
        await box.store([(3, 3)], "=", Flags(FLAGGED))
        self.assertTrue((self.folder / "cur" / "1.x:2,FP").exists())


class NamesTests(SynchronousTestCase):
    @settings(deadline=None, max_examples=300)
    @given(some.text(some.sampled_from("./%A~\\\0\n:日 "), max_size=8))
    def test_safe(self, text: str) -> None:
        """No name leads elsewhere, no two meet, and a mailbox is found again under its own."""
        for name in (safe_name(text), folder_name(text)):
            self.assertNotIn("/", name)
            self.assertNotIn(name, ("", ".", ".."))
            self.assertNotIn("\0", name)
        self.assertFalse(safe_name(text).startswith("."))
        self.assertEqual(mailbox_name(folder_name(text)), text)

    def test_readable(self) -> None:
        self.assertEqual([folder_name(each) for each in ("Junk", "Lists/cats", "a.b", "日本", "100%", "%2E")],
                         [".Junk", ".Lists.cats", ".a%2Eb", ".&ZeVnLA-", ".100%", ".%252E"])

    def test_spellings(self) -> None:
        """One folder for all spellings of an address, of an internationalised domain too."""
        server: Any = type("Server", (), {"data": Path("/srv"), "clock": None, "now": None})()
        store = Maildir(MaildirOptions(), server)
        for domain, name in (("example.org", "example.org"), ("bücher.example", "xn--bcher-kva.example")):
            folders = {
                store.home(Account(1, Address(local, each))).base
                for local in ("Bob", "bob") for each in {domain, name}
            }
            self.assertEqual(folders, {Path("/srv/maildir") / name / "bob"})


class OptionsTests(SynchronousTestCase):
    def test_path(self) -> None:
        """A path in which two accounts would share a folder is refused, and so is what nobody can fill in."""
        self.assertEqual(structure(MaildirOptions, {"path": "/srv/{domain}/{local}/Maildir"}).path,
                         "/srv/{domain}/{local}/Maildir")
        for path in ("/srv/mail", "/srv/{domain}", "/srv/{local}", "/{domain}/{local}/{user}", "{domain}{local",
                     "{domain.__class__}/{local}", "{domain}/{local}/{local}", "{}{domain}{local}"):
            self.assertRaises(OptionError, structure, MaildirOptions, {"path": path})


class LineEndsTests(SynchronousTestCase):
    @settings(deadline=None, max_examples=200)
    @given(some.lists(some.text("\r\na", max_size=6).map(str.encode), max_size=8))
    def test_any_pieces(self, pieces: list[bytes]) -> None:
        ends = LineEnds()
        self.assertEqual(b"".join(map(ends.feed, pieces)), re.sub(rb"(?<!\r)\n", b"\r\n", b"".join(pieces)))
