"""What one host must have, and the decision that leads to it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from mailserver.delivery.tls.dane import Tlsas
from mailserver.delivery.tls.memory import held
from mailserver.delivery.tls.proof import Contexts, Proof, by_authority, by_dane
from mailserver.delivery.tls.sts import Sts
from mailserver.net.connect import Host
from mailserver.store.tls import Remembered

NONE, MAY, ENCRYPT, VERIFY, DANE = "none", "may", "encrypt", "verify", "dane"
_RANK = {level: number for number, level in enumerate((NONE, MAY, ENCRYPT, VERIFY, DANE))}


@dataclass(frozen=True, slots=True)
class Policy:
    """What is known of a domain, and asked for by the sender of one message."""

    domain: str
    by_mx: bool                             # False: somebody here has named the host
    level: str = MAY                        # the least that the configuration wants
    is_lifted: bool = False                 # it wants no TLS there, whatever else is said
    require_tls: bool = False               # RFC 8689 4
    tls_optional: bool = False              # RFC 8689 3
    sts: Sts | None = None
    sts_trouble: str = ""                   # why no newer policy, or none at all, is known
    remembered: Remembered | None = None
    unknown: str = ""                       # why nothing can be said, so that nothing may be sent

    def at_least(self, level: str) -> Policy:
        """The same where we want more than is configured, as when a password is to be sent."""
        if _RANK[self.level] >= _RANK[level]:
            return self
        return replace(self, level=level, is_lifted=False)


@dataclass(frozen=True, slots=True)
class Demand:
    """What a host must have before anything is said to it, and why."""

    level: str                              # none, may, encrypt, verify, dane
    why: str
    permits_clear: bool = False             # it may be tried in the clear when TLS cannot be had
    allowed: bool = True                    # False: it may not be used at all,
    refusal: str = ""                       # and this is the reason,
    detail: str = ""                        # with the status (RFC 3463) without its class, "7.30"; "" as usual
    must_offer_requiretls: bool = False     # RFC 8689 4.2.1: else this message may not go there
    policy_type: str = "no-policy-found"    # RFC 8460 4.4
    names: tuple[str, ...] = ()             # for whom the certificate may be
    tlsas: Tlsas | None = None
    watched: bool = False                   # what the certificate does not prove is noted only: MTA-STS is tested
    contexts: Contexts = field(default_factory=Contexts, compare=False, repr=False)

    def context(self, name: str) -> Proof:
        """For ``startTLS`` with the host of this name; one for each connection."""
        if self.level == DANE and self.tlsas is not None:
            return Proof(self.contexts.open(), self.tlsas.base, by_dane(self.tlsas, self.names))
        if self.level == VERIFY or self.watched:
            names = self.names or (name,)
            return Proof(self.contexts.proving(), name, by_authority(names), strict=self.level == VERIFY)
        return Proof(self.contexts.open(), name)

    @property
    def needs_authorities(self) -> bool:
        """Whether its context has to know them."""
        return self.allowed and (self.level == VERIFY or self.watched)

    @property
    def key(self) -> Hashable:
        """What two messages have to have in common to share a connection."""
        return (self.level, self.names, self.tlsas, self.permits_clear)


def decide(policy: Policy, host: Host, tlsas: Tlsas | None, mx_validated: bool, now: float) -> Demand:
    """DANE, else MTA-STS; the sender's wish; the configuration, where that wants more; then memory.

    `tlsas` are the host's when DNSSEC vouches for its name, `now` is in seconds since the epoch.
    """
    if policy.is_lifted:
        if policy.require_tls:
            return Demand(NONE, "configured", allowed=False, detail="7.30", refusal=(
                f"the sender requires TLS (REQUIRETLS), and for {policy.domain} none is configured"
            ))
        return Demand(NONE, "configured", permits_clear=True)
    by_dane = tlsas is not None and bool(tlsas.records)
    sts = policy.sts if policy.sts is not None and policy.sts.mode != "none" else None
    about = "tlsa" if tlsas is not None else "sts" if sts is not None else "no-policy-found"
    shared = Demand(MAY, "", names=(host.name,), policy_type=about)
    claims: list[tuple[str, str]] = []
    if tlsas is not None:
        claims.append(_by_tlsa(tlsas))
    if sts is not None and not by_dane and not (policy.tls_optional and not policy.require_tls):
        why = f"MTA-STS of {policy.domain} ({sts.mode}, id {sts.id})"
        if sts.mode == "enforce" and not sts.names(host.name):
            return replace(shared, level=VERIFY, why=why, allowed=False, refusal=(
                f"{host.name} is no mail server of {policy.domain} by its MTA-STS policy"
            ))
        if sts.mode == "enforce":
            claims.append((VERIFY, why))
    if policy.require_tls:
        if policy.by_mx and not (mx_validated or by_dane or (sts is not None and sts.names(host.name))):
            return replace(shared, level=VERIFY, why="REQUIRETLS", allowed=False, detail="7.30", refusal=(
                f"the sender requires TLS (REQUIRETLS), and neither DNSSEC nor MTA-STS says that {host.name}"
                f" is a mail server of {policy.domain}"
            ))
        claims.append((VERIFY, "REQUIRETLS"))
    if policy.level == DANE and not by_dane:
        return replace(shared, level=DANE, why="configured", allowed=False, refusal=(
            f"DANE is configured for {policy.domain}, and {host.name} has no TLSA record that can be used"
        ))
    claims.append((policy.level, "configured"))
    level, why = max(claims, key=lambda claim: _RANK[claim[0]])         # of equals the first
    if policy.require_tls and why != "REQUIRETLS":
        why += "; REQUIRETLS"
    names: tuple[str, ...] = (host.name,)
    if tlsas is not None and level == DANE:
        # RFC 7672 3.2.3; the domain too, since DNSSEC vouches for the way from it to the host.
        names = tuple(dict.fromkeys((tlsas.base, host.name, policy.domain)))
    demand = replace(
        shared, level=level, why=why, names=names, tlsas=tlsas if level == DANE else None,
        must_offer_requiretls=policy.require_tls,
    )
    return demand if level not in (NONE, MAY) else _by_memory(demand, policy, sts, now)


def _by_tlsa(tlsas: Tlsas) -> tuple[str, str]:
    count = len(tlsas.records)
    if not count:
        # RFC 7672 2.2.3: they mean to have TLS, but say nothing of the certificate that we understand.
        return ENCRYPT, f"DANE: no TLSA record of {tlsas.name} can be used"
    return DANE, f"DANE: {count} TLSA record{'' if count == 1 else 's'} of {tlsas.name}"


def _by_memory(demand: Demand, policy: Policy, sts: Sts | None, now: float) -> Demand:
    """Without a policy: in the clear too, unless the domain has always had TLS until now."""
    watched = sts is not None and sts.mode == "testing" and demand.level == MAY
    why = "opportunistic" if demand.level == MAY else demand.why
    if policy.tls_optional:
        why = "the sender wrote TLS-Required: No"
    elif watched:
        why += f"; MTA-STS of {policy.domain} is being tested"
    if demand.level == NONE or policy.tls_optional or policy.remembered is None:
        return replace(demand, why=why, permits_clear=True, watched=watched)
    is_held, words = held(policy.remembered, now)
    if words:
        why += f"; {words}"
    return replace(demand, why=why, permits_clear=not is_held, watched=watched)
