"""The parameters of MAIL and RCPT, each read as its RFC writes it, and the extension that each belongs to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from mailserver.reply import PARAMETER_UNKNOWN, Reply
from mailserver.smtp import xtext
from mailserver.smtp.lines import SmtpError

LONGEST_SIZE = 20               # digits (RFC 1870 3)
LONGEST_ENVID = 100             # characters, encoded (RFC 3461 4.4)
LONGEST_ORCPT = 500             # characters, encoded (RFC 3461 4.2)
LONGEST_SOLICIT = 1000          # characters (RFC 3865 2.3)
EVENTS = ("SUCCESS", "FAILURE", "DELAY")

Raw: TypeAlias = Iterable[tuple[str, str | None]]
Read: TypeAlias = Callable[[str | None], Mapping[str, Any]]

_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-]*")
_BY = re.compile(r"([+-]?\d{1,9});([RN]T?)", re.IGNORECASE)
_ORCPT = re.compile(r"([A-Za-z0-9\-]{1,64});(.*)")
_SOLICIT = re.compile(r"[A-Za-z0-9.\-]+:[A-Za-z0-9.\-]+(?::[A-Za-z0-9.\-]+)*(?:,[A-Za-z0-9.\-:]+)*")


def split(text: str) -> list[tuple[str, str | None]]:
    """``KEYWORD`` and ``KEYWORD=value`` between spaces; keywords in upper case, None for no value."""
    found: list[tuple[str, str | None]] = []
    for parameter in text.split():
        keyword, equals, value = parameter.partition("=")
        if _KEYWORD.fullmatch(keyword) is None:
            raise SmtpError(Reply(501, "5.2", "Syntax error"))
        found.append((keyword.upper(), value if equals else None))
    return found


def read(parameters: Raw, readers: Mapping[str, tuple[str, Read]]) -> dict[str, Any]:
    """The arguments of a command out of its parameters, with ``uses``: the extensions that they belong to.

    Raises `SmtpError` for what is not known, wrong, or there twice.
    """
    found: dict[str, Any] = {}
    seen: set[str] = set()
    uses: set[str] = set()
    for keyword, value in parameters:
        if keyword in seen:
            raise _wrong(f"Parameter {keyword} stands twice")
        seen.add(keyword)
        if keyword not in readers:
            raise SmtpError(PARAMETER_UNKNOWN)
        extension, reader = readers[keyword]
        uses.add(extension)
        found.update(reader(value))
    found["uses"] = frozenset(uses)
    return found


def _wrong(text: str) -> SmtpError:
    return SmtpError(Reply(501, "5.4", text))


def _size(value: str | None) -> Mapping[str, Any]:
    if value is None or re.fullmatch(rf"[0-9]{{1,{LONGEST_SIZE}}}", value) is None:
        raise _wrong("SIZE needs a number of octets")
    return {"size": int(value)}


def _body(value: str | None) -> Mapping[str, Any]:
    body = (value or "").upper()
    if body not in ("7BIT", "8BITMIME", "BINARYMIME"):
        raise _wrong("BODY is 7BIT, 8BITMIME or BINARYMIME")
    return {"body": body}


def _auth(value: str | None) -> Mapping[str, Any]:
    """RFC 4954 5: taken, and not believed."""
    if not value:
        raise _wrong("AUTH needs an address in xtext, or <>")
    _decoded("AUTH", value)
    return {}


def _flag(name: str, field: str) -> Read:
    def reader(value: str | None) -> Mapping[str, Any]:
        if value is not None:
            raise _wrong(f"{name} takes no value")
        return {field: True}

    return reader


def _ret(value: str | None) -> Mapping[str, Any]:
    ret = (value or "").upper()
    if ret not in ("FULL", "HDRS"):
        raise _wrong("RET is FULL or HDRS")
    return {"ret": ret}


def _envid(value: str | None) -> Mapping[str, Any]:
    if not value or len(value) > LONGEST_ENVID:
        raise _wrong(f"ENVID needs xtext of at most {LONGEST_ENVID} characters")
    return {"envid": _decoded("ENVID", value)}


def _hold_for(value: str | None) -> Mapping[str, Any]:
    if value is None or re.fullmatch(r"[1-9][0-9]{0,8}", value) is None:        # RFC 4865 4.1
        raise _wrong("HOLDFOR needs a number of seconds")
    return {"hold_for": int(value)}


def _hold_until(value: str | None) -> Mapping[str, Any]:
    try:
        moment = datetime.fromisoformat(value or "")
        if moment.tzinfo is None or "T" not in (value or "").upper():
            raise ValueError("RFC 3339 wants a zone")
        return {"hold_until": moment.timestamp()}
    except (ValueError, OverflowError):
        raise _wrong("HOLDUNTIL needs a date-time of RFC 3339") from None


def _priority(value: str | None) -> Mapping[str, Any]:
    if value is None or re.fullmatch(r"-?[0-9]", value) is None or value == "-0":
        raise _wrong("MT-PRIORITY is a number from -9 to 9")
    return {"priority": int(value)}


def _deliver_by(value: str | None) -> Mapping[str, Any]:
    found = _BY.fullmatch(value or "")
    if found is None:
        raise _wrong("BY needs seconds and a mode, as in BY=600;R")
    seconds, mode = int(found[1]), found[2].upper()
    if mode[0] == "R" and seconds <= 0:                                         # RFC 2852 4
        raise _wrong("BY with the mode R needs a time that is still to come")
    return {"by": seconds, "by_mode": mode}


def _solicit(value: str | None) -> Mapping[str, Any]:
    if not value or len(value) > LONGEST_SOLICIT or _SOLICIT.fullmatch(value) is None:
        raise _wrong("SOLICIT needs keywords, as in SOLICIT=org.example:ADV")
    return {"solicit": tuple(value.split(","))}


def _notify(value: str | None) -> Mapping[str, Any]:
    events = (value or "").upper().split(",")
    if events == ["NEVER"]:
        return {"notify": "NEVER"}
    if not set(events) <= set(EVENTS) or len(set(events)) != len(events):
        raise _wrong("NOTIFY is NEVER, or of SUCCESS, FAILURE and DELAY")
    return {"notify": ",".join(each for each in EVENTS if each in events)}


def _orcpt(value: str | None) -> Mapping[str, Any]:
    found = _ORCPT.fullmatch(value or "")
    if found is None or not found[2] or len(value or "") > LONGEST_ORCPT:
        raise _wrong(f"ORCPT needs type;address of at most {LONGEST_ORCPT} characters")
    type = found[1].lower()
    if type == "utf-8":
        try:
            return {"orcpt": f"{type};{xtext.decode_utf8(found[2])}"}
        except ValueError as error:
            raise _wrong(f"ORCPT: {error}") from None
    return {"orcpt": f"{type};{_decoded('ORCPT', found[2])}"}


def _decoded(name: str, value: str) -> str:
    try:
        return xtext.decode(value)
    except ValueError as error:
        raise _wrong(f"{name}: {error}") from None


OF_MAIL: Mapping[str, tuple[str, Read]] = {
    "SIZE": ("SIZE", _size),                                    # RFC 1870
    "BODY": ("8BITMIME", _body),                                # RFC 6152, RFC 3030
    "AUTH": ("AUTH", _auth),                                    # RFC 4954
    "SMTPUTF8": ("SMTPUTF8", _flag("SMTPUTF8", "utf8")),        # RFC 6531
    "RET": ("DSN", _ret),                                       # RFC 3461
    "ENVID": ("DSN", _envid),
    "REQUIRETLS": ("REQUIRETLS", _flag("REQUIRETLS", "require_tls")),       # RFC 8689
    "HOLDFOR": ("FUTURERELEASE", _hold_for),                    # RFC 4865
    "HOLDUNTIL": ("FUTURERELEASE", _hold_until),
    "MT-PRIORITY": ("MT-PRIORITY", _priority),                  # RFC 6710
    "BY": ("DELIVERBY", _deliver_by),                           # RFC 2852
    "SOLICIT": ("NO-SOLICITING", _solicit),                     # RFC 3865
}
OF_RCPT: Mapping[str, tuple[str, Read]] = {
    "NOTIFY": ("DSN", _notify),
    "ORCPT": ("DSN", _orcpt),
}
