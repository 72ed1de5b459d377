"""A server made of aiosmtpd that delivers to Maildir with fsync before the reply.

    python -m benchmarks.programs.aiosmtpd_maildir PORT MAILBOXES CERTIFICATE KEY LARGEST
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP

from benchmarks.programs.maildir import deliver

DOMAIN = "example.org"


class Mailboxes:
    """A handler of aiosmtpd."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self._mailbox(address) is None:
            return "550 5.1.1 No such user here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        for address in envelope.rcpt_tos:
            mailbox = self._mailbox(address)
            assert mailbox is not None
            deliver(mailbox, [envelope.content])
        return "250 2.0.0 Ok"

    def _mailbox(self, address: str) -> Path | None:
        name, _, domain = address.rpartition("@")
        if domain != DOMAIN or "/" in name or name.startswith("."):
            return None
        folder = self._folder / name
        return folder if folder.is_dir() else None


async def serve(port: int, mailboxes: Path, certificate: str, key: str, largest: int) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    handler = Mailboxes(mailboxes)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(handler, hostname="mx.example.org", data_size_limit=largest, tls_context=context),
        "127.0.0.1", port, backlog=200,
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])))
