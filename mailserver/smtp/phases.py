"""One table says what may follow what."""

from __future__ import annotations

from enum import Enum

from mailserver.smtp.commands import (
    Auth,
    AuthResponse,
    Bdat,
    Burl,
    Chunk,
    Command,
    Data,
    EndOfChunk,
    EndOfContent,
    Etrn,
    Expn,
    Hello,
    Help,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
    XClient,
    XForward,
)


class Phase(Enum):
    """How far a conversation has come."""

    NEW = "new"                     # nobody has said hello
    GREETED = "greeted"
    AUTHENTICATING = "authenticating"
    SENDER = "sender"               # after MAIL
    RECIPIENT = "recipient"         # after the first RCPT that was taken
    CONTENT = "content"             # between 354 and the final dot
    CHUNK = "chunk"                 # among the octets of a BDAT
    CHUNKING = "chunking"           # between two BDATs


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
    (Phase.RECIPIENT, Bdat): Phase.CHUNK,           # RFC 3030 3; never together with DATA
    (Phase.CHUNKING, Bdat): Phase.CHUNK,
    (Phase.RECIPIENT, Burl): Phase.CHUNK,           # RFC 4468 3.2: BDAT and BURL in any order
    (Phase.CHUNKING, Burl): Phase.CHUNK,
    (Phase.CHUNK, Chunk): Phase.CHUNK,
    (Phase.CHUNK, EndOfChunk): Phase.CHUNKING,
    (Phase.CHUNK, EndOfContent): Phase.GREETED,
    (Phase.CHUNKING, Hello): Phase.GREETED,
    (Phase.CHUNKING, Rset): Phase.GREETED,
    (Phase.GREETED, StartTls): Phase.NEW,           # RFC 3207 4.2: all is forgotten
    (Phase.GREETED, Auth): Phase.GREETED,           # or AUTHENTICATING, when a challenge is sent
    (Phase.AUTHENTICATING, AuthResponse): Phase.GREETED,
    (Phase.GREETED, Etrn): Phase.GREETED,
    (Phase.NEW, XClient): Phase.NEW,
    (Phase.GREETED, XClient): Phase.NEW,
    (Phase.GREETED, XForward): Phase.GREETED,
    (Phase.NEW, Rset): Phase.NEW,
    (Phase.GREETED, Rset): Phase.GREETED,
    (Phase.SENDER, Rset): Phase.GREETED,
    (Phase.RECIPIENT, Rset): Phase.GREETED,
} | {
    (phase, command): phase
    for phase in (Phase.NEW, Phase.GREETED, Phase.SENDER, Phase.RECIPIENT, Phase.CHUNKING)
    for command in (Noop, Vrfy, Expn, Help, Quit)
}
