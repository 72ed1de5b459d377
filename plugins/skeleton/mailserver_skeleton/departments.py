"""``departments``: addresses of departments, and who works there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from zope.interface import implementer

from mailserver.address import Address
from mailserver.destination import Destination, Forward
from mailserver.errors import BadAddress
from mailserver.interfaces import IForwarder, IServer


def _addresses(options: Any, field: Any, value: Mapping[str, Sequence[str]]) -> None:
    for department, people in value.items():
        for each in (department, *people):
            try:
                Address.parse(each)
            except BadAddress as error:
                raise ValueError(f"'{field.name}': {each!r} is no address: {error}") from None


@attrs.frozen
class DepartmentsOptions:
    """The keys of its table: ``people."sales@example.org" = ["ann@example.org", "bob@example.org"]``."""

    people: dict[str, tuple[str, ...]] = attrs.field(factory=dict, validator=_addresses)


@implementer(IForwarder)
class Departments:
    """Knows nobody but its departments: for all others it answers None, and the next forwarder is asked."""

    Options = DepartmentsOptions

    def __init__(self, options: DepartmentsOptions, server: IServer) -> None:
        self._people = {
            Address.parse(department).key: tuple(Forward(Address.parse(each)) for each in people)
            for department, people in options.people.items()
        }

    def forward(self, recipient: Address) -> Sequence[Destination] | None:
        return self._people.get(recipient.key)
