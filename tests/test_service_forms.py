"""Every way to run it: twistd, twist, a .tac beside another service, two servers in one process."""

from __future__ import annotations

import os
import poplib
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.cli.commands import STANDARD, HouseTestCase, command, free_base
from tests.cli.running import PATIENCE, Running
from tests.plain import Client, Refused

TWISTD = ("-c", "from twisted.scripts.twistd import run; run()")
TWIST = ("-m", "twisted")

BESIDE = """\
from pathlib import Path

from mailserver.config import load
from mailserver.service import MailServer
from twisted.application import internet, service
from twisted.internet import reactor
from twisted.web import server, static

application = service.Application("mail and pages")
MailServer(load(Path("{config}")), reactor).setServiceParent(application)
pages = server.Site(static.File("{pages}"))
internet.TCPServer({port}, pages, interface="127.0.0.1").setServiceParent(application)
"""

TWO = """\
from pathlib import Path

from mailserver.config import load
from mailserver.service import MailServer
from twisted.application import service
from twisted.internet import reactor

application = service.Application("two")
for name in {configs}:
    MailServer(load(Path(name)), reactor).setServiceParent(application)
"""


def send(port: int, recipient: str, subject: str) -> str:
    """A message, with what the server says to it."""
    with Client(port) as client:
        client.say("EHLO client.example.net")
        return client.send("bob@example.net", [recipient], f"Subject: {subject}\r\n\r\nHello\r\n".encode())


class FormsCase(HouseTestCase):
    """A house on ports of its own."""

    def setUp(self) -> None:
        super().setUp()
        self.base = self.move()

    def start(self, *words: str, what: tuple[str, ...], base: int | None = None) -> Running:
        """Run it, and wait until its last port listens."""
        running = Running(*words, what=what)
        self.addCleanup(running.stop)
        running.wait_for(str((base or self.base) + 995))
        return running

    def end_well(self, running: Running) -> None:
        """Let it end: Twisted's runners end by the signal that they were sent."""
        self.assertIn(running.stop(), (0, -signal.SIGTERM))
        self.assertNotIn("Traceback", "".join(running.heard()))

    def subjects(self, user: str = "alice@example.org", base: int | None = None) -> list[str]:
        """Of the messages of a user."""
        box = poplib.POP3("127.0.0.1", (base or self.base) + 110, timeout=10)
        try:
            box.user(user)
            box.pass_("secret")
            messages = [box.retr(number + 1)[1] for number in range(box.stat()[0])]
            return [line[9:].decode() for each in messages for line in each if line.startswith(b"Subject: ")]
        finally:
            box.quit()


