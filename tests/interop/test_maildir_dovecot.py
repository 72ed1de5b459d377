"""A Maildir that Dovecot wrote is adopted, changed by both at once, and given back: each sees what the other sees."""

from __future__ import annotations

import contextlib
import imaplib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.commands import environment, free_base
from tests.cli.running import Running
from tests.interop.dovecot import Dovecot, as_nobody, give_away

ANN, PASSWORD = "ann@example.org", "secret"
MESSAGE = b"From: bob@example.net\r\nSubject: %b\r\n\r\nHello\r\n"
LISTED = re.compile(rb'\((.*?)\) "/" "?([^"]*)"?$')
FETCHED = re.compile(rb"UID (\d+).*FLAGS \((.*?)\)")


class DovecotCase(SynchronousTestCase):
    """Our server with ``[[mailbox]] use = "maildir"``, and Dovecot, on the same folders."""

    maxDiff = None

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="maildir-"))     # trial's own folders are for nobody but root
        self.addCleanup(shutil.rmtree, self.folder)
        self.maildir = self.folder / "mail" / "example.org" / "ann"
        self.maildir.mkdir(parents=True)
        give_away(self.folder)
        self.dovecot = Dovecot(self.folder / "dovecot", self.maildir)
        self.base = free_base()
        self._sessions: list[imaplib.IMAP4] = []
        self.addCleanup(self._hang_up)

    def theirs(self) -> imaplib.IMAP4:
        """A session with Dovecot."""
        return self._kept(self.dovecot.session())

    def ours(self) -> imaplib.IMAP4:
        """A session with our server."""
        box = imaplib.IMAP4("127.0.0.1", self.base + 143, timeout=30)
        box.login(ANN, PASSWORD)
        return self._kept(box)

    def _kept(self, box: imaplib.IMAP4) -> imaplib.IMAP4:
        self._sessions.append(box)
        return box

    def _hang_up(self) -> None:
        for each in self._sessions:
            with contextlib.suppress(Exception):
                each.logout()

    def serve(self) -> None:
        """Make our server and start it."""
        home = self.folder / "server"
        home.mkdir()
        give_away(home)
        self._do("init", str(home), "--hostname", "mx.example.org", "--domain", "example.org", "--port-base",
                 str(self.base))
        config = home / "mailserver.toml"
        config.write_text(
            f'{config.read_text()}\n[[mailbox]]\nuse = "maildir"\n'
            f'path = "{self.folder}/mail/{{domain}}/{{local}}"\n'
        )
        self._do("user", "add", ANN, "--password-stdin", "--config", str(config), said=f"{PASSWORD}\n")
        self.server = Running("run", "--config", str(config), under=as_nobody())
        self.addCleanup(self.server.stop)
        self.server.wait_for(str(self.base + 995))

    def _do(self, *words: str, said: str = "") -> None:
        done = subprocess.run(
            [*as_nobody(), sys.executable, "-m", "mailserver", *words], input=said, text=True, capture_output=True,
            env=environment(), timeout=60, check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    # -- what one sees

    def seen(self, box: imaplib.IMAP4) -> dict[str, Any]:
        """All that a client can know of the mailboxes: names, UIDs, flags, keywords, dates, texts, subscriptions."""
        found: dict[str, Any] = {"subscribed": sorted(LISTED.search(each)[2] for each in self._ok(box.lsub()))}
        for line in self._ok(box.list()):
            attributes, name = LISTED.search(line).groups()
            if b"\\Noselect" in attributes or b"\\NonExistent" in attributes:
                continue
            status = self._ok(box.status(f'"{name.decode()}"', "(UIDVALIDITY UIDNEXT MESSAGES)"))[0]
            self._ok(box.select(f'"{name.decode()}"', readonly=True))
            messages = self._ok(box.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[])"))
            counts = dict(re.findall(rb"([A-Z]+) (\d+)", status.rpartition(b"(")[2]))
            found[name.decode()] = counts, [self._message(each) for each in messages if isinstance(each, tuple)]
        return found

    def _message(self, each: tuple[bytes, bytes]) -> Any:
        uid = re.search(rb"UID (\d+)", each[0])[1]
        flags = set(re.search(rb"FLAGS \((.*?)\)", each[0])[1].split()) - {b"\\Recent"}
        date = imaplib.Internaldate2tuple(each[0])
        return int(uid), sorted(flags), time.mktime(date), each[1]

    def flags(self, box: imaplib.IMAP4) -> dict[int, set[bytes]]:
        """Those of the mailbox that is chosen."""
        self._ok(box.noop())
        found = {}
        for line in self._ok(box.uid("FETCH", "1:*", "(UID FLAGS)")):
            fetched = FETCHED.search(line)
            if fetched is not None:         # what is told of its own accord has no UID
                uid, flags = fetched.groups()
                found[int(uid)] = set(flags.split()) - {b"\\Recent"}
        return found

    def _ok(self, said: tuple[str, list[Any]]) -> list[Any]:
        self.assertEqual(said[0], "OK", said)
        return [each for each in said[1] if each is not None]

    def both(self, one: imaplib.IMAP4, other: imaplib.IMAP4, about: Any, patience: float = 5.0) -> Any:
        """What both see of it, within seconds."""
        until = time.monotonic() + patience
        while True:
            mine, yours = about(one), about(other)
            if mine == yours or time.monotonic() > until:
                self.assertEqual(mine, yours)
                return mine
            time.sleep(0.1)


class AdoptedTests(DovecotCase):
    def test_adopted_shared_given_back(self) -> None:
        self.fill()
        theirs = self.theirs()
        before = self.seen(theirs)
        self.serve()
        ours = self.ours()
        self.assertEqual(self.seen(ours), before)                      # adopted, as it was

        for box in (ours, theirs):
            self._ok(box.select("INBOX"))
        self.change(ours, b"ours")
        self.both(ours, theirs, self.flags)
        self.change(theirs, b"theirs")
        self.both(ours, theirs, self.flags)
        self.assertEqual(len(self.both(ours, theirs, self.seen)["INBOX"][1]), 14)

        self._ok(ours.create("Made/here"))
        self._ok(theirs.create("Made/there"))
        self._ok(ours.rename("Lists", "Rolls"))
        self._ok(theirs.rename("Made/here", "Made/elsewhere"))
        self._ok(ours.subscribe("Made/there"))
        self._ok(theirs.unsubscribe("INBOX"))
        self._ok(theirs.delete('"with space"'))
        now = self.both(self.ours(), self.theirs(), self.seen)
        self.assertLessEqual({"Rolls/cats", "Made/elsewhere", "Made/there"}, now.keys())
        self.assertEqual(now["Rolls/cats"], before["Lists/cats"])

        self.server.stop()                                             # given back
        for file in self.maildir.rglob("mailserver-*"):
            file.unlink()
        self.assertEqual(self.seen(self.theirs()), now)
        self.assertEqual(self.dovecot.complaints(), [])

    def fill(self) -> None:
        """As a user of Dovecot has it."""
        box = self.theirs()
        for name in ("Lists/cats", "&ZeVnLA-", '"with space"', "Sent"):
            self._ok(box.create(name))
        for name in ("INBOX", "Lists/cats", "&ZeVnLA-", "gone"):
            self._ok(box.subscribe(name)) if name != "gone" else box.subscribe(name)
        for number in range(12):
            flags = ("", "\\Seen", "Moon", "\\Answered $Forwarded")[number % 4]
            date = imaplib.Time2Internaldate(1_700_000_000 + number)
            self._ok(box.append("INBOX", f"({flags})", date, MESSAGE % b"%d" % number))
        self._ok(box.select("INBOX"))
        self._ok(box.uid("COPY", "2:5", '"Lists/cats"'))
        self._ok(box.uid("STORE", "3,7", "+FLAGS", "(\\Deleted)"))
        self._ok(box.expunge())
        self._ok(box.unselect())

    def change(self, box: imaplib.IMAP4, who: bytes) -> None:
        """A bit of everything in INBOX; three messages more."""
        for flags in ("()", "(\\Flagged Sun)", "(\\Deleted)", "(\\Seen)"):
            self._ok(box.append("INBOX", flags, None, MESSAGE % who))
        uids = [int(uid) for uid in self._ok(box.uid("SEARCH", "UNDELETED"))[0].split()]
        self._ok(box.uid("STORE", str(uids[0]), "+FLAGS", f"(\\Seen by-{who.decode()})"))
        self._ok(box.uid("STORE", str(uids[1]), "-FLAGS", "(\\Answered $Forwarded \\Seen)"))
        self._ok(box.uid("STORE", str(uids[2]), "FLAGS", "(\\Draft Moon)"))
        self._ok(box.uid("COPY", f"{uids[0]}:{uids[2]}", "Sent"))
        self._ok(box.uid("MOVE", str(uids[3]), "Sent"))
        self._ok(box.expunge())


class TogetherTests(DovecotCase):
    def test_at_the_same_time(self) -> None:
        """Two sessions of each append, mark and expunge at once: nothing is lost, nothing is twice."""
        self.serve()
        names = ["ours-0", "theirs-0", "ours-1", "theirs-1"]
        sessions = [self.ours(), self.theirs(), self.ours(), self.theirs()]
        wrong: list[str] = []
        working = [
            threading.Thread(target=self.work, args=(*each, wrong)) for each in zip(sessions, names, strict=True)
        ]
        for each in working:
            each.start()
        for each in working:
            each.join(60)
        self.assertEqual(wrong, [])
        seen = self.both(self.ours(), self.theirs(), self.seen)
        texts = sorted(message[3] for message in seen["INBOX"][1])
        expected = sorted(MESSAGE % b"%b %d" % (name.encode(), number) for name in names for number in range(10)
                          if number % 5 != 4)
        self.assertEqual(texts, expected)
        uids = [message[0] for message in seen["INBOX"][1]]
        self.assertEqual(len(set(uids)), len(uids))
        for uid, flags, _, text in seen["INBOX"][1]:
            who = re.search(rb"Subject: (\S+)", text)[1]
            self.assertEqual(flags, sorted([b"\\Flagged", who]), uid)
        self.assertEqual([each for each in self.dovecot.complaints() if "Panic" in each or "Corrupted" in each], [])

    def work(self, box: imaplib.IMAP4, name: str, wrong: list[str]) -> None:
        try:
            self._ok(box.select("INBOX"))
            for number in range(10):
                _, [said] = box.append("INBOX", "()", None, MESSAGE % b"%b %d" % (name.encode(), number))
                uid = re.search(rb"APPENDUID \d+ (\d+)", said)[1].decode()
                self._ok(box.noop())
                self._ok(box.uid("STORE", uid, "+FLAGS", f"(\\Flagged {name})"))
                if number % 5 == 4:
                    self._ok(box.uid("STORE", uid, "+FLAGS", "(\\Deleted)"))
                    self._ok(box.uid("EXPUNGE", uid))
        except Exception as error:
            wrong.append(f"{name}: {error!r}")
