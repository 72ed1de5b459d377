"""How an attempt ended for one recipient."""

from __future__ import annotations

from dataclasses import dataclass

from mailserver.reply import Reply


@dataclass(frozen=True, slots=True)
class Result:
    """`kind` is "delivered", "deferred" or "failed"; `words` are the remote's last words, or ours in plain ones."""

    kind: str
    words: str
    reply: Reply | None = None
    host: str = ""                  # who said so
    address: str = ""
    tls: str = ""                   # version and cipher; empty in clear

    @property
    def status(self) -> str:
        """The enhanced status code for a DSN (RFC 3463)."""
        if self.reply is not None and self.reply.status:
            return self.reply.status
        return "5.0.0" if self.kind == "failed" else "4.0.0"


def by_reply(reply: Reply, host: str, address: str, tls: str) -> Result:
    """A result from what a server replied."""
    kind = {2: "delivered", 5: "failed"}.get(reply.severity, "deferred")
    return Result(kind, str(reply), reply, host, address, tls)
