"""How mailboxes are called on the disk: Maildir++ folders, as Dovecot names them."""

from __future__ import annotations

import os
import re

from mailserver.errors import PermanentFailure
from mailserver.imap.error import ImapError
from mailserver.imap.names import decode, to_utf7

LONGEST = 235               # octets of a mailbox's name: one folder's name has to hold all its levels
LONGEST_FILE = 255          # octets of a name on the disk (NAME_MAX)

_UNSAFE = re.compile(r"[^A-Za-z0-9_@+=~,\- \u0080-\U0010ffff.]")
_DOTS = re.compile(r"^\.|(?<=\.)\.")
# A dot would be a level, and "%" what stands for one.  "%" that does not look like one of these stays as it is.
_ESCAPED = re.compile(r"\.|^%$|%(?=2E|25|2F)")
_ESCAPE = re.compile(r"%(2E|25|2F)")


def safe_name(text: str) -> str:
    """A file name that stays where it is put: what could lead elsewhere is written %XX."""
    safe = _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", text)
    return _DOTS.sub("%2E", safe) or "%"


def folder_name(mailbox: str) -> str:
    """The Maildir++ folder of a mailbox: ``.Lists.cats`` for Lists/cats, in modified UTF-7 (RFC 3501 5.1.3)."""
    levels = (_ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", level) or "%" for level in mailbox.split("/"))
    # No name leads elsewhere: whatever is no printable ASCII is encoded, and "/" is between levels only.
    return "." + to_utf7(".".join(levels)).decode("ascii")


def mailbox_name(folder: str) -> str | None:
    """The mailbox that a folder is; None for one that no mailbox is called."""
    try:
        text = decode(os.fsencode(folder[1:]), utf8=False)
    except (ImapError, UnicodeDecodeError):
        return None
    levels = ["" if each == "%" else _ESCAPE.sub(lambda found: chr(int(found[1], 16)), each)
              for each in text.split(".")]
    name = "/".join(levels)
    return name if folder_name(name) == folder else None


def check_name(mailbox: str) -> None:
    """Raises `PermanentFailure` for a name for which there can be no folder."""
    if len(mailbox.encode("utf-8", "surrogatepass")) > LONGEST or len(folder_name(mailbox)) > LONGEST_FILE:
        raise PermanentFailure(f"the name of a mailbox may have {LONGEST} octets, and {LONGEST_FILE} on the disk")
