"""Where an account's mailboxes are, as commands read and show it."""

from __future__ import annotations

from typing import Any

from mailserver.errors import MailserverError
from mailserver.imap.referrals import Referral, of_account


def read(url: str, address: str, here_too: bool) -> Referral:
    """What a command was given; raises `MailserverError` with a sentence."""
    try:
        return Referral(of_account(url, address), here_too)
    except ValueError as error:
        raise MailserverError(f"this {error}") from None


def as_object(found: Referral | None) -> dict[str, Any] | None:
    """For JSON; None: it is here."""
    return None if found is None else {"url": found.url, "here_too": found.may_log_in}


def as_pairs(found: dict[str, Any] | None) -> list[tuple[str, str]]:
    """For people; nothing where it is here."""
    if found is None:
        return []
    return [("referral", found["url"] + (" (and here)" if found["here_too"] else ""))]
