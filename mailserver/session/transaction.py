"""One mail transaction: born at MAIL, grown by RCPT, dropped whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mailserver.address import Address
from mailserver.envelope import Envelope
from mailserver.pipeline import Outcome
from mailserver.routing import Routed
from mailserver.store.contents import Incoming
from mailserver.story import Story
from mailserver.verdict import AddHeader


@dataclass(slots=True)
class Transaction:
    """What is known of the message that a peer is about to send."""

    envelope: Envelope
    story: Story
    routes: list[Routed] = field(default_factory=list)      # one for each RCPT that was taken, in order
    junk: set[Address] = field(default_factory=set)         # routed recipients whose copy goes to Junk
    quarantine: bool = False                                # everybody's copy goes to Junk
    discard: str | None = None                              # why everybody's copy is dropped
    added: list[bytes] = field(default_factory=list)        # header lines
    incoming: Incoming | None = None
    failed: bool = False            # its content cannot be kept
    refusals: int = 0               # recipients that were not taken
    refusal: str = ""               # the last error reply about it: a story worth keeping, if it ends here

    def grow(self, recipient: Address, routed: Routed) -> None:
        """One more recipient."""
        old = self.envelope
        self.envelope = Envelope(
            old.id, old.origin, old.sender, (*old.recipients, recipient), old.size, old.body, old.wishes
        )
        self.routes.append(routed)

    def note(self, outcome: Outcome) -> None:
        """What filters said of the whole message."""
        if outcome.discard is not None:
            self.discard = outcome.discard
        if outcome.quarantine is not None:
            self.quarantine = True
        self.add(outcome.add)

    def add(self, fields: Iterable[AddHeader]) -> None:
        """Header fields to stand above the content; a line end inside a value would be somebody else's header."""
        self.added += [f"{each.name}: {' '.join(each.value.split())}\r\n".encode() for each in fields]

    def drop(self) -> None:
        """Whatever came of its content is thrown away."""
        if self.incoming is not None:
            self.incoming.discard()
            self.incoming = None
