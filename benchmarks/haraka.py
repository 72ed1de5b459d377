"""Haraka from npm, with a queue plugin of ours that writes Maildir with fsync."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from benchmarks.cell import Cell
from benchmarks.larder import Larder, Unavailable
from benchmarks.peer import DOMAIN, LARGEST, Program, make_maildirs, said_version

PACKAGE, VERSION = "Haraka", "3.3.4"
PLUGIN = Path(__file__).parent / "programs/haraka_maildir.js"


class Haraka(Program):
    """One worker, as by default."""

    name = "Haraka"
    settings = "plugins tls and a queue plugin that writes Maildir with fsync before the reply; one worker"
    slow = 2

    @classmethod
    def version(cls, larder: Larder) -> str:
        if shutil.which("node") is None or shutil.which("npm") is None:
            raise Unavailable("node or npm is missing: apt install nodejs npm")
        modules = larder.npm(f"{PACKAGE}@{VERSION}")
        version = json.loads((modules / PACKAGE / "package.json").read_text())["version"]
        return f"{version} on Node {said_version('node', '--version').removeprefix('v')}"

    def more(self) -> dict[str, str]:
        """Files of the configuration beside the usual ones, or instead of them."""
        return {}

    def prepare(self) -> list[str]:
        program = str(self.larder.npm(f"{PACKAGE}@{VERSION}") / PACKAGE / "bin/haraka")
        made = self.folder / "made"
        subprocess.run(["node", program, "-i", str(made)], check=True, capture_output=True)
        make_maildirs(self.mailboxes, self.names)
        certificate, key = self.certificate()
        files = {
            "me": f"mx.{DOMAIN}\n",
            "plugins": "tls\nmaildir\n",
            "smtp.ini": f"listen=127.0.0.1:{self.port}\n",
            "tls.ini": f"key={key}\ncert={certificate}\n",
            "mailboxes.json": json.dumps({
                address: str(self.mailboxes / name) for address, name in zip(self.addresses, self.names, strict=True)
            }),
        }
        connection = made / "config/connection.ini"
        connection.write_text(connection.read_text().replace("\nbytes=26214400\n", f"\nbytes={LARGEST}\n"))
        for name, text in files.items():
            (made / "config" / name).write_text(text)
        shutil.copy(PLUGIN, made / "plugins/maildir.js")
        for name, text in self.more().items():
            (made / "config" / name).write_text(text)
        cell = Cell(self.folder / "cell", None)         # it asks for the name of each client
        cell.make()
        return cell.command("node", program, "-c", str(made))
