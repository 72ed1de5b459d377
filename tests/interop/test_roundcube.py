"""A person with Roundcube, a webmail: reads, finds on the server, sees the quota, uses and shares mailboxes."""

from __future__ import annotations

import re

from tests.interop.browser import Browser
from tests.interop.roundcube import Roundcube
from tests.interop.site import HOST, PASSWORD, SiteCase, letter
from tests.needs import program

ALICE, BOB = "alice@example.org", "bob@example.org"
PROJECTS, TEAM = f"Other Users/{ALICE}/Projects", "Shared/team"
TOKYO, BODY = "Grüße aus Japan", "Guten Tag,\n昨日は東京タワーへ行きました.\n"
LIMIT = 100_000         # octets that bob may keep
PATIENCE = 90.0         # seconds for all of it; it takes 20
SUBJECTS = """
    return [...document.querySelectorAll("#messagelist tr.message")].filter(row => row.checkVisibility()).map(
        row => row.querySelector(".subject a").textContent.trim())"""


class RoundcubeTests(SiteCase):
    """It is bob who uses it; alice lets him read a mailbox, and their domain has one where all of them tidy up."""

    def setUp(self) -> None:
        for name, package in (("php", "php-cli"), ("chromium", None), ("chromedriver", "chromium-driver")):
            program(name, package)
        super().setUp()
        self.webmail = Roundcube(
            self.folder / "roundcube", HOST, self.imap, self.submission, self.authority.file, PATIENCE)
        self.addCleanup(self.webmail.stop)
        self.browser = Browser(self.folder, PATIENCE)
        self.addCleanup(self.browser.stop)
        self.addCleanup(self.picture, "last")       # which shows why, if something went wrong

    def prepare(self) -> None:
        self.operate("user", "quota", BOB, "--octets", str(LIMIT))
        self.operate("mailbox", "create", ALICE, "Projects")
        self.operate("mailbox", "share", ALICE, "Projects", BOB, "lrsi")
        self.operate("mailbox", "public", "example.org", "team")
        self.operate("mailbox", "share", "@example.org", "team", "@example.org", "lrswite")

    def picture(self, name: str) -> None:
        self.browser.picture(self.pictures / f"roundcube-{name}.png")

    def test_one_afternoon(self) -> None:
        self.fill()
        self.log_in()
        self.read_and_see_the_quota()
        self.search()
        self.subscribe()
        self.read_alices()
        self.tidy_up_together()
        self.search_everywhere()
        self.share()
        self.write()
        self.assertEqual(re.findall(r"S: A\d+ BAD.*", self.webmail.said("imap.log")), [])
        self.assertEqual(self.webmail.said("errors.log"), "")

    def fill(self) -> None:
        """Three messages for bob, of which one is 40 % of what he may keep; one in each of the others' mailboxes."""
        for subject, text in (("First", "The word is marmalade.\n"), (TOKYO, BODY), ("Large", "x" * 70 + "\n")):
            self.arrive(subject, text * (LIMIT * 4 // 710 if subject == "Large" else 1), "bob")
        with self.client() as client:
            for mailbox, subject in (("Projects", "A plan"), (TEAM, "Old news")):
                self.assertEqual(
                    client.append(mailbox, "", "", letter(subject, "There is marmalade in it.\n").as_bytes())[0], "OK")

    def log_in(self) -> None:
        self.browser.go(self.webmail.url)
        self.browser.type("#rcmloginuser", BOB)
        self.browser.type("#rcmloginpwd", PASSWORD + "\n")
        self.lists("Large", TOKYO, "First")

    def lists(self, *subjects: str) -> None:
        """The messages that it lists come to be these."""
        self.browser.until(f"const found = (() => {{ {SUBJECTS} }})();"
                           "return !rcmail.busy && JSON.stringify(found) == JSON.stringify(arguments[0])", [*subjects])

    def select(self, subject: str) -> None:
        number = self.browser.run(SUBJECTS).index(subject) + 1
        self.browser.click(f"#messagelist tbody tr.message:nth-child({number}) .subject a")

    def reads(self, word: str) -> None:
        """The message that is selected is shown, and has a word in its text."""
        self.browser.into("#messagecontframe")
        self.browser.until("return document.querySelector('#messagebody')?.textContent.includes(arguments[0])", word)
        self.browser.into(None)

    def read_and_see_the_quota(self) -> None:
        """Its bar says what the server does, of kibioctets."""
        self.select(TOKYO)
        self.reads("東京タワー")
        self.has("INBOX", ("First", set()), (TOKYO, {"\\Seen"}), ("Large", set()), local="bob")
        self.assertRegex(self.browser.see("#quotadisplay"), r"^4\d%$")
        self.picture("1-read")

    def search(self) -> None:
        """Bodies are looked into by the server; two kanji are a word, in the middle of others."""
        self.look_into_bodies()
        self.look_for("東京", TOKYO)
        self.picture("2-search")
        self.look_for("marmalade", "First")
        self.look_for("京東")
        self.assertRegex(self.webmail.said("imap.log"), r"C: A\d+ UID SEARCH .*BODY marmalade")

    def look_into_bodies(self) -> None:
        self.browser.click(".searchbar a.options")
        self.browser.click("#searchmenu input[value='body'] ~ label")

    def look_for(self, text: str, *subjects: str) -> None:
        self.browser.type("#mailsearchform", f"{text}\n")
        self.lists(*subjects)

    def subscribe(self) -> None:
        """What others share is listed among all, below whom it belongs to; with the switch it is among bob's own."""
        self.browser.go(f"{self.webmail.url}?_task=settings&_action=folders")
        for mailbox in (PROJECTS, TEAM):
            self.browser.click(f"#subscription-table li:has(> div input[value='{mailbox}']) > div label")
        self.comes_to(self.subscribed, [f'"{PROJECTS}"', TEAM])
        self.picture("3-subscribed")

    def subscribed(self) -> list[str]:
        """Of what is not bob's."""
        with self.client("bob") as client:
            lines = [line.decode() for line in client.lsub()[1] if isinstance(line, bytes)]
        return sorted(name for _, _, name in (line.partition(' "/" ') for line in lines) if "/" in name)

    def open(self, name: str) -> None:
        self.browser.click(f"#mailboxlist a[rel='{name}']")

    def read_alices(self) -> None:
        """What bob has read is kept, for him alone; he cannot take away, as the server says and he is told."""
        self.browser.go(f"{self.webmail.url}?_task=mail")
        self.lists("Large", TOKYO, "First")
        self.open(PROJECTS)
        self.lists("A plan")
        self.select("A plan")
        self.reads("marmalade")
        self.has(PROJECTS, ("A plan", {"\\Seen"}), local="bob")
        self.browser.click("#toolbar-menu a.delete")
        self.assertIn("Permission denied", self.browser.see("#messagestack .error"))
        self.assertRegex(self.webmail.said("imap.log"), r"C: (A\d+) UID MOVE 1 Trash\r?\n.* S: \1 NO \[NOPERM\]")
        self.picture("4-refused")
        self.has("Projects", ("A plan", set()))
        self.has("Trash", local="bob")

    def tidy_up_together(self) -> None:
        """Where he may, what he deletes is in his Trash, and gone for alice."""
        self.open(TEAM)
        self.lists("Old news")
        self.select("Old news")
        self.reads("marmalade")
        self.has(TEAM, ("Old news", {"\\Seen"}), local="bob")
        self.has(TEAM, ("Old news", set()))
        self.browser.click("#toolbar-menu a.delete")
        self.lists()
        self.has(TEAM)
        self.has("Trash", ("Old news", {"\\Seen"}), local="bob")

    def search_everywhere(self) -> None:
        """In all that he is subscribed to, alice's among it."""
        self.look_into_bodies()
        self.browser.run("document.querySelector('#s_scope').value = 'all'")
        self.look_for("marmalade", "Old news", "A plan", "First")
        self.picture("5-everywhere")

    def share(self) -> None:
        """What bob says in his webmail is what the operator is told, and what alice has."""
        self.browser.go(f"{self.webmail.url}?_task=settings&_action=folders")
        self.browser.click("#subscription-table li:has(> div input[value='Archive']) > a")
        self.browser.into("#preferences-frame")
        self.browser.click("#acllist-footer a.create")
        self.browser.into(None)
        self.browser.type("#acluser input, #acluser", ALICE)
        self.picture("6-share")
        self.browser.click(".ui-dialog button.submit")
        self.browser.into("#preferences-frame")
        self.browser.until(f"return document.querySelector('#acltable tbody').textContent.includes('{ALICE}')")
        self.browser.into(None)
        self.picture("7-shared")
        self.assertIn(f"{ALICE}  lrs", self.operate("mailbox", "shares", BOB, "Archive"))
        with self.client() as client:
            self.assertEqual(client.select(f'"Other Users/{BOB}/Archive"', readonly=True)[0], "OK")

    def write(self) -> None:
        """By submission, with TLS; and a copy is in Sent."""
        self.browser.go(f"{self.webmail.url}?_task=mail&_action=compose&_to={ALICE}")
        self.browser.type("#compose-subject", "Thanks")
        self.browser.type("#composebody", "It was sweet.")
        self.browser.click("a.send, button.send")
        self.has("INBOX", ("Thanks", set()))
        self.has("Sent", ("Thanks", {"\\Seen"}), local="bob")
