"""One mail transaction: born at MAIL, grown by RCPT, dropped whole."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mailserver.address import Address
from mailserver.envelope import Envelope
from mailserver.routing import Routed
from mailserver.store.contents import Incoming
from mailserver.story import Story


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
    refusal: str = ""               # the last error reply about it: a story worth keeping, if it ends here

    def grow(self, recipient: Address, routed: Routed) -> None:
        """One more recipient."""
        self.envelope = replace(self.envelope, recipients=(*self.envelope.recipients, recipient))
        self.routes.append(routed)

    def drop(self) -> None:
        """Whatever came of its content is thrown away."""
        if self.incoming is not None:
            self.incoming.discard()
            self.incoming = None
