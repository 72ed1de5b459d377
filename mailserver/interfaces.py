"""The page for plugin writers: what a plugin is asked, and what it may ask.

There are five kinds: mailbox stores, authenticators, forwarders, filters and listeners.  A plugin is a class

* that is marked with ``@implementer`` of its interface,
* whose ``Options`` is a frozen attrs class: the keys of its table in the configuration, checked at start,
* that is built with ``Plugin(options, server)``, where `server` provides `IServer`,
* and that is offered by one line (`mailserver.plugin`): ``FilterOffer("name", "package.module.Class", "What.")``.

Every method here may be plain, ``async def`` or return a Deferred.  A plain one must not block: what
takes long goes to `IServer.in_thread`.  One that raises, or that is not back within its time budget, is
a "not now" (451) for the peer, unless its table in the configuration says ``on_error = "skip"``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import attrs
from zope.interface import Attribute, Interface

from mailserver.address import Address
from mailserver.content import Content
from mailserver.destination import Destination
from mailserver.envelope import Client, Envelope
from mailserver.events import Event
from mailserver.verdict import Verdicts

T = TypeVar("T")
Maybe: TypeAlias = T | Awaitable[T]

SEEN = 1                # flags of a message are one integer: the system flags of RFC 9051 2.3.2
ANSWERED = 2
FLAGGED = 4
DELETED = 8
DRAFT = 16
JUNK = "Junk"           # the mailbox that quarantine means
INBOX = "INBOX"


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who has mailboxes and may log in."""

    id: int
    address: Address
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message for one mailbox.

    `key` is the same when the same delivery is tried again: a store outside the database makes its file
    name of it, so that a message is never there twice.  `prefix` is what is ours for this recipient
    (Return-Path, Received ...), header lines that stand above `content` and are part of the message.
    """

    key: int
    message: int                # the message's id, which is its content's in the server's database
    account: Account
    mailbox: str
    prefix: bytes
    content: Content
    received: float             # seconds since the epoch
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """A row of a mailbox listing."""

    uid: int
    size: int                   # octets, the prefix included
    received: float             # seconds since the epoch: the internal date (RFC 9051 2.3.3)
    flags: int


@attrs.frozen
class NoOptions:
    """The options of a plugin whose table has no keys of its own."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the DNS says to one question."""

    records: tuple[Any, ...] = ()       # dnspython rdata; empty: there are none of this type
    exists: bool = True                 # whether there is such a name at all
    validated: bool = False             # by DNSSEC, the "no" too, says who is trusted for it (RFC 4035 4.9.3)
    alias: str = ""                     # the name at the end of CNAMEs, when any were followed; no final dot


class IResolver(Interface):
    """Asks the DNS (RFC 1035)."""

    def query(name: str, type: str) -> Awaitable[Sequence[Any]]:
        """The records of `type` ("A", "AAAA", "MX", "TXT", "PTR" ...) at `name`, as dnspython rdata.

        Empty: the name exists without such records.  Raises `mailserver.net.resolver.NoSuchName` when it
        does not exist, and `mailserver.errors.TemporaryFailure` when nobody could say.
        """

    def ask(name: str, type: str) -> Awaitable[Answer]:
        """The same with all that is known of the answer; a name that does not exist is an answer too.

        Raises `mailserver.errors.TemporaryFailure` when nobody could say, or when what was said is a forgery by DNSSEC.
        """


class IDirectory(Interface):
    """Who lives here: domains, accounts and aliases; answers come from memory where they can.

    Addresses are compared by `mailserver.address.Address.key`.
    """

    version: int | None = Attribute(
        "Moves when what was answered before may be wrong; None: nothing that follows from an answer may be kept."
    )

    def is_local(domain: str) -> Awaitable[bool]:
        """Whether mail for this domain ends here."""

    def domains() -> Awaitable[Sequence[str]]:
        """All domains whose mail ends here, by name."""

    def account(address: Address) -> Awaitable[Account | None]:
        """The account of exactly this address."""

    def alias(address: Address) -> Awaitable[Sequence[Address] | None]:
        """The targets of an alias of exactly this address; None: there is no such alias."""

    def catch_all(domain: str) -> Awaitable[Sequence[Address] | None]:
        """The targets of the alias ``@domain``, if there is one."""

    def posting(address: Address) -> Awaitable[tuple[Address, str] | None]:
        """The mailbox into which mail for exactly this address goes: its owner and name; None: it has none."""

    def posting_below(owner: Address, name: str) -> Awaitable[tuple[Address, str] | None]:
        """A mailbox of an account, if anyone may post there; None: there is none."""

    def delegates(address: Address) -> Awaitable[Collection[str]]:
        """The keys of the accounts that may send in the name of the account of exactly this address."""

    def refreshed() -> Awaitable[bool]:
        """Whether somebody changed the directory so lately that a "no" must be asked again before it is told."""

    def credentials(account: Account, kind: str) -> Awaitable[Sequence[bytes]]:
        """The stored credentials of one kind ("argon2id", "scram-sha-256" ...)."""


class IServer(Interface):
    """What the server lends to its plugins."""

    hostname: str = Attribute("The name of this server, as its greeting says it.")
    data: Path = Attribute("The server's data folder; a plugin keeps files in a folder of its own name there.")
    directory: IDirectory = Attribute("Domains, accounts and aliases.")
    resolver: IResolver = Attribute("The DNS.")
    database: Any = Attribute("The `mailserver.store.database.Database`.")
    limits: Any = Attribute(
        "The `mailserver.net.limits.Limits`; its `tally` counts for plugins, too, over all processes of the server."
    )
    suppression: Any = Attribute("The `mailserver.feedback.rules.Rules`: who is not written to any more.")
    keeping: Any = Attribute("The `mailserver.keeping.Keeping`: for how long removed mail can be brought back.")
    clock: Any = Attribute("IReactorTime: callLater and monotonic seconds.")
    reactor: Any = Attribute("The reactor that the server runs on.")
    random: Any = Attribute("A `random.Random`.")

    def now() -> float:
        """Seconds since the epoch."""

    def in_thread(work: Callable[..., T], *args: Any, **kwargs: Any) -> Awaitable[T]:
        """Run blocking work in a thread of the server's pool."""

    def tell(event: Event) -> None:
        """Something happened that listeners may want to hear of; takes no time and never raises."""


