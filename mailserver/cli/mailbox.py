"""``mailserver mailbox``: the mailboxes of accounts and domains, in the store ``sql``."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

import click

from mailserver.cli import quotas, sharing
from mailserver.cli.chosen import seconds
from mailserver.cli.given import configuration, reading, writing
from mailserver.cli.restoring import restore
from mailserver.cli.shown import as_json, period, plural, show_json, show_pairs, show_table
from mailserver.errors import NotFound
from mailserver.imap.names import canonical
from mailserver.imapstore import Quota, Status
from mailserver.interfaces import INBOX, Account
from mailserver.kept import special_use
from mailserver.store import changing, directory, mailboxes, mailboxquotas, retention
from mailserver.tomltable import Wrong


@click.group("mailbox")
def command() -> None:
    """The mailboxes of an account, or of @DOMAIN: what is in them, for how long, and how much may be."""


command.add_command(restore)
for each in sharing.commands:
    command.add_command(each)


@command.command("list")
@click.argument("address")
@as_json
def list_(address: str, json_wanted: bool) -> None:
    """All mailboxes of an account."""
    with reading() as connection:
        account = sharing.owned(connection, address)
        subscribed = set(mailboxes.subscriptions(connection, account.id))
        found = [_row(connection, account, each, subscribed) for each in mailboxes.status(connection, account.id)]
    if json_wanted:
        show_json(found)
    else:
        show_table(
            ("mailbox", "messages", "unseen", "octets", "use"),
            [(each["name"], each["messages"], each["unseen"], each["octets"], each["special_use"]) for each in found],
            "there are no mailboxes",
        )


@command.command("show")
@click.argument("address")
@click.argument("mailbox")
@as_json
def show(address: str, mailbox: str, json_wanted: bool) -> None:
    """One mailbox."""
    with reading() as connection:
        account = sharing.owned(connection, address)
        subscribed = set(mailboxes.subscriptions(connection, account.id))
        about = _row(connection, account, existing(connection, account, mailbox), subscribed)
    if json_wanted:
        show_json(about)
        return
    own, kept = about["quota"], about["retention"]
    show_pairs([
        ("mailbox", about["name"]), ("use", about["special_use"]), ("messages", about["messages"]),
        ("unseen", about["unseen"]), ("octets", about["octets"]), ("uidvalidity", about["uidvalidity"]),
        ("uidnext", about["uidnext"]), ("subscribed", "yes" if about["subscribed"] else "no"),
        ("octets at most", (own and own["most_octets"]) or None),
        ("messages at most", (own and own["most_messages"]) or None),
        ("retention", _kept_in_words((kept["older_than"], kept["at_most"])) if kept else "as configured"),
    ])


@command.command("create")
@click.argument("address")
@click.argument("mailbox")
@click.option("--use", metavar="USE", help="Its special use: Archive, Drafts, Junk, Sent or Trash.")
def create(address: str, mailbox: str, use: str | None) -> None:
    """A new, empty mailbox, to which the account is subscribed."""
    name = canonical(mailbox)
    with writing() as connection:
        account = sharing.owned(connection, address)
        mailboxes.create(connection, account.id, name, _use(use) if use else "", time.time())
        mailboxes.subscribe(connection, account.id, name, True)
    click.echo(f"the mailbox {name} is there")


@command.command("rename")
@click.argument("address")
@click.argument("mailbox")
@click.argument("to")
def rename(address: str, mailbox: str, to: str) -> None:
    """Another name, also for what lies below it; of INBOX only its messages go there."""
    old, new = canonical(mailbox), canonical(to)
    with writing() as connection:
        account = sharing.owned(connection, address)
        change = changing.rename_inbox if old == INBOX else mailboxes.rename
        change(connection, account.id, old, new, time.time())
    click.echo(f"the mailbox {old} is called {new}" if old != INBOX else f"the messages of INBOX are in {new}")


@command.command("delete")
@click.argument("address")
@click.argument("mailbox")
def delete(address: str, mailbox: str) -> None:
    """A mailbox with its messages, which can be restored for a while; what lies below its name stays."""
    name = canonical(mailbox)
    config = configuration()
    keeps = config.keeping.undelete
    with writing(config) as connection:
        account = sharing.owned(connection, address)
        count = sum(each.messages for each in mailboxes.status(connection, account.id, {name}))
        mailboxes.drop(
            connection, config.data / "contents", account.id, name, time.time() if keeps else None,
            config.usual_quota,
        )
    click.echo(f"the mailbox {name} is deleted" + (
        f"; {plural(count, 'message', 'messages')} can be restored for {period(keeps)}" if keeps and count else ""
    ))


@command.command("quota")
@click.argument("address")
@click.argument("mailbox")
@quotas.limits
@as_json
def quota(address: str, mailbox: str, octets: int | None, messages: int | None, json_wanted: bool) -> None:
    """What a mailbox holds and may hold; with options, what it may hold from now on.

    What its account and its domain may have counts as well.
    """
    if octets is not None or messages is not None:
        with writing() as connection:
            account = sharing.owned(connection, address)
            name = existing(connection, account, mailbox).name
            before = mailboxquotas.named_mailbox_quota(connection, account.id, name) or Quota(0, 0, 0, 0)
            mailboxquotas.set_mailbox_quota(
                connection, _id(connection, account, name), before.most_octets if octets is None else octets,
                before.most_messages if messages is None else messages,
            )
            directory.changed(connection)           # who remembers that nobody has a limit looks again
    with reading() as connection:
        account = sharing.owned(connection, address)
        status = existing(connection, account, mailbox)
        found = _quota(connection, account, status)
    if json_wanted:
        show_json({"address": sharing.shown(account), "mailbox": status.name, **quotas.as_object(found)})
    else:
        show_pairs(quotas.as_pairs(found))


@command.command("retention")
@click.argument("address")
@click.argument("mailbox")
@click.option("--older-than", metavar="TIME", help='What has lain there for longer goes: "30d"; 0 is for ever.')
@click.option("--at-most", type=click.IntRange(0), metavar="N", help="The newest N stay; 0 is any number.")
@click.option("--usual", is_flag=True, help="As configured.")
@as_json
def retention_(
    address: str, mailbox: str, older_than: str | None, at_most: int | None, usual: bool, json_wanted: bool
) -> None:
    """For how long a mailbox keeps its messages, in place of what is configured; with options, from now on."""
    changes = older_than is not None or at_most is not None
    if usual and changes:
        raise click.UsageError("say either --usual or what it keeps")
    longest = None if older_than is None else 0.0 if older_than == "0" else seconds(older_than, "--older-than")
    if usual or changes:
        with writing() as connection:
            account = sharing.owned(connection, address)
            id = _id(connection, account, existing(connection, account, mailbox).name)
            before = retention.retention_of(connection, id) or (0.0, 0)
            says = (before[0] if longest is None else longest, before[1] if at_most is None else at_most)
            retention.set_retention(connection, id, None if usual else says)
    with reading() as connection:
        account = sharing.owned(connection, address)
        status = existing(connection, account, mailbox)
        found = retention.retention_of(connection, _id(connection, account, status.name))
    if json_wanted:
        show_json({"address": sharing.shown(account), "mailbox": status.name, **_retention(found)})
    else:
        click.echo("as configured" if found is None else _kept_in_words(found))


def existing(connection: Any, account: Account, mailbox: str) -> Status:
    """The mailbox that is meant; raises `NotFound`."""
    name = canonical(mailbox)
    found = mailboxes.status(connection, account.id, {name})
    if not found:
        raise NotFound(f"there is no mailbox {name}")
    return found[0]


def _id(connection: Any, account: Account, name: str) -> int:
    found = mailboxes.find_mailbox(connection, account.id, name)
    if found is None:
        raise NotFound(f"there is no mailbox {name}")
    return found[0]


def _use(given: str) -> str:
    try:
        return special_use(given)
    except Wrong as error:
        raise click.UsageError(f"--use {error}") from None


def _quota(connection: Any, account: Account, status: Status) -> Quota:
    own = mailboxquotas.named_mailbox_quota(connection, account.id, status.name)
    return own or Quota(status.size, 0, status.messages, 0)


def _row(connection: Any, account: Account, status: Status, subscribed: Collection[str]) -> dict[str, Any]:
    kept = retention.retention_of(connection, _id(connection, account, status.name))
    return {
        "name": status.name, "special_use": status.special_use.removeprefix("\\"), "messages": status.messages,
        "unseen": status.unseen, "octets": status.size, "uidvalidity": status.uidvalidity, "uidnext": status.uidnext,
        "subscribed": status.name in subscribed,
        "quota": quotas.as_object(_quota(connection, account, status)),
        "retention": None if kept is None else _retention(kept),
    }


def _retention(kept: tuple[float, int] | None) -> dict[str, Any]:
    return {"older_than": None if kept is None else kept[0], "at_most": None if kept is None else kept[1]}


def _kept_in_words(kept: tuple[float, int]) -> str:
    longest, most = kept
    words = [f"for {period(longest)}"] if longest else []
    words += [f"{most} messages at most"] if most else []
    return ", ".join(words) or "for ever"
