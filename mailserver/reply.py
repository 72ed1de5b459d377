"""SMTP replies (RFC 5321 4.2) with their enhanced status codes (RFC 3463), as values.

Replies that more than one room gives stand here by name, so that each sentence is written once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

LONGEST_TEXT = 480      # so that code, status and CRLF stay within the 512 octets of RFC 5321 4.5.3.1.5


@dataclass(frozen=True, slots=True)
class Reply:
    """A code, an enhanced status without its first digit (which is the code's), and a text.

    ``detail`` is ``"1.1"`` in 550 5.1.1, or empty where no enhanced status belongs (220, 354, EHLO).
    A text of several lines, joined by a line feed, becomes a multi-line reply.
    """

    code: int
    detail: str
    text: str

    @property
    def severity(self) -> int:
        """2 done, 3 go on, 4 not now, 5 never."""
        return self.code // 100

    @property
    def status(self) -> str:
        """The enhanced status code, ``5.1.1``; empty where there is none."""
        return f"{self.code // 100}.{self.detail}" if self.detail else ""

    def __str__(self) -> str:
        return " ".join(part for part in (str(self.code), self.status, self.text.replace("\n", " / ")) if part)

    def encode(self) -> bytes:
        """The octets for the wire; whatever would break a line or a terminal becomes ``?``."""
        return _encode(self)

    def with_id(self, id: str) -> Reply:
        """The same reply, ending with the id that ``mailserver trace`` takes."""
        return Reply(self.code, self.detail, f"{self.text} ({id})")


@lru_cache(maxsize=256)          # most replies are the same few
def _encode(reply: Reply) -> bytes:
    head = f"{reply.status} " if reply.detail else ""
    lines = [head + _printable(line) for line in reply.text.split("\n")]
    last = lines.pop()
    return "".join(
        [f"{reply.code}-{line}\r\n" for line in lines] + [f"{reply.code} {last}\r\n"]
    ).encode("utf-8")


def _printable(line: str) -> str:
    line = line[:LONGEST_TEXT]
    return line if line.isascii() and line.isprintable() else "".join(c if c.isprintable() else "?" for c in line)


OK = Reply(250, "0.0", "Ok")
BYE = Reply(221, "0.0", "Bye")
GO_AHEAD = Reply(354, "", "End data with <CR><LF>.<CR><LF>")
SENDER_OK = Reply(250, "1.0", "Sender ok")
RECIPIENT_OK = Reply(250, "1.5", "Recipient ok")
READY_FOR_TLS = Reply(220, "0.0", "Ready to start TLS")
AUTHENTICATED = Reply(235, "7.0", "Authentication succeeded")

SHUTTING_DOWN = Reply(421, "3.2", "Service is shutting down, try again later")
DISMISSED = Reply(421, "3.2", "This connection is ended by the operator")
TOO_SLOW = Reply(421, "4.2", "Waited too long, closing")
TOO_MANY_CONNECTIONS = Reply(421, "7.0", "Too many connections from your address")
TOO_MANY_ERRORS = Reply(421, "7.0", "Too many errors")
TOO_MANY_MESSAGES = Reply(451, "7.1", "Too many messages in a short time, try again later")
TOO_MANY_RECIPIENTS_NOW = Reply(451, "7.1", "Too many recipients in a short time, try again later")
NOT_NOW = Reply(451, "3.0", "Not now, try again later")
NO_ROOM = Reply(452, "3.1", "Not enough storage, try again later")
MAILBOX_FULL = Reply(452, "2.2", "The mailbox is full")
TOO_MANY_RECIPIENTS = Reply(452, "5.3", "Too many recipients")
AUTH_NOT_NOW = Reply(454, "7.0", "Temporary authentication failure")
TLS_NOT_AVAILABLE = Reply(454, "7.0", "TLS is not available")

NOT_SMTP = Reply(500, "5.2", "This is a mail server; that was not SMTP")
LINE_TOO_LONG = Reply(500, "5.2", "Line too long")
UNKNOWN_COMMAND = Reply(500, "5.2", "Command unknown")
SYNTAX = Reply(501, "5.2", "Syntax error")
BAD_ADDRESS = Reply(501, "1.3", "Bad address syntax")
BAD_SEQUENCE = Reply(503, "5.1", "Bad sequence of commands")
PARAMETER_UNKNOWN = Reply(555, "5.4", "Parameter not recognized or not implemented")
TLS_REQUIRED = Reply(530, "7.0", "Must issue a STARTTLS command first")
AUTH_REQUIRED = Reply(530, "7.0", "Authentication required")
AUTH_FAILED = Reply(535, "7.8", "Authentication credentials invalid")
DISABLED = Reply(525, "7.13", "This account is disabled")                        # RFC 5248 3
AUTH_NEEDS_TLS = Reply(538, "7.11", "Encryption required for this authentication mechanism")
MECHANISM_UNKNOWN = Reply(504, "5.4", "Authentication mechanism not supported")
AUTH_CANCELLED = Reply(501, "7.0", "Authentication cancelled")
NO_SUCH_USER = Reply(550, "1.1", "No such user here")
FOREIGN_URL = Reply(554, "7.14", "That URL leads to another server, which this one has no part in")   # RFC 5248 3
BAD_URL = Reply(554, "6.6", "What that URL leads to cannot be had")                                 # RFC 4468 3.5
NOT_NAMED = Reply(550, "7.1", "Not for you")
SPOKE_FIRST = Reply(554, "5.1", "You spoke before the greeting; a client waits for it")
BARE_LINE_END = Reply(550, "6.11", "A bare CR, LF or NUL is not allowed; lines end with CRLF")
RELAY_DENIED = Reply(550, "7.1", "Relaying denied")
NOT_YOUR_SENDER = Reply(550, "7.1", "This sender address does not belong to your login")
NEEDS_SMTPUTF8 = Reply(553, "6.7", "Addresses beyond ASCII need SMTPUTF8")
TOO_BIG = Reply(552, "3.4", "Message exceeds the maximum size")
NO_MAIL_HERE = Reply(521, "3.2", "This host takes no mail")
NO_MAIL_THERE = Reply(556, "1.10", "The recipient's domain takes no mail")
NO_VALID_RECIPIENTS = Reply(554, "5.1", "No valid recipients")
LOOP = Reply(554, "4.6", "This message goes in a circle")
