"""``mailserver explain``: what would happen to mail for an address, and by whose rule; nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import click

from mailserver import reply as replies
from mailserver.address import Address
from mailserver.cli.given import configuration
from mailserver.cli.house import House, in_reactor, opened_house
from mailserver.cli.shown import as_json, period, plain, plural, show_json
from mailserver.delivery.prospect import Prospect
from mailserver.destination import Remote
from mailserver.envelope import Client, Envelope, Origin
from mailserver.errors import BadAddress, MailserverError, TemporaryFailure
from mailserver.net.reverse import reverse
from mailserver.pipeline import Outcome
from mailserver.reply import Reply
from mailserver.routing import Router
from mailserver.story import Story
from mailserver.talkers import existence

SOMEWHERE = "192.0.2.1"         # an address of nobody (RFC 5737)


@click.command("explain")
@click.argument("address")
@click.option("--from", "sender", metavar="ADDRESS", default="", help="The sender; without it, the null sender.")
@click.option("--ip", metavar="ADDRESS", help=f"Where it would come from; {SOMEWHERE} when nothing is said.")
@click.option("--login", metavar="ADDRESS", help="As if this account had logged in.")
@as_json
def command(address: str, sender: str, ip: str | None, login: str | None, json_wanted: bool) -> None:
    """Ask every filter and forwarder about mail for ADDRESS, and how it would be sent on."""
    config = configuration()
    recipient = _read(address)
    client = Client(
        ip or SOMEWHERE, 0, "smtp", hello="explain.invalid", extended=True,
        login=_read(login) if login else None, trusted=_inside(ip or SOMEWHERE, config.networks),
    )

    async def ask(reactor: Any) -> dict[str, Any]:
        async with opened_house(config, reactor) as house:
            found = await reverse(house.world.resolver, reactor, ip) if ip else None
            return await explained(
                house, replace(client, reverse=found), _read(sender) if sender else None, recipient
            )

    told = in_reactor(ask)
    if json_wanted:
        show_json(told)
        return
    if told["reverse"]:
        click.echo(plain(f"{told['ip']}: {told['reverse']} in the DNS"))
    for stage, plugin, said in ((each["stage"], each["plugin"], each["said"]) for each in told["verdicts"]):
        click.echo(plain(f"{stage}: {plugin}: {said}"))
    for each in told["destinations"]:
        by = f", by {each['by']}" if each["by"] else ""
        click.echo(plain(f"{each['address']}: {each['where']}{by}"))
    click.echo(plain(f"reply: {told['reply']}"))
    for each in told["sending"]:
        for line in sent(each):
            click.echo(plain(line))


async def explained(house: House, client: Client, sender: Address | None, recipient: Address) -> dict[str, Any]:
    """The verdicts, the steps of routing and the reply to RCPT, as a session would come to them."""
    story = Story(house.world.new_id())
    remotes: list[Remote] = []
    reply = await _reply(house, story, client, sender, recipient, remotes)
    way = Prospect(house.config.outbound, house.world, house.config.hostname, house.database)
    login = client.login.key if client.login is not None else ""
    return {
        "address": str(recipient),
        "from": str(sender) if sender else "",
        "ip": client.address,
        "reverse": (client.reverse.name or client.reverse.result) if client.reverse is not None else "",
        "verdicts": [
            {"stage": stage, "plugin": plugin, "said": said} for stage, plugin, _, said, _ in story.verdicts
        ],
        "destinations": [{"address": who, "by": by, "where": where} for who, by, where in story.destinations],
        "reply": str(reply),
        "sending": [await way.to(each, sender, login) for each in remotes],
    }


def sent(told: Mapping[str, Any]) -> Iterator[str]:
    """How mail to another server would go, in lines."""
    yield f"to {told['address']}, by {told['by']}:" + (f" {told['error']}" if told["error"] else "")
    for host in told["hosts"]:
        preference = f"{host['preference']} " if host["preference"] is not None else ""
        where = host["path"] or f"{host['name']}:{host['port']}"
        at = f" ({', '.join(host['addresses'])})" if not host["path"] else ""
        yield f"  {preference}{where}{at}, {host['speaks']}, TLS {host['tls']}"
    yield f"  lane {told['lane']}" + (f": {told['rests']}" if told["rests"] else "")
    limits = told["limits"]
    minute = f"{limits['per_minute']} messages a minute" if limits["per_minute"] else "any number of messages a minute"
    yield (
        f"  limits: {plural(limits['connections'], 'connection', 'connections')} at a time,"
        f" {plural(limits['messages_per_connection'], 'message', 'messages')} on each, {minute}"
    )
    yield f"  tried again after {', '.join(map(period, told['retry']))} and so on, for {period(told['life'])}"
    yield from (f"  {each}" for each in told["policies"])


async def _reply(
    house: House, story: Story, client: Client, sender: Address | None, recipient: Address, remotes: list[Remote]
) -> Reply:
    pipeline = house.rooms.pipeline
    origin = Origin.SUBMISSION if client.may_relay else Origin.ARRIVAL
    envelope = Envelope(story.id, origin, sender)
    wanted = recipient
    stages: Sequence[tuple[str, Origin | None, tuple[Any, ...]]] = (
        ("connected", None, (client,)),
        ("hello", None, (client, client.hello)),
        ("sender", origin, (client, envelope)),
        ("recipient", origin, (client, envelope, recipient)),
    )
    local = not recipient.domain or await house.directory.is_local(recipient.domain)
    for stage, of, args in stages:
        if stage == "recipient" and not (local or client.may_relay or house.config.relays(recipient.domain)):
            return replies.RELAY_DENIED
        if stage == "recipient" and not local and house.config.relays(recipient.domain):
            unknown = await existence(house.config, house.world)(recipient)
            if unknown is not None:
                return unknown
        outcome: Outcome = await pipeline.run(stage, of, story, *args, dry=True)
        if outcome.refusal is not None:
            return outcome.refusal
        if outcome.discard is not None:
            story.destination(str(recipient), "", f"drop: {outcome.discard}")
            return replies.RECIPIENT_OK
        wanted = outcome.rewrite or wanted
    asks = [each.name for each in pipeline.filters if origin in each.plugin.origins and hasattr(each.plugin, "content")]
    for name in asks:
        story.verdict("content", name, 0.0, "asked when the message is there")
    try:
        routed = await _dry(house.rooms.router, house, story).route(wanted, story)
    except TemporaryFailure as failure:
        story.destination(str(wanted), "", f"not now: {failure}")
        return replies.NOT_NOW
    remotes += [each for each in routed.destinations if isinstance(each, Remote)]
    return routed.refusal or replies.RECIPIENT_OK


def _dry(router: Router, house: House, story: Story) -> Router:
    """The same forwarders, but for those that say that asking them changes something."""
    dry = []
    for each in router.forwarders:
        if getattr(each.plugin, "dry", True):
            dry.append(each)
        else:
            story.destination("whoever is left", each.name, "not asked: it would change something")
    return Router(dry, house.directory, house.config.hostname, router.mailless)


def _inside(ip: str, networks: Sequence[Any]) -> bool:
    import ipaddress

    try:
        return any(ipaddress.ip_address(ip) in each for each in networks)
    except ValueError:
        raise click.UsageError(f"--ip needs an IP address, not {ip!r}") from None


def _read(text: str) -> Address:
    try:
        return Address.parse(text.strip("<>"))
    except BadAddress as error:
        raise MailserverError(f"{text!r} is no address: {error}") from None
