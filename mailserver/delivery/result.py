"""How an attempt ended for one recipient."""

from __future__ import annotations

from dataclasses import dataclass

from mailserver.errors import MailserverError, PermanentFailure
from mailserver.reply import Reply

DELIVERED, DEFERRED, FAILED = "delivered", "deferred", "failed"
MOST_WORDS = 1000       # characters of the remote's words that are kept


@dataclass(frozen=True, slots=True)
class Result:
    """`kind` is one of the three above; `words` are the remote's last words, or ours in plain ones."""

    kind: str
    words: str
    reply: Reply | None = None
    host: str = ""                  # who said so
    address: str = ""
    tls: str = ""                   # version and cipher; empty in clear
    detail: str = ""                # for what is no reply: "1.2" of the status 5.1.2 (RFC 3463)
    given_up: bool = False          # "failed" because it was "deferred" for too long
    policy: str = ""                # which TLS it had to have, and why
    source: str = ""                # the address of this machine that it left from
    is_last: bool = False           # it is in the mailbox now: who said so speaks LMTP, or is a store
    sends_dsn: bool = False         # the server has DSN, and tells the sender of the rest of the way (RFC 3461)

    @property
    def status(self) -> str:
        """The enhanced status code for a DSN (RFC 3463)."""
        if self.given_up:
            return "4.4.7"          # 3.5: the time is over; what persisted was transient each time
        if self.reply is not None and self.reply.status:
            return self.reply.status
        return f"{5 if self.kind == FAILED else 4}.{self.detail or '0.0'}"


class Unroutable(PermanentFailure):
    """There will never be a host that takes it, or this one never will; `detail` is as in `Result`."""

    def __init__(self, words: str, detail: str) -> None:
        super().__init__(words)
        self.detail = detail


def by_reply(
    reply: Reply, host: str = "", address: str = "", tls: str = "", policy: str = "", source: str = "",
    is_last: bool = False, sends_dsn: bool = False,
) -> Result:
    """A result from what a server replied."""
    kind = {2: DELIVERED, 5: FAILED}.get(reply.severity, DEFERRED)
    words = shortened(str(reply))
    return Result(kind, words, reply, host, address, tls, "", False, policy, source, is_last, sends_dsn)


def by_error(
    error: MailserverError, host: str = "", address: str = "", tls: str = "", policy: str = "", source: str = "",
    is_last: bool = False, sends_dsn: bool = False,
) -> Result:
    """A result from what went wrong; only a `PermanentFailure` is for good."""
    kind = FAILED if isinstance(error, PermanentFailure) else DEFERRED
    reply: Reply | None = getattr(error, "reply", None)
    detail: str = getattr(error, "detail", "")
    words = shortened(str(error))
    return Result(kind, words, reply, host, address, tls, detail, False, policy, source, is_last, sends_dsn)


def shortened(words: str) -> str:
    """Words of others, such as they may stand in a list."""
    return words if len(words) <= MOST_WORDS else words[: MOST_WORDS - 1] + "…"
