"""One table says what may follow what."""

from __future__ import annotations

from enum import Enum

from mailserver.smtp.commands import (
    Auth,
    AuthResponse,
    Chunk,
    Command,
    Data,
    EndOfContent,
    Hello,
    Help,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
)


class Phase(Enum):
    """How far a conversation has come."""

    NEW = "new"                     # nobody has said hello
    GREETED = "greeted"
    AUTHENTICATING = "authenticating"
    SENDER = "sender"               # after MAIL
    RECIPIENT = "recipient"         # after the first RCPT that was taken
    CONTENT = "content"             # between 354 and the final dot


# A missing row is "503 Bad sequence".  The phase moves when the command succeeds (2xx, 3xx).
FOLLOWS: dict[tuple[Phase, type[Command]], Phase] = {
    (Phase.NEW, Hello): Phase.GREETED,
    (Phase.GREETED, Hello): Phase.GREETED,
    (Phase.SENDER, Hello): Phase.GREETED,
    (Phase.RECIPIENT, Hello): Phase.GREETED,
    (Phase.GREETED, Mail): Phase.SENDER,
    (Phase.SENDER, Rcpt): Phase.RECIPIENT,
    (Phase.RECIPIENT, Rcpt): Phase.RECIPIENT,
    (Phase.RECIPIENT, Data): Phase.CONTENT,
    (Phase.CONTENT, Chunk): Phase.CONTENT,
    (Phase.CONTENT, EndOfContent): Phase.GREETED,
    (Phase.GREETED, StartTls): Phase.NEW,           # RFC 3207 4.2: all is forgotten
    (Phase.GREETED, Auth): Phase.GREETED,           # or AUTHENTICATING, when a challenge is sent
    (Phase.AUTHENTICATING, AuthResponse): Phase.GREETED,
    (Phase.NEW, Rset): Phase.NEW,
    (Phase.GREETED, Rset): Phase.GREETED,
    (Phase.SENDER, Rset): Phase.GREETED,
    (Phase.RECIPIENT, Rset): Phase.GREETED,
} | {
    (phase, command): phase
    for phase in (Phase.NEW, Phase.GREETED, Phase.SENDER, Phase.RECIPIENT)
    for command in (Noop, Vrfy, Help, Quit)
}
