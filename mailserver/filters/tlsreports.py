"""``tls-reports``: what others report about TLS on the way to us is read and kept (RFC 8460)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import attrs
from twisted.logger import Logger
from zope.interface import implementer

from mailserver.address import Address, domain_key
from mailserver.content import Content
from mailserver.envelope import Client, Envelope, Origin
from mailserver.errors import BadAddress
from mailserver.interfaces import IFilter, IServer
from mailserver.reply import Reply
from mailserver.store import tlsreports
from mailserver.tlsrpt.parts import LARGEST, report_in
from mailserver.tlsrpt.reading import BadReport, read_report
from mailserver.tlsrpt.report import Report
from mailserver.verdict import Verdicts, reject, score

log = Logger()

NO_REPORT = Reply(550, "6.0", "This address takes TLS reports (RFC 8460) alone, and this is none that can be read")


def _address(instance: Any, attribute: Any, value: str) -> None:
    try:
        if Address.parse(value).domain:
            return
        why = "the domain is missing"
    except BadAddress as error:
        why = str(error)
    raise ValueError(f"'{attribute.name}' needs to be an address, not {value!r}: {why}")


@attrs.frozen
class TlsReportsOptions:
    """Mail to `address` is read; reports about our own domains and about `domains` ("*" is every one) are kept."""

    address: str = attrs.field(validator=_address)
    domains: list[str] = attrs.field(factory=list)


@implementer(IFilter)
class TlsReports:
    """Keeps reports, and hinders nobody: only what is no report, and for nobody else, is refused.

    Who it is from is not proved: RFC 8460 5.3 wants a DKIM signature, which is not looked at here.
    """

    Options = TlsReportsOptions
    origins = frozenset({Origin.ARRIVAL, Origin.SUBMISSION})

    def __init__(self, options: TlsReportsOptions, server: IServer) -> None:
        self._key = Address.parse(options.address).key
        self._domains = frozenset(map(domain_key, options.domains))
        self._server = server

    async def content(self, client: Client, envelope: Envelope, content: Content) -> Verdicts:
        ours = [each for each in envelope.recipients if each.key == self._key]
        if not ours:
            return None
        try:
            report = await self._about_us(await self._server.in_thread(_read, content))
        except BadReport as bad:
            if len(ours) == len(envelope.recipients) and not await self._somebody_lives_at(ours[0]):
                return [score(0.0, f"no TLS report: {bad}"), reject(NO_REPORT)]
            return score(0.0, f"no TLS report: {bad}")
        is_new = await self._server.database.write(tlsreports.keep, report, self._server.now())
        log.info("TLS report of {organization}: {report}", organization=report.organization, report=report.id)
        return score(0.0, f"a TLS report of {report.organization}, {'kept' if is_new else 'known already'}")

    async def _about_us(self, report: Report) -> Report:
        """The same, with what is about us; raises `BadReport` when nothing is."""
        ours = tuple([each for each in report.sections if await self._is_ours(each.policy.domain)])
        if not ours:
            raise BadReport("it is about no domain that is ours")
        return replace(report, sections=ours)

    async def _is_ours(self, domain: str) -> bool:
        name = domain_key(domain)
        return "*" in self._domains or name in self._domains or await self._server.directory.is_local(name)

    async def _somebody_lives_at(self, address: Address) -> bool:
        directory = self._server.directory
        return bool(await directory.account(address)) or await directory.alias(address) is not None


def _read(content: Content) -> Report:
    """Blocks."""
    return read_report(report_in(content.read(0, LARGEST + 1)))
