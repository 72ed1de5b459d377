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

# Patterns that begin with a letter as it is are found ten times as quickly as those that ignore case.
_RECEIVED = re.compile(rb"\nreceived[ \t]*:")
_DELIVERED_TO = re.compile(rb"\ndelivered-to[ \t]*:[ \t]*([^\r\n]*)")


@attrs.frozen
class LoopsOptions:
    """`hops` is how many Received fields a message may have (RFC 5321 6.3: at least 100)."""

    hops: int = attrs.field(default=100, validator=attrs.validators.ge(1))


@implementer(IFilter)
class Loops:
    """Counts Received fields, and looks for our own Delivered-To (RFC 9228).

    There is one reply for all recipients, so a message that goes in a circle for one of several is taken: it comes
    back for that one alone, or with a Received field more.
    """

    Options = LoopsOptions
    origins = frozenset(Origin)
    dry = True

    def __init__(self, options: LoopsOptions, server: IServer) -> None:
        self._hops = options.hops

    def content(self, client: Client, envelope: Envelope, content: Content) -> Verdicts:
        header = b"\n" + content.header.lower()
        if len(_RECEIVED.findall(header)) > self._hops:
            return reject(LOOP)
        delivered = {found.strip() for found in _DELIVERED_TO.findall(header)}
        # Octets are put into small letters on both sides, which leaves all but ASCII as it is.
        if delivered and all(str(each).encode().lower() in delivered for each in envelope.recipients):
            return reject(LOOP)
        return None
