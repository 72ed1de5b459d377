"""Who has used so much of a quota that he should be told, and which threshold he was told of last."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, delete

from mailserver.imapstore import Quota
from mailserver.store.mailboxes import used_in_domain
from mailserver.store.schema import quota_told
from mailserver.store.shares import NOBODY
from mailserver.store.statements import fetch, run_with

STEP = 1000                 # rows of one look
KINDS = ("account", "mailbox", "domain")


class Used(NamedTuple):
    """What there is and may be of one account, mailbox or domain; `told` is the last threshold, in percent."""

    kind: str
    id: int
    address: str            # who is told
    name: str               # what it is about
    quota: Quota
    told: int
    is_public: bool = False     # it is the domain's: its postmaster is told

    @property
    def percent(self) -> float:
        """Of the limit that is nearer."""
        of = [
            100.0 * has / most for has, most in (
                (self.quota.octets, self.quota.most_octets), (self.quota.messages, self.quota.most_messages)
            ) if most
        ]
        return max(of, default=0.0)


def used(connection: Connection, kind: str, after: int, usual: tuple[int, int]) -> list[Used]:
    """Some of those that have a limit, or were told of one, behind this row."""
    if kind == "domain":
        rows = fetch(
            connection,
            "SELECT d.id, d.name, d.quota_octets, d.quota_messages, t.percent FROM domain AS d"
            " LEFT JOIN quota_told AS t ON t.kind = 'domain' AND t.id = d.id WHERE d.id > ? AND"
            " (d.quota_octets > 0 OR d.quota_messages > 0 OR t.percent > 0) ORDER BY d.id LIMIT ?",
            [after, STEP],
        )
        found = []
        for id, name, octets, messages, told in rows:
            has, count = used_in_domain(connection, id)
            quota = Quota(has, octets or 0, count, messages or 0)
            found.append(Used(kind, id, f"postmaster@{name}", name, quota, told or 0))
        return found
    if kind == "mailbox":
        text = (
            "SELECT b.id, a.address, b.name, b.octets, q.octets, b.messages, q.messages, t.percent"
            " FROM mailbox AS b JOIN account AS a ON a.id = b.account_id"
            " LEFT JOIN mailbox_quota AS q ON q.mailbox_id = b.id"
            " LEFT JOIN quota_told AS t ON t.kind = 'mailbox' AND t.id = b.id"
            " WHERE b.id > ? AND b.id IN (SELECT mailbox_id FROM mailbox_quota"
            " UNION SELECT id FROM quota_told WHERE kind = 'mailbox') ORDER BY b.id LIMIT ?"
        )
        rows = fetch(connection, text, [after, STEP])
    else:
        text = (
            "SELECT a.id, a.address, a.address, (SELECT COALESCE(SUM(octets), 0) FROM mailbox WHERE account_id = a.id),"
            " COALESCE(a.quota_octets, CAST(? AS BIGINT)),"
            " (SELECT COALESCE(SUM(messages), 0) FROM mailbox WHERE account_id = a.id),"
            " COALESCE(a.quota_messages, CAST(? AS BIGINT)), t.percent"
            " FROM account AS a LEFT JOIN quota_told AS t ON t.kind = 'account' AND t.id = a.id"
            " WHERE a.id > ? AND (COALESCE(a.quota_octets, CAST(? AS BIGINT)) > 0"
            " OR COALESCE(a.quota_messages, CAST(? AS BIGINT)) > 0 OR t.percent > 0) ORDER BY a.id LIMIT ?"
        )
        rows = fetch(connection, text, [*usual, after, *usual, STEP])
    found = []
    for id, address, name, octets, most, messages, many, told in rows:
        quota = Quota(int(octets), most or 0, int(messages), many or 0)
        if address.startswith(NOBODY):
            domain = address.removeprefix(NOBODY)
            name = domain if kind == "account" else name
            found.append(Used(kind, id, f"postmaster@{domain}", name, quota, told or 0, True))
        else:
            found.append(Used(kind, id, address, name, quota, told or 0))
    return found


def tell(connection: Connection, kind: str, id: int, percent: int) -> None:
    """This threshold is the last of which somebody knows; 0: none."""
    connection.execute(delete(quota_told).where(quota_told.c.kind == kind, quota_told.c.id == id))
    if percent:
        run_with(connection, "INSERT INTO quota_told (kind, id, percent) VALUES (?, ?, ?)", [kind, id, percent])
