"""``[outbound]``: how mail leaves, as the configuration says it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailserver import tomlvalues as values
from mailserver.address import Address, domain_key, parse_domain
from mailserver.errors import BadAddress
from mailserver.feedback.rules import APPLIES, Rules
from mailserver.settings import Manner, Outbound, Smarthost, Source
from mailserver.tomltable import REQUIRED, TableReader, Wrong


def read_outbound(table: TableReader, secret: Callable[[Any], str]) -> Outbound:
    """The whole table; `secret` reads a password or the file that it is in."""
    default = Outbound()
    outbound = Outbound(
        smarthost=table.take("smarthost", None, values.host),
        smarthost_login=table.take("smarthost_login", None, values.text),
        smarthost_password=table.take("smarthost_password", None, secret),
        smarthosts=tuple(_smarthost(each, secret) for each in table.tables("smarthosts")),
        sources=tuple(map(_source, table.tables("source"))),
        manners=tuple(map(_manner, table.tables("destination"))),
        route=_routes(table.table("route")),
        resolvers=table.take_list("resolvers", values.ip),
        retry=table.take_list("retry", values.duration),
        retry_first=table.take("retry_first", default.retry_first, values.duration),
        retry_longest=table.take("retry_longest", default.retry_longest, values.duration),
        delay_warnings=_warnings(table, default.delay_warnings),
        life=table.take("life", default.life, values.duration),
        connections=table.take("connections", default.connections, values.count),
        connections_per_host=table.take("connections_per_host", default.connections_per_host, values.count),
        messages_per_connection=table.take("messages_per_connection", default.messages_per_connection, values.count),
        per_minute=table.take("per_minute", default.per_minute, values.count_or_none),
        sender_per_minute=table.take("sender_per_minute", default.sender_per_minute, values.count_or_none),
        allow_loopback=table.take("allow_loopback", False, values.yes_or_no),
        verp=table.take_list("verp", whose),
        suppression=_suppression(table.table("suppression")),
        enabled=table.take("enabled", True, values.yes_or_no),
    )
    _both(table, "smarthost_login", "smarthost_password")
    table.end()
    return outbound


def _both(table: TableReader, login: str, password: str) -> None:
    for key, other in ((login, password), (password, login)):
        if key in table.value and other not in table.value:
            table.wrong(key, f'"{key}" needs "{other}" beside it')


def _routes(table: TableReader) -> dict[str, str]:
    routes = {}
    for domain in table.value:
        host = table.take(domain, None, values.route)
        try:
            routes[domain_key(parse_domain(domain))] = host
        except BadAddress as error:
            table.wrong(domain, f'"{domain}" is no domain: {error}')
    return routes


def _warnings(table: TableReader, usual: tuple[float, ...]) -> tuple[float, ...]:
    ages = table.take_list("delay_warnings", values.duration)
    return tuple(sorted(ages)) if "delay_warnings" in table.value else usual


def _smarthost(table: TableReader, secret: Callable[[Any], str]) -> Smarthost:
    smarthost = Smarthost(
        table.take("host", REQUIRED, values.host),
        table.take("login", None, values.text),
        table.take("password", None, secret),
        tuple(map(domain_key, table.take_list("domains", values.domain))),
        table.take_list("senders", whose),
        table.take_list("logins", whose),
    )
    _both(table, "login", "password")
    if not (smarthost.domains or smarthost.senders or smarthost.logins):
        table.wrong("host", 'needs "domains", "senders" or "logins" beside it; for everybody it is outbound.smarthost')
    table.end()
    return smarthost


def _source(table: TableReader) -> Source:
    source = Source(
        table.take("address", REQUIRED, values.address),
        table.take("hello", "", values.domain),
        table.take_list("senders", whose),
        table.take("per_minute", 0, values.count_or_none),
    )
    table.end()
    return source


def _manner(table: TableReader) -> Manner:
    manner = Manner(
        table.take_list("domains", _domain_or_below),
        table.take("connections", 0, values.count),
        table.take("per_minute", 0, values.count_or_none),
    )
    if not table.value.get("domains"):
        table.wrong("domains", '"domains" needs the names of some')
    table.end()
    return manner


def _suppression(table: TableReader) -> Rules:
    default = Rules()
    rules = Rules(
        table.take("automatic", default.automatic, values.yes_or_no),
        table.take("bounces", default.bounces, values.count),
        table.take("within", default.within, values.duration),
        table.take("bounce_until", default.bounce_until, values.duration_or_none),
        table.take("complaints", default.complaints, values.yes_or_no),
        table.take("complaint_until", default.complaint_until, values.duration_or_none),
        table.take("applies", default.applies, values.one_of(APPLIES)),
    )
    table.end()
    return rules


def _domain_or_below(value: Any) -> str:
    text = values.text(value)
    return "." + domain_key(values.domain(text[1:])) if text.startswith(".") else domain_key(values.domain(text))


def whose(value: Any) -> str:
    """An address, or ``@domain`` for everybody there, as its key."""
    text = values.text(value)
    try:
        return "@" + domain_key(parse_domain(text[1:])) if text.startswith("@") else Address.parse(text).key
    except BadAddress as error:
        raise Wrong(f"needs to be an address or @domain: {error}") from None
