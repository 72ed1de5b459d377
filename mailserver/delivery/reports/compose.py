"""A report as octets: multipart/report (RFC 6522) with words for people, fields for programs, and the original."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from mailserver.delivery.reports import fields, people
from mailserver.delivery.reports.action import Action
from mailserver.delivery.reports.languages import languages
from mailserver.delivery.reports.original import Original, is_utf8, returned
from mailserver.delivery.reports.sentences import LANGUAGES
from mailserver.delivery.result import Result
from mailserver.received import mail_date
from mailserver.store.spool import Entry

WORD = 39                   # octets of an encoded word, which is then no longer than 75 characters (RFC 2047 2)


def compose(
    action: Action,
    ended: Sequence[tuple[Entry, Result]],
    original: Original,
    hostname: str,
    now: float,
    boundary: str,
    following: Mapping[int, float] | None = None,
) -> bytes:
    """The report for entries of one message; its recipient is their sender, who is not null.

    `boundary` must not occur in what is sent back, so make it of chance.  `following` says when a delayed entry is
    tried next, by its id; until when it is, the entry knows.  Times are seconds since the epoch.
    """
    first = ended[0][0]
    sender = first.sender
    assert sender is not None, "nothing is ever reported to the null reverse-path (RFC 5321 4.5.5)"
    utf8 = _is_utf8(ended, original)
    spoken = languages(original, sender)
    subject = LANGUAGES[spoken[0]].subjects[action]
    lines = [
        f"From: Mail Delivery System <postmaster@{hostname}>",
        f"To: <{sender}>",
        f"Date: {mail_date(now)}",
        f"Message-ID: <{boundary}@{hostname}>",
        f"Subject: {subject if subject.isascii() else _encoded(subject)}",
        "Auto-Submitted: auto-replied",                                         # RFC 3834 5
    ]
    if original.message_id:
        lines += [f"In-Reply-To: {original.message_id}", f"References: {original.message_id}"]
    lines += [
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type={"global-" if utf8 else ""}delivery-status;',
        f'\tboundary="{boundary}"',
        "",
    ]
    words = people.text(spoken, action, ended, hostname, following or {})
    encoding, body = ("7bit", words.encode()) if words.isascii() else ("base64", _base64(words.encode()))
    if len(spoken) == 1 and not words.isascii():
        encoding, body = "8bit", words.encode()         # English about addresses beyond ASCII, which need no more
    lines += [
        f"--{boundary}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Language: {', '.join(spoken)}",
        f"Content-Transfer-Encoding: {encoding}",
        "",
    ]
    status = ["", f"--{boundary}", f"Content-Type: message/{'global-' if utf8 else ''}delivery-status"]
    if utf8:
        status.append("Content-Transfer-Encoding: 8bit")
    status += ["", *fields.of_message(first, hostname), *fields.of_recipients(action, ended, now, utf8)]
    whole = action is Action.FAILED and first.wishes.ret.upper() == "FULL"      # RFC 3461 4.3
    whole = whole and not first.wishes.require_tls                              # RFC 8689 5
    type, back = returned(original, whole, utf8, boundary)
    status += [
        f"--{boundary}", f"Content-Type: {type}",
        f"Content-Transfer-Encoding: {'7bit' if back.isascii() else '8bit'}", "", "",
    ]
    return (
        "\r\n".join([*lines, ""]).encode() + body + "\r\n".join(status).encode() + back
        + f"\r\n--{boundary}--\r\n".encode("ascii")
    )


def _is_utf8(ended: Sequence[tuple[Entry, Result]], original: Original) -> bool:
    """Whether anything in it is beyond ASCII, so that the forms of RFC 6533 are meant."""
    for entry, _ in ended:
        if not (entry.recipient.is_ascii and entry.target.is_ascii and entry.wishes.orcpt.isascii()):
            return True
    sender = ended[0][0].sender
    return (sender is not None and not sender.is_ascii) or is_utf8(original.header)


def _encoded(text: str) -> str:
    """Encoded words (RFC 2047), folded; no character is cut in two."""
    words, word = [], b""
    for each in text:
        octets = each.encode()
        if len(word) + len(octets) > WORD:
            words.append(word)
            word = b""
        word += octets
    return "\r\n ".join(f"=?utf-8?B?{base64.b64encode(each).decode()}?=" for each in (*words, word))


def _base64(octets: bytes) -> bytes:
    text = base64.b64encode(octets)
    return b"".join(text[start : start + 76] + b"\r\n" for start in range(0, len(text), 76))
