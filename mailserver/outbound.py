"""``[outbound]``: how mail leaves, as the configuration says it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mailserver import tomlvalues as values
from mailserver.address import Address, domain_key, parse_domain
from mailserver.errors import BadAddress
from mailserver.feedback.rules import APPLIES, Rules
from mailserver.settings import Manner, Outbound, OutboundTls, Smarthost, Source, TlsReports
from mailserver.tomltable import REQUIRED, TableReader, Wrong

TLS_LEVELS = ("none", "may", "encrypt", "verify", "dane")
TRUST_AD = ("loopback", "always", "never")


def read_outbound(table: TableReader, secret: Callable[[Any], str], path: Callable[[Any], Path]) -> Outbound:
    """The whole table; `secret` reads a password or the file that it is in, `path` the name of a file."""
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
        trust_ad=table.take("trust_ad", default.trust_ad, values.one_of(TRUST_AD)),
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
        tls=_tls(table.table("tls"), path, table.value.get("allow_loopback") is True),
        tls_reports=_tls_reports(table.table("tls_reports")),
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


def _tls(table: TableReader, path: Callable[[Any], Path], allow_loopback: bool) -> OutboundTls:
    default = OutboundTls()
    tls = OutboundTls(
        table.take("level", default.level, values.one_of(TLS_LEVELS)),
        _levels(table.table("domains")),
        table.take("dane", default.dane, values.yes_or_no),
        table.take("sts", default.sts, values.yes_or_no),
        table.take("ca", None, lambda value: _authorities(path(value))),
        table.take("remember", default.remember, values.yes_or_no),
        allow_loopback,
    )
    if not tls.dane and (tls.level == "dane" or "dane" in tls.domains.values()):
        table.wrong("dane", '"dane" is false, and a level is "dane"')
    table.end()
    return tls


def _levels(table: TableReader) -> dict[str, str]:
    levels = {}
    for domain in table.value:
        level = table.take(domain, None, values.one_of(TLS_LEVELS))
        try:
            levels[domain_key(parse_domain(domain))] = level or "may"
        except BadAddress as error:
            table.wrong(domain, f'"{domain}" is no domain: {error}')
    return levels


def _authorities(path: Path) -> Path:
    try:
        if b"-----BEGIN CERTIFICATE-----" not in path.read_bytes():
            raise Wrong(f"has no certificate in it: {path}")
    except OSError as error:
        raise Wrong(f"cannot be read: {path}: {error.strerror}") from None
    return path


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
        table.take("hello", "", lambda value: domain_key(values.domain(value))),
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


def _tls_reports(table: TableReader) -> TlsReports:
    default = TlsReports()
    reports = TlsReports(
        table.take("send", default.send, values.yes_or_no),
        table.take("contact", default.contact, mailbox),
        table.take("organization", default.organization, values.text),
    )
    table.end()
    return reports


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


def mailbox(value: Any) -> str:
    """An address with a domain, in ASCII, as it stands in a header."""
    text = values.text(value)
    try:
        address = Address.parse(text)
    except BadAddress as error:
        raise Wrong(f"needs to be an address: {error}") from None
    if not address.domain or not text.isascii():
        raise Wrong("needs to be an address in ASCII, with a domain")
    return str(address)
