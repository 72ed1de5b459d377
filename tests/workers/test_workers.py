"""Several processes serve one configuration: each does, each may die, and an operator speaks to all."""

from __future__ import annotations

import os
import poplib
import signal
import time

from mailserver.control.client import NoServer
from tests.cli.running import Running
from tests.plain import Client, Refused
from tests.workers.cases import WorkersCase, is_alive

FAULTS = '\n[[filter]]\nuse = "dev"\n'
FAULTY = "alice+rcpt-550@example.org"       # one whom the filter "dev" refuses
BROKEN = '''
from mailserver.envelope import Origin
from mailserver.interfaces import IFilter, NoOptions
from mailserver.plugin import FilterOffer
from zope.interface import implementer


@implementer(IFilter)
class Broken:
    Options = NoOptions
    origins = frozenset(Origin)

    def __init__(self, options, server):
        raise OSError("the list cannot be read")

    def connected(self, client):
        return None


offer = FilterOffer("broken", Broken, "Cannot be built.")
'''


class ServingTests(WorkersCase):
    def setUp(self) -> None:
        super().setUp()
        self.server = self.start()

    def rcpt(self, client: Client, address: str) -> int:
        """The code with which an address is answered."""
        client.say("RSET")
        client.say("MAIL FROM:<bob@example.net>")
        try:
            client.say(f"RCPT TO:<{address}>")
        except Refused as refused:
            return int(refused.args[0])
        return 250

    def test_each_serves(self) -> None:
        """Each worker takes mail, and each sees what came by the other."""
        clients = self.one_each()
        for number, client in clients.items():
            client.send("bob@example.net", ["alice@example.org"], f"Subject: by {number}\r\n\r\n".encode())
        box = poplib.POP3("127.0.0.1", self.base + 110, timeout=20)
        box.user("alice@example.org")
        box.pass_("secret")
        self.assertEqual(box.stat()[0], 2)
        told = self.ask("who")
        self.assertEqual({each["worker"] for each in told if each["service"] == "smtp"}, {0, 1})
        [login] = [each for each in told if each["service"] == "pop3"]
        self.assertEqual((login["login"], login["address"]), ("alice@example.org", "127.0.0.1"))
        box.quit()
        status = self.ask("status")
        self.assertEqual((status["pid"], status["deaths"]), (self.server.process.pid, 0))
        self.assertEqual(sorted(each["number"] for each in status["workers"]), [0, 1])

    def test_commands(self) -> None:
        """who, kick, reload and stop reach all workers."""
        clients = self.one_each()
        told = self.done("who", "--json").json
        self.assertEqual({each["worker"] for each in told}, {0, 1})
        self.assertIn("greeted", self.done("who").out)
        # One by its id, then all by their address.
        client = clients[1]
        [mine] = [each for each in told if each["worker"] == 1]
        self.assertEqual(self.done("kick", mine["id"]).out, "1 connection is ended\n")
        self.assertIn("ended by the operator", client.expect(421))
        self.assertIn("nobody is connected as 192.0.2.1", self.fails("kick", "192.0.2.1"))
        clients = self.one_each()
        self.done("kick", "127.0.0.0/8")
        for each in clients.values():
            each.expect(421)
        self.until(lambda: not self.ask("who"))
        self.assertEqual(self.done("who").out, "nobody is connected\n")

        clients = self.one_each()
        self.assertEqual(self.done("stop").out, "stopped\n")
        for each in clients.values():
            self.assertIn("shutting down", each.expect(421))
        self.assertEqual(self.server.ended(), 0)
        for words in (("stop",), ("who",), ("reload",), ("kick", "127.0.0.1")):
            self.assertEqual(self.fails(*words), f"no server works on {self.data}")
        self.assertFalse((self.data / "control").exists())

    def test_reload(self) -> None:
        """A filter that is added refuses in every worker; who is connected goes on as before."""
        before = self.one_each()
        for each in before.values():
            self.assertEqual(self.rcpt(each, FAULTY), 250)
        self.write(end=FAULTS)
        self.assertEqual(self.done("reload").out, "reloaded\n")
        for each in before.values():
            self.assertEqual(self.rcpt(each, FAULTY), 250)
        for each in self.one_each().values():
            self.assertEqual(self.rcpt(each, FAULTY), 550)
        # What replaces a worker begins with it.
        pids = self.pids()
        self.kill(pids[1])
        self.until(lambda: self.pids().get(1, pids[1]) != pids[1])
        for each in self.one_each().values():
            self.assertEqual(self.rcpt(each, FAULTY), 550)
        # SIGHUP is the same; it says what it cannot do.
        text = self.config.read_text().replace(FAULTS, "").replace("workers = 2", "workers = 3")
        self.config.write_text(text)
        self.server.process.send_signal(signal.SIGHUP)
        self.server.wait_for("a restart is needed for: workers")
        for each in self.one_each().values():
            self.assertEqual(self.rcpt(each, FAULTY), 250)
        self.assertEqual(self.done("reload").out, "reloaded\na restart is needed for: workers\n")

    def test_broken_reload(self) -> None:
        """A mistake anywhere changes nothing, and is told with its place."""
        self.write(end=f'{FAULTS}\n[limits]\nsise = "1 MiB"\n')
        where = len(self.config.read_text().split("\n")) - 1
        said = self.say("reload")
        self.assertEqual(said.code, 1)
        self.assertEqual(
            said.err, f'{self.config}:{where}:1: unknown key "sise"; did you mean "size"?\nnothing is changed\n'
        )
        self.assertEqual(self.done("who", "--json").json, [])
        self.server.process.send_signal(signal.SIGHUP)
        self.assertIn("sise", self.server.wait_for("not reloaded, and nothing is changed"))
        # One that only a worker finds, while it builds.
        (self.folder / "plugins").mkdir()
        (self.folder / "plugins" / "broken.py").write_text(BROKEN)
        text = self.config.read_text().replace('[limits]\nsise = "1 MiB"\n', '[[filter]]\nuse = "broken"\n')
        self.config.write_text(text.replace("folders = []", "") + '[plugins]\nfolders = ["plugins"]\n')
        said = self.say("reload")
        self.assertEqual(said.code, 1)
        self.assertIn("the list cannot be read", said.err)
        self.assertIn("nothing is changed", said.err)
        for each in self.one_each().values():
            self.assertEqual(self.rcpt(each, FAULTY), 250)

    def test_death_of_a_worker(self) -> None:
        """Its sessions are gone, its lock on a mailbox is free at once, and another takes its place."""
        box = poplib.POP3("127.0.0.1", self.base + 110, timeout=20)
        box.user("alice@example.org")
        box.pass_("secret")
        [mine] = self.ask("who")
        pids = self.pids()
        self.kill(pids[mine["worker"]])
        self.server.wait_for(f"worker {mine['worker']} was ended by SIGKILL and is replaced")
        again = poplib.POP3("127.0.0.1", self.base + 110, timeout=20)
        again.user("alice@example.org")
        # The master frees it as soon as it sees the death; a lease would last for another 90 seconds.
        began = time.monotonic()
        while True:
            try:
                again.pass_("secret")
                break
            except poplib.error_proto as error:
                self.assertIn("IN-USE", str(error))
                self.assertLess(time.monotonic() - began, 5)
                again.user("alice@example.org")
        again.quit()
        self.until(lambda: len(self.pids()) == 2)
        self.assertNotEqual(self.pids()[mine["worker"]], pids[mine["worker"]])
        self.assertEqual(self.ask("status")["deaths"], 1)
        self.one_each()

    def test_death_of_the_master(self) -> None:
        """The workers end, telling those who are connected; then a new one may start, at once."""
        pids = self.pids()
        clients = self.one_each()
        self.kill(self.server.process.pid)
        self.server.process.wait()
        again = Running("run", "--config", str(self.config))
        self.addCleanup(again.stop)
        for each in clients.values():
            self.assertIn("shutting down", each.expect(421))
        self.until(lambda: not any(map(is_alive, pids.values())))
        again.wait_for(str(self.base + 995))
        self.assertEqual(set(self.pids()), {0, 1})
        self.one_each()


