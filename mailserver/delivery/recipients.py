"""Whether the recipients of relay domains exist, known at RCPT: from a list, or from whoever has their mailboxes.

Who takes mail for others without knowing for whom must bounce it later, to senders who are forged more often than not.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import NoReturn

from twisted.internet.defer import Deferred, DeferredLock, DeferredSemaphore
from twisted.logger import Logger

from mailserver.address import Address, domain_key, parse_domain
from mailserver.config import Outbound
from mailserver.delivery.courier import Courier
from mailserver.delivery.hosts import Hosts
from mailserver.delivery.lanes import Lanes
from mailserver.delivery.line import Line
from mailserver.errors import BadAddress, MailserverError, TemporaryFailure
from mailserver.net.connect import Host, Opportunistic, connect
from mailserver.reply import NO_SUCH_USER, Reply
from mailserver.smtp import client
from mailserver.world import World

log = Logger()

AT_ONCE = 5             # connections that ask
MOST_REMEMBERED = 50_000
YES, NO = 3600.0, 300.0     # seconds for which an answer is remembered
LOOK = 1.0              # seconds between two looks at a file
PATIENCE = 20.0         # seconds for one address to connect
LONGEST = 30.0          # seconds for an answer, with the wait for one's turn: whoever said RCPT waits meanwhile
MOST_ADDRESSES = 3      # of one question

NOT_KNOWN = Reply(450, "1.1", "Whether this recipient exists cannot be known now")


class Listed:
    """Those who stand in a file: an address a line, or ``@domain`` for everybody there; ``#`` begins a comment."""

    def __init__(self, path: Path, world: World) -> None:
        self._path = path
        self._world = world
        self._known: frozenset[str] | None = None       # None: it cannot be read
        self._version: tuple[float, int] | None = None
        self._looked = float("-inf")
        self._reading = DeferredLock()

    async def refusal(self, recipient: Address) -> Reply | None:
        """The reply for who is not known."""
        # Who comes while it is being read waits for that: what was known before may be nothing at all.
        await self._reading.run(self._look)
        known = self._known
        if known is None:
            return NOT_KNOWN
        if recipient.key in known or f"@{domain_key(recipient.domain)}" in known:
            return None
        return NO_SUCH_USER

    async def _look(self) -> None:
        now = self._world.clock.seconds()
        if now - self._looked < LOOK:
            return
        self._looked = now
        try:
            await self._world.in_thread(self._read)
        except (OSError, UnicodeDecodeError) as error:
            log.error("cannot read {path}: {words}", path=str(self._path), words=str(error))
            self._known = self._version = None

    def _read(self) -> None:
        seen = self._path.stat()
        version = seen.st_mtime, seen.st_size
        if version == self._version:
            return
        known = set()
        for number, line in enumerate(self._path.read_text("utf-8").split("\n"), 1):
            text = line.partition("#")[0].strip()
            if not text:
                continue
            try:
                at = "@" + domain_key(parse_domain(text[1:])) if text.startswith("@") else Address.parse(text).key
            except BadAddress as error:
                log.error("{path}:{number}: {text} is passed over: {why}", path=str(self._path), number=number,
                          text=text, why=str(error))
                continue
            known.add(at)
        self._known, self._version = frozenset(known), version


class Called:
    """Those whom the next hop would take: it is asked with MAIL FROM:<> and RCPT TO, and its answer remembered."""

    def __init__(self, outbound: Outbound, world: World, hostname: str) -> None:
        self._world = world
        self._hostname = hostname
        self._lanes = Lanes(outbound)
        self._hosts = Hosts(outbound, world.resolver, hostname, world.random)
        self._tls = Opportunistic()
        self._turns = DeferredSemaphore(AT_ONCE)
        self._remembered: OrderedDict[str, tuple[float, Reply | None]] = OrderedDict()

    async def refusal(self, recipient: Address) -> Reply | None:
        """The reply for who is not taken there; 450 when nobody can say."""
        key, now = recipient.key, self._world.clock.seconds()
        found = self._remembered.get(key)
        if found is not None and found[0] > now:
            return found[1]
        asking = Deferred.fromCoroutine(self._in_turn(recipient))
        try:
            refusal = await asking.addTimeout(LONGEST, self._world.clock, _late)
        except MailserverError as error:
            log.warn("{recipient} cannot be asked for: {why}", recipient=str(recipient), why=str(error))
            return NOT_KNOWN
        self._remembered[key] = now + (YES if refusal is None else NO), refusal
        self._remembered.move_to_end(key)
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        return refusal

    async def _in_turn(self, recipient: Address) -> Reply | None:
        await self._turns.acquire()
        try:
            return await self._ask(recipient)
        finally:
            self._turns.release()

    async def _ask(self, recipient: Address) -> Reply | None:
        domain = domain_key(recipient.domain)
        hosts = await self._hosts.find(domain, self._lanes.route(domain, "", "", "").host)
        last: MailserverError = TemporaryFailure("no host is known")
        pairs = [(host, address) for host in hosts for address in host.addresses]
        for host, address in pairs[:MOST_ADDRESSES]:
            try:
                return await self._ask_at(host, address, recipient)
            except TemporaryFailure as failure:
                last = failure
        raise last

    async def _ask_at(self, host: Host, address: str, recipient: Address) -> Reply | None:
        line = Line(self._world.clock)
        await connect(self._world.reactor, host, address, line, PATIENCE)
        courier = Courier(line, self._hostname, self._world.in_thread, host.lmtp)
        try:
            if host.implicit_tls:
                await courier.start_tls(self._tls.to(host.name), already=True)
            await courier.begin()
            utf8 = client.needs_utf8([recipient])
            if utf8 and "SMTPUTF8" not in courier.offered:
                return Reply(550, "6.7", "The server of this recipient does not take addresses beyond ASCII")
            begun = await line.ask(client.mail(None, 0, "7BIT", courier.offered, utf8))
            if begun.severity != 2:
                raise TemporaryFailure(f"{host} says {begun}")
            said = await line.ask(client.rcpt(recipient))
        except BaseException:
            line.abort()
            raise
        line.quit()
        if said.severity == 2:
            return None
        if said.severity == 5:
            return Reply(550, said.detail or "1.1", f"{host.name} says: {said.text}")
        raise TemporaryFailure(f"{host} says {said}")


def _late(result: object, seconds: float) -> NoReturn:
    """Whatever the cancelling of a connection has raised."""
    raise TemporaryFailure(f"no answer within {seconds:g} s")
