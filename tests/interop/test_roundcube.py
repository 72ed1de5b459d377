"""A person with Roundcube, a webmail: reads, finds on the server, sees the quota, and shares mailboxes, in a browser."""

from __future__ import annotations

import re

from tests.interop.browser import Browser
from tests.interop.roundcube import Roundcube
from tests.interop.site import HOST, PASSWORD, SiteCase
from tests.needs import program

PATIENCE = 90.0         # seconds for all of it


class RoundcubeTests(SiteCase):
    """It is bob who uses it; alice shares a mailbox with him, and their domain has a public one."""

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
        self.operate("user", "quota", "bob@example.org", "--octets", "1000000")
        self.operate("mailbox", "create", "alice@example.org", "Projects")
        self.operate("mailbox", "share", "alice@example.org", "Projects", "bob@example.org", "lrs")

    def picture(self, name: str) -> None:
        self.browser.picture(self.pictures / f"roundcube-{name}.png")

    def test_one_afternoon(self) -> None:
        self.log_in()

    def log_in(self) -> None:
        self.browser.go(self.webmail.url)
        self.picture("0-login")
        self.browser.type("#rcmloginuser", "bob@example.org")
        self.browser.type("#rcmloginpwd", PASSWORD + "\n")
        self.browser.see("#messagelist-content, #messagelist")
        self.picture("1-inbox")
