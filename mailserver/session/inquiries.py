"""What a peer may ask besides sending mail: who lives here (VRFY, EXPN), and for what waits for it (ETRN)."""

from __future__ import annotations

from mailserver.address import Address, domain_key, parse_domain
from mailserver.envelope import Client
from mailserver.errors import BadAddress
from mailserver.interfaces import IDirectory
from mailserver.reply import BAD_ADDRESS, NO_SUCH_USER, RELAY_DENIED, Reply
from mailserver.session.policy import SmtpPolicy

NOT_SAID = Reply(252, "1.5", "Cannot VRFY user, but will accept message and attempt delivery")   # RFC 5321 3.5.3
NO_EXPANSION = Reply(502, "5.1", "Lists are not expanded here")
NOT_FOR_YOU = Reply(459, "7.1", "Mail is sent for nobody whom we do not know")              # RFC 1985 5.2
MOST_MEMBERS = 100


async def vrfy(policy: SmtpPolicy, client: Client, what: str) -> Reply:
    """The address of somebody, to those whom the configuration lets ask."""
    if not policy.offers.may_ask(client):
        return NOT_SAID
    address = _read(what)
    if address is None:
        return BAD_ADDRESS
    if await _is_known(policy.directory, address):
        return Reply(250, "1.5", f"<{address}>")
    if await policy.directory.is_local(address.domain):
        return NO_SUCH_USER
    return NOT_SAID if client.may_relay else RELAY_DENIED


async def expn(policy: SmtpPolicy, client: Client, what: str) -> Reply:
    """The targets of an alias, to the same."""
    if not policy.offers.may_ask(client):
        return NO_EXPANSION
    address = _read(what)
    if address is None:
        return BAD_ADDRESS
    targets = await policy.directory.alias(address)
    if targets is None:
        return Reply(550, "1.1", "There is no such list here")
    return Reply(250, "1.5", "\n".join(f"<{each}>" for each in targets[:MOST_MEMBERS]))


async def etrn(policy: SmtpPolicy, client: Client, what: str) -> Reply:
    """Try now what waits for a domain (RFC 1985)."""
    if not client.may_relay or policy.lmtp:
        return NOT_FOR_YOU
    if what.startswith("#"):
        return Reply(459, "5.4", "There are no queues with names here")
    try:
        domain = domain_key(parse_domain(what.removeprefix("@")))
    except BadAddress:
        return Reply(501, "5.4", "ETRN needs a domain")
    count = await policy.retry("." + domain if what.startswith("@") else domain)
    if not count:
        return Reply(251, "0.0", f"No messages are waiting for {domain}")
    return Reply(253, "0.0", f"{count} pending messages for {domain} started")


def _read(what: str) -> Address | None:
    """``<a@b>``, ``a@b``, with SMTPUTF8 behind it or not (RFC 6531 3.7.4.2)."""
    words = what.split()
    if len(words) == 2 and words[1].upper() == "SMTPUTF8":
        words.pop()
    try:
        return Address.parse(words[0].removeprefix("<").removesuffix(">")) if len(words) == 1 else None
    except BadAddress:
        return None


async def _is_known(directory: IDirectory, address: Address) -> bool:
    for _ in range(2):
        if await directory.account(address) is not None or await directory.alias(address) is not None:
            return True
        if not await directory.refreshed():
            break
    return False
