"""The developer's server, as a developer uses it."""

from __future__ import annotations

import poplib
import smtplib
import socket
import ssl
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mailserver.cli.dev import YOURS, prepare
from mailserver.config import load
from tests.cli.commands import free_base
from tests.cli.running import Running

PORTS = (25, 587, 143, 110, 80)

FILTER = '''
from zope.interface import implementer
from mailserver.envelope import Origin
from mailserver.interfaces import IFilter, NoOptions
from mailserver.plugin import FilterOffer
from mailserver.verdict import reject


@implementer(IFilter)
class Monday:
    Options = NoOptions
    origins = frozenset({Origin.ARRIVAL})

    def __init__(self, options, server):
        pass

    def sender(self, client, envelope):
        return reject("WORDS")


offer = FilterOffer("monday", Monday, "Refuses everything.")
'''


class DevTests(SynchronousTestCase):
    """mailserver dev."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.base = free_base(PORTS)
        self.server: Running | None = None

    def start(self, *words: str) -> Running:
        self.server = Running("dev", "--dir", str(self.folder), "--port-base", str(self.base), *words)
        self.addCleanup(self.server.stop)
        self.server.wait_for("ready")
        return self.server

    def smtp(self, port: int = 25) -> smtplib.SMTP:
        peer = smtplib.SMTP("127.0.0.1", self.base + port, timeout=10)
        self.addCleanup(peer.close)
        return peer

    def mailbox(self, address: str) -> list[bytes]:
        box = poplib.POP3("127.0.0.1", self.base + 110, timeout=10)
        try:
            box.user(address)
            box.pass_("dev")
            return [b"\n".join(box.retr(number + 1)[1]) for number in range(box.stat()[0])]
        finally:
            box.quit()

    def test_everybody_has_a_mailbox(self) -> None:
        said = self.start()
        told = "".join(said.said)
        for port in PORTS:
            self.assertIn(f"127.0.0.1:{self.base + port}", told)
        self.assertIn("password dev", told)
        recipients = ["jo@anywhere.example", "Max+tag@other.example"]
        self.smtp().sendmail("app@my.test", recipients, b"Subject: hi\r\n\r\nhello")
        self.assertIn(b"Subject: hi", self.mailbox("jo@anywhere.example")[0])
        self.assertEqual(len(self.mailbox("max@other.example")), 1)
        self.assertEqual(self.mailbox("nobody@new.example"), [])

    def test_submission(self) -> None:
        self.start()
        peer = self.smtp(587)
        peer.starttls(context=ssl._create_unverified_context())
        self.assertRaises(smtplib.SMTPAuthenticationError, peer.login, "app@my.test", "wrong")
        peer.login("app@my.test", "dev")
        peer.sendmail("app@my.test", ["jo@anywhere.example"], b"Subject: hi\r\n\r\nhello")
        self.assertIn(b"Message-ID:", self.mailbox("jo@anywhere.example")[0])

    def test_faults(self) -> None:
        self.start()
        peer = self.smtp()
        peer.ehlo()
        peer.mail("app@my.test")
        for recipient, code in (
            ("jo+451@a.test", 451), ("jo+550@a.test", 550), ("jo+rcpt-552@a.test", 552), ("jo+4500@a.test", 250),
            ("jo+250@a.test", 250), ("jo+data-451@a.test", 250),
        ):
            self.assertEqual(peer.rcpt(recipient)[0], code, recipient)
        self.assertEqual(peer.data(b"Subject: x\r\n\r\nhi\r\n")[0], 451)
        peer.mail("app@my.test")
        peer.rcpt("jo+data-554@a.test")
        self.assertEqual(peer.data(b"Subject: x\r\n\r\nhi\r\n")[0], 554)

    def test_timeout(self) -> None:
        """RCPT is not answered; others are meanwhile."""
        server = self.start()
        peer = self.smtp()
        peer.ehlo()
        peer.mail("app@my.test")
        assert peer.sock is not None
        peer.sock.settimeout(1.0)
        peer.putcmd("rcpt", "TO:<jo+timeout@a.test>")
        self.assertRaises(socket.timeout, peer.sock.recv, 1)
        other = self.smtp()
        self.assertEqual(other.noop()[0], 250)
        peer.close()
        self.assertEqual(server.stop(), 0)

    def test_a_plugin_is_loaded_anew(self) -> None:
        """What a plugin's author does: save the file, look what the server says."""
        plugins = self.folder.with_name("plugins")
        plugins.mkdir(parents=True, exist_ok=True)
        (plugins / "monday.py").write_text(FILTER.replace("WORDS", "Not on a Monday"))
        file = prepare(self.folder, self.base, plugins)
        file.write_text(file.read_text() + '[[filter]]\nuse = "monday"\n')
        server = self.start("--watch", str(plugins))
        self.assertIn(b"Not on a Monday", self.smtp_refusal())
        time.sleep(0.5)
        (plugins / "monday.py").write_text(FILTER.replace("WORDS", "Nor on a Tuesday"))
        server.wait_for("something changed")
        server.wait_for("ready")
        self.assertIn(b"Nor on a Tuesday", self.smtp_refusal())
        time.sleep(0.5)
        (plugins / "monday.py").write_text("import nosuchthing\n")
        server.wait_for("nosuchthing")
        (plugins / "monday.py").write_text(FILTER.replace("WORDS", "Better now"))
        server.wait_for("ready")
        self.assertIn(b"Better now", self.smtp_refusal())

    def smtp_refusal(self) -> bytes:
        peer = self.smtp()
        peer.ehlo()
        return peer.mail("app@my.test")[1]


class PrepareTests(SynchronousTestCase):
    """The file that dev writes."""

    def test_yours_is_kept(self) -> None:
        folder = Path(self.mktemp()).absolute()
        file = prepare(folder, 1000, None)
        self.assertEqual(load(file).listen[0].endpoint, "tcp:1025:interface=127.0.0.1")
        file.write_text(file.read_text() + '[[filter]]\nuse = "rate"\n')
        prepare(folder, 2000, None)
        config = load(file)
        self.assertEqual(config.listen[0].endpoint, "tcp:2025:interface=127.0.0.1")
        self.assertEqual([each.name for each in config.filters], ["dev", "headers", "loops", "rate"])
        self.assertEqual(file.read_text().count(YOURS), 1)
        self.assertFalse(config.outbound.enabled)
