"""``mailserver user``: the accounts."""

from __future__ import annotations

import time
from typing import Any

import click

from mailserver.address import Address
from mailserver.cli import quotas, refer
from mailserver.cli.given import configuration, password, password_stdin, reading, writing
from mailserver.cli.shown import as_json, plural, show_json, show_pairs, show_table
from mailserver.config import parse_account
from mailserver.errors import BadAddress, MailserverError, NotFound
from mailserver.interfaces import Account
from mailserver.store import delegates, directory, mailboxes, referring, removed, sharing
from mailserver.store.credentials import ARGON2ID, derive


@click.group("user")
def command() -> None:
    """The accounts: who has mailboxes here, and may log in."""


@command.command("add")
@click.argument("address")
@password_stdin
@click.option("--no-password", is_flag=True, help="It gets mail and may not log in.")
def add(address: str, password_stdin: bool, no_password: bool) -> None:
    """Make an account."""
    who = named(address)
    credentials = [] if no_password else derived(password(password_stdin))
    with writing() as connection:
        account = directory.add_account(connection, who, time.time())
        directory.set_credentials(connection, account.id, credentials)
    click.echo(f"the account {who} is there")


@command.command("list")
@click.option("--domain", metavar="NAME", help="Those of one domain.")
@as_json
def list_(domain: str | None, json_wanted: bool) -> None:
    """All accounts."""
    with reading() as connection:
        found = [_row(connection, each) for each in directory.accounts(connection, domain)]
    if json_wanted:
        show_json(found)
    else:
        show_table(
            ("address", "enabled", "password"),
            [(each["address"], _yes(each["enabled"]), _yes(each["password"])) for each in found],
            "there are no accounts; mailserver user add makes one",
        )


@command.command("show")
@click.argument("address")
@as_json
def show(address: str, json_wanted: bool) -> None:
    """One account, its mailboxes, and the aliases that lead to it."""
    config = configuration()
    with reading(config) as connection:
        account = _find(connection, named(address))
        boxes: list[dict[str, Any]] = [
            {"name": each.name, "messages": each.messages, "octets": each.size}
            for each in mailboxes.status(connection, account.id)
        ]
        aliases = [
            each.address for each in directory.aliases(connection)
            if any(Address.parse(target).key == account.address.key for target in each.targets)
        ]
        quota = mailboxes.quota(connection, account.id, *quotas.usual(config))
        kept = removed.kept(connection, account.id)
        about = {
            **_row(connection, account), "aliases": aliases,
            "delegates": [str(each) for each in delegates.of(connection, account.id)],
            "delegate_of": [
                str(each) if each.local else f"@{each.domain}"
                for each in delegates.in_whose_names(connection, account.id)
            ],
            "quota": quotas.as_object(quota), "mailboxes": boxes,
            "removed": {"octets": kept[0], "messages": kept[1]},
            "referral": refer.as_object(referring.find(connection, account.id)),
        }
    if json_wanted:
        show_json(about)
        return
    show_pairs([
        ("address", account.address), ("enabled", _yes(account.enabled)), ("password", _yes(about["password"])),
        ("aliases", ", ".join(aliases)), ("delegates", ", ".join(about["delegates"])),
        ("delegate of", ", ".join(about["delegate_of"])), *quotas.as_pairs(quota),
        ("removed", f"{plural(kept[1], 'message', 'messages')}, {kept[0]} octets" if kept[1] else ""),
        *refer.as_pairs(about["referral"]),
    ])
    for box in boxes:
        click.echo(f"mailbox {box['name']}: {plural(box['messages'], 'message', 'messages')}, {box['octets']} octets")


@command.command("set")
@click.argument("address")
@click.option("--password", "ask", is_flag=True, help="Ask for a new password.")
@password_stdin
@click.option("--enable/--disable", "enabled", default=None, help="Whether it may log in; mail is taken either way.")
def set_(address: str, ask: bool, password_stdin: bool, enabled: bool | None) -> None:
    """Change an account's password, or whether it may log in."""
    who = named(address)
    if not (ask or password_stdin) and enabled is None:
        raise click.UsageError("say what to set: --password, --password-stdin, --enable or --disable")
    credentials = derived(password(password_stdin)) if ask or password_stdin else None
    with writing() as connection:
        account = _find(connection, who)
        if credentials is not None:
            directory.set_credentials(connection, account.id, credentials)
        if enabled is not None:
            directory.set_enabled(connection, account.id, enabled)
    click.echo(f"the account {account.address} is changed")


