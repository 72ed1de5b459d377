"""What may be raised across the rooms of the house, and what it means to the peer."""

from __future__ import annotations


class MailserverError(Exception):
    """The root of all errors that this program raises on purpose."""


class BadAddress(MailserverError, ValueError):
    """Text that is not an address by RFC 5321 4.1.2."""


class TemporaryFailure(MailserverError):
    """The answer cannot be known, or the work cannot be done, now: the peer hears 4xx and comes back."""


class PermanentFailure(MailserverError):
    """It will never be done: the peer hears 5xx."""


class NotFound(MailserverError, LookupError):
    """What was named does not exist (an account, a message, a queue entry)."""


class AlreadyExists(MailserverError):
    """What should be made is there already."""


class OverQuota(PermanentFailure):
    """An account, or its domain, has as much mail as it may have."""


class StartRefused(MailserverError):
    """The server may not start; the text is the one sentence for the operator."""
