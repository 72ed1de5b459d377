"""What goes wrong in an IMAP command, as its sender hears it."""

from __future__ import annotations

from mailserver.errors import MailserverError


class ImapError(MailserverError):
    """The peer broke the language, or asked for what is never given.

    `condition` is BAD or NO, `code` what stands in brackets (RFC 9051 7.1), `tag` the command's, when it was
    readable.  After a fatal one nothing more can be read: it is said as BYE.
    """

    def __init__(
        self, text: str, condition: str = "BAD", code: str = "", tag: str | None = None, fatal: bool = False
    ) -> None:
        super().__init__(text)
        self.condition = condition
        self.code = code
        self.tag = tag
        self.fatal = fatal


class Hungry(Exception):
    """The command's text ends at a literal that is still to come, and that is no message."""
