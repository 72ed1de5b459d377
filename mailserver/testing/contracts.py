"""The tests that every plugin of a kind has to pass, the built-in ones too.

Derive from the contract and from `mailserver.testing.PluginCase`, in this order, and say which class is meant::

    class PoliteTests(FilterContract, PluginCase):
        plugin = Polite
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailserver import destination, verdict
from mailserver.address import Address
from mailserver.content import LARGE, Content
from mailserver.contracts import HOOKS, faults
from mailserver.envelope import Client, Envelope, Tls
from mailserver.errors import TemporaryFailure
from mailserver.events import Event
from mailserver.ident import read
from mailserver.interfaces import IAuthenticator, IFilter, IForwarder, IListener, IResident, NoOptions
from mailserver.options import structure_all
from mailserver.testing.cases import a_client, an_envelope, answer
from mailserver.testing.standin import NOW

if TYPE_CHECKING:
    from mailserver.testing.cases import PluginCase as _Case
else:
    _Case = object

NOTICEABLE = 0.005          # seconds: a check that is quicker tells nobody anything over a network


class PluginContract(_Case):
    """What holds for plugins of every kind."""

    interface: Any

    def test_contract_class(self) -> None:
        """It implements its interface, and can be built with (options, server)."""
        self.assertEqual(faults(self.interface, self.plugin), [])

    def test_contract_options(self) -> None:
        """Its options are frozen, its table is complete, and a key that it does not know is a mistake."""
        options = getattr(self.plugin, "Options", NoOptions)
        value, mistakes = structure_all(options, self.table)
        self.assertEqual([str(each) for each in mistakes], [])
        with self.assertRaises(AttributeError):
            value.no_such_key = 1
        _, mistakes = structure_all(options, {**self.table, "no_such_key": 1})
        self.assertEqual([each.key for each in mistakes], ["no_such_key"])

    def test_contract_two_servers(self) -> None:
        """It can be built twice, and building it starts nothing."""
        self.assertIsNot(self.build(), self.build())
        self.assertEqual(self.server.clock.getDelayedCalls(), [])


    async def test_contract_starts_and_stops(self) -> None:
        """One that works by itself ends all of it, also when it is started again."""
        if not IResident.implementedBy(self.plugin):
            return
        resident = self.build()
        for _ in range(2):
            await answer(resident.start())
            await answer(resident.stop())
        self.assertEqual(self.server.clock.getDelayedCalls(), [])


class FilterContract(PluginContract):
    """For `mailserver.interfaces.IFilter`: whatever it is shown, it answers verdicts, or says that it cannot now."""

    interface = IFilter

    def contents(self) -> Iterator[Content]:
        """Messages of all sorts; derive to add some."""
        for octets in (
            b"",
            b"\r\n",
            b"\r\nNo header.\r\n",
            b"Subject: no body\r\n",
            b"From: alice@example.net\r\nTo: bob@example.org\r\nSubject: x\r\n\r\nHello.\r\n",
            b"Subject: =?utf-8?q?broken\r\n\tfolded\r\nno colon\r\n: no name\r\n\r\n\xff\xfe\r\n.\r\n",
            b"X: " + 2000 * b"long" + b"\r\n\r\n",
        ):
            yield Content.of(octets)
        path = Path(self.mktemp())
        octets = b"Subject: large\r\n\r\n" + 100_000 * b"line\r\n"
        path.write_bytes(octets)
        yield Content(len(octets), octets[:LARGE], str(path))

    def clients(self) -> Iterator[Client]:
        """Peers of all sorts; derive to add some."""
        yield a_client()
        yield a_client("2001:db8::1", hello="[IPv6:2001:db8::1]", tls=Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384"))
        yield a_client("fe80::1%eth0", hello="\u4f8b\u3048.example")
        yield a_client("127.0.0.1", trusted=True)
        yield a_client("198.51.100.7", login="bob@example.org")
        yield a_client("", service="internal", hello="", extended=False, port=0)

    def envelopes(self) -> Iterator[Envelope]:
        """Envelopes of all sorts; derive to add some."""
        for origin in self.plugin.origins:
            yield an_envelope(origin=origin)
            yield an_envelope("", ["bob@example.org"], origin)
            yield an_envelope('"a b"@[192.0.2.1]', ["bob@example.org", "\u5c71@\u4f8b\u3048.example"], origin)

    async def _asked(self, filter: Any, stage: str, *args: Any) -> Any:
        try:
            said = await answer(getattr(filter, stage)(*args))
        except TemporaryFailure:
            return None
        if said is not None:
            verdict.check(said)
        return said

    def _questions(self, stage: str) -> Iterator[tuple[Any, ...]]:
        for client in self.clients():
            if stage == "connected":
                yield (client,)
            elif stage == "hello":
                yield client, client.hello
            else:
                for envelope in self.envelopes():
                    if stage == "sender":
                        yield client, envelope
                    elif stage == "recipient":
                        yield client, envelope, Address("bob", "example.org")
                        yield client, envelope, Address("postmaster", "")
                    else:
                        yield from ((client, envelope, content) for content in self.contents())

    async def test_contract_verdicts(self) -> None:
        """Each hook answers verdicts to whatever it is shown."""
        filter = self.build()
        for stage in HOOKS:
            if hasattr(filter, stage):
                for question in self._questions(stage):
                    await self._asked(filter, stage, *question)

    async def test_contract_dry(self) -> None:
        """One that says ``dry = True`` answers the same however often it is asked."""
        filter = self.build()
        if not getattr(filter, "dry", False):
            return
        for stage in HOOKS:
            if hasattr(filter, stage):
                for question in self._questions(stage):
                    first = await self._asked(filter, stage, *question)
                    self.assertEqual(await self._asked(filter, stage, *question), first)


class ForwarderContract(PluginContract):
    """For `mailserver.interfaces.IForwarder`: whatever address it is asked about, it answers destinations or None."""

    interface = IForwarder
    others: Sequence[str] = ("nobody@nowhere.example",)        # addresses that are none of its business; may be empty

    async def test_contract_destinations(self) -> None:
        forwarder = self.build()
        for address in (
            Address("bob", "example.org"),
            Address("bob+x", "example.org"),
            Address("", "example.org"),
            Address("a b\"c", "example.org"),
            Address("\u5c71", "\u4f8b\u3048.example"),
            Address("bob", "[192.0.2.1]"),
            Address("postmaster", ""),
        ):
            try:
                answered = await answer(forwarder.forward(address))
            except TemporaryFailure:
                continue
            if answered is not None:
                destination.check(answered)

    async def test_contract_none_of_its_business(self) -> None:
        """None, not a refusal: the next one may know."""
        forwarder = self.build()
        for address in self.others:
            self.assertIsNone(await answer(forwarder.forward(Address.parse(address))), address)


class AuthenticatorContract(PluginContract):
    """For `mailserver.interfaces.IAuthenticator`; say in `right` which login is right, and whose."""

    interface = IAuthenticator
    right: tuple[str, str, str]             # name, password, address of the account

    async def _check(self, authenticator: Any, name: str, password: str) -> Any:
        return await answer(authenticator.check(name, password, a_client()))

    async def test_contract_right(self) -> None:
        name, password, address = self.right
        said = await self._check(self.build(), name, password)
        self.assertIsInstance(said, Address)
        self.assertEqual(said.key, Address.parse(address).key)

    async def test_contract_wrong(self) -> None:
        """None for everything else, whatever it looks like, also after a login that was right."""
        name, password, _ = self.right
        authenticator = self.build()
        await self._check(authenticator, name, password)
        for wrong in (
            (name, ""), (name, password + "x"), (name, password[:-1]), (name, password.swapcase() + "!"),
            ("nobody-at-all", password), ("", ""), ("", password), (name + "\x00", password), (name, password + "\x00"),
            ("\u5c71@\u4f8b\u3048.example", "\u5c71"), (10_000 * "x", password), (name, 10_000 * "x"),
            ("' OR 1=1 --", "' OR 1=1 --"), ("@", "@"), ("*", "*"),
        ):
            self.assertIsNone(await self._check(authenticator, *wrong), wrong)

    async def test_contract_time(self) -> None:
        """Nobody can tell by the time whether a name exists."""
        name, password, _ = self.right
        authenticator = self.build()
        unknown, wrong = [], []
        for number in range(7):
            began = time.perf_counter()
            await self._check(authenticator, f"nobody-{number}@example.org", password)
            unknown.append(time.perf_counter() - began)
            began = time.perf_counter()
            await self._check(authenticator, name, f"{password}-{number}")
            wrong.append(time.perf_counter() - began)
        quick, slow = sorted((statistics.median(unknown), statistics.median(wrong)))
        self.assertTrue(
            slow < NOTICEABLE or slow < 3 * quick, f"an unknown name takes {unknown}, a wrong password {wrong}"
        )


class ListenerContract(PluginContract):
    """For `mailserver.interfaces.IListener`: it hears whatever it wants to hear of, however little is known of it."""

    interface = IListener

    def events(self) -> Iterator[Event]:
        """Events of all the kinds that it names; derive to add some."""
        id = read("6C41G01JY5J55")
        for kind in sorted(self.build().kinds):
            if kind == "accepted":
                yield Event(kind, id, NOW, "alice@example.net", "", {"recipients": ["bob@example.org"], "size": 1234})
                yield Event(kind, id, NOW, "", "", {"recipients": 1000 * ["bob@example.org"], "size": 0})
                continue
            yield Event(kind, id, NOW, "", "bob@example.org")
            yield Event(kind, id, NOW, "\u5c71@\u4f8b\u3048.example", '"a b"@[192.0.2.1]', {
                "target": "bob@example.com", "host": "mx.example.com:25", "address": "2001:db8::1", "tls": "TLSv1.3 X",
                "reply": "451 4.7.1 " + 200 * "\x1b long \xff", "status": "4.7.1", "class": "greylist",
                "attempt": 3, "next": NOW + 300,
            })

    async def test_contract_hears(self) -> None:
        """One at a time, all at once, and none."""
        listener = self.build()
        events = list(self.events())
        for batch in (*([each] for each in events), events, []):
            try:
                self.assertIsNone(await answer(listener.happened(batch)))
            except TemporaryFailure:
                continue            # it works, and says that it cannot now
