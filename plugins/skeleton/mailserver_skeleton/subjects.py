"""``subjects``: looks for words in the subject of a message."""

from __future__ import annotations

from email.errors import MessageError
from email.header import decode_header, make_header
from typing import Literal

import attrs
from zope.interface import implementer

from mailserver.content import Content
from mailserver.envelope import Client, Envelope, Origin
from mailserver.interfaces import IFilter, IServer
from mailserver.verdict import Verdicts, quarantine, reject


@attrs.frozen
class SubjectsOptions:
    """The keys of its table: a message with any of `words` in its subject goes to Junk, or is refused."""

    words: tuple[str, ...] = ()
    action: Literal["quarantine", "reject"] = "quarantine"


@implementer(IFilter)
class Subjects:
    """Judges what comes from outside.  Only the hooks that a filter has are called; this one has `content`."""

    Options = SubjectsOptions
    origins = frozenset({Origin.ARRIVAL})
    dry = True      # asking it changes nothing, so ``mailserver explain`` may

    def __init__(self, options: SubjectsOptions, server: IServer) -> None:
        self._words = [word.casefold() for word in options.words]
        self._action = options.action

    def content(self, client: Client, envelope: Envelope, content: Content) -> Verdicts:
        subject = " ".join(decoded(field) for field in content.fields("Subject")).casefold()
        for word in self._words:
            if word in subject:
                if self._action == "reject":
                    return reject("We do not want to read about that")
                return quarantine(f"its subject speaks of {word!r}")
        return None


def decoded(field: bytes) -> str:
    """The text of a header field (RFC 2047); as it stands there, if it cannot be decoded."""
    text = field.decode("utf-8", "replace").replace("\r\n", "")
    try:
        return str(make_header(decode_header(text)))
    except (MessageError, LookupError, ValueError):
        return text
