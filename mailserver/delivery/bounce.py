"""Failure reports: a DSN (RFC 3464) in a multipart/report (RFC 6522), for who sent what could not be delivered."""

from __future__ import annotations

from collections.abc import Sequence

from mailserver.address import Address
from mailserver.delivery.result import Result
from mailserver.ident import spell
from mailserver.received import mail_date
from mailserver.store.spool import Entry

MOST_HEADER = 16 * 1024         # octets of the original's header that are sent back
LONGEST_WORD = 200              # characters of one word of the remote's, so that lines stay short


def failure_report(
    failed: Sequence[tuple[Entry, Result]], header: bytes, hostname: str, now: float, boundary: str
) -> bytes:
    """The report for entries of one message; its recipient is their sender, who is not null.

    `boundary` must not occur in what is sent back, so make it of chance.
    """
    first = failed[0][0]
    sender = first.sender
    assert sender is not None, "nothing is ever reported to the null reverse-path (RFC 5321 4.5.5)"
    lines = [
        f"From: Mail Delivery System <postmaster@{hostname}>",
        f"To: <{sender}>",
        f"Date: {mail_date(now)}",
        f"Message-ID: <{boundary}@{hostname}>",
        "Subject: Your mail could not be delivered",
        "Auto-Submitted: auto-replied",                                         # RFC 3834 5
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status; boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        f"This is the mail server {hostname}.",
        "",
        "Your mail could not be delivered to these addresses:",
        "",
    ]
    for entry, result in failed:
        lines += [f"  <{entry.recipient}>"]
        if entry.target.key != entry.recipient.key:
            lines += [f"    (which is forwarded to <{entry.target}>)"]
        said = f"{result.host} said: {result.words}" if result.host and result.reply else result.words
        lines += [f"    {part}" for part in _wrapped(said)] + [""]
    lines += [
        "It will not be tried again. The beginning of your mail is attached.",
        f"Whoever runs {hostname} can look it up under the id {spell(first.content_id)}.",
        "",
        f"--{boundary}",
        "Content-Type: message/delivery-status",
        "",
        f"Reporting-MTA: dns; {hostname}",
        f"Arrival-Date: {mail_date(first.created)}",
        "",
    ]
    for entry, result in failed:
        lines += _status(entry, result, now)
    lines += [f"--{boundary}", "Content-Type: text/rfc822-headers", "Content-Transfer-Encoding: 8bit", "", ""]
    head = "\r\n".join(lines).encode("utf-8")
    sent_back = _whole_lines(header[:MOST_HEADER]).replace(b"--" + boundary.encode(), b"")
    return head + sent_back + f"\r\n--{boundary}--\r\n".encode("ascii")


def _status(entry: Entry, result: Result, now: float) -> list[str]:
    """The fields about one recipient (RFC 3464 2.3)."""
    lines = []
    if entry.target.key != entry.recipient.key:
        lines.append(f"Original-Recipient: {_typed(entry.recipient)}")
    lines += [f"Final-Recipient: {_typed(entry.target)}", "Action: failed", f"Status: {result.status}"]
    if result.host:
        lines.append(f"Remote-MTA: dns; {_one_line(result.host.rpartition(':')[0] or result.host)}")
    if result.reply is not None:
        lines.append(f"Diagnostic-Code: smtp; {_one_line(str(result.reply))}")
    else:
        lines.append(f"Diagnostic-Code: x-mailserver; {_one_line(result.words)}")
    lines += [f"Last-Attempt-Date: {mail_date(now)}", ""]
    return lines


def _typed(address: Address) -> str:
    """An address behind its type; RFC 6533 3 says how one beyond ASCII is written."""
    text = str(address)
    if text.isascii():
        return f"rfc822; {text}"
    plain = [each if "!" <= each <= "~" and each not in "\\+=" else f"\\x{{{ord(each):X}}}" for each in text]
    return f"utf-8; {''.join(plain)}"


def _one_line(text: str) -> str:
    """Words for a field, which RFC 3464 2.1.2 wants in ASCII."""
    return " ".join(text.split())[:900].encode("ascii", "replace").decode("ascii")


def _wrapped(text: str, width: int = 72) -> list[str]:
    lines, line = [], ""
    for word in (each[:LONGEST_WORD] for each in text.split()[:200]):
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line] if line else lines


def _whole_lines(header: bytes) -> bytes:
    """Header lines with CRLF, the last one whole."""
    end = header.rfind(b"\r\n")
    return header[: end + 2] if end >= 0 else b""


def is_reportable(sender: Address | None) -> bool:
    """Whether anybody may be told."""
    return sender is not None and bool(sender.domain)
