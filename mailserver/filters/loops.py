"""``loops``: a message that has passed too many servers, or was delivered to its recipient before."""

from __future__ import annotations

import re

import attrs
from zope.interface import implementer

from mailserver.content import Content
from mailserver.envelope import Client, Envelope, Origin
from mailserver.interfaces import IFilter, IServer
from mailserver.reply import LOOP
from mailserver.verdict import Verdicts, reject

_RECEIVED = re.compile(rb"(?:\A|\n)received[ \t]*:", re.IGNORECASE)
_DELIVERED_TO = re.compile(rb"(?:\A|\n)delivered-to[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)


@attrs.frozen
class LoopsOptions:
    """`hops` is how many Received fields a message may have (RFC 5321 6.3: at least 100)."""

    hops: int = attrs.field(default=100, validator=attrs.validators.ge(1))


@implementer(IFilter)
class Loops:
    """Counts Received fields, and looks for our own Delivered-To (RFC 9228)."""

    Options = LoopsOptions
    origins = frozenset(Origin)
    dry = True

    def __init__(self, options: LoopsOptions, server: IServer) -> None:
        self._hops = options.hops

    def content(self, client: Client, envelope: Envelope, content: Content) -> Verdicts:
        header = content.header
        if len(_RECEIVED.findall(header)) > self._hops:
            return reject(LOOP)
        delivered = {found.strip().lower() for found in _DELIVERED_TO.findall(header)}
        if delivered and all(str(each).lower().encode() in delivered for each in envelope.recipients):
            return reject(LOOP)
        return None
