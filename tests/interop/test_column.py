"""EHLO on each listener against the column, as Python's smtplib understands the answers."""

from __future__ import annotations

import smtplib
import ssl
from pathlib import Path

from twisted.internet.threads import deferToThread

from mailserver.service import MailServer
from tests.attacks.case import AttackCase

PLACES = (
    ("smtp", False, False), ("submission", False, False), ("lmtp", False, False),
    ("smtp", True, False), ("submission", True, False), ("lmtp", True, False),
    ("smtp", True, True), ("submission", True, True),
)
LMTP_WITH_TLS = """
    [[listen]]
    service = "lmtp"
    endpoint = "tcp:0:interface=127.0.0.9"
    tls = "starttls"
"""


def column() -> dict[tuple[str, bool, bool], set[str]]:
    """The keywords of each place, out of column.txt."""
    found: dict[tuple[str, bool, bool], set[str]] = {place: set() for place in PLACES}
    for line in (Path(__file__).parent / "column.txt").read_text().split("\n"):
        keyword, *marks = line.split() or ["#"]
        if keyword.startswith("#"):
            continue
        for place, mark in zip(PLACES, marks, strict=True):
            if mark == "yes":
                found[place].add(keyword)
    return found


class ColumnTests(AttackCase):
    async def test_each_listener(self) -> None:
        """In clear, inside TLS, and logged in: neither less nor more."""
        server = await self.serve(LMTP_WITH_TLS, "smtp submission")
        for place, keywords in column().items():
            self.assertEqual(await deferToThread(self.offered, server, *place), keywords, place)

    def offered(self, server: MailServer, service: str, tls: bool, login: bool) -> set[str]:
        make = smtplib.LMTP if service == "lmtp" else smtplib.SMTP
        with make(*self.port_of(server, service), timeout=30) as client:
            if tls:
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                client.starttls(context=context)
            if login:
                client.login("alice@example.org", "secret")
            client.ehlo()
            return {keyword.upper() for keyword in client.esmtp_features}
