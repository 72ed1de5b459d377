"""DANE (RFC 6698, 7671, 7672): the TLSA records of a mail server, and the certificates that they are about."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailserver.errors import TemporaryFailure
from mailserver.interfaces import IResolver

TA, EE = 2, 3                   # usages that mean something here (RFC 7672 3.1)
MOST = 50                       # records of one server that are looked at
_LENGTHS = {1: 32, 2: 64}       # of digests, in octets


@dataclass(frozen=True, slots=True, order=True)
class Tlsa:
    """One record that can be used."""

    usage: int
    selector: int               # 0 the certificate, 1 its key
    matching: int               # 0 as it is, 1 its SHA-256, 2 its SHA-512
    data: bytes

    def matches(self, certificate: x509.Certificate) -> bool:
        """Whether it is about this certificate."""
        if self.selector == 0:
            octets = certificate.public_bytes(Encoding.DER)
        else:
            octets = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if self.matching:
            octets = (hashlib.sha256 if self.matching == 1 else hashlib.sha512)(octets).digest()
        return octets == self.data

    def __str__(self) -> str:
        return f"{self.usage} {self.selector} {self.matching} {self.data.hex()}"


@dataclass(frozen=True, slots=True)
class Tlsas:
    """What DNSSEC says of the certificate of a server; `records` is empty when none of them can be used."""

    name: str                   # _25._tcp.mx.example.org
    base: str                   # the server's name in it, to which SNI and certificates are held (RFC 7672 2.2.3)
    records: tuple[Tlsa, ...]


def usable(records: Sequence[Any]) -> tuple[Tlsa, ...]:
    """Those that can be used (RFC 7672 3.1), with the strongest digest that is published of each (RFC 7671 9)."""
    found = {
        Tlsa(each.usage, each.selector, each.mtype, bytes(each.cert))
        for each in records[:MOST]
        if each.usage in (TA, EE)
        and each.selector in (0, 1)
        and each.mtype in (0, 1, 2)
        and each.cert
        and len(each.cert) == _LENGTHS.get(each.mtype, len(each.cert))
    }
    strongest = {(each.usage, each.selector): 0 for each in found}
    for each in found:
        strongest[each.usage, each.selector] = max(strongest[each.usage, each.selector], each.matching)
    return tuple(sorted(each for each in found if each.matching in (0, strongest[each.usage, each.selector])))


async def look_up(resolver: IResolver, host: str, port: int) -> Tlsas | None:
    """The records of a mail server whose name DNSSEC vouches for; None: it has none that DNSSEC vouches for.

    Raises `TemporaryFailure` when that cannot be known: then it must not be tried (RFC 7672 2.1.2, 2.2).
    """
    for base in await _bases(resolver, host):
        name = f"_{port}._tcp.{base}"
        try:
            answer = await resolver.ask(name, "TLSA")
        except TemporaryFailure as failure:
            raise TemporaryFailure(f"the TLSA records of {host} cannot be known: {failure}") from None
        if answer.validated and answer.records:
            return Tlsas(name, base, usable(answer.records))
    return None


async def _bases(resolver: IResolver, host: str) -> list[str]:
    """Names below which records would be (RFC 7672 2.2.2): what an alias leads to, then the name itself.

    Without addresses that were validated there are none, and nobody is asked for TLSA: servers of unsigned zones
    are known to fail at it.
    """
    alias, validated, has_addresses = "", True, False
    for type in ("A", "AAAA"):
        try:
            answer = await resolver.ask(host, type)
        except TemporaryFailure as failure:
            raise TemporaryFailure(f"it cannot be known whether {host} has TLSA records: {failure}") from None
        alias = answer.alias or alias
        if answer.records:
            has_addresses, validated = True, validated and answer.validated
    if not has_addresses:
        return []
    if validated:
        return [alias, host] if alias else [host]
    if not alias:
        return []
    # Where the alias leads may be unsigned while the alias itself is not.
    try:
        pointer = await resolver.ask(host, "CNAME")
    except TemporaryFailure as failure:
        raise TemporaryFailure(f"it cannot be known whether {host} has TLSA records: {failure}") from None
    return [host] if pointer.validated and pointer.records else []
