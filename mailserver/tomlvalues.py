"""Readers for the values of a configuration: each takes what TOML has and returns what is meant, or raises `Wrong`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from mailserver.address import parse_domain
from mailserver.errors import BadAddress
from mailserver.tomltable import Wrong, nearest

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

DAY = 86400.0
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": DAY}
_SIZES = {"": 1, "k": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mib": 1 << 20, "g": 1 << 30, "gib": 1 << 30}


def text(value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise Wrong("needs to be a text")
    return value


def yes_or_no(value: Any) -> bool:
    """A boolean."""
    if not isinstance(value, bool):
        raise Wrong("needs to be true or false")
    return value


def count(value: Any) -> int:
    """A whole number above zero."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise Wrong("needs to be a whole number above zero")
    return value


def count_or_none(value: Any) -> int:
    """A whole number, 0 included."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Wrong("needs to be a whole number, 0 or above")
    return value


def positive(value: Any) -> float:
    """A number above zero."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise Wrong("needs to be a number above zero")
    return float(value)


def workers(value: Any) -> int:
    """How many processes serve."""
    if count(value) > 64:
        raise Wrong("can be 64 at the most")
    return int(value)


def duration(value: Any) -> float:
    """Seconds, or a text with a unit: "90s", "5 min", "4h", "5d"."""
    if isinstance(value, str):
        found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([a-z]*)", value)
        if found is None or found[2] not in _UNITS:
            raise Wrong('needs to be seconds, or a text like "90s", "5 min", "4h", "5d"')
        value = float(found[1]) * _UNITS[found[2]]
    return positive(value)


def duration_or_none(value: Any) -> float:
    """The same, or 0."""
    return 0.0 if value == 0 and not isinstance(value, bool) else duration(value)


def days_or_never(value: Any) -> int | None:
    """A whole number of days above zero, or "never", which is None."""
    if value == "never":
        return None
    try:
        return count(value)
    except Wrong:
        raise Wrong('needs to be a whole number of days above zero, or "never"') from None


def size(value: Any) -> int:
    """Octets, or a text with a unit: "64 MiB"."""
    if isinstance(value, str):
        found = re.fullmatch(r"(\d+) ?([A-Za-z]*)", value)
        if found is None or found[2].lower() not in _SIZES:
            raise Wrong('needs to be octets, or a text like "64 MiB"')
        value = int(found[1]) * _SIZES[found[2].lower()]
    return count(value)


def domain(value: Any) -> str:
    """A host name."""
    try:
        return parse_domain(text(value))
    except BadAddress as error:
        raise Wrong(f"is no host name: {error}") from None


def domain_or_all(value: Any) -> str:
    """A host name, or "*" for every one."""
    return "*" if value == "*" else domain(value)


def network(value: Any) -> Network:
    """A network, or one address."""
    try:
        return ipaddress.ip_network(text(value))
    except ValueError as error:
        try:
            meant = str(ipaddress.ip_network(value, strict=False))
        except ValueError:
            meant = ""
        raise Wrong(f"is no network: {error}", meant) from None


def ip(value: Any) -> str:
    """An address of the DNS server to ask, with or without ":port"."""
    address = re.sub(r":\d+$", "", text(value)) if value.count(":") < 2 or value.startswith("[") else value
    try:
        ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        raise Wrong(f"needs to be an IP address like \"127.0.0.1\" or \"127.0.0.1:5353\", not {value!r}") from None
    return str(value)


def address(value: Any) -> str:
    """An IP address."""
    try:
        return str(ipaddress.ip_address(text(value)))
    except ValueError:
        raise Wrong(f'needs to be an IP address like "192.0.2.1", not {value!r}') from None


def solicitation(value: Any) -> str:
    """A solicitation class keyword (RFC 3865 2.1)."""
    if re.fullmatch(r"[A-Za-z0-9.\-]+(?::[A-Za-z0-9.\-]+)+", text(value)) is None:
        raise Wrong(f'needs to be a keyword like "org.example:ADV", not {value!r}')
    return str(value)


def times(value: Any) -> float:
    """How many times as much: 0 for no limit, or 1 and more."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (value == 0 or 1 <= value < float("inf")):
        raise Wrong("needs to be 0, or a number of at least 1: a network has no less than a peer in it")
    return float(value)


def one_of(words: Sequence[str]) -> Callable[[Any], str]:
    """One of these words."""

    def read(value: Any) -> str:
        if value not in words:
            raise Wrong(f"needs to be one of {', '.join(words)}, not {value!r}", nearest(str(value), words))
        return str(value)

    return read


# -- endpoints

_TCP = re.compile(r"tcp6?:(?:port=)?(?P<port>\d{1,5})(?P<rest>(?::(?:interface|backlog)=(?:\\.|[^:\\])+)*)")
_TCP_HOST = re.compile(r"(?:tcp|tls|lmtp):(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.\-]+)(?::(\d{1,5}))?|(?:lmtp:)?unix:.+")
_OPTION = re.compile(r":(\w+)=((?:\\.|[^:\\])+)")


def endpoint(value: Any) -> str:
    """A server endpoint string, ``tcp:25:interface=127.0.0.1``."""
    written = text(value)
    found = _TCP.fullmatch(written)
    if found is not None and int(found["port"]) <= 65535:
        for key, option in _OPTION.findall(found["rest"]):
            if key == "interface" and not _is_ip(option.replace("\\", "")):
                raise Wrong(f"has no IP address for its interface: {option!r}")
            if key == "backlog" and not option.isdigit():
                raise Wrong(f"has no number for its backlog: {option!r}")
        return written
    if not written.startswith(("tcp:", "tcp6:", "systemd:")):
        return _other_endpoint(written)
    if written.startswith("systemd:"):
        return written          # what it names exists only below systemd
    raise Wrong(f'needs to be an endpoint string like "tcp:25:interface=127.0.0.1", not {value!r}')


def _other_endpoint(written: str) -> str:
    """Whatever else Twisted has a parser for."""
    from twisted.internet.endpoints import serverFromString

    try:
        serverFromString(None, written)  # type: ignore[no-untyped-call]
    except Exception as error:
        why = f" ({error})" if written.partition(":")[0] in ("unix", "ssl", "tls", "fd") else ""
        raise Wrong(
            f'needs to be an endpoint string like "tcp:25:interface=127.0.0.1", not {written!r}{why}'
        ) from None
    return written


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def port_of(endpoint: str) -> tuple[str, int] | None:
    """The interface ("" for all) and the port of a tcp endpoint string; None for the others."""
    found = _TCP.fullmatch(endpoint)
    if found is None:
        return None
    options = dict(_OPTION.findall(found["rest"]))
    interface = options.get("interface", "").replace("\\", "")
    return "" if interface in ("0.0.0.0", "::") else interface, int(found["port"])


def route(value: Any) -> str:
    """The same as `host`, or "none": that domain takes no mail."""
    return "none" if value == "none" else host(value)


def host(value: Any) -> str:
    """Where to connect to, ``tcp:host:port``; ``tls:`` is implicit TLS, ``lmtp:`` and ``lmtp:unix:`` speak LMTP."""
    found = _TCP_HOST.fullmatch(text(value))
    if found is None or int(found[1] or 0) > 65535:
        raise Wrong(f'needs to be like "tcp:relay.example.net:587", not {value!r}')
    return str(value)
