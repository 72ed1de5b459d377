"""All that is worked out about a message once, when it is delivered, so that a listing is reading rows."""

from __future__ import annotations

from dataclasses import dataclass

from mailserver.mime import dates, sorting, words
from mailserver.mime.bodystructure import bodies
from mailserver.mime.envelope import envelope
from mailserver.mime.octets import Octets
from mailserver.mime.part import Kind, Part
from mailserver.mime.references import message_id, references
from mailserver.mime.stored import dump
from mailserver.mime.structure import parse
from mailserver.mime.subject import base
from mailserver.mime.text import preview


@dataclass(frozen=True, slots=True)
class Understood:
    """What a client asks for, in the form in which it is sent, and what SORT and THREAD go by."""

    root: Part
    structure: bytes            # for `mailserver.mime.stored.load`
    envelope: bytes             # see `mailserver.mime.strings` for sessions that take UTF-8
    body: bytes
    bodystructure: bytes
    preview: str                # up to 200 characters, perhaps none
    header_size: int            # octets, with the empty line
    sent: int | None            # seconds since 1970; None: the Date says nothing, so the internal date counts
    subject: str                # decoded
    base_subject: str           # RFC 5256 2.1, as `mailserver.mime.sorting.key` makes subjects alike
    is_reply: bool              # of a reply, or forwarded, by its subject
    message_id: str | None
    references: tuple[str, ...]     # the parent last
    sort_from: str
    sort_to: str
    sort_cc: str
    display_from: str
    display_to: str
    has_attachment: bool


def understand(octets: Octets) -> Understood:
    """Linear, bounded, and never raises, whatever comes in; some of it may be empty.  Call it in a thread."""
    root = parse(octets)
    fields = root.fields
    subject = words.decode(fields.get(b"subject", b""))[:_LONGEST_SUBJECT]
    thread = base(subject)
    body, bodystructure = bodies(root)
    sender, to, cc = (sorting.first(fields.get(name)) for name in (b"from", b"to", b"cc"))
    return Understood(
        root=root,
        structure=dump(root),
        envelope=envelope(fields),
        body=body,
        bodystructure=bodystructure,
        preview=preview(octets, root),
        header_size=root.body - root.start,
        sent=dates.sent(fields.get(b"date", b"")),
        subject=subject,
        base_subject=sorting.key(thread.subject),
        is_reply=thread.is_reply,
        message_id=message_id(fields),
        references=references(fields),
        sort_from=sorting.mailbox(sender),
        sort_to=sorting.mailbox(to),
        sort_cc=sorting.mailbox(cc),
        display_from=sorting.display(sender),
        display_to=sorting.display(to),
        has_attachment=any(map(_is_attached, root.walk())),
    )


_LONGEST_SUBJECT = 1000     # characters
_SIGNATURES = ("pgp-signature", "pkcs7-signature", "x-pkcs7-signature")


def _is_attached(part: Part) -> bool:
    """A file or a message that was attached; not a picture that a page shows, nor a signature."""
    if part.kind is Kind.MULTIPART or part.subtype in _SIGNATURES:
        return False
    if part.disposition == "attachment" or part.kind is Kind.MESSAGE:
        return True
    if part.disposition == "inline" and part.id is not None:
        return False
    return part.type != "text" and (part.file_name is not None or part.type not in ("image", "message"))
