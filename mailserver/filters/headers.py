"""``headers``: a submission gets the Date and the Message-ID that it should have had (RFC 6409 8.1, 8.2)."""

from __future__ import annotations

import re

from zope.interface import implementer

from mailserver.content import Content
from mailserver.envelope import Client, Envelope, Origin
from mailserver.ident import spell
from mailserver.interfaces import IFilter, IServer, NoOptions
from mailserver.received import mail_date
from mailserver.verdict import AddHeader, Verdicts, add_header

# Patterns that begin with a letter as it is are found ten times as quickly as those that ignore case.
_DATE = re.compile(rb"\ndate[ \t]*:")
_MESSAGE_ID = re.compile(rb"\nmessage-id[ \t]*:")


@implementer(IFilter)
class Headers:
    """Adds what is missing, and changes nothing that is there."""

    Options = NoOptions
    origins = frozenset({Origin.SUBMISSION})
    dry = True

    def __init__(self, options: NoOptions, server: IServer) -> None:
        self._server = server

    def content(self, client: Client, envelope: Envelope, content: Content) -> Verdicts:
        header = b"\n" + content.header.lower()
        missing: list[AddHeader] = []
        if _DATE.search(header) is None:
            missing.append(add_header("Date", mail_date(self._server.now())))
        if _MESSAGE_ID.search(header) is None:
            missing.append(add_header("Message-ID", f"<{spell(envelope.id)}@{self._server.hostname}>"))
        return missing or None
