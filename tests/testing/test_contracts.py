"""The contracts notice what they are there to notice: each of these plugins breaks one promise."""

from __future__ import annotations

import time
from typing import Any
from unittest import TestResult, defaultTestLoader

import attrs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from mailserver.address import Address
from mailserver.destination import Drop
from mailserver.envelope import Origin
from mailserver.errors import TemporaryFailure
from mailserver.interfaces import IAuthenticator, IFilter, IForwarder, IMailboxStore, NoOptions
from mailserver.mailbox.memory import Memory
from mailserver.testing import (
    AuthenticatorContract,
    FilterContract,
    ForwarderContract,
    MailboxStoreContract,
    PluginCase,
)


class Plugin:
    Options: Any = NoOptions

    def __init__(self, options: Any, server: Any) -> None:
        self.server = server


@implementer(IFilter)
class GoodFilter(Plugin):
    origins = frozenset(Origin)

    def content(self, client: Any, envelope: Any, content: Any) -> Any:
        return None


@implementer(IForwarder)
class GoodForwarder(Plugin):
    def forward(self, recipient: Any) -> Any:
        return None


@implementer(IAuthenticator)
class GoodAuthenticator(Plugin):
    async def check(self, name: str, password: str, client: Any) -> Any:
        return Address("bob", "example.org") if (name, password) == ("bob", "secret") else None


def broken(contract: type, plugin: type, **attributes: Any) -> list[str]:
    """The tests of a contract that a plugin does not pass."""
    case = type("Case", (contract, PluginCase), {"plugin": plugin, "__module__": __name__, **attributes})
    result = TestResult()
    defaultTestLoader.loadTestsFromTestCase(case).run(result)
    assert result.testsRun
    return sorted(
        test.id().rpartition("test_contract_")[2] for test, _ in [*result.failures, *result.errors]     # type: ignore
    )


class FilterTests(SynchronousTestCase):
    def broken(self, plugin: type) -> list[str]:
        return broken(FilterContract, plugin)

    def test_good(self) -> None:
        self.assertEqual(self.broken(GoodFilter), [])

    def test_says_not_now(self) -> None:
        class Unsure(GoodFilter):
            def content(self, client: Any, envelope: Any, content: Any) -> Any:
                raise TemporaryFailure("nobody answers")

        self.assertEqual(self.broken(Unsure), [])

    def test_no_verdict(self) -> None:
        class Chatty(GoodFilter):
            async def content(self, client: Any, envelope: Any, content: Any) -> Any:
                return "fine"

        self.assertEqual(self.broken(Chatty), ["verdicts"])

    def test_stumbles_over_the_null_sender(self) -> None:
        class Careless(GoodFilter):
            def sender(self, client: Any, envelope: Any) -> Any:
                return envelope.sender.domain and None

        self.assertEqual(self.broken(Careless), ["verdicts"])

    def test_stumbles_over_octets(self) -> None:
        class Careless(GoodFilter):
            def content(self, client: Any, envelope: Any, content: Any) -> Any:
                content.beginning.decode("ascii")

        self.assertEqual(self.broken(Careless), ["verdicts"])

    def test_not_so_dry(self) -> None:
        class Counting(GoodFilter):
            dry = True
            count = 0

            def content(self, client: Any, envelope: Any, content: Any) -> Any:
                from mailserver.verdict import score

                Counting.count += 1
                return score(Counting.count, "it is counted")

        self.assertEqual(self.broken(Counting), ["dry"])

    def test_hook_misspelt(self) -> None:
        class Silent(Plugin):
            origins = frozenset(Origin)

            def contents(self, client: Any, envelope: Any, content: Any) -> Any:
                return None

        self.assertEqual(self.broken(implementer(IFilter)(Silent)), ["class"])

    def test_begins_when_it_is_built(self) -> None:
        class Eager(GoodFilter):
            def __init__(self, options: Any, server: Any) -> None:
                server.clock.callLater(60, lambda: None)

        self.assertEqual(self.broken(Eager), ["two_servers"])

    def test_writes_when_it_is_built(self) -> None:
        """A server builds its plugins before its database runs."""

        class Eager(GoodFilter):
            def __init__(self, options: Any, server: Any) -> None:
                server.database.write(lambda connection: None)

        self.assertEqual(self.broken(Eager), ["dry", "two_servers", "verdicts"])

    def test_options_that_can_be_changed(self) -> None:
        class Loose(GoodFilter):
            @attrs.define(slots=False)
            class Options:
                count: int = 1

        self.assertEqual(self.broken(Loose), ["options"])


class ForwarderTests(SynchronousTestCase):
    def test_good(self) -> None:
        self.assertEqual(broken(ForwarderContract, GoodForwarder), [])

    def test_answers_an_address(self) -> None:
        class Short(GoodForwarder):
            def forward(self, recipient: Any) -> Any:
                return recipient if recipient.domain == "example.org" else None

        self.assertEqual(broken(ForwarderContract, Short), ["destinations"])

    def test_takes_what_is_not_its_own(self) -> None:
        class Greedy(GoodForwarder):
            def forward(self, recipient: Any) -> Any:
                return [Drop("mine")]

        self.assertEqual(broken(ForwarderContract, Greedy), ["none_of_its_business"])
        self.assertEqual(broken(ForwarderContract, Greedy, others=()), [])


class AuthenticatorTests(SynchronousTestCase):
    def broken(self, plugin: type) -> list[str]:
        return broken(AuthenticatorContract, plugin, right=("bob", "secret", "bob@example.org"))

    def test_good(self) -> None:
        self.assertEqual(self.broken(GoodAuthenticator), [])

    def test_opens_to_everybody(self) -> None:
        class Open(GoodAuthenticator):
            async def check(self, name: str, password: str, client: Any) -> Any:
                return Address("bob", "example.org")

        self.assertEqual(self.broken(Open), ["wrong"])

    def test_answers_true(self) -> None:
        class Yes(GoodAuthenticator):
            async def check(self, name: str, password: str, client: Any) -> Any:
                return (name, password) == ("bob", "secret")

        self.assertEqual(self.broken(Yes), ["right", "wrong"])

    def test_tells_by_the_time(self) -> None:
        class Quick(GoodAuthenticator):
            async def check(self, name: str, password: str, client: Any) -> Any:
                if name == "bob":
                    time.sleep(0.02)
                return await super().check(name, password, client)

        self.assertEqual(self.broken(Quick), ["time"])

    def test_stumbles_over_names(self) -> None:
        class Careless(GoodAuthenticator):
            async def check(self, name: str, password: str, client: Any) -> Any:
                name.encode("ascii")
                return await super().check(name, password, client)

        self.assertEqual(self.broken(Careless), ["wrong"])


class MailboxStoreTests(SynchronousTestCase):
    def test_forgets_keys(self) -> None:
        @implementer(IMailboxStore)
        class Doubling(Memory):
            async def deliver(self, delivery: Any) -> None:
                from dataclasses import replace

                self.count = getattr(self, "count", 0) + 1
                await super().deliver(replace(delivery, key=self.count))

        self.assertEqual(broken(MailboxStoreContract, Doubling, persists=False), ["same_key"])
