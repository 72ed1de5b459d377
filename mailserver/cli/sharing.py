"""Who may do what in a mailbox, and which addresses lead there: words of ``mailserver mailbox``."""

from __future__ import annotations

import time
from typing import Any

import click

from mailserver.cli.given import configuration, reading, writing
from mailserver.cli.shown import as_json, show_json, show_table
from mailserver.cli.user import named
from mailserver.errors import MailserverError, NotFound
from mailserver.imap.error import ImapError
from mailserver.imap.names import canonical
from mailserver.imap.rights import parse_change
from mailserver.interfaces import Account
from mailserver.sharing import Share
from mailserver.store import mailboxes, postings, publics, sharing

# "-bob@example.org" and "-w" are no options.
DASHES = {"ignore_unknown_options": True}


@click.command("share", context_settings=DASHES)
@click.argument("owner")
@click.argument("mailbox")
@click.argument("who")
@click.argument("rights")
def share(owner: str, mailbox: str, who: str, rights: str) -> None:
    """Let WHO do something in a mailbox of OWNER, which is an address, or @DOMAIN for public mailboxes.

    WHO is an address, @DOMAIN or anyone, with a "-" before it to deny; RIGHTS are letters of RFC 4314, "+" and more,
    "-" and fewer, or "none".
    """
    try:
        how, letters = parse_change("" if rights == "none" else rights)
    except ImapError:
        raise MailserverError(f"{rights!r} are no rights; they are letters of lrswipkxtea") from None
    with writing() as connection:
        account = owned(connection, owner)
        sharing.change(connection, account.id, mailbox, who, how, letters)
        known = sharing.known(connection, who)
        found = [each for each in sharing.entries(connection, account.id, mailbox) if each.who == known]
    left = found[0].rights if found else "no rights"
    click.echo(f"{known} has {left} in {mailbox} of {owner}")


@click.command("shares")
@click.argument("owner", required=False)
@click.argument("mailbox", required=False)
@click.option("--with", "account", metavar="ADDRESS", help="What others share with this account.")
@as_json
def shares(owner: str | None, mailbox: str | None, account: str | None, json_wanted: bool) -> None:
    """Who may do what in the mailboxes of OWNER (an address, or @DOMAIN), or in one of them."""
    if (owner is None) == (account is None):
        raise click.UsageError("say either whose mailboxes, or --with whom they are shared")
    with reading() as connection:
        if owner is not None:
            found = _of(connection, owner, mailbox)
        else:
            whom = owned(connection, account or "")
            found = [
                _row(each.owner, each.status.name, Share(str(whom.address), each.rights))
                for each in sharing.shared(connection, whom.id)
            ]
    if json_wanted:
        show_json(found)
    else:
        show_table(
            ("owner", "mailbox", "who", "rights"), [tuple(each.values()) for each in found],
            "nothing is shared; mailserver mailbox share does that",
        )


def _of(connection: Any, owner: str, mailbox: str | None) -> list[dict[str, str]]:
    account = owned(connection, owner)
    names = mailboxes.mailboxes(connection, account.id) if mailbox is None else [mailbox]
    return [
        _row(account, name, each) for name in names for each in sharing.entries(connection, account.id, name)
    ]


def _row(owner: Account, name: str, entry: Share) -> dict[str, str]:
    return {"owner": shown(owner), "mailbox": name, "who": entry.who, "rights": entry.rights}


@click.command("public")
@click.argument("domain")
@click.argument("mailbox")
@click.option("--remove", is_flag=True, help="It goes, with all mail in it, which can be restored.")
def public(domain: str, mailbox: str, remove: bool) -> None:
    """Make a public mailbox of a domain, in which all accounts there may read ("lrs").

    What is in one that goes can be restored for a while, as `mailserver mailbox delete` says of it.
    """
    name, config = domain.removeprefix("@"), configuration()
    try:
        level = canonical(mailbox)
    except ImapError as error:
        raise MailserverError(f"{mailbox!r} is no name for a mailbox: {error}") from None
    with writing(config) as connection:
        if remove:
            mailboxes.drop(
                connection, config.data / "contents", owned(connection, f"@{name}").id, level,
                time.time() if config.keeping.undelete else None, config.usual_quota,
            )
        else:
            publics.create_public(connection, name, level, time.time())
    click.echo(f"the public mailbox {level} of {name} is {'gone' if remove else 'there'}")


@click.command("address")
@click.argument("address")
@click.argument("owner", required=False)
@click.argument("mailbox", required=False)
@click.option("--remove", is_flag=True, help="It leads nowhere any more.")
def address(address: str, owner: str | None, mailbox: str | None, remove: bool) -> None:
    """Send mail for ADDRESS into a mailbox of OWNER (an address, or @DOMAIN); anyone may post there then ("p")."""
    if remove != (owner is None) or (mailbox is None) != (owner is None):
        raise click.UsageError("say the owner and the mailbox, or --remove")
    who = named(address)
    with writing() as connection:
        if owner is None or mailbox is None:
            postings.remove(connection, who)
        else:
            postings.add(connection, who, owned(connection, owner).id, mailbox)
    click.echo(f"mail for {who} goes nowhere" if remove else f"mail for {who} goes into {mailbox} of {owner}")


@click.command("addresses")
@as_json
def addresses(json_wanted: bool) -> None:
    """The addresses that lead into mailboxes, and whether anyone may post there."""
    with reading() as connection:
        found = [
            {"address": each.address, "owner": _spelled(each.owner), "mailbox": each.name, "open": each.is_open}
            for each in postings.listing(connection)
        ]
    if json_wanted:
        show_json(found)
    else:
        show_table(
            ("address", "owner", "mailbox", "open"),
            [(each["address"], each["owner"], each["mailbox"], "yes" if each["open"] else "no") for each in found],
            "no address leads into a mailbox; mailserver mailbox address makes one",
        )


def owned(connection: Any, address: str) -> Account:
    """The account of an address, or of ``@domain``; raises `NotFound`."""
    found = sharing.owner(connection, address)
    if found is None:
        raise NotFound(
            f"{address} has no public mailboxes" if address.startswith("@") else f"there is no account {address}"
        )
    return found


def shown(account: Account) -> str:
    """An owner as commands take it."""
    return _spelled(account.address)


def _spelled(address: Any) -> str:
    return str(address) if address.local else f"@{address.domain}"


commands = (share, shares, public, address, addresses)
