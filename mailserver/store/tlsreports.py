"""The reports of others about TLS on the way to us (RFC 8460), a row for each policy in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, delete, select

from mailserver.store.schema import tls_report
from mailserver.tlsrpt.report import Failure, Report, Section

MOST_ROWS = 20_000          # the oldest go first
MOST_DETAILS = 32 * 1024    # octets of the details of a row: anybody can send a report, and gzip makes little of much
MOST_SHOWN = 1000


def key_of(report: Report) -> str:
    """The same for the same report, however often it comes (RFC 8460 5.3: the id is there to tell)."""
    told = json.dumps([report.organization, report.contact, report.id, report.begin, report.end])
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def keep(connection: Connection, report: Report, received: float) -> bool:
    """Write a report down; False when it is known already."""
    key = key_of(report)
    if connection.execute(select(tls_report.c.key).where(tls_report.c.key == key).limit(1)).first() is not None:
        return False
    connection.execute(tls_report.insert(), [
        {
            "key": key, "number": number, "received": received, "organization": report.organization,
            "contact": report.contact, "report": report.id, "since": report.begin, "until": report.end,
            "domain": section.policy.domain, "policy": section.policy.type, "successful": section.successful,
            "failed": section.failed, "details": _details(section),
        }
        for number, section in enumerate(report.sections)
    ])
    _purge_most(connection)
    return True


def _details(section: Section) -> str:
    """What else is told of a policy, as far as there is room for it; the numbers stand in the row."""
    kept: dict[str, list[Any]] = {"policy-string": [], "mx-host": [], "failures": []}
    room = MOST_DETAILS
    told = (section.policy.strings, section.policy.mx, [_told(each) for each in section.failures])
    for some, each in ((some, each) for some, several in zip(kept.values(), told, strict=True) for each in several):
        room -= len(json.dumps(each)) + 2
        if room < 0:
            break
        some.append(each)
    return json.dumps(kept)


def _told(failure: Failure) -> Mapping[str, Any]:
    return {name: value for name, value in asdict(failure).items() if value}


def listing(
    connection: Connection, domain: str | None = None, since: float | None = None, limit: int = MOST_SHOWN
) -> Sequence[Mapping[str, Any]]:
    """What was reported of one domain or all, the latest first; `since` is when it came."""
    query = select(tls_report).order_by(tls_report.c.received.desc(), tls_report.c.key, tls_report.c.number)
    if domain is not None:
        query = query.where(tls_report.c.domain == domain)
    if since is not None:
        query = query.where(tls_report.c.received >= since)
    rows = connection.execute(query.limit(limit)).mappings()
    return [{**row, **json.loads(row["details"])} for row in rows]


def _purge_most(connection: Connection) -> None:
    query = select(tls_report.c.received).order_by(tls_report.c.received.desc()).offset(MOST_ROWS).limit(1)
    last = connection.execute(query).scalar()
    if last is not None:
        connection.execute(delete(tls_report).where(tls_report.c.received <= last))


def purge(connection: Connection, before: float) -> None:
    """Forget those that came before."""
    connection.execute(delete(tls_report).where(tls_report.c.received < before))
