"""mailserver tls: what is demanded of other servers; the DNS is a real server on loopback."""

from __future__ import annotations

import time

from mailserver.store import tls
from mailserver.store.database import Database
from mailserver.store.tls import Kept
from tests.cli.commands import HouseTestCase
from tests.delivery.policies import policy
from tests.interop.zones import GOOD, Zones


class KnownTests(HouseTestCase):
    """What is kept in the database."""

    def setUp(self) -> None:
        super().setUp()
        now = time.time()
        database = Database(None, self.folder / "data")
        database.open()
        with database.transaction() as connection:
            text = policy("mx.example.com").replace("\r", "").strip()
            tls.keep(connection, Kept("example.com", "7", text, now, now + 86400, now, "it answered 404"))
            for _ in range(3):
                tls.had(connection, "example.net", now, "encrypt", "TLSv1.3 x")
            tls.missed(connection, "example.net", now, "no STARTTLS")
        database.close()

    def test_list(self) -> None:
        text = self.done("tls", "list").out
        for word in ("example.com", "enforce", "it answered 404", "example.net", "no STARTTLS"):
            self.assertIn(word, text)
        found = self.done("tls", "list", "--json").json
        self.assertEqual([(each["domain"], each["mode"]) for each in found["policies"]], [("example.com", "enforce")])
        self.assertEqual([(each["domain"], each["times"]) for each in found["memory"]], [("example.net", 3)])

    def test_forget(self) -> None:
        self.assertEqual(
            self.done("tls", "forget", "Example.NET").out, "what was known of the TLS of example.net is forgotten\n"
        )
        self.assertEqual(self.done("tls", "list", "--json").json["memory"], [])
        self.assertIn("nothing is known of the TLS of example.net", self.fails("tls", "forget", "example.net"))
        self.done("tls", "forget", "example.com")
        self.assertIn("no MTA-STS policy is kept", self.done("tls", "list").out)

    def test_show(self) -> None:
        """Asked of a resolver: signed and unsigned, with a policy and with a memory."""
        zones = Zones({
            "example.com": "@ MX 10 mx\n@ MX 20 other.example.org.\nmx A 127.0.0.2\n",
            "example.net": "@ MX 10 mx\nmx A 127.0.0.2\n",
            "example.org": f"@ MX 10 mx\nmx A 127.0.0.2\n_25._tcp.mx TLSA 3 1 1 {'ab' * 32}\n",
        }, {"example.org": GOOD})
        self.addCleanup(zones.stop)
        zones.start()
        self.config.write_text(f'{self.config.read_text()}\n[outbound]\nresolvers = ["{zones.resolver}"]\n')
        found = self.done("tls", "show", "example.com", "--json").json
        self.assertEqual((found["sts"]["mode"], found["sts"]["id"], found["configured"]), ("enforce", "7", "may"))
        self.assertEqual([(each["host"], each["level"]) for each in found["hosts"]], [
            ("mx.example.com", "verify"), ("other.example.org", "refused"),
        ])
        text = self.done("tls", "show", "example.net").out
        self.assertIn("may (not in the clear)", text)
        self.assertIn("no STARTTLS", text)
        self.assertIn("DANE: 1 TLSA record of _25._tcp.mx.example.org", self.done("tls", "show", "example.org").out)
        self.assertIn("does not exist", self.done("tls", "show", "nobody.example.org").out)
