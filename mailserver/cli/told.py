"""A story as people read it: a line for what happened, and what there is to know of it below, indented."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mailserver.cli.shown import when

DEEPER = "    "
_OF_ATTEMPTS = ("attempt", "interrupted")


def lines(record: Mapping[str, Any]) -> Iterator[str]:
    """The lines of one record.  What is not known here (a newer program's) is told as it is."""
    if "event" not in record:
        yield from _accepted(record)
        return
    told: Callable[[dict[str, Any]], Iterator[str]] = _attempt if record["event"] in _OF_ATTEMPTS else _other
    left = {key: value for key, value in record.items() if value not in (None, "", [])}
    first, *more = told(left)
    yield f"{when(record['at'])}  {first}"
    yield from (f"{DEEPER}{each}" for each in more)
    rest = {key: value for key, value in left.items() if key not in ("at", "event")}
    if rest:
        yield DEEPER + "  ".join(f"{key}={_value(value)}" for key, value in rest.items())


def _attempt(left: dict[str, Any]) -> Iterator[str]:
    """Takes out of `left` what it tells, as all of these do."""
    number, result, said = left.pop("attempt", ""), left.pop("result", left["event"]), str(left.pop("said", ""))
    recipient, target = left.pop("recipient", ""), left.pop("target", "")
    whom = recipient if target in ("", recipient) else f"{recipient}, which is {target}"
    yield f"attempt {number} for {whom}: {result}" + (f": {said}" if said else "")
    host, tls, source = left.pop("host", ""), left.pop("tls", ""), left.pop("source", "")
    address = left.pop("address", "")
    if host or address:
        where = f"{host} ({address})" if host and address and not host.startswith(address) else host or address
        # Where nobody answered there was no TLS to speak of.
        secured = f", {tls}" if tls else ", without TLS" if said[:1].isdigit() else ""
        yield f"to {where}" + (f" from {source}" if source else "") + secured
    if policy := left.pop("policy", ""):
        yield f"TLS policy: {policy}"
    if following := left.pop("next", 0):
        rule = left.pop("rule", "")
        yield f"next attempt {when(following)}" + (f", by the rule {rule}" if rule else "")
    if reported := left.pop("reported_to", ""):
        yield f"reported to {reported}"


def _other(left: dict[str, Any]) -> Iterator[str]:
    """What an operator did, or anything else."""
    by, why, host = (left.pop(key, "") for key in ("by", "why", "host"))
    recipients, more = left.pop("recipients", []), left.pop("more", 0)
    line = str(left["event"]) + (f" by {by}" if by else "") + (f": {why}" if why else "")
    if left.pop("bounce", False):
        line += ", and the sender is told"
    yield line + (f", to {host}" if host else "")
    if recipients:
        yield f"for {', '.join(recipients)}" + (f" and {more} more" if more else "")
    if following := left.pop("next", 0):
        yield f"next attempt {when(following)}"


def _accepted(record: Mapping[str, Any]) -> Iterator[str]:
    yield f"{when(record['at'])}  {record['id']}  " + _client(record.get("client", {}))
    if "sender" in record:
        size = f", {record['size']} octets" if record.get("size") else ""
        yield f"  from <{record['sender']}> to {', '.join(record['recipients']) or 'nobody'}{size}"
    for what in ("forwarded", "wishes"):
        if record.get(what):
            yield f"  {what}: " + "  ".join(f"{key}={_value(value)}" for key, value in record[what].items())
    for stage, plugin, milliseconds, said, about in record.get("verdicts", ()):
        of = f" ({about})" if about else ""
        yield f"  {stage}{of}: {plugin or 'mailserver'} says {said}, after {milliseconds:g} ms"
    for recipient, by, where in record.get("destinations", ()):
        yield f"  {recipient}: {where}" + (f", by {by}" if by else "")
    left = {key: value for key, value in record.items() if key not in _KNOWN and value not in (None, "", [], {})}
    if left:
        yield "  " + "  ".join(f"{key}={_value(value)}" for key, value in left.items())
    if record.get("reply"):
        yield f"  reply: {record['reply']}"


_KNOWN = frozenset({
    "id", "at", "client", "sender", "recipients", "size", "forwarded", "wishes", "verdicts", "destinations", "reply",
    "origin",
})


def _client(client: Mapping[str, Any]) -> str:
    if not client.get("address"):
        return f"from this machine ({client.get('service', '')})"
    told = f"{client.get('service', '')} from {client['address']} port {client.get('port', 0)}"
    if client.get("reverse"):
        told += f", {client['reverse']} in the DNS,"
    if client.get("hello"):
        told += f" ({client['hello']})"
    if client.get("tls"):
        told += f", {client['tls']}"
    if client.get("login"):
        told += f", logged in as {client['login']}"
    return told + (", trusted" if client.get("trusted") else "")


def _value(value: Any) -> str:
    text = str(value)
    return f'"{text}"' if " " in text else text
