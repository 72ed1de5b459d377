"""A report as a value, and as the JSON of RFC 8460 4."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

DAY = 86400
SUCCESS = "success"
NO_POLICY = "no-policy-found"
UNKNOWN = "validation-failure"          # RFC 8460 4.3.2.3: whatever has no word of its own
POLICIES = frozenset({"sts", "tlsa", NO_POLICY})
RESULTS = frozenset({
    "starttls-not-supported", "certificate-host-mismatch", "certificate-not-trusted", "certificate-expired",
    UNKNOWN, "tlsa-invalid", "dnssec-invalid", "dane-required", "sts-policy-fetch-error", "sts-policy-invalid",
    "sts-webpki-invalid",
})


@dataclass(frozen=True, slots=True)
class Policy:
    """What a domain wanted of who sends to it, when we sent."""

    type: str                           # sts, tlsa, no-policy-found
    domain: str
    strings: tuple[str, ...] = ()       # lines of the STS policy; TLSA records as text
    mx: tuple[str, ...] = ()            # patterns of the STS policy


@dataclass(frozen=True, slots=True)
class Failure:
    """Sessions that failed alike; "" is not known."""

    result: str
    count: int
    sending: str = ""                   # our IP address
    mx: str = ""                        # its name
    receiving: str = ""                 # its IP address
    reason: str = ""
    helo: str = ""                      # what it called itself
    about: str = ""                     # a URI


@dataclass(frozen=True, slots=True)
class Section:
    """What became of the sessions under one policy."""

    policy: Policy
    successful: int
    failed: int
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """One report; times are seconds since the epoch, the last included."""

    organization: str
    contact: str
    id: str
    begin: int
    end: int
    sections: tuple[Section, ...]


def write(report: Report) -> bytes:
    """The JSON of a report, in UTF-8 (I-JSON, RFC 7493)."""
    told = {
        "organization-name": report.organization,
        "date-range": {"start-datetime": date_time(report.begin), "end-datetime": date_time(report.end)},
        "contact-info": report.contact,
        "report-id": report.id,
        "policies": [_section(each) for each in report.sections],
    }
    return json.dumps(told, ensure_ascii=False, indent=1).encode("utf-8", "replace")


def _section(section: Section) -> Mapping[str, Any]:
    policy: dict[str, Any] = {"policy-type": section.policy.type}
    if section.policy.strings:
        policy["policy-string"] = list(section.policy.strings)
    policy["policy-domain"] = section.policy.domain
    if section.policy.mx:
        policy["mx-host"] = list(section.policy.mx)
    told: dict[str, Any] = {
        "policy": policy,
        "summary": {
            "total-successful-session-count": section.successful,
            "total-failure-session-count": section.failed,
        },
    }
    if section.failures:
        told["failure-details"] = [_failure(each) for each in section.failures]
    return told


def _failure(failure: Failure) -> Mapping[str, Any]:
    told = {
        "result-type": failure.result,
        "sending-mta-ip": failure.sending,
        "receiving-mx-hostname": failure.mx,
        "receiving-mx-helo": failure.helo,
        "receiving-ip": failure.receiving,
        "failed-session-count": failure.count,
        "additional-information": failure.about,
        "failure-reason-code": failure.reason,
    }
    return {name: value for name, value in told.items() if value != ""}


def date_time(seconds: int) -> str:
    """A date-time of RFC 3339 5.6, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def range_of(day: int) -> tuple[int, int]:
    """The first and the last second of a day that is counted from the epoch, in UTC (RFC 8460 4.1)."""
    return day * DAY, day * DAY + DAY - 1
