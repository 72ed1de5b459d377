"""mailserver import and mailserver export, as somebody who moves types them."""

from __future__ import annotations

import os
import socket
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mailserver.content import LARGE
from mailserver.imapstore import KEYWORD
from mailserver.interfaces import ANSWERED, DRAFT, FLAGGED, SEEN
from mailserver.moving.taking import Taking
from mailserver.store import directory, imported, mailboxes, viewing
from mailserver.store.database import Database
from tests.cli.commands import HouseTestCase

ALICE, BOB = "alice@example.org", "bob@example.org"
MAIL = b"From: carol@example.net\nSubject: %b\n\nhello %b\n"


def lines(octets: bytes) -> bytes:
    """As they are sent."""
    return octets.replace(b"\n", b"\r\n")


class MovingCase(HouseTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.done("user", "add", BOB, "--password-stdin", stdin="secret\n")

    @contextmanager
    def database(self) -> Iterator[Database]:
        database = Database(None, self.folder / "data")
        database.open()
        try:
            yield database
        finally:
            database.close()

    def there(self, address: str = ALICE) -> dict[str, list[tuple[bytes, int, list[str], float]]]:
        """Octets, system flags, keywords and internal dates, by mailbox."""
        with self.database() as database, database.reading() as connection:
            account = directory.find_account(connection, address)
            assert account is not None
            found = {}
            for box in mailboxes.status(connection, account.id):
                row = mailboxes.find_mailbox(connection, account.id, box.name)
                assert row is not None
                names = viewing.keywords(connection, row[0])
                taking = Taking(database, account.id, "maildir", lambda more: None)
                messages = [
                    (
                        b"".join(taking._pieces(prefix, content)), flags & 0xFF,
                        sorted(name for place, name in enumerate(names) if flags >> (KEYWORD + place) & 1), received,
                    )
                    for _, flags, received, prefix, content, _ in taking._messages(box)
                ]
                if messages:
                    found[box.name] = messages
            return found

    def brought(self, *words: str, stdin: str = "") -> Any:
        return self.done("import", *words, "--json", stdin=stdin).json


class MaildirCase(MovingCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = Path(self.mktemp()).absolute()
        for folder in ("", ".Lists.cats", ".Gr&APw-n"):
            for part in ("cur", "new", "tmp"):
                (self.path / folder / part).mkdir(parents=True)

    def put(self, name: str, subject: bytes, folder: str = "", part: str = "cur", at: int = 1_700_000_000) -> Path:
        file = self.path / folder / part / name
        file.write_bytes(MAIL % (subject, subject))
        os.utime(file, (at, at))
        return file

    def all_of_it(self) -> None:
        """Folders, flags, keywords, dates and what is subscribed to; in the order of the UIDs."""
        self.put("2.a:2,RS", b"two", at=1_700_000_100)
        self.put("1.a:2,Fab", b"one")
        self.put("3.a", b"three", part="new")
        self.put("4.a:2,D", b"four", ".Lists.cats")
        self.put("5.a:2,", b"five", ".Gr&APw-n")
        (self.path / "dovecot-keywords").write_text("0 $Label1\n1 later\n")
        (self.path / "dovecot-uidlist").write_text("3 V1 N9\n5 :2.a\n6 :1.a\n")
        (self.path / "subscriptions").write_text("V\t2\n\nLists\tcats\n")
        said = self.brought("maildir", str(self.path), ALICE)
        self.assertEqual((said["messages"], said["known"], said["skipped"]), (5, 0, []))
        self.assertEqual(self.there(), {
            "INBOX": [
                (lines(MAIL % (b"two", b"two")), SEEN | ANSWERED, [], 1_700_000_100.0),
                (lines(MAIL % (b"one", b"one")), FLAGGED, ["$Label1", "later"], 1_700_000_000.0),
                (lines(MAIL % (b"three", b"three")), 0, [], 1_700_000_000.0),
            ],
            "Lists/cats": [(lines(MAIL % (b"four", b"four")), DRAFT, [], 1_700_000_000.0)],
            "Gr\u00fcn": [(lines(MAIL % (b"five", b"five")), 0, [], 1_700_000_000.0)],
        })
        listed = {each["name"]: each["subscribed"] for each in self.done("mailbox", "list", ALICE, "--json").json}
        self.assertTrue(listed["Lists/cats"])


class MaildirTests(MaildirCase):
    def test_all_of_it(self) -> None:
        """Folders, flags, keywords, dates and what is subscribed to."""
        self.all_of_it()

    def test_again(self) -> None:
        """What has come does not come twice, though its flags are others by now; what is new does."""
        file = self.put("1.a:2,", b"one")
        self.brought("maildir", str(self.path), ALICE)
        file.rename(file.with_name("1.a:2,S"))
        self.put("2.a:2,", b"two")
        said = self.brought("maildir", str(self.path), ALICE)
        self.assertEqual((said["messages"], said["known"]), (1, 1))
        self.assertEqual(len(self.there()["INBOX"]), 2)
        self.assertEqual(self.brought("maildir", str(self.path), ALICE, "--again")["messages"], 2)
        said = self.brought("maildir", str(self.path), BOB, "--into", "Old")
        self.assertEqual((said["messages"], sorted(self.there(BOB))), (2, ["Old"]))

    def test_what_cannot_be_read(self) -> None:
        """It is listed; the rest comes.  No link is followed."""
        secret = self.path.with_name("secret")
        secret.write_text("root:x:0:0")
        (self.path / "cur" / "1.a:2,").symlink_to(secret)
        (self.path / "cur" / "2.a").mkdir()
        os.mkfifo(self.path / "new" / "3.a")
        self.put("4.\udcff\n\x1b[31m:2,", b"odd")
        (self.path / ".a..b" / "cur").mkdir(parents=True)
        (self.path / "dovecot-uidlist").write_bytes(b"\xff\0 nonsense")
        self.flushLoggedErrors()
        said = self.brought("maildir", str(self.path), ALICE)
        self.assertEqual(said["messages"], 1)
        self.assertEqual(len(said["skipped"]), 4)
        self.assertIn("no file", said["skipped"][1]["why"])
        shown = self.done("import", "maildir", str(self.path), ALICE).out
        self.assertNotIn("\x1b", shown)

    def test_large(self) -> None:
        """It lies in a file, and no file is left over."""
        whole = b"Subject: large\n\n" + b"x" * 70 + b"\n" * 3 * LARGE
        (self.path / "cur" / "1.a:2,").write_bytes(whole)
        self.brought("maildir", str(self.path), ALICE)
        self.assertEqual(self.there()["INBOX"][0][0], lines(whole))
        self.assertEqual(len(list((self.folder / "data" / "contents").iterdir())), 1)

    def test_too_large(self) -> None:
        self.config.write_text(self.config.read_text().replace("[limits]", "[limits]\nsize = 2000\n", 1)
                               if "[limits]" in self.config.read_text()
                               else self.config.read_text() + "\n[limits]\nsize = 2000\n")
        (self.path / "cur" / "1.a:2,").write_bytes(b"x\n" * 2000)
        self.put("2.a:2,", b"two")
        said = self.brought("maildir", str(self.path), ALICE)
        self.assertEqual(said["messages"], 1)
        self.assertIn("2000 octets", said["skipped"][0]["why"])

    def test_no_room(self) -> None:
        """It ends in words, and goes on when there is some."""
        for number in range(450):
            self.put(f"{number}.a:2,", b"%d" % number)
        self.done("user", "quota", ALICE, "--messages", "300")
        said = self.say("import", "maildir", str(self.path), ALICE)
        self.assertEqual(said.code, 1)
        self.assertIn("there is no room", said.err)
        self.assertEqual(len(self.there()["INBOX"]), 200)
        self.done("user", "quota", ALICE, "--messages", "1000")
        said_then = self.brought("maildir", str(self.path), ALICE)
        self.assertEqual((said_then["messages"], said_then["known"]), (250, 200))

    def test_it_breaks_off(self) -> None:
        """What was written with its messages is all that counts."""
        for number in range(450):
            self.put(f"{number}.a:2,", b"%d" % number)
        put, written = imported.put, list[int]()

        def breaks(connection: Any, account_id: int, source: str, keys: Any) -> None:
            put(connection, account_id, source, keys)
            written.append(len(keys))
            if len(written) == 2:
                raise OSError("as asked")

        self.patch(imported, "put", breaks)
        self.assertNotEqual(self.say("import", "maildir", str(self.path), ALICE).code, 0)
        self.flushLoggedErrors()
        self.patch(imported, "put", put)
        self.assertEqual(len(self.there()["INBOX"]), 200)
        self.assertEqual(self.brought("maildir", str(self.path), ALICE)["messages"], 250)
        subjects = {octets for octets, _, _, _ in self.there()["INBOX"]}
        self.assertEqual(len(subjects), 450)

    def test_nothing_there(self) -> None:
        self.assertIn("no Maildir", self.fails("import", "maildir", str(self.path / "cur"), ALICE))
        self.assertIn("no account", self.fails("import", "maildir", str(self.path), "nobody@example.org"))


MBOX = b"""From carol@example.net Tue Nov 14 22:13:20 2023
From: carol@example.net
Subject: one
Status: RO
X-Status: AF
X-Keywords: $Label1, later

>From the beginning
>>From twice
From here on, no line begins one

From dave Wed Nov 15 00:00:00 2023 +0000
Subject: two
Date: Mon, 7 Feb 1994 21:52:25 -0800

no end"""


class MboxTests(MovingCase):
    def setUp(self) -> None:
        super().setUp()
        self.file = Path(self.mktemp()).absolute().with_suffix(".mbox")

    def test_forms(self) -> None:
        """Where messages begin, what is quoted, flags and dates."""
        self.file.write_bytes(MBOX)
        self.assertEqual(self.brought("mbox", str(self.file), ALICE, "--into", "Old")["messages"], 2)
        one, two = self.there()["Old"]
        self.assertTrue(one[0].endswith(
            b"\r\n\r\nFrom the beginning\r\n>From twice\r\nFrom here on, no line begins one\r\n"
        ), one[0])
        self.assertEqual(one[1:], (SEEN | ANSWERED | FLAGGED, ["$Label1", "later"], 1_700_000_000.0))
        self.assertTrue(two[0].endswith(b"\r\n\r\nno end"))
        self.assertEqual(two[3], 1_700_006_400.0)

    def test_it_grows(self) -> None:
        """The same message twice is two; what has come before does not come again."""
        mail = b"From x Tue Nov 14 22:13:20 2023\nSubject: same\n\nx\n\n"
        self.file.write_bytes(mail * 2)
        self.assertEqual(self.brought("mbox", str(self.file), ALICE)["messages"], 2)
        self.file.write_bytes(mail * 3)
        said = self.brought("mbox", str(self.file), ALICE)
        self.assertEqual((said["messages"], said["known"]), (1, 2))
        self.assertEqual(len(self.there()[self.file.stem]), 3)

    def test_hostile(self) -> None:
        """NUL, a line without end, ends of all kinds."""
        body = b"a\0b\r\n" + b"y" * 5_000_000 + b"\nFrom \nlast"
        self.file.write_bytes(b"From x Tue Nov 14 22:13:20 2023\nSubject: odd\n\n" + body)
        self.assertEqual(self.brought("mbox", str(self.file), ALICE)["messages"], 1)
        [found] = self.there()[self.file.stem]
        self.assertTrue(found[0].endswith(b"a\0b\r\n" + b"y" * 5_000_000 + b"\r\nFrom \r\nlast"))
        self.file.write_bytes(b"\0" * 1000)
        self.assertIn("no mbox", self.fails("import", "mbox", str(self.file), ALICE))


class ExportTests(MaildirCase):
    def test_there_and_back(self) -> None:
        """What was exported comes in again the same, in either form."""
        self.all_of_it()
        (self.path / "cur" / "9.a:2,S").write_bytes(b"Subject: l\n\n" + b"From here\n" + b"z" * 80 + b"\n" * LARGE)
        self.brought("maildir", str(self.path), ALICE)
        for form, words in (("maildir", ["Maildir"]), ("mbox", [])):
            file = Path(self.mktemp()).absolute().with_suffix(".zip")
            said = self.done("export", ALICE, str(file), "--format", form, "--json").json
            self.assertEqual((said["messages"], said["skipped"]), (6, []))
            out = Path(self.mktemp()).absolute()
            with zipfile.ZipFile(file) as archive:
                self.assertIsNone(archive.testzip())
                archive.extractall(out)
            if form == "maildir":
                self.brought("maildir", str(out / words[0]), BOB)
                self.assertEqual(self.there(BOB), self.there())
                self.done("user", "remove", BOB)
                self.done("user", "add", BOB, "--password-stdin", stdin="secret\n")
                continue
            for name in self.there():
                self.brought("mbox", str(out / f"{name}.mbox"), BOB, "--into", name)
            self.assertEqual(
                {name: [each[1:] for each in some] for name, some in self.there(BOB).items()},
                {name: [each[1:] for each in some] for name, some in self.there().items()},
            )

    def test_refused(self) -> None:
        file = Path(self.mktemp()).absolute()
        self.assertIn("no mailbox", self.fails("export", ALICE, str(file), "--mailbox", "Nowhere"))
        file.write_text("mine")
        self.assertIn("there already", self.say("export", ALICE, str(file)).err)
        self.assertEqual(file.read_text(), "mine")


class LyingServerTests(MovingCase):
    """What is no IMAP server, or none that anybody should believe."""

    def serve(self, *answers: bytes) -> int:
        """Says a greeting, then one of these to each command; "%b" in them is its tag."""
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)

        def talk() -> None:
            peer, _ = listening.accept()
            with peer:
                peer.settimeout(20)
                peer.sendall(b"* OK [CAPABILITY IMAP4rev1] hello\r\n")
                for each in answers:
                    heard = b""
                    while not heard.endswith(b"\r\n"):
                        piece = peer.recv(4096)
                        if not piece:
                            return
                        heard += piece
                    peer.sendall(each.replace(b"%b", heard.split(b" ")[0]))

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 20)
        return int(listening.getsockname()[1])

    def fetched(self, *answers: bytes) -> Any:
        port = self.serve(*answers)
        return self.say(
            "import", "imap", f"127.0.0.1:{port}", "ann", ALICE, "--tls", "none", "--password-stdin", "--json",
            stdin="secret\n",
        )

    START = (
        b"* CAPABILITY IMAP4rev1\r\n%b OK done\r\n", b"%b OK in\r\n", b"%b OK done\r\n",
        (b'* LIST () "/" INBOX\r\n* LIST () "/" {3}\r\na/b\r\n* LIST nonsense\r\n'
        b'* LIST (\\Noselect) "/" no\r\n%b OK done\r\n'),
        b"* STATUS INBOX (MESSAGES 2)\r\n%b OK done\r\n", b"%b NO never\r\n",
        b"* 2 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n%b OK [READ-ONLY]\r\n", b"* SEARCH 1 2 x 2\r\n%b OK done\r\n",
    )

    def test_it_is_odd(self) -> None:
        """UIDs that nobody asked for, dates and flags that are none, and a message that does not come."""
        said = self.fetched(
            *self.START,
            b'* 1 FETCH (UID 1 FLAGS (\\Seen \\Odd \x01) INTERNALDATE "nonsense" RFC822.SIZE 5)\r\n'
            b'* 9 FETCH (UID 9 FLAGS () INTERNALDATE "x" RFC822.SIZE 5)\r\n'
            b'* 2 FETCH (UID 2 FLAGS ($Label1) INTERNALDATE "14-Nov-2023 22:13:20 +0000" RFC822.SIZE 5)\r\n'
            b"%b OK done\r\n",
            b"* 2 FETCH (UID 2 BODY[] {5}\r\nx\r\ny\n)\r\n* 3 FETCH (UID 8 BODY[] {1}\r\nz)\r\n%b OK done\r\n",
            b"%b NO no such mailbox\r\n", b"* BYE\r\n%b OK done\r\n",
        )
        self.assertEqual(said.code, 0, said.err)
        self.assertEqual(said.json["messages"], 1)
        self.assertEqual(self.there()["INBOX"][0][1:], (0, ["$Label1"], 1_700_000_000.0))
        self.assertIn("has not sent", str(said.json["skipped"]))

    def test_too_much(self) -> None:
        """A literal that no memory holds."""
        said = self.fetched(*self.START, b"* 1 FETCH (UID 1 FLAGS {99999999999}\r\n")
        self.assertEqual(said.code, 1)
        self.assertIn("99999999999", said.err)

    def test_gone(self) -> None:
        said = self.fetched(*self.START[:3])
        self.assertEqual(said.code, 1)
        self.assertEqual(said.err.count("\n"), 1)

    def test_not_let_in(self) -> None:
        said = self.fetched(self.START[0], b"%b NO \x1b[31mwrong\r\n")
        self.assertEqual(said.code, 1)
        self.assertIn("does not let us in", said.err)
        self.assertNotIn("\x1b", said.err)