@command.command("quota")
@click.argument("address")
@quotas.limits
@click.option("--usual", is_flag=True, help="What is configured, and nothing else.")
@as_json
def quota(address: str, octets: int | None, messages: int | None, usual: bool, json_wanted: bool) -> None:
    """What an account has and may have; with options, what it may have from now on.

    A limit of its domain counts as well: the nearer one is shown.
    """
    who = named(address)
    changes = octets is not None or messages is not None
    if usual and changes:
        raise click.UsageError("say either --usual or what it may have")
    config = configuration()
    if usual or changes:
        with writing(config) as connection:
            account = _find(connection, who)
            before = (None, None) if usual else directory.quota_of(connection, account.id)
            directory.set_quota(
                connection, account.id, before[0] if octets is None else octets,
                before[1] if messages is None else messages,
            )
    with reading(config) as connection:
        found = mailboxes.quota(connection, _find(connection, who).id, *quotas.usual(config))
    if json_wanted:
        show_json({"address": str(who), **quotas.as_object(found)})
    else:
        show_pairs(quotas.as_pairs(found))


@command.command("refer")
@click.argument("address")
@click.argument("url", required=False)
@click.option("--none", is_flag=True, help="It is here again.")
@click.option("--here-too", is_flag=True, help="It may log in here as well, for what others share.")
@as_json
def refer_(address: str, url: str | None, none: bool, here_too: bool, json_wanted: bool) -> None:
    """Where an account's mailboxes are, if not here; with a URL, imap://HOST/, where they are from now on.

    Who logs in by IMAP, and proves who he is, hears of it (RFC 2221).  Mail that comes in goes on as aliases say.
    """
    who = named(address)
    if (none and (url or here_too)) or (here_too and not url):
        raise click.UsageError("say either a URL, perhaps with --here-too, or --none")
    config = configuration()
    if url or none:
        with writing(config) as connection:
            account = _find(connection, who)
            referring.put(connection, account.id, refer.read(url, str(account.address), here_too) if url else None)
    with reading(config) as connection:
        found = refer.as_object(referring.find(connection, _find(connection, who).id))
    if json_wanted:
        show_json({"address": str(who), "referral": found})
    else:
        show_pairs(refer.as_pairs(found) or [("referral", "none")])


@command.command("delegate")
@click.argument("owner")
@click.argument("delegate")
@click.option("--remove", is_flag=True, help="Not any more.")
def delegate(owner: str, delegate: str, remove: bool) -> None:
    """Let DELEGATE send in the name of OWNER: from its address, and from all that lead to it.

    OWNER may be @DOMAIN: whose name the addresses of public mailboxes have.
    """
    who = named(delegate)
    with writing() as connection:
        account = sharing.owner(connection, owner)
        if account is None:
            raise NotFound(f"there is no account {owner}")
        change = delegates.forbid if remove else delegates.allow
        change(connection, account.id, _find(connection, who).id)
    click.echo(f"{who} may {'not ' * remove}send as {owner}")


@command.command("remove")
@click.argument("address")
def remove(address: str) -> None:
    """Remove an account, its mailboxes and all mail in them."""
    who = named(address)
    config = configuration()
    with writing(config) as connection:
        directory.remove_account(connection, who, config.data / "contents")
    click.echo(f"the account {who} is gone, with its mail")


def named(address: str) -> Address:
    """The address that a command was given; raises `MailserverError` with a sentence."""
    try:
        return parse_account(address)
    except BadAddress as error:
        raise MailserverError(f"{address!r} is no address: {error}") from None


def derived(secret: str) -> list[tuple[str, bytes]]:
    """What is stored of a password; raises `MailserverError` for one that nobody could type."""
    try:
        return derive(secret)
    except ValueError as error:
        raise MailserverError(f"this password cannot be used: {error}") from None


def _find(connection: Any, who: Address) -> Account:
    account = directory.find_account(connection, who.key)
    if account is None:
        raise NotFound(f"there is no account {who}")
    return account


def _row(connection: Any, account: Account) -> dict[str, Any]:
    return {
        "address": str(account.address),
        "domain": account.address.domain,
        "enabled": account.enabled,
        "password": bool(directory.find_credentials(connection, account.id, ARGON2ID)),
    }


def _yes(value: Any) -> str:
    return "yes" if value else "no"
