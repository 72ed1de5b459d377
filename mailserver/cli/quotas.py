"""What the commands for accounts and domains have in common where they speak of quotas (RFC 9208)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from mailserver.config import Config
from mailserver.imapstore import Quota

F = TypeVar("F", bound=Callable[..., Any])


def limits(command: F) -> F:
    """``--octets`` and ``--messages``."""
    octets = click.option("--octets", type=click.IntRange(0), metavar="N", help="So many octets; 0 is no limit.")
    messages = click.option("--messages", type=click.IntRange(0), metavar="N", help="So many messages; 0 is no limit.")
    return octets(messages(command))


def usual(config: Config) -> tuple[int, int]:
    """The limits of ``[[mailbox]]`` with ``use = "sql"``; 0 is none."""
    return config.usual_quota


def as_object(quota: Quota) -> dict[str, int]:
    """For JSON; a limit of 0 is none."""
    return {
        "octets": quota.octets, "most_octets": quota.most_octets,
        "messages": quota.messages, "most_messages": quota.most_messages,
    }


def as_pairs(quota: Quota) -> list[tuple[str, str]]:
    """For people."""
    return [
        ("octets", _of(quota.octets, quota.most_octets)),
        ("messages", _of(quota.messages, quota.most_messages)),
    ]


def _of(has: int, most: int) -> str:
    return f"{has} of {most}" if most else f"{has}, without limit"
