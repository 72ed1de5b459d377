"""Several workers, one answer to Prometheus; and orders about the queue reach the one that delivers."""

from __future__ import annotations

import time
import urllib.error
import urllib.request

from tests.web.test_exposition import read
from tests.workers.cases import WorkersCase


class FiguresTests(WorkersCase):
    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.base + 80}{path}", timeout=10) as answer:
            return bytes(answer.read())

    def test_sums(self) -> None:
        """Whoever served whom; and ready is who has all its workers."""
        self.write(end=f'[[listen]]\nservice = "http"\nendpoint = "tcp:{self.base + 80}:interface=127.0.0.1"\n')
        self.start()
        clients = self.one_each()
        for client in clients.values():
            client.say("MAIL FROM:<>")
        found = read(self.get("/metrics"))
        labels = (("code", "250"), ("service", "smtp"), ("verb", "MAIL"))
        self.assertEqual(found["mailserver_commands_total", labels], 2)
        self.assertEqual(found["mailserver_connections", (("service", "smtp"),)], 2)
        self.assertEqual(found["mailserver_queue_messages", (("state", "ready"),)], 0)
        self.assertEqual(self.get("/readyz"), b"ok\n")
        self.assertEqual(self.ask("figures")["connections"], [["smtp", 2]])
        self.kill(self.pids()[1])
        self.until(lambda: self.wrong("/readyz"))
        self.until(lambda: not self.wrong("/readyz"))

    def wrong(self, path: str) -> bytes:
        """What it says with a 503."""
        try:
            self.get(path)
        except urllib.error.HTTPError as error:
            with error:
                return error.read()
        return b""

    def test_queue(self) -> None:
        """The order to look at the queue is taken by the worker that delivers, and an answer comes from all."""
        self.start()
        self.assertEqual(self.ask("queue"), {"at_work": [], "rates": {}})
        self.done("sendmail", "-f", "alice@example.org", "x@example.net", stdin="Subject: x\n\nhi\n")
        began = time.monotonic()
        self.assertIsNone(self.ask("wake"))
        self.until(lambda: self.done("queue", "list", "--json").json[0]["attempts"])
        self.assertLess(time.monotonic() - began, 5)
