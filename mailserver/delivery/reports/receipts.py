"""Reports of what acceptance brings to its end by itself: a delivery into the server's database, an alias of several.

They are written in the transaction that delivers, so that nobody is told of what did not happen, and nobody is left
untold: `mailserver.acceptance.Acceptance.receipts`.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailserver.content import Content
from mailserver.delivery.reports.action import Action
from mailserver.delivery.reports.compose import compose
from mailserver.delivery.reports.original import Original
from mailserver.delivery.reports.wanted import is_wanted
from mailserver.delivery.result import DELIVERED, Result
from mailserver.ident import spell
from mailserver.store.spool import Entry
from mailserver.world import World


class Receipts:
    """Writes them, for `mailserver.acceptance`."""

    def __init__(self, hostname: str, world: World) -> None:
        self._hostname = hostname
        self._world = world

    def __call__(
        self, delivered: Sequence[Entry], expanded: Sequence[Entry], content: Content, is_known: bool
    ) -> Sequence[bytes]:
        """One report for all that were delivered, one for all that were expanded; none where none is wanted."""
        reports = []
        for action, entries in ((Action.DELIVERED, delivered), (Action.EXPANDED, expanded)):
            ended = [
                (each, Result(DELIVERED, "")) for each in entries
                if is_wanted(each.sender, each.wishes.notify, action, is_known)
            ]
            if ended:
                boundary = f"{spell(self._world.new_id())}.{self._world.random.getrandbits(64):016x}"
                reports.append(
                    compose(action, ended, Original.of(content), self._hostname, self._world.now(), boundary)
                )
        return reports
