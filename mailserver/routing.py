"""From a recipient to its destinations, by the forwarders in their configured order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mailserver.address import Address, domain_key
from mailserver.destination import Destination, Drop, Forward, Mailbox, Refuse, Remote, check
from mailserver.hooks import Asked, Broken
from mailserver.interfaces import IDirectory
from mailserver.reply import LOOP, NO_MAIL_THERE, NO_SUCH_USER, Reply
from mailserver.story import Story

DEEPEST = 10        # forwardings of forwardings
MOST_REMEMBERED = 8192      # ways


@dataclass(frozen=True, slots=True)
class Routed:
    """A recipient, and where its mail goes: mailboxes, remote addresses, or nowhere.

    `notify` and `orcpt` are what its sender wants to be told of it (`mailserver.wishes`).
    """

    recipient: Address
    destinations: tuple[Destination, ...]
    refusal: Reply | None = None
    notify: str = ""
    orcpt: str = ""


class Router:
    """Asks the forwarders.

    `hostname` says whose postmaster the bare ``postmaster`` is (RFC 5321 4.5.1); `mailless` are domains that take
    no mail (RFC 7504 3).
    """

    def __init__(
        self, forwarders: Sequence[Asked], directory: IDirectory, hostname: str, mailless: Collection[str] = ()
    ) -> None:
        self.mailless = frozenset(mailless)
        self.forwarders = tuple(forwarders)
        self._directory = directory
        self._hostname = hostname
        # Ways that follow from the directory alone, each with its version and its steps.
        self._may_remember = all(getattr(each.plugin, "from_directory", False) for each in self.forwarders)
        self._remembered: OrderedDict[Address, tuple[int, list[list[str]], Routed]] = OrderedDict()

    async def route(self, recipient: Address, story: Story) -> Routed:
        """Where mail for `recipient` goes; each step stands in the story.

        Raises `TemporaryFailure` when a forwarder cannot know now, or is broken and its policy is to defer.
        """
        version = self._directory.version if self._may_remember else None
        known = self._remembered.get(recipient) if version is not None else None
        if known is not None and known[0] == version:
            story.destinations += known[1]
            return known[2]
        start = recipient if recipient.domain else await self._postmaster(recipient)
        steps: list[tuple[str, str, str]] = []
        walk = _Walk(steps)
        await self._walk(start, walk, 0)
        if walk.refusal is NO_SUCH_USER and await self._directory.refreshed():
            steps.clear()
            walk = _Walk(steps)
            await self._walk(start, walk, 0)
        told = [list(step) for step in steps]
        story.destinations += told
        found = tuple(walk.destinations)
        # One target of several that is gone does not stop the others.  Aliases of each other only lead nowhere.
        routed = Routed(recipient, found, None if found else walk.refusal or LOOP)
        if version is not None and version == self._directory.version and walk.may_be_kept:
            self._remembered[recipient] = version, told, routed
            if len(self._remembered) > MOST_REMEMBERED:
                self._remembered.popitem(last=False)
        return routed

    async def owners(self, address: Address) -> set[str]:
        """The keys of the accounts that get mail for an address because the directory says so.

        Where another forwarder sends mail is its own business: that somebody gets a copy does not make it his address.
        Raises `TemporaryFailure` when one cannot know now, even if it may be skipped for mail.
        """
        found: set[str] = set()
        await self._own(address, found, set(), 0)
        return found

    async def _own(self, address: Address, found: set[str], seen: set[str], depth: int) -> None:
        if address.key in seen or depth > DEEPEST:
            return
        seen.add(address.key)
        for asked in self.forwarders:
            if not getattr(asked.plugin, "dry", True):
                continue
            answer = await asked.ask(asked.plugin.forward, address, check=check)
            if answer is None:
                continue
            for destination in answer if getattr(asked.plugin, "from_directory", False) else ():
                if isinstance(destination, Mailbox):
                    found.add(destination.account.key)
                elif isinstance(destination, Forward):
                    await self._own(destination.address, found, seen, depth + 1)
            return

    async def _postmaster(self, bare: Address) -> Address:
        """The bare postmaster with the nearest local domain: the host's, one above it, or any."""
        labels = self._hostname.split(".")
        for start in range(len(labels)):
            domain = ".".join(labels[start:])
            if await self._directory.is_local(domain):
                return Address(bare.local, domain)
        domains = await self._directory.domains()
        return Address(bare.local, domains[0] if domains else self._hostname)

    async def _walk(self, address: Address, walk: _Walk, depth: int) -> None:
        if address.key in walk.seen:
            return
        walk.seen.add(address.key)
        if depth > DEEPEST:
            walk.refuse(address, "", LOOP)
            return
        for asked in self.forwarders:
            try:
                answer = await asked.ask(asked.plugin.forward, address, check=check)
            except Broken:
                if asked.skips:
                    walk.skipped = True
                    continue
                raise
            if answer is None:
                continue
            if not answer:
                walk.go(address, asked.name, Drop(f"{asked.name} drops it"))
            keeps = False
            for destination in answer:
                if isinstance(destination, Forward):
                    walk.steps.append((str(address), asked.name, in_words(destination)))
                    if destination.address.key == address.key:
                        keeps = True
                    else:
                        await self._walk(destination.address, walk, depth + 1)
                elif isinstance(destination, Refuse):
                    walk.refuse(address, asked.name, destination.reply)
                else:
                    walk.go(address, asked.name, destination)
            # An address among its own targets keeps a copy: the next forwarders are asked for it.
            if not keeps:
                return
        if await self._directory.is_local(address.domain):
            walk.refuse(address, "", NO_SUCH_USER)
        elif domain_key(address.domain) in self.mailless:
            walk.refuse(address, "", NO_MAIL_THERE)
        else:
            walk.go(address, "", Remote(address))


class _Walk:
    """What was found on the way from one recipient."""

    def __init__(self, steps: list[tuple[str, str, str]]) -> None:
        self.steps = steps
        self.seen: set[str] = set()
        self.destinations: list[Destination] = []
        self.refusal: Reply | None = None
        self.skipped = False            # somebody who could not answer was passed over

    @property
    def may_be_kept(self) -> bool:
        """Whether the same would be found again: not what somebody could not answer, nor a "no" of a moment ago."""
        return self.refusal is None and not self.skipped

    def go(self, address: Address, by: str, destination: Destination) -> None:
        self.steps.append((str(address), by, in_words(destination)))
        if destination not in self.destinations:
            self.destinations.append(destination)

    def refuse(self, address: Address, by: str, reply: Reply) -> None:
        self.steps.append((str(address), by, f"refuse: {reply}"))
        if self.refusal is None:
            self.refusal = reply


def in_words(destination: Destination) -> str:
    """A destination as a story tells of it."""
    match destination:
        case Mailbox(account, store, name):
            owner = account if account.local else f"@{account.domain}"      # whose public mailbox it is
            return f"mailbox {name} of {owner} ({store})"
        case Remote(address, None):
            return f"server of {address.domain}"
        case Remote(address, host):
            return f"{host} for {address}"
        case Forward(address):
            return f"forward to {address}"
        case Drop(why):
            return f"drop: {why}"
        case Refuse(reply):
            return f"refuse: {reply}"
