"""Where a webhook is, as its table in the configuration says."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs

from mailserver_webhook.signature import key_of


def _url(options: Any, field: Any, value: str) -> None:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not value.isascii():
        raise ValueError(f"'{field.name}' needs to be like https://hooks.example.net/mail, not {value!r}")
    if parts.username is not None:
        raise ValueError(f"'{field.name}': a login in it would stand in logs; the signature tells who we are")
    if any(each <= " " for each in value):
        raise ValueError(f"'{field.name}': {value!r} has a space in it")


def _secret(options: Any, field: Any, value: str) -> None:
    if value:
        try:
            key_of(value)
        except ValueError as error:
            raise ValueError(f"'{field.name}': {error}") from None


def _beside(options: Any, field: Any, value: str) -> None:
    if bool(value) == bool(options.secret):
        raise ValueError(f"'{field.name}' or 'secret' is needed, and one of them only")


@attrs.frozen
class Target:
    """The keys that every webhook has.  Times are in seconds."""

    url: str = attrs.field(validator=_url)
    secret: str = attrs.field(default="", validator=_secret, repr=False)
    secret_file: str = attrs.field(default="", validator=_beside)
    allow_private: bool = False
    certificate: str = ""           # a PEM file: whose certificates are good there, instead of the system's
    timeout: float = attrs.field(default=8.0, validator=attrs.validators.gt(0))

    def key(self) -> bytes:
        """What it is signed with; raises `OSError` or `ValueError` when there is none in the file."""
        if self.secret:
            return key_of(self.secret)
        return key_of(Path(self.secret_file).read_text("ascii").strip())


def is_public(address: str) -> bool:
    """Whether an address is of the Internet at large: not of this machine, of a private network, or hidden in one."""
    ip: Any = ipaddress.ip_address(address.partition("%")[0])
    if ip.version == 6:
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        ip = inner or ip
    return bool(ip.is_global and not ip.is_multicast)


_NAT64 = ipaddress.ip_network("64:ff9b::/96")           # RFC 6052
