"""The demands on a domain's hosts in words, for operators who ask."""

from __future__ import annotations

from mailserver.delivery.tls.demand import Policy
from mailserver.delivery.tls.demands import Demands
from mailserver.errors import MailserverError
from mailserver.net.connect import SMTP, Host
from mailserver.wishes import NONE, Wishes

MOST_HOSTS = 10


async def told(demands: Demands, domain: str, wishes: Wishes = NONE) -> list[tuple[str, str, str]]:
    """(host, level, why) for each mail server that the DNS names now, in their order; asks, and changes nothing.

    The level of one that may not be used is "refused", and of one of which it is not known "unknown".
    """
    return await told_of(demands, await demands.of_domain(domain, wishes, by_mx=True))


async def told_of(demands: Demands, policy: Policy) -> list[tuple[str, str, str]]:
    """The same, when the policy is known."""
    try:
        answer = await demands.resolver.ask(policy.domain, "MX")
    except MailserverError as error:
        return [("", "unknown", str(error))]
    if not answer.exists:
        return [("", "refused", f"the domain {policy.domain} does not exist")]
    records = sorted(answer.records, key=lambda each: int(each.preference))
    names = [each.exchange.to_text(omit_final_dot=True).lower() for each in records] or [policy.domain]
    if all(name in ("", ".") for name in names):
        return [("", "refused", f"{policy.domain} takes no mail (null MX)")]
    said = []
    for name in names[:MOST_HOSTS]:
        try:
            demand = await demands.of_host(policy, Host(name, SMTP, ()), answer.validated)
        except MailserverError as error:
            said.append((name, "unknown", str(error)))
            continue
        if not demand.allowed:
            said.append((name, "refused", demand.refusal))
        else:
            clear = "" if demand.permits_clear or demand.level != "may" else " (not in the clear)"
            said.append((name, demand.level + clear, demand.why))
    return said
