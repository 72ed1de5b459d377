"""An account in one file: a zip of a Maildir++, or of one mbox for each mailbox."""

from __future__ import annotations

import re
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from mailserver.content import CHUNK
from mailserver.imapstore import KEYWORD, Status
from mailserver.interfaces import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN
from mailserver.mailbox import keywords as letters
from mailserver.mailbox.maildirnames import folder_name, safe_name
from mailserver.mailbox.mailfile import OURS, flag_letters
from mailserver.store import contents, mailboxes, viewing
from mailserver.store.database import Database

AT_ONCE = 500               # rows that are read at a time
_FROM = re.compile(rb"(?m)^(>*From )")
_STATUS = ((SEEN, "R"), (ANSWERED, "A"), (FLAGGED, "F"), (DELETED, "D"), (DRAFT, "T"))


class Taking:
    """Writes a zip while it reads; `advance` is told of each message."""

    def __init__(self, database: Database, account_id: int, form: str, advance: Callable[[int], None]) -> None:
        """`form` is "maildir" or "mbox"."""
        self._database = database
        self._account_id = account_id
        self._form = form
        self._advance = advance
        self.messages = 0
        self.octets = 0
        self.skipped: list[tuple[str, str]] = []

    def run(self, path: Path, boxes: Sequence[Status]) -> None:
        """These mailboxes; raises `OSError`, and leaves nothing then."""
        part = path.with_name(f".{path.name}.part")
        try:
            with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, allowZip64=True, compresslevel=1) as archive:
                for box in boxes:
                    if self._form == "maildir":
                        self._maildir(archive, box)
                    else:
                        self._mbox(archive, box)
                if self._form == "maildir":
                    with self._database.reading() as connection:
                        names = mailboxes.subscriptions(connection, self._account_id)
                    lines = (folder_name(each)[1:].replace(".", "\t") if each != "INBOX" else each for each in names)
                    archive.writestr("Maildir/subscriptions", "V\t2\n\n" + "".join(f"{each}\n" for each in lines))
            part.rename(path)
        finally:
            part.unlink(missing_ok=True)

    def _maildir(self, archive: zipfile.ZipFile, box: Status) -> None:
        folder = "Maildir" if box.name == "INBOX" else f"Maildir/{folder_name(box.name)}"
        for each in ("cur", "new", "tmp"):
            archive.writestr(f"{folder}/{each}/", b"")
        if box.name != "INBOX":
            archive.writestr(f"{folder}/maildirfolder", b"")
        known: dict[str, str] = {}
        rows = []
        for uid, flags, received, prefix, content_id, words in self._messages(box):
            known, found = letters.letters_of(known, words)
            base = f"{int(received)}.M{uid}P{box.uidvalidity}{OURS}"
            name = f"{base}:2,{''.join(sorted(flag_letters(flags) | found))}"
            size = self._write(archive, f"{folder}/cur/{name}", received, prefix, content_id)
            if size is None:
                self.skipped.append((f"{box.name}: {uid}", "its content is gone"))
                continue
            rows.append(f"{uid} W{size} :{base}\n")
            self._count(size)
        head = f"3 V{box.uidvalidity} N{box.uidnext}\n"
        archive.writestr(f"{folder}/dovecot-uidlist", head + "".join(rows))
        if known:
            lines = (f"{ord(each) - ord('a')} {name}\n" for each, name in sorted(known.items()))
            archive.writestr(f"{folder}/dovecot-keywords", "".join(lines))

    def _mbox(self, archive: zipfile.ZipFile, box: Status) -> None:
        name = "/".join(safe_name(each) for each in box.name.split("/"))
        with archive.open(zipfile.ZipInfo(f"{name}.mbox", time.localtime()[:6]), "w", force_zip64=True) as file:
            for uid, flags, received, prefix, content_id, words in self._messages(box):
                date = time.asctime(time.gmtime(received))
                status = "".join(letter for flag, letter in _STATUS if flags & flag)
                head = f"From MAILER-DAEMON {date}\nX-Status: {status}\nStatus: {'RO' if flags & SEEN else 'O'}\n"
                head += f"X-Keywords: {' '.join(words)}\n" if words else ""
                try:
                    octets = b"".join(self._pieces(prefix, content_id)).replace(b"\r\n", b"\n")
                except FileNotFoundError:
                    self.skipped.append((f"{box.name}: {uid}", "its content is gone"))
                    continue
                file.write(head.encode() + _FROM.sub(rb">\1", octets))
                file.write(b"\n" if octets.endswith(b"\n") else b"\n\n")
                self._count(len(octets))

    def _count(self, size: int) -> None:
        self.messages += 1
        self.octets += size
        self._advance(1)

    def _messages(self, box: Status) -> Iterator[tuple[int, int, float, bytes, int, list[str]]]:
        """UID, flags, internal date, prefix, content and keywords."""
        after = 0
        with self._database.reading() as connection:
            found = mailboxes.find_mailbox(connection, self._account_id, box.name)
            names = viewing.keywords(connection, found[0]) if found is not None else ()
        if found is None:
            return
        while True:
            with self._database.reading() as connection:
                rows = viewing.rows(
                    connection, found[0], [(1, 0xFFFFFFFF)], ("uid", "flags", "received", "prefix", "content_id"),
                    after, AT_ONCE,
                )
            for row in rows:
                uid, flags, received, prefix, content_id = row[3:]
                words = [name for place, name in enumerate(names) if flags >> (KEYWORD + place) & 1]
                yield uid, flags, received, bytes(prefix), content_id, words
            if len(rows) < AT_ONCE:
                return
            after = rows[-1][0]

    def _write(
        self, archive: zipfile.ZipFile, name: str, received: float, prefix: bytes, content_id: int
    ) -> int | None:
        """How many octets it has; None: it has been expunged meanwhile."""
        date = max(time.gmtime(received)[:6], (1980, 1, 1, 0, 0, 0))
        info = zipfile.ZipInfo(name, date)
        info.compress_type = zipfile.ZIP_DEFLATED
        size = 0
        try:
            pieces = self._pieces(prefix, content_id)
            first = next(pieces, b"")
        except FileNotFoundError:
            return None
        with archive.open(info, "w", force_zip64=True) as file:
            for piece in chain((first,), pieces):
                file.write(piece)
                size += len(piece)
        return size

    def _pieces(self, prefix: bytes, content_id: int) -> Iterator[bytes]:
        """The octets of a message; raises `FileNotFoundError` when it has been expunged meanwhile."""
        with self._database.reading() as connection:
            yield from self._read(connection, prefix, content_id)

    def _read(self, connection: Any, prefix: bytes, content_id: int) -> Iterator[bytes]:
        try:
            stored = contents.load(connection, content_id)
        except LookupError:
            raise FileNotFoundError(content_id) from None
        if stored.whole is not None:
            yield prefix + stored.whole
            return
        if prefix:
            yield prefix
        if stored.file is not None:
            with open(self._database.contents / stored.file, "rb") as file:
                while piece := file.read(CHUNK):
                    yield piece
            return
        number = 0
        while piece := contents.read_piece(connection, content_id, number):
            yield piece
            number += 1