class LimitTests(WorkersCase):
    def test_shared(self) -> None:
        """What one peer may have it may have once, not once of each worker; what a dead worker had is free."""
        self.write(end="\n[limits]\nconnections_per_address = 6\nconnections_per_minute = 0\nloopback = true\n")
        self.start()
        for _ in range(6):
            self.client()
        with self.assertRaises(Refused) as refused:
            self.client()
        self.assertEqual(refused.exception.args[0], 421)
        held = [each["worker"] for each in self.ask("who")]
        self.assertEqual(len(held), 6)
        busiest = max(held, key=held.count)
        pid = self.pids()[busiest]
        self.kill(pid)
        self.until(lambda: self.pids().get(busiest, pid) != pid)
        for _ in range(held.count(busiest)):
            self.client()
        self.assertRaises(Refused, self.client)


class StartTests(WorkersCase):
    def test_what_a_worker_cannot_build_stops_the_start(self) -> None:
        (self.folder / "plugins").mkdir()
        (self.folder / "plugins" / "broken.py").write_text(BROKEN)
        self.write(end='\n[[filter]]\nuse = "broken"\n\n[plugins]\nfolders = ["plugins"]\n')
        running = Running("run", "--config", str(self.config))
        self.addCleanup(running.stop)
        self.assertIn("broken.py:14: OSError: the list cannot be read", running.wait_for("the list cannot be read"))
        self.assertEqual(running.ended(), 1)
        self.assertRaises(NoServer, self.ask, "who")

    def test_one_that_dies_again_and_again_is_waited_for(self) -> None:
        """A plugin that got broken while the server ran: the master does not spin, and heals when it is mended."""
        plugin = self.folder / "plugins" / "broken.py"
        plugin.parent.mkdir()
        plugin.write_text(BROKEN.replace('raise OSError("the list cannot be read")', "pass"))
        self.write(end='\n[[filter]]\nuse = "broken"\n\n[plugins]\nfolders = ["plugins"]\n')
        running = self.start()
        plugin.write_text(BROKEN)
        pids = self.pids()
        self.kill(pids[1])
        began = time.monotonic()
        for _ in range(3):
            running.wait_for("worker 1 cannot start")
        self.assertGreater(time.monotonic() - began, 1.5)
        self.assertEqual(self.pids(), {0: pids[0]})
        plugin.write_text(BROKEN.replace('raise OSError("the list cannot be read")', "pass"))
        self.until(lambda: set(self.pids()) == {0, 1})

    def test_twistd(self) -> None:
        """Under twistd, in the background: what the workers log is in its log."""
        pidfile, log = self.folder / "pid", self.folder / "log"
        running = Running(
            f"--pidfile={pidfile}", f"--logfile={log}", "mailserver", "--config", str(self.config),
            what=("-c", "from twisted.scripts.twistd import run; run()"),
        )
        self.assertEqual(running.ended(), 0, "".join(running.heard()))
        pid = int(pidfile.read_text())
        self.addCleanup(self.end, pid)
        self.until(lambda: log.exists() and str(self.base + 995) in log.read_text())
        for each in self.one_each().values():
            each.send("bob@example.net", ["alice@example.org"], b"Subject: twistd\r\n\r\n")
        self.until(lambda: log.read_text().count("for <alice@example.org>") == 2)
        workers = self.pids().values()
        self.end(pid)
        self.assertFalse(any(map(is_alive, workers)))
        self.assertNotIn("Traceback", log.read_text())

    def end(self, pid: int) -> None:
        if is_alive(pid):
            os.kill(pid, signal.SIGTERM)
            self.until(lambda: not is_alive(pid))
