"""Where the tests of a plugin stand, and what they speak of."""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import isawaitable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import TestCase

from mailserver.address import Address
from mailserver.envelope import Client, Envelope, Origin
from mailserver.ident import Ids
from mailserver.interfaces import NoOptions
from mailserver.options import structure
from mailserver.testing.standin import NOW, StandIn

_ids = Ids(lambda: NOW)


class PluginCase(TestCase):
    """Tests of `plugin`, a class; `table` is what stands in its table of the configuration, if anything must."""

    plugin: Any
    table: Mapping[str, Any] = {}
    timeout = 30

    def setUp(self) -> None:
        self.server = StandIn(Path(self.mktemp()).absolute())
        self.addCleanup(self.server.stop)

    def build(self, **table: Any) -> Any:
        """The plugin, built as the server builds it; `table` goes before what stands in `self.table`."""
        options = structure(getattr(self.plugin, "Options", NoOptions), {**self.table, **table})
        with self.server.building():
            return self.plugin(options, self.server)


async def answer(said: Any) -> Any:
    """What a hook answers, which may be plain, ``async def`` or give a Deferred."""
    return await said if isawaitable(said) else said


def a_client(address: str = "192.0.2.1", login: str | None = None, **others: Any) -> Client:
    """A peer; `login` is the account that it logged in to."""
    values: dict[str, Any] = {"port": 50000, "hello": "client.example.net", "extended": True, **others}
    return Client(address, login=Address.parse(login) if login else None, **values)


def an_envelope(
    sender: str = "alice@example.net", recipients: Sequence[str] = (), origin: Origin = Origin.ARRIVAL, **others: Any
) -> Envelope:
    """An envelope with an id of its own; the sender "" is the null reverse-path."""
    return Envelope(
        _ids(), origin, Address.parse(sender) if sender else None, tuple(map(Address.parse, recipients)), **others
    )
