"""Who shares a limit: all that goes to one host, or into one mailbox store, is one lane."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, or_

from mailserver.config import Outbound
from mailserver.store.schema import spool
from mailserver.store.spool import Due, Entry


class Lanes:
    """Knows the lane of an entry, and how to ask the spool for those of other lanes."""

    def __init__(self, outbound: Outbound) -> None:
        self._route = outbound.route
        self._smarthost = outbound.smarthost

    def of(self, entry: Entry | Due) -> str:
        """The name of the store or fixed host, the smarthost, or the domain."""
        if entry.kind == "mailbox":
            return _store(entry.place)
        return entry.place or self._route.get(entry.domain) or self._smarthost or entry.domain

    def others(self, full: Collection[str]) -> list[ColumnElement[bool]]:
        """Conditions for entries that are in none of these lanes."""
        if not full:
            return []
        places = [lane for lane in full if not lane.startswith(_MAILBOX)]
        conditions: list[ColumnElement[bool]] = [spool.c.place.not_in(places)]
        for lane in full:
            if lane.startswith(_MAILBOX):
                store = lane.removeprefix(_MAILBOX) + "/"
                conditions.append(or_(spool.c.kind != "mailbox", ~spool.c.place.startswith(store, autoescape=True)))
        routed = [domain for domain, host in self._route.items() if host in full]
        by_name = [] if self._smarthost else [lane for lane in places if lane not in self._route]
        conditions.append(or_(spool.c.place != "", spool.c.domain.not_in(routed + by_name)))
        if self._smarthost in full:
            conditions.append(or_(spool.c.place != "", spool.c.domain.in_(list(self._route))))
        return conditions


_MAILBOX = "mailbox of "


def _store(place: str) -> str:
    return _MAILBOX + place.partition("/")[0]
