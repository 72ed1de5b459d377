"""What a command comes to: lines before its end, and the end itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass

from mailserver.net.answer import Then


@dataclass(frozen=True, slots=True)
class Reply:
    """`lines` are untagged and come first, then the `stream`, then what is new in the mailbox, then the tagged end.

    `may_expunge`: messages may lose their numbers now (RFC 9051 7.5.1).  `quiet` are UIDs whose flags the command has
    set and must not tell of.  `is_news`: all that has gathered is told, whatever the peer wants to hear of.
    """

    text: str = "done"
    lines: Sequence[bytes] = ()
    code: str = ""
    condition: str = "OK"
    stream: AsyncIterator[bytes] | None = None
    may_expunge: bool = True
    quiet: Collection[int] = ()
    with_uid: bool = False          # flags are told with their UIDs
    is_news: bool = False
    then: Then = Then.GO_ON