class TwistedTests(FormsCase):
    """twistd and twist."""

    def test_twistd(self) -> None:
        running = self.start("-n", "--pidfile=", "mailserver", "--config", str(self.config), what=TWISTD)
        self.assertIn("2.0.0 Ok", send(self.base + 25, "alice@example.org", "twistd"))
        self.assertEqual(self.subjects(), ["twistd"])
        self.end_well(running)

    def test_twist(self) -> None:
        running = self.start("mailserver", "--config", str(self.config), what=TWIST)
        send(self.base + 25, "alice@example.org", "twist")
        self.assertEqual(self.subjects(), ["twist"])
        self.end_well(running)

    def test_other_reactors(self) -> None:
        """Epoll is the one to be good on; poll, and asyncio's, must do."""
        for reactor in ("poll", "asyncio"):
            running = self.start(f"--reactor={reactor}", "mailserver", "--config", str(self.config), what=TWIST)
            send(self.base + 25, "alice@example.org", reactor)
            running.stop()
        self.start("mailserver", "--config", str(self.config), what=TWIST)
        self.assertEqual(self.subjects(), ["poll", "asyncio"])

    def test_daemon(self) -> None:
        """Plain twistd goes into the background: what must not pass a fork is opened behind it."""
        pidfile, log = self.folder / "pid", self.folder / "log"
        running = Running(
            f"--pidfile={pidfile}", f"--logfile={log}", "mailserver", "--config", str(self.config), what=TWISTD
        )
        self.assertEqual(running.ended(), 0, "".join(running.heard()))
        pid = int(pidfile.read_text())
        self.addCleanup(self.end, pid)
        self.until(lambda: log.exists() and str(self.base + 995) in log.read_text())
        send(self.base + 25, "alice@example.org", "daemon")
        self.assertEqual(self.subjects(), ["daemon"])
        self.end(pid)
        self.assertNotIn("Traceback", log.read_text())

    def end(self, pid: int) -> None:
        """Ask a process that is not our child to end, and wait for that."""
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            return
        # It is a zombie where nobody waits for orphans.
        status = Path(f"/proc/{pid}/status")
        self.until(lambda: not status.exists() or "State:\tZ" in status.read_text())

    def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something."""
        until = time.monotonic() + PATIENCE
        while not is_so():
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)

    def test_a_mistake_is_told_before_anything_starts(self) -> None:
        self.config.write_text(self.config.read_text() + "\n[limts]\n")
        for what, words in ((TWISTD, ("-n", "--pidfile=")), (TWIST, ())):
            running = Running(*words, "mailserver", "--config", str(self.config), what=what)
            self.addCleanup(running.stop)
            self.assertNotEqual(running.ended(), 0)
            said = running.wait_for("limts")
            self.assertIn(f"{self.config}:", said)
            self.assertIn('did you mean "limits"?', said)


class TacTests(FormsCase):
    """.tac files, as they stand in the documentation."""

    def tac(self, text: str) -> str:
        file = self.folder / "both.tac"
        file.write_text(text)
        return str(file)

    def test_beside_another_service(self) -> None:
        web = self.base + 80
        (self.folder / "pages").mkdir()
        (self.folder / "pages" / "index.html").write_text("beside")
        file = self.tac(BESIDE.format(config=self.config, port=web, pages=self.folder / "pages"))
        self.assertLessEqual(len([line for line in BESIDE.split("\n") if line.strip()]), 12)
        running = self.start("-n", "--pidfile=", "-y", file, what=TWISTD)
        send(self.base + 25, "alice@example.org", "tac")
        self.assertEqual(self.subjects(), ["tac"])
        with urllib.request.urlopen(f"http://127.0.0.1:{web}/", timeout=10) as page:
            self.assertEqual(page.read(), b"beside")
        self.end_well(running)

    def test_two_in_one_process(self) -> None:
        """Each has its own mail, plugins and limits; what one does is nothing to the other."""
        other = self.folder / "other"
        base = free_base(tuple(1000 + port for port in STANDARD)) + 1000
        said = command(
            "init", str(other), "--hostname", "mx.example.com", "--domain", "example.com", "--user",
            "carol@example.com", "--password-stdin", "--port-base", str(base), stdin="secret\n",
        )
        self.assertEqual(said.code, 0, said.err)
        file = self.tac(TWO.format(configs=[str(self.config), str(other / "mailserver.toml")]))
        running = self.start("-n", "--pidfile=", "-y", file, what=TWISTD, base=base)
        send(self.base + 25, "alice@example.org", "to one")
        send(base + 25, "carol@example.com", "to the other")
        self.assertEqual(self.subjects(), ["to one"])
        self.assertEqual(self.subjects("carol@example.com", base), ["to the other"])
        for port, stranger in ((self.base, "carol@example.com"), (base, "alice@example.org")):
            with self.assertRaises(Refused):
                send(port + 25, stranger, "not here")
        self.end_well(running)


class EndTests(FormsCase):
    """SIGTERM."""

    def test_who_is_connected_is_told(self) -> None:
        running = self.start("run", "--config", str(self.config), what=("-m", "mailserver"))
        with Client(self.base + 25) as idle, Client(self.base + 25) as client:
            idle.say("EHLO client.example.net")
            client.say("EHLO client.example.net")
            client.send("bob@example.net", ["alice@example.org"], b"Subject: before\r\n\r\n")
            running.process.terminate()
            self.assertIn("shutting down", idle.expect(421))
            self.assertIn("shutting down", client.expect(421))
            with self.assertRaises(OSError):
                idle.expect(250)
        self.assertEqual(running.ended(), 0)
        self.start("run", "--config", str(self.config), what=("-m", "mailserver"))
        self.assertEqual(self.subjects(), ["before"])
