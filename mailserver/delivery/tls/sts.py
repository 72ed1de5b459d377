"""MTA-STS (RFC 8461): what its TXT records and its policies say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mailserver.errors import MailserverError

LARGEST = 64 * 1024             # octets of a policy (RFC 8461 3.3)
LONGEST = 31557600              # seconds that one may hold (3.2)
MOST_PATTERNS = 200             # names of mail servers in one
MODES = ("enforce", "testing", "none")

_RECORD = re.compile(r"v=STSv1[ \t]*;(?P<fields>.*)", re.DOTALL)
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_NAME = re.compile(r"(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]*[a-z0-9]\.?")


class BadPolicy(MailserverError):
    """It is no policy; the text says why."""


@dataclass(frozen=True, slots=True)
class Sts:
    """A policy of a domain; `id` is that of the record that announced it, `fetched` seconds since the epoch."""

    mode: str
    max_age: int                    # seconds
    mx: tuple[str, ...]             # names, or "*.example.net"
    lines: tuple[str, ...] = ()     # as it was written, for reports (RFC 8460 4.4)
    id: str = ""
    fetched: float = 0.0
    expires: float = 0.0

    def names(self, host: str) -> bool:
        """Whether a mail server is one of theirs (RFC 8461 4.1): "*" is exactly one label."""
        host = host.rstrip(".").lower()
        return any(host == each or (each[0] == "*" and host.partition(".")[2] == each[2:]) for each in self.mx)


def read_id(records: Iterable[str]) -> str | None:
    """The id out of the TXT records at ``_mta-sts``; None: no policy is announced (RFC 8461 3.1)."""
    announced = [found for record in records if (found := _RECORD.fullmatch(record)) is not None]
    if len(announced) != 1:
        return None
    for field in announced[0]["fields"].split(";"):
        name, _, value = field.strip(" \t").partition("=")
        if name == "id":
            return value if _ID.fullmatch(value) else None
    return None


def read_policy(text: str) -> Sts:
    """What a policy says (RFC 8461 3.2); raises `BadPolicy`.  Of a field that is there twice the first counts."""
    fields: dict[str, str] = {}
    patterns: list[str] = []
    lines = [line.rstrip("\r") for line in text.split("\n")]
    lines = [line for line in lines if line.strip()]
    for line in lines:
        name, colon, value = line.partition(":")
        name, value = name.strip(" \t"), value.strip(" \t")
        if not colon or not value:
            raise BadPolicy(f"a line of the policy is no field: {_shown(line)}")
        if name == "mx":
            if _NAME.fullmatch(value.lower()) is None:
                raise BadPolicy(f"this is no name of a mail server: {_shown(value)}")
            patterns.append(value.rstrip(".").lower())
        else:
            fields.setdefault(name, value)
    if fields.get("version") != "STSv1":
        raise BadPolicy("the policy is not of version STSv1")
    mode, age = fields.get("mode", ""), fields.get("max_age", "")
    if mode not in MODES:
        raise BadPolicy(f"the policy has no mode that is known: {_shown(mode)}")
    if re.fullmatch(r"[0-9]{1,10}", age) is None:
        raise BadPolicy("the policy does not say how long it holds (max_age)")
    if not patterns and mode != "none":
        raise BadPolicy("the policy names no mail server")
    if len(patterns) > MOST_PATTERNS:
        raise BadPolicy(f"the policy names more than {MOST_PATTERNS} mail servers")
    return Sts(mode, min(int(age), LONGEST), tuple(patterns), tuple(lines))


def _shown(text: str) -> str:
    return repr(text[:60])
