"""``mailserver tls reports``: what others report about TLS on the way to us, and what we reported to others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from mailserver.address import domain_key
from mailserver.cli.given import reading
from mailserver.cli.shown import as_json, plain, plural, show_json, show_table, when
from mailserver.cli.trace import time_of
from mailserver.store import tlsreports, tlsresults
from mailserver.tlsrpt.report import DAY, date_time


@click.command("reports")
@click.option("--domain", metavar="NAME", help="About one domain.")
@click.option("--since", metavar="WHEN", help='Those that came since "2h", "3d", or a date: "2026-11-24".')
@click.option("--sent", is_flag=True, help="Those that we sent, or still owe.")
@as_json
def command(domain: str | None, since: str | None, sent: bool, json_wanted: bool) -> None:
    """TLS reports (RFC 8460): who could reach us with TLS, how often it failed, and why."""
    name = domain_key(domain) if domain else None
    after = time_of(since) if since else None
    if sent:
        _show_sent(name, after, json_wanted)
        return
    with reading() as connection:
        found = tlsreports.listing(connection, name, after)
    if json_wanted:
        show_json([_told(each) for each in found])
        return
    if not found:
        click.echo("there is no report")
    for each in found:
        for line in _lines(each):
            click.echo(plain(line))


def _lines(row: Mapping[str, Any]) -> Iterator[str]:
    """One report about one policy, and what failed, by type and host."""
    yield (
        f"{when(row['received'])}  {row['organization'] or row['contact'] or 'somebody'} about {row['domain']}, "
        f"{_days(row)}: {plural(row['successful'] + row['failed'], 'session', 'sessions')}, {row['failed']} failed"
        f" ({row['policy']})"
    )
    failures: Counter[tuple[str, str, str]] = Counter()
    for each in row["failures"]:
        failures[each.get("result", ""), each.get("mx", ""), each.get("reason", "")] += each.get("count", 0)
    for (result, mx, reason), count in failures.most_common():
        yield f"  {count} {result or 'unknown'}" + (f" at {mx}" if mx else "") + (f": {reason}" if reason else "")


def _days(row: Mapping[str, Any]) -> str:
    """The days that it is about; some senders end theirs with the first second of the next."""
    first, last = (_day(seconds) for seconds in (row["since"], max(row["since"], row["until"] - 1)))
    return first if first == last else f"{first} to {last}"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _told(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "received": row["received"], "organization": row["organization"], "contact": row["contact"],
        "report": row["report"], "begin": row["since"], "end": row["until"], "domain": row["domain"],
        "policy": row["policy"], "policy_strings": row["policy-string"], "mx_hosts": row["mx-host"],
        "successful": row["successful"], "failed": row["failed"], "failures": row["failures"],
    }


def _show_sent(domain: str | None, after: float | None, json_wanted: bool) -> None:
    with reading() as connection:
        rows: Sequence[Mapping[str, Any]] = tlsresults.sent(connection, domain)
    rows = [each for each in rows if after is None or (each["day"] + 1) * DAY > after]
    told = [
        {
            "day": date_time(each["day"] * DAY)[:10], "domain": each["domain"], "report": each["report"],
            "done": bool(each["done"]), "attempts": each["attempts"], "said": each["said"],
            "next_attempt": None if each["done"] else each["next_attempt"],
        }
        for each in rows
    ]
    if json_wanted:
        show_json(told)
        return
    show_table(
        ("day", "domain", "attempts", "next attempt", "said"),
        [
            (each["day"], each["domain"], each["attempts"], "" if each["done"] else when(each["next_attempt"]),
             each["said"])
            for each in told
        ],
        "no report was sent, and none is owed",
    )
