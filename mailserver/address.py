"""Mail addresses, as RFC 5321 4.1.2 writes them."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass

import idna

from mailserver.errors import BadAddress

LONGEST_LOCAL_PART = 64     # octets, RFC 5321 4.5.3.1.1
LONGEST_DOMAIN = 255        # octets, RFC 5321 4.5.3.1.2

_BEYOND = r"\u0080-\ud7ff\ue000-\U0010ffff"       # whatever UTF-8 can spell beyond ASCII (RFC 6531 3.3)
_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
_DOT_STRING = re.compile(rf"[{_ATEXT}{_BEYOND}]+(?:\.[{_ATEXT}{_BEYOND}]+)*")
_QUOTED = re.compile(rf'"((?:[ !#-\[\]-~{_BEYOND}]|\\[ -~])*)"')
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_SIMPLE = re.compile(rf"([{_ATEXT}]+(?:\.[{_ATEXT}]+)*)@({_LABEL}(?:\.{_LABEL})*)")
_NOBODY = '""'      # is not everybody: "@example.org" is how the directory calls a domain's catch-all
_UNQUOTE = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox: a local part without its quoting, and a domain in lower case.

    A domain is a host name (A-labels or U-labels as they came) or an address literal with its
    brackets.  It is empty only for the bare ``postmaster`` of RFC 5321 4.5.1.
    """

    local: str
    domain: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``local@domain``; raises `BadAddress`.

        Source routes, comments and spaces are not accepted: RFC 5321 lets nobody generate them.
        """
        simple = _SIMPLE.fullmatch(text)
        if simple is not None and len(simple[1]) <= LONGEST_LOCAL_PART and len(simple[2]) <= LONGEST_DOMAIN:
            return cls(simple[1], simple[2].lower())
        if text.lower() == "postmaster":
            return cls(text, "")
        if text.startswith('"'):
            quoted = _QUOTED.match(text)
            if quoted is None:
                raise BadAddress("the quoted local part does not end")
            local, rest = _UNQUOTE.sub(r"\1", quoted[1]), text[quoted.end():]
        else:
            dots = _DOT_STRING.match(text)
            if dots is None:
                raise BadAddress("there is no local part")
            local, rest = dots[0], text[dots.end():]
        if not rest.startswith("@"):
            raise BadAddress("the local part must be followed by @ and a domain")
        if len(local.encode()) > LONGEST_LOCAL_PART:
            raise BadAddress(f"the local part is longer than {LONGEST_LOCAL_PART} octets")
        return cls(local, parse_domain(rest[1:]))

    @property
    def key(self) -> str:
        """What two spellings of one mailbox share: case folded, the domain in A-labels."""
        if self.local.isascii() and self.domain.isascii():
            return f"{self.local.lower() or _NOBODY}@{self.domain}"
        # RFC 6532 3.1: what looks the same is composed alike before it is compared.
        return f"{unicodedata.normalize('NFC', self.local).casefold() or _NOBODY}@{domain_key(self.domain)}"

    def __str__(self) -> str:
        """The address as it is written on the wire, quoted where it must be."""
        local = self.local
        if _DOT_STRING.fullmatch(local) is None:
            local = '"' + re.sub(r'(["\\])', r"\\\1", local) + '"'
        return f"{local}@{self.domain}" if self.domain else local

    @property
    def is_ascii(self) -> bool:
        """Whether a server without SMTPUTF8 (RFC 6531) can take it."""
        return self.local.isascii() and self.domain.isascii()


def parse_domain(text: str) -> str:
    """Read a domain or an address literal (RFC 5321 4.1.2, 4.1.3; U-labels by RFC 6531); raises `BadAddress`."""
    if len(text.encode("utf-8", "surrogatepass")) > LONGEST_DOMAIN:
        raise BadAddress(f"the domain is longer than {LONGEST_DOMAIN} octets")
    if text.startswith("["):
        return _literal(text)
    if _DOMAIN.fullmatch(text):
        return text.lower()
    if not text.isascii():
        try:
            labels = idna.encode(text, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError) as error:
            raise BadAddress(f"the domain is no internationalised name: {error}") from None
        if _DOMAIN.fullmatch(labels):       # without a dot at its end, as for any other name
            return text.lower()
    raise BadAddress("the domain is not a host name" if text else "the domain is missing")


def domain_key(domain: str) -> str:
    """The domain in lower case and A-labels, for look-ups and comparison."""
    if domain.isascii():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        return domain.lower()


def _literal(text: str) -> str:
    if not text.endswith("]"):
        raise BadAddress("the address literal does not end with ]")
    inside = text[1:-1]
    try:
        if "%" in inside:           # Python's addresses have zones, which may be any text; RFC 5321 4.1.3 knows none
            raise ValueError(inside)
        if inside[:5].lower() == "ipv6:":
            return f"[IPv6:{ipaddress.IPv6Address(inside[5:])}]"
        return f"[{ipaddress.IPv4Address(inside)}]"
    except ValueError:
        raise BadAddress("the address literal holds no IP address") from None
