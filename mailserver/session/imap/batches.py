"""UIDBATCHES (draft-ietf-mailmaint-imap-uidbatches): a mailbox in pieces of a size that a client can work with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailserver.imap.commands.batches import UidBatches
from mailserver.imap.error import ImapError
from mailserver.imap.strings import string
from mailserver.session.imap.changing import chosen
from mailserver.session.imap.reply import Reply

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

FEWEST = 500                # messages of a batch that may be asked for
MOST = 100_000              # messages of all batches that are asked for by their numbers


async def uid_batches(session: ImapSession, command: UidBatches) -> Reply:
    """The newest messages first; each range begins where the one before it ends, and the last one ends with 1."""
    selected = chosen(session)
    size, count = command.size, selected.count
    if size < FEWEST:
        raise ImapError(f"a batch has {FEWEST} messages at least", "NO", "TOOFEW")
    first, last = command.batches or (1, -(-count // size))
    if command.batches is not None and size * (last - first + 1) > MOST:
        raise ImapError(f"ask for {MOST} messages at most", "NO", "TOOMANY")
    ranges = []
    for number in range(first, min(last, -(-count // size)) + 1):
        end = count - (number - 1) * size           # how many messages there are up to the newest of this batch
        below = max(0, end - size)
        low = selected.uids[below - 1] + 1 if below else 1
        ranges.append(b"%d:%d" % (selected.uids[end - 1], low))
    words = [b"* UIDBATCHES (TAG %b)" % string(session.tag.encode("ascii")), *[b",".join(ranges)] * bool(ranges)]
    return Reply("that is all", [b" ".join(words) + b"\r\n"])
