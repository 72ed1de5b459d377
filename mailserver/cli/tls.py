"""``mailserver tls``: which TLS the servers of a domain must have before mail goes there, and what is known of them."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import click

from mailserver.address import domain_key, parse_domain
from mailserver.cli import tls_reports
from mailserver.cli.given import configuration, reading, writing
from mailserver.cli.house import House, in_reactor, opened_house
from mailserver.cli.shown import as_json, plain, show_json, show_pairs, show_table, when
from mailserver.delivery.tls.demand import Policy
from mailserver.delivery.tls.demands import Demands
from mailserver.delivery.tls.policies import in_force
from mailserver.delivery.tls.told import told_of
from mailserver.errors import MailserverError, NotFound
from mailserver.store import tls
from mailserver.store.tls import Kept, Remembered
from mailserver.wishes import NONE


@click.group("tls")
def command() -> None:
    """Which TLS other servers must have, and why."""


command.add_command(tls_reports.command)


@command.command("show")
@click.argument("domain")
@as_json
def show(domain: str, json_wanted: bool) -> None:
    """Ask the DNS, and for a policy, and say what each mail server of DOMAIN must have."""
    config = configuration()
    name = domain_key(parse_domain(domain))

    async def ask(reactor: Any) -> dict[str, Any]:
        async with opened_house(config, reactor) as house:
            return await _asked(house, name)

    found = in_reactor(ask)
    if json_wanted:
        show_json(found)
        return
    sts, memory = found["sts"], found["memory"]
    show_pairs([
        ("domain", found["domain"]),
        ("configured", found["configured"]),
        ("MTA-STS", f"{sts['mode']}, id {sts['id']}, for {', '.join(sts['mx']) or 'nobody'}" if sts else "none"),
        ("fetched", when(sts["fetched"]) if sts else ""),
        ("holds until", when(sts["expires"]) if sts else ""),
        ("trouble", found["sts_trouble"]),
        ("memory", _in_words(memory) if memory else "none"),
    ])
    rows = [(each["host"] or "-", each["level"], each["why"]) for each in found["hosts"]]
    show_table(("host", "level", "why"), rows, "no mail server")


async def _asked(house: House, domain: str) -> dict[str, Any]:
    demands = Demands(house.database, house.config.outbound.tls, house.world, house.config.hostname)
    try:
        policy = await demands.of_domain(domain, NONE, by_mx=True)
        if policy.unknown:
            raise MailserverError(policy.unknown)
        hosts = await told_of(demands, policy)
    finally:
        await demands.stop()
    return {
        "domain": domain,
        "configured": policy.level,
        "sts": _sts(policy),
        "sts_trouble": policy.sts_trouble,
        "memory": asdict(policy.remembered) if policy.remembered is not None else None,
        "hosts": [{"host": host, "level": level, "why": why} for host, level, why in hosts],
    }


def _sts(policy: Policy) -> dict[str, Any] | None:
    sts = policy.sts
    if sts is None:
        return None
    return {"mode": sts.mode, "id": sts.id, "mx": sts.mx, "fetched": sts.fetched, "expires": sts.expires}


def _in_words(memory: dict[str, Any]) -> str:
    words = f"TLS since {when(memory['since'])}, last {when(memory['last'])} ({memory['level']}, {memory['tls']})"
    return f"{words}; not since {when(memory['missing'])}: {memory['reason']}" if memory["missing"] else words


@command.command("list")
@as_json
def listing(json_wanted: bool) -> None:
    """All MTA-STS policies that are kept, and all domains that are known to have TLS."""
    with reading() as connection:
        policies, memory = tls.listing(connection)
    now = time.time()
    if json_wanted:
        show_json({"policies": [_kept(each, now) for each in policies], "memory": [asdict(each) for each in memory]})
        return
    rows = [
        (each["domain"], each["mode"], each["id"], when(each["fetched"]), when(each["expires"]), each["trouble"])
        for each in (_kept(policy, now) for policy in policies)
    ]
    show_table(("domain", "policy", "id", "fetched", "holds until", "trouble"), rows, "no MTA-STS policy is kept")
    heads = ("domain", "TLS since", "last", "level", "missing since", "reason")
    show_table(heads, map(_row, memory), "nothing is remembered of the TLS of others")


def _kept(kept: Kept, now: float) -> dict[str, Any]:
    policy = in_force(kept, now)
    return {**asdict(kept), "mode": policy.mode if policy is not None else "over"}


def _row(each: Remembered) -> tuple[str, ...]:
    missing = when(each.missing) if each.missing else ""
    return each.domain, when(each.since), when(each.last), each.level, missing, each.reason


@command.command("forget")
@click.argument("domain")
def forget(domain: str) -> None:
    """Forget the policy and the memory of DOMAIN; what it publishes is found out anew."""
    name = domain_key(parse_domain(domain))
    with writing() as connection:
        count = tls.forget(connection, name)
    if not count:
        raise NotFound(f"nothing is known of the TLS of {name}")
    click.echo(plain(f"what was known of the TLS of {name} is forgotten"))
