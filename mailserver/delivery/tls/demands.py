"""Which TLS hosts must have: asked before a connection, told of what came of it."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from twisted.logger import Logger

from mailserver.delivery.tls.dane import Tlsas, look_up
from mailserver.delivery.tls.demand import DANE, ENCRYPT, NONE, VERIFY, Demand, Policy, decide
from mailserver.delivery.tls.https import FETCH_ERROR, FetchFailed, Https
from mailserver.delivery.tls.memory import Memory
from mailserver.delivery.tls.outcome import CLEAR, FAILED, Outcome, Seen
from mailserver.delivery.tls.policies import Policies
from mailserver.delivery.tls.proof import INVALID, Contexts
from mailserver.delivery.tls.sts import Sts
from mailserver.errors import NotFound, TemporaryFailure
from mailserver.interfaces import IResolver
from mailserver.net.connect import Host
from mailserver.settings import OutboundTls
from mailserver.store import tls as store
from mailserver.store.database import Database
from mailserver.store.tls import Kept, Remembered
from mailserver.wishes import Wishes
from mailserver.world import World

log = Logger()

LATELY = 1.0            # seconds for which what the store knows of a domain is not looked up again
MOST_LATELY = 1000      # domains

DNSSEC_INVALID = "dnssec-invalid"       # RFC 8460 4.3.2.1


class Demands:
    """One for each configuration; every method is for the reactor's thread."""

    def __init__(self, database: Database, tls: OutboundTls, world: World, hostname: str) -> None:
        self._database = database
        self._tls = tls
        self._world = world
        self._contexts = Contexts(tls.ca)
        https = Https(world, self._contexts, tls.allow_loopback, hostname)
        self._policies = Policies(database, world, https)
        self._memory = Memory(database, world)
        self._lately: OrderedDict[str, tuple[float, tuple[Kept | None, Remembered | None]]] = OrderedDict()
        self._listeners: list[Callable[[Seen], None]] = []

    @property
    def resolver(self) -> IResolver:
        """Who is asked."""
        return self._world.resolver

    def on_outcome(self, listener: Callable[[Seen], None]) -> None:
        """Tell `listener` of everything that a report on TLS counts (RFC 8460)."""
        self._listeners.append(listener)

    async def of_domain(self, domain: str, wishes: Wishes, by_mx: bool) -> Policy:
        """What is known of a next hop, A-labels in small letters; `by_mx` False: somebody here has named its host.

        Never raises: what cannot be known stands in the policy.
        """
        level = self._tls.domains.get(domain, self._tls.level)
        is_lifted = self._tls.domains.get(domain) == "none"
        policy = Policy(domain, by_mx, level, is_lifted, wishes.require_tls, wishes.tls_optional)
        if not by_mx or is_lifted or _is_address(domain):
            return policy
        try:
            kept, remembered = await self._known(domain)
        except Exception as error:
            log.failure("it is not known which TLS {domain} must have", domain=domain)
            return replace(policy, unknown=f"it is not known which TLS {domain} must have: {error}")
        if not self._tls.remember:
            remembered = None
        sts, trouble = await self._sts(policy, kept)
        if sts is not None and (kept is None or sts.fetched != kept.fetched):
            self._lately.pop(domain, None)      # it has just been fetched
        return replace(policy, sts=sts, sts_trouble=trouble, remembered=remembered)

    async def _known(self, domain: str) -> tuple[Kept | None, Remembered | None]:
        """What lies in the store: looked up once a second for who gets much mail."""
        now = self._world.clock.seconds()
        until, found = self._lately.get(domain, (0.0, None))
        if found is None or until <= now:
            found = await self._database.read(store.known, domain)
            self._lately[domain] = now + LATELY, found
            self._lately.move_to_end(domain)
            while len(self._lately) > MOST_LATELY:
                self._lately.popitem(last=False)
        return found

    async def _sts(self, policy: Policy, kept: Kept | None) -> tuple[Sts | None, str]:
        """The policy in force, and why it is not known whether there is one, or a newer one."""
        if not self._tls.sts:
            return None, ""
        try:
            return await self._policies.of(policy.domain, kept), kept.trouble if kept is not None else ""
        except NotFound:
            return None, ""
        except FetchFailed as failure:
            self._tell(policy, "sts", failure.result, reason=str(failure))
            return None, str(failure)
        except Exception as error:
            log.failure("the MTA-STS policy of {domain} was not found out", domain=policy.domain)
            self._tell(policy, "sts", FETCH_ERROR, reason=type(error).__name__)
            return None, f"internal error: {type(error).__name__}"

    async def of_host(self, policy: Policy, host: Host, mx_validated: bool) -> Demand:
        """What one host of it must have; `mx_validated`: DNSSEC vouches for the domain's MX, or that it has none.

        Raises `TemporaryFailure` when that cannot be known now; then the host may not be tried.
        """
        if policy.unknown:
            raise TemporaryFailure(policy.unknown)
        try:
            tlsas = await self._tlsas(policy, host, mx_validated)
        except TemporaryFailure as failure:
            self._tell(policy, "tlsa", DNSSEC_INVALID, host.name, reason=str(failure))
            raise
        demand = decide(policy, host, tlsas, mx_validated, self._world.now())
        if demand.refusal and demand.policy_type == "sts" and policy.sts and not policy.sts.names(host.name):
            self._tell(policy, "sts", INVALID, host.name, reason=demand.refusal)
        if demand.needs_authorities and not self._contexts.is_ready:
            try:
                await self._world.in_thread(self._contexts.proving)
            except OSError as error:
                raise TemporaryFailure(f"the authorities behind certificates cannot be read: {error}") from None
        return replace(demand, contexts=self._contexts)

    async def _tlsas(self, policy: Policy, host: Host, mx_validated: bool) -> Tlsas | None:
        """The TLSA records of a host, where DNSSEC leads to it and anybody wants to know them."""
        wanted = self._tls.dane and not policy.is_lifted
        if policy.tls_optional and not policy.require_tls and policy.level != DANE:
            wanted = False
        if policy.by_mx and not mx_validated:
            wanted = False                      # RFC 7672 2.2.1: who forges the MX has TLSA records of his own
        if not wanted or host.path or host.lmtp or _is_address(host.name) or "." not in host.name:
            return None
        return await look_up(self._world.resolver, host.name, host.port)

    def note(
        self, policy: Policy, demand: Demand, host: Host, address: str, source: str, outcome: Outcome
    ) -> None:
        """How TLS went on one connection: for reports and for memory.  Never raises."""
        if not policy.by_mx or demand.level == NONE or _is_address(policy.domain):
            return                              # it went as somebody here wants it, which is nobody else's business
        result, reason = outcome.result, outcome.reason
        if demand.watched and not result and policy.sts is not None and not policy.sts.names(host.name):
            result, reason = INVALID, f"{host.name} is no mail server of {policy.domain} by its MTA-STS policy"
        self._tell(policy, demand.policy_type, result, host.name, source, address, reason, demand.tlsas)
        if self._tls.remember:
            level = demand.level if demand.level in (VERIFY, DANE) and not outcome.is_unproven else ENCRYPT
            self._lately.pop(policy.domain, None)
            if policy.tls_optional and outcome.kind == CLEAR:
                # That one was allowed to (RFC 8689 3), and nothing follows from it for the others.
                outcome = replace(outcome, kind=FAILED)
            self._memory.note(policy.domain, policy.remembered, level, outcome)

    def _tell(
        self,
        policy: Policy,
        policy_type: str,
        result: str,
        mx: str = "",
        source: str = "",
        address: str = "",
        reason: str = "",
        tlsas: Tlsas | None = None,
    ) -> None:
        if not policy.by_mx:
            return
        lines: tuple[str, ...] = ()
        patterns: tuple[str, ...] = ()
        if policy_type == "sts" and policy.sts is not None:
            lines, patterns = policy.sts.lines, policy.sts.mx
        elif policy_type == "tlsa" and tlsas is not None:
            lines = tuple(map(str, tlsas.records))
        seen = Seen(
            self._world.now(), policy.domain, policy_type, lines, patterns, result, mx, source, address, reason
        )
        for each in self._listeners:
            try:
                each(seen)
            except Exception:
                log.failure("an outcome of TLS was not taken note of")

    async def renew(self) -> int:
        """Fetch MTA-STS policies anew that are older than a day; for the chores, now and then."""
        return await self._policies.renew() if self._tls.sts else 0

    async def stop(self) -> None:
        """End what is under way in the background."""
        await self._policies.stop()


def _is_address(text: str) -> bool:
    """Whether it is no name: an address, or one in brackets (RFC 5321 4.1.3)."""
    if text.startswith("["):
        return True
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
