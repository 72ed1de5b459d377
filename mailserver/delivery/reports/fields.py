"""The part of a report that programs read: fields of the message, then of each recipient (RFC 3464 2.2, 2.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailserver.address import Address
from mailserver.delivery.reports.action import Action
from mailserver.delivery.result import Result
from mailserver.ident import spell
from mailserver.received import HIDDEN, mail_date
from mailserver.smtp import xtext
from mailserver.store.spool import Entry

MOST_FIELDS = 1000          # recipients
MOST_DIAGNOSED = 100        # recipients whose server's words are given
_FROM = re.compile(rb"Received: from ([!-~]{1,255}) \((?:[!-~]{1,255} )?\[([0-9A-Fa-f:.IPv]{2,50})\]\)")


def of_message(first: Entry, hostname: str) -> list[str]:
    """RFC 3464 2.2."""
    lines = []
    if first.wishes.envid:
        lines.append(f"Original-Envelope-Id: {one_line(first.wishes.envid)}")
    lines.append(f"Reporting-MTA: dns; {hostname}")
    came = _FROM.search(first.prefix[:2000])
    if came is not None and came[1].decode() != HIDDEN:
        lines.append(f"Received-From-MTA: dns; {came[1].decode()} ([{came[2].decode()}])")
    return [*lines, f"Arrival-Date: {mail_date(first.created)}", ""]


def of_recipients(action: Action, ended: Sequence[tuple[Entry, Result]], now: float, utf8: bool) -> list[str]:
    """RFC 3464 2.3, of so many as there is room for."""
    lines = []
    for number, (entry, result) in enumerate(ended[:MOST_FIELDS]):
        lines += _of_recipient(action, entry, result, now, utf8, number < MOST_DIAGNOSED)
    return lines


def _of_recipient(action: Action, entry: Entry, result: Result, now: float, utf8: bool, diagnosed: bool) -> list[str]:
    lines = []
    final = entry.recipient if action is Action.EXPANDED else entry.target
    if entry.wishes.orcpt:
        lines.append(f"Original-Recipient: {_original(entry.wishes.orcpt, utf8)}")
    elif final.key != entry.recipient.key:
        lines.append(f"Original-Recipient: {typed(entry.recipient, utf8)}")
    lines += [f"Final-Recipient: {typed(final, utf8)}", f"Action: {action}", f"Status: {status(action, result)}"]
    if result.host:
        lines.append(f"Remote-MTA: dns; {one_line(result.host.rpartition(':')[0] or result.host)}")
    if not diagnosed:
        pass
    elif result.reply is not None:
        lines.append(f"Diagnostic-Code: smtp; {one_line(str(result.reply))}")
    elif result.words and action in (Action.FAILED, Action.DELAYED):
        lines.append(f"Diagnostic-Code: x-mailserver; {one_line(result.words)}")
    lines.append(f"Last-Attempt-Date: {mail_date(now)}")
    if action is Action.DELAYED:
        lines.append(f"Will-Retry-Until: {mail_date(entry.expires)}")
    return [*lines, f"Final-Log-ID: {spell(entry.content_id)}", ""]


def status(action: Action, result: Result) -> str:
    """The class must fit the action (RFC 3464 2.3.4), whatever the last reply's was."""
    found = result.status
    if action is Action.FAILED:
        return found            # 4.4.7 stands for what was given up (RFC 3463 3.5)
    wanted = "4" if action is Action.DELAYED else "2"
    if found[:1] == wanted:
        return found
    return f"4.{found[2:]}" if wanted == "4" and found[:1] == "5" else f"{wanted}.0.0"


def typed(address: Address, utf8: bool) -> str:
    """An address behind its type; RFC 6533 3 says how one beyond ASCII is written."""
    text = str(address)
    if text.isascii():
        return f"rfc822; {text}"
    return f"utf-8; {text if utf8 else xtext.encode_utf8(text)}"


def _original(orcpt: str, utf8: bool) -> str:
    """What the sender gave with ORCPT, which we read as text."""
    type, _, text = orcpt.partition(";")
    if type.lower() == "utf-8":
        return f"utf-8; {' '.join(text.split())[:900] if utf8 else xtext.encode_utf8(text[:300])}"
    return f"{type}; {one_line(text)}"


def one_line(text: str) -> str:
    """Words for a field, which RFC 3464 2.1.2 wants in ASCII."""
    return " ".join(text.split())[:900].encode("ascii", "replace").decode("ascii")
