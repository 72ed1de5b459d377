"""Listeners and plugins that work by themselves, inside a whole server."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater

from mailserver.service import MailServer
from tests.serving import ServerCase, reactor

PLUGIN = '''
import json
import attrs
from zope.interface import implementer
from mailserver.envelope import Origin
from mailserver.interfaces import IFilter, IListener, IResident
from mailserver.plugin import FilterOffer, ListenerOffer

@attrs.frozen
class Options:
    kinds: tuple[str, ...] = ("accepted", "delivered")

@implementer(IListener, IResident)
class Notes:
    Options = Options
    kinds = property(lambda self: self.wanted)

    def __init__(self, options, server):
        self.wanted, self.path = options.kinds, server.data / "notes"

    def write(self, what):
        with self.path.open("a") as file:
            file.write(json.dumps(what) + "\\n")

    def start(self):
        self.write("start")

    async def stop(self):
        self.write("stop")

    def happened(self, events):
        for each in events:
            self.write([each.kind, each.recipient])

@implementer(IFilter, IListener)
class Both:
    """A filter that hears, too."""

    origins = frozenset({Origin.SUBMISSION})
    kinds = frozenset({"accepted"})

    def __init__(self, options, server):
        self.path = server.data / "both"

    def sender(self, client, envelope):
        return None

    def happened(self, events):
        self.path.write_text(str(len(events)))

notes = ListenerOffer("notes", Notes, "Notes what happens.")
both = FilterOffer("both", Both, "Judges and hears.")
'''


class ListenerTests(ServerCase):
    def site(self, tables: str) -> Path:
        path = self.configure(f'[plugins]\nfolders = ["plugins"]\n{textwrap.dedent(tables)}')
        (path.parent / "plugins").mkdir()
        (path.parent / "plugins" / "notes.py").write_text(PLUGIN, "utf-8")
        return path

    def notes(self, path: Path) -> list[Any]:
        file = path.parent / "data" / "notes"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    async def mail(self, server: MailServer) -> None:
        line = await self.connect(server)
        await line.reply()
        for said in ("EHLO x.example.net", "MAIL FROM:<carol@example.net>", "RCPT TO:<bob@example.org>", "DATA"):
            await line.ask(said)
        self.assertRegex(await line.ask("Subject: x\r\n\r\nx\r\n."), "^250 ")
        await line.ask("QUIT")

    async def test_hears(self) -> None:
        """A listener, and a filter that listens; and the last words are heard when the server stops."""
        path = self.site('[[listener]]\nuse = "notes"\n[[filter]]\nuse = "both"\n')
        server = self.start(path)
        await self.mail(server)
        await server.stopService()
        self.assertEqual(self.notes(path), ["start", ["accepted", ""], "stop"])
        self.assertEqual((path.parent / "data" / "both").read_text(), "1")

    async def test_reload(self) -> None:
        """One that is new starts, one that is gone stops; a file is read anew, and so is what stands in it."""
        path = self.site("")
        server = self.start(path)
        text = path.read_text()
        for tables in ('[[listener]]\nuse = "notes"\n', '[[listener]]\nuse = "notes"\nbudget = 5\n', ""):
            path.write_text(text + tables)
            await server._reload({})
            await self.mail(server)
            await self.until(lambda: self._noted(server))
        self.assertEqual(self.notes(path), 2 * ["start", ["accepted", ""], "stop"])

    async def _noted(self, server: MailServer) -> bool:
        return all(not ear._waiting for ear in server.events._ears)

    async def test_kinds_that_there_are_not(self) -> None:
        """Nobody waits in vain for an event that is spelled wrong."""
        path = self.site('[[listener]]\nuse = "notes"\nkinds = ["delivred"]\n')
        with self.assertRaises(SystemExit) as refused:
            self.start(path)
        await deferLater(reactor, 0.05, lambda: None)       # until the ports are free again
        self.assertIn("there are no events of the kind 'delivred'; did you mean 'delivered'?", str(refused.exception))
