"""A mailbox of Debian's Dovecot, while it runs, is brought here; that is killed, and goes on."""

from __future__ import annotations

import imaplib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.larder import Larder, Unavailable
from benchmarks.mailboxes import PASSWORD, DovecotMailboxes
from benchmarks.mails import mails
from mailserver.interfaces import ANSWERED, FLAGGED, SEEN
from tests.cli.commands import environment
from tests.cli.test_importing import ALICE, MovingCase
from tests.needs import missing

COUNT = 900
SYSTEM = {b"\\Seen": SEEN, b"\\Answered": ANSWERED, b"\\Flagged": FLAGGED}
Seen = tuple[bytes, int, list[str], float]


class DovecotTests(MovingCase):
    def setUp(self) -> None:
        super().setUp()
        try:
            DovecotMailboxes.version(Larder(None))
        except Unavailable as error:
            missing(str(error))
        folder = Path(tempfile.mkdtemp(prefix="moving-"))       # trial's own are too long for the names of sockets
        self.addCleanup(shutil.rmtree, folder, True)
        folder.chmod(0o755)                                     # its users have to come this far
        self.dovecot = DovecotMailboxes(folder / "dovecot", 1, Larder(None))
        self.dovecot.folder.mkdir()
        self.dovecot.start()
        self.addCleanup(self.dovecot.stop)

    def session(self) -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", self.dovecot.imap_port, timeout=30)
        client.login(self.dovecot.user, PASSWORD)
        self.addCleanup(client.shutdown)
        return client

    def theirs(self, client: imaplib.IMAP4, mailbox: str) -> list[Seen]:
        client.select(f'"{mailbox}"', readonly=True)
        found = []
        for line in client.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]:
            if not isinstance(line, tuple):
                continue
            said = re.search(rb"FLAGS \(([^)]*)\)", line[0])
            date = imaplib.Internaldate2tuple(line[0])
            assert said is not None and date is not None
            words = said[1].split()
            found.append((
                line[1], sum(SYSTEM.get(each, 0) for each in words),
                sorted(each.decode() for each in words if not each.startswith(b"\\")), float(time.mktime(date)),
            ))
        return found

    def test_interrupted(self) -> None:
        """Octets, flags, keywords, dates and folders, message by message."""
        self.dovecot.fill(mails(COUNT))
        client = self.session()
        client.create("Lists.cats" if b"." in client.list()[1][0] else "Lists/cats")
        there = "Lists.cats" if b"." in client.list()[1][0] else "Lists/cats"
        date = '"14-Nov-2023 22:13:20 +0000"'
        client.append(there, "(\\Flagged later $Label1)", date, b"Subject: cat\r\n\r\nmiaow\r\n")
        words = (
            "import", "imap", f"127.0.0.1:{self.dovecot.imap_port}", self.dovecot.user, ALICE, "--tls", "none",
            "--password-stdin",
        )
        killed = 0
        for wanted in (200, 600):
            running = subprocess.Popen(
                [sys.executable, "-m", "mailserver", *words, "--config", str(self.config)], stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(),
            )
            assert running.stdin is not None
            running.stdin.write(f"{PASSWORD}\n".encode())
            running.stdin.close()
            until = time.monotonic() + 30
            while running.poll() is None and time.monotonic() < until:
                if sum(map(len, self.there().values())) >= wanted:
                    running.kill()
                time.sleep(0.01)
            killed += running.wait() < 0
        self.assertGreater(killed, 0)
        before = sum(map(len, self.there().values()))
        said = self.brought(*words[1:], stdin=f"{PASSWORD}\n")
        self.assertEqual((said["messages"] + before, said["known"], said["skipped"]), (COUNT + 1, before, []))
        ours = self.there()
        self.assertEqual(ours["INBOX"], self.theirs(client, "INBOX"))
        self.assertEqual(ours["Lists/cats"], self.theirs(client, there))
        self.assertEqual(ours["Lists/cats"][0][1:], (FLAGGED, ["$Label1", "later"], 1_700_000_000.0))
        self.assertEqual(self.brought(*words[1:], stdin=f"{PASSWORD}\n")["messages"], 0)
