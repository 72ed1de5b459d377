"""A person with Thunderbird: an account is added; mail arrives, is read, written, found, starred, filed."""

from __future__ import annotations

import re
import time

from tests.interop.screen import Screen
from tests.interop.site import HOST, PASSWORD, SiteCase
from tests.interop.thunderbird import Thunderbird
from tests.needs import program

SUBJECT, BODY = "Grüße aus 東京", "Guten Tag,\nこんにちは.\n"
PATIENCE = 120.0        # seconds for all of it; it takes 25, of which Thunderbird waits 10 for a greeting in clear


class ThunderbirdTests(SiteCase):
    """TLS throughout, by an authority that Thunderbird trusts; alice's account is hers, what she sends goes to bob."""

    def setUp(self) -> None:
        for name, package in (("thunderbird", None), ("Xvfb", "xvfb"), ("import", "imagemagick")):
            program(name, package)
        super().setUp()
        self.screen = Screen(self.folder)
        self.addCleanup(self.screen.stop)
        self.thunderbird = Thunderbird(self.folder, self.screen.display, PATIENCE)
        self.addCleanup(self.thunderbird.stop)
        self.addCleanup(self.picture, "last")       # which shows why, if something went wrong
        self.do = self.thunderbird.do
        self.do("trust", "".join(re.findall(r"^[^-].*$", self.authority.file.read_text(), re.MULTILINE)))

    def picture(self, name: str) -> None:
        self.screen.picture(self.pictures / f"thunderbird-{name}.png")

    def test_one_morning(self) -> None:
        self.add_account()
        self.read_what_arrives()
        self.hear_of_another_client()
        self.write()
        self.search()
        self.star_archive_and_delete()
        self.assertEqual(re.findall(r".*Syntax Error.*", self.thunderbird.exchange), [])

    def add_account(self) -> None:
        """She types names and a password; that there is TLS, and how, Thunderbird finds out."""
        self.do("typeAccount", "Alice", "alice@example.org", HOST, self.imap, self.submission)
        self.do("found")
        self.picture("1-found")
        self.do("typePassword", PASSWORD)
        self.assertEqual(self.do("servers"), [
            [HOST, self.imap, "SSL", "passwordCleartext"],
            [HOST, self.submission, "alwaysSTARTTLS", "passwordCleartext"],
        ])
        self.do("closeDialogue")
        self.assertEqual(self.do("folders"), {
            "INBOX": "Inbox", "Drafts": "Drafts", "Sent": "Sent", "Archive": "Archive", "Junk": "Junk",
            "Trash": "Trash",
        })

    def read_what_arrives(self) -> None:
        """The first is there before she looks, the second comes while she does: IDLE tells it."""
        self.arrive("First", "The word is marmalade.")
        self.do("open", "INBOX")
        self.do("read", "First", "marmalade")
        self.wait_for_idle()
        self.arrive("Second", "The word is honey.")
        self.do("read", "Second", "honey")
        self.picture("2-read")

    def wait_for_idle(self) -> None:
        """Thunderbird begins when it has done nothing else for two seconds."""
        until = time.monotonic() + 30.0
        while not self.idles():
            self.assertLess(time.monotonic(), until, "it never said IDLE")
            time.sleep(0.05)

    def idles(self) -> bool:
        """Whether the last that INBOX's connection heard is that it may wait."""
        heard = re.findall(r":S-INBOX:CreateNewLineFromSocket: (.*)", self.thunderbird.exchange)
        return bool(heard) and heard[-1].startswith("+ idling")

    def hear_of_another_client(self) -> None:
        """A star that is set elsewhere shines here too, and goes out again."""
        for sign in "+-":
            self.wait_for_idle()
            with self.client() as client:
                client.select("INBOX")
                client.store("2", f"{sign}FLAGS", "\\Flagged")
            self.do("shines", "Second", sign == "+")

    def write(self) -> None:
        """Bob gets it, and a copy is in Sent."""
        self.do("write", "bob@example.org", SUBJECT, BODY)
        self.picture("3-write")
        self.do("send")
        for local, mailbox, flags in (("bob", "INBOX", set[str]()), ("alice", "Sent", {"\\Seen"})):
            self.has(mailbox, (SUBJECT, flags), local=local)
            [(_, _, message)] = self.there(mailbox, local)
            text = message.get_payload(decode=True)
            assert isinstance(text, bytes)
            self.assertEqual(text.decode().replace("\r\n", "\n").strip(), BODY.strip())
        self.do("open", "Sent")
        self.do("read", SUBJECT, "こんにちは")
        self.picture("4-sent")

    def search(self) -> None:
        """The server searches, as its box says; and finds what is not ASCII."""
        self.assertEqual(self.do("search", "INBOX", "marmalade"), ["First"])
        self.picture("5-search")
        self.do("closeSearch")
        self.assertEqual(self.do("search", "Sent", "こんにちは"), [SUBJECT])
        self.do("closeSearch")
        self.assertRegex(self.thunderbird.exchange, r'(?i)UID SEARCH UNDELETED BODY "marmalade"')

    def star_archive_and_delete(self) -> None:
        """A star is a flag, to archive and to delete is to move."""
        self.do("open", "INBOX")
        self.do("star", "First")
        self.has("INBOX", ("First", {"\\Seen", "\\Flagged"}), ("Second", {"\\Seen"}))
        self.do("archive", "First")
        self.do("remove", "Second")
        self.has("INBOX")
        [year] = [name for name in self.do("folders") if re.fullmatch(r"20\d\d", name)]
        self.has(f"Archive/{year}", ("First", {"\\Seen", "\\Flagged"}))
        self.has("Trash", ("Second", {"\\Seen"}))
        self.picture("6-tidy")
