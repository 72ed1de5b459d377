"""Two houses: what one saw of TLS on the way to the other, the other is told and shows to its operator."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from sqlalchemy import func, select
from twisted.internet.threads import deferToThread

from mailserver.chores import Chores
from mailserver.cli.tls_reports import command
from mailserver.config import load
from mailserver.delivery.tlsrpt.reporter import GRACE, SPREAD
from mailserver.service import MailServer
from mailserver.store import directory, tlsreports
from mailserver.store.database import Database
from mailserver.store.schema import tls_report, tls_result
from mailserver.testing import Names
from mailserver.tlsrpt.report import DAY
from tests.delivery.seen import Session
from tests.serving import ServerCase
from tests.tlsrpt.test_report import REPORT

SENDS = "[outbound.tls_reports]\nsend = true\n"
SESSIONS = (
    *[Session(0.0, "example.com", "sts", policy=("mode: enforce",), patterns=("mx.example.com",))] * 3,
    *[Session(0.0, "example.com", "sts", "certificate-expired", "mx.example.com", "192.0.2.1", "192.0.2.9", "expired",
              ("mode: enforce",), ("mx.example.com",))] * 2,
)


class TwoHousesTests(ServerCase):
    """mx.example.org sends, and example.com receives."""

    def theirs(self, extra: str = "") -> tuple[MailServer, Path]:
        path = self.configure(f'[tls_report]\naddress = "tls@example.com"\n{extra}', "smtp", "mx2")
        database = Database(None, path.parent / "data")
        database.open()
        with database.transaction() as connection:
            directory.add_domain(connection, "example.com", 0.0)
        database.close()
        return self.start(path), path

    async def ours(self, them: MailServer, extra: str = "") -> MailServer:
        where = them.listeners[0].port.getHost()
        route = f"[outbound.route]\n'example.com' = 'tcp:{where.host}:{where.port}'\n"
        us = await self.serve(extra + SENDS + route, "")
        names = Names()
        names.add("_smtp._tls.example.com", "TXT", '"v=TLSRPTv1; rua=mailto:tls@example.com"')
        us.world.resolver = names
        return us

    def shown(self, path: Path, *words: str) -> Result:
        result = CliRunner().invoke(command, words, env={"MAILSERVER_CONFIG": str(path)}, catch_exceptions=False)
        self.assertEqual(result.exit_code, 0, result.output)
        return result

    async def test_from_a_session_to_the_operator(self) -> None:
        them, their_path = self.theirs()
        us = await self.ours(them)
        began = time.time()
        moved = (began // DAY) * DAY + 7200.0 - began
        us.world.now = lambda: time.time() + moved
        for session in SESSIONS:
            us.tls_records.note(replace(session, time=us.world.now()))
        await us.tls_records.flush()
        moved += DAY - 7200.0 + GRACE + SPREAD + 10
        await us.tls_reporter.send_due()
        moved += SPREAD
        await us.tls_reporter.send_due()

        async def come() -> Any:
            return json.loads((await deferToThread(self.shown, their_path, "--json")).output)

        [told] = await self.until(come)
        self.assertEqual((told["organization"], told["contact"]), ("mx.example.org", "postmaster@mx.example.org"))
        self.assertEqual((told["domain"], told["policy"]), ("example.com", "sts"))
        self.assertEqual((told["successful"], told["failed"]), (3, 2))
        self.assertEqual((told["begin"], told["end"]), ((began // DAY) * DAY, (began // DAY) * DAY + DAY - 1))
        self.assertEqual(told["failures"], [{
            "result": "certificate-expired", "count": 2, "sending": "192.0.2.9", "mx": "mx.example.com",
            "receiving": "192.0.2.1", "reason": "expired",
        }])
        day = time.strftime("%Y-%m-%d", time.gmtime(began))
        text = self.shown(their_path).output
        self.assertIn(f"mx.example.org about example.com, {day}: 5 sessions, 2 failed (sts)\n", text)
        self.assertIn("\n  2 certificate-expired at mx.example.com: expired\n", text)
        self.assertEqual(json.loads(self.shown(their_path, "--json", "--domain", "example.org").output), [])
        self.assertEqual(json.loads(self.shown(their_path, "--json", "--since", "2099-01-01").output), [])
        self.assertIn("there is no report", self.shown(us.config.path).output)

        [sent] = json.loads(self.shown(us.config.path, "--sent", "--json").output)
        self.assertEqual((sent["day"], sent["domain"], sent["done"]), (day, "example.com", True))
        self.assertIn("tls@example.com", self.shown(us.config.path, "--sent").output)

    async def test_refused_at_the_door(self) -> None:
        """What is no report is refused in the session, so that nobody is told of it later."""
        them, _ = self.theirs()
        line = await self.connect(them)
        await self.play(line, """
            S: 220 *
            C: EHLO client.example.net
            S: ...
            S: 250 *
            C: MAIL FROM:<>
            S: 250 *
            C: RCPT TO:<somebody@example.com>
            S: 550 5.1.1 *
            C: RCPT TO:<tls@example.com>
            S: 250 *
            C: DATA
            S: 354 *
            C: Subject: hello
            C:
            C: buy this
            C: .
            S: 550 5.6.0 This address takes TLS reports *
            C: QUIT
            S: 221 *
        """)

    async def test_kept_for_a_while(self) -> None:
        """As long as the configuration says, and so are the results that we told."""
        them, path = self.theirs('life = "1d"\n')
        us = await self.ours(them)
        self.assertEqual(load(path).tls_report.life, DAY)
        for session in SESSIONS:
            us.tls_records.note(replace(session, time=us.world.now()))
        await us.tls_records.flush()
        with them.database.transaction() as connection:
            tlsreports.keep(connection, REPORT, time.time())
        for server, table in ((us, tls_result), (them, tls_report)):
            chores = Chores(
                server.database, server.world, "x", lambda server=server: server.config, True, server.scheduler.renew
            )
            await chores.tidy()
            self.assertNotEqual(await self.count(server, table), 0)
            server.world.now = lambda: time.time() + 5 * DAY
            await chores.tidy()
            self.assertEqual(await self.count(server, table), 0)

    async def count(self, server: MailServer, table: Any) -> int:
        return await server.database.read(
            lambda connection: connection.execute(select(func.count()).select_from(table)).scalar_one()
        )

    async def test_nothing_leaves(self) -> None:
        """A server that sends nothing counts nothing either."""
        us = await self.serve("[outbound]\nenabled = false\n", "")
        us.tls_records.note(replace(SESSIONS[0], time=time.time()))
        await us.tls_records.flush()
        self.assertEqual(await self.count(us, tls_result), 0)

    async def test_written_down_at_the_end(self) -> None:
        us = await self.serve(SENDS, "")
        us.tls_records.note(replace(SESSIONS[0], time=time.time()))
        await us.stopService()
        database = Database(None, us.config.data)
        database.open()
        self.addCleanup(database.close)
        with database.reading() as connection:
            self.assertEqual(connection.execute(select(tls_result.c.count)).scalars().all(), [1])