class IFilter(Interface):
    """Judges connections, senders, recipients and messages: see `mailserver.verdict`.

    Only the hooks that a class has are called; none of the five must be there.  A filter that can be
    asked without consequences (it counts nothing, it calls nobody) says ``dry = True``; ``explain`` shows
    the others as "not asked".
    """

    origins: Collection[Any] = Attribute("Of `mailserver.envelope.Origin`: what it judges.")


class IFilterHooks(Interface):
    """The hooks of an `IFilter`, each of which it may have or not."""

    def connected(client: Client) -> Maybe[Verdicts]:
        """A peer connected; nothing else is known."""

    def hello(client: Client, name: str) -> Maybe[Verdicts]:
        """It said EHLO, HELO or LHLO with `name`."""

    def sender(client: Client, envelope: Envelope) -> Maybe[Verdicts]:
        """MAIL FROM: `envelope.sender` is new."""

    def recipient(client: Client, envelope: Envelope, address: Address) -> Maybe[Verdicts]:
        """RCPT TO, once per recipient; `envelope.recipients` holds those before it."""

    def content(client: Client, envelope: Envelope, content: Content) -> Maybe[Verdicts]:
        """The message is here, once for all recipients."""


class IForwarder(Interface):
    """Says where mail for an address goes.

    One whose answers follow from the directory alone says ``from_directory = True``; while all do, a way once found is
    taken again until the directory changes.
    """

    def forward(recipient: Address) -> Maybe[Sequence[Destination] | None]:
        """None: not mine, ask the next one.  Empty: take it and drop it.

        Raise `mailserver.errors.TemporaryFailure` if the answer cannot be known now.  A
        `mailserver.destination.Forward` enters again at the first forwarder, ten levels deep.
        """


class IAuthenticator(Interface):
    """Says whose a login is."""

    def check(name: str, password: str, client: Client) -> Maybe[Address | None]:
        """The address of the account when `password` is right for the login `name`; None: not by me, ask the next.

        An unknown name and a wrong password must take the same time.  Raise
        `mailserver.errors.TemporaryFailure` if it cannot be known now.
        """


class IListener(Interface):
    """Hears what happens to mail (`mailserver.events`); it decides nothing.

    There is a kind of plugins that does only this, ``[[listener]]``; but every plugin that provides it hears, too.
    With several workers each hears of what its own process does.
    """

    kinds: Collection[str] = Attribute("Of `mailserver.events.KINDS`: what it wants to hear of.")

    def happened(events: Sequence[Event]) -> Maybe[None]:
        """These things happened, in their order; at most a hundred at a time, a moment after they did.

        Mail does not wait for it.  When it raises, or is not back within its budget, the same events are told again
        later, or with ``on_error = "skip"`` never.  What does not fit into a queue of bounded length is lost; and what
        has not been told when the server dies is lost too, so whoever must not miss anything reads the trace.
        """


class IResident(Interface):
    """A plugin that works by itself while the server runs, not only when it is asked.  Any plugin may provide it."""

    def start() -> Maybe[None]:
        """The server runs: its database and its threads are there, also after it was built anew by a reload."""

    def stop() -> Maybe[None]:
        """The server stops, or goes on without it; after this it does nothing any more.  It has a few seconds."""


class IMailbox(Interface):
    """One mailbox, as a session that has opened it sees it."""

    name: str = Attribute("INBOX, Junk ...")
    uidvalidity: int = Attribute("RFC 9051 2.3.1.1: changes when UIDs start anew.")

    def messages() -> Awaitable[Sequence[Message]]:
        """All messages, in ascending order of UID."""

    def read(uid: int) -> AsyncIterator[bytes]:
        """The octets of a message, prefix and content, in pieces; raises `NotFound` when it is gone."""

    def beginning(uid: int, count: int) -> Awaitable[bytes]:
        """At most the first `count` octets; raises `NotFound`."""

    def read_many(uids: Collection[int]) -> Awaitable[Mapping[int, bytes]]:
        """Some messages that the listing says are small, whole and in one go; those that are gone are left out."""

    def remove(uids: Collection[int]) -> Awaitable[None]:
        """Expunge these messages, all or none; those already gone are passed over."""


class IMailboxStore(Interface):
    """Keeps the mailboxes of accounts."""

    def deliver(delivery: Delivery) -> Awaitable[None]:
        """Put a message into a mailbox, durably; the same `key` again does nothing.

        A mailbox that does not exist is made.  Raises `mailserver.errors.TemporaryFailure` when it
        cannot be done now.
        """

    def mailboxes(account: Account) -> Awaitable[Sequence[str]]:
        """The names of an account's mailboxes; INBOX is always among them."""

    def open(account: Account, name: str) -> Awaitable[Any]:
        """The `IMailbox` called `name`; raises `mailserver.errors.NotFound`."""


class ITransactionalStore(IMailboxStore):
    """A mailbox store that lies in the server's own database: acceptance delivers inside its transaction."""

    def write(connection: Any, deliveries: Sequence[Delivery]) -> None:
        """Insert the message rows on the writer's connection; the content row (id `message`) is there already.

        Runs in the writer's thread, inside its transaction, and may run again after a rollback.
        """
