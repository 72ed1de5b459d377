"""What a session sees of a Maildir: its messages, what changed, rows and octets.  Everything here blocks."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any

from twisted.logger import Logger

from mailserver.errors import NotFound, TemporaryFailure
from mailserver.imapstore import Changes, Ranges, State
from mailserver.interfaces import Message
from mailserver.mailbox.digester import _digest_of as digest_of
from mailserver.mailbox.maildirchanging import Box
from mailserver.mailbox.maildirindex import Entry, Row
from mailserver.mailbox.mailfile import OpenFile

log = Logger()

ROWS = 500                  # messages of one step


def messages(box: Box) -> list[Message]:
    """As POP3 lists them."""
    row = box.now()
    return [Message(each.uid, each.size, each.received, each.flags & 0xFF) for each in box.home.index.entries(row.id)]


def load(box: Box) -> State:
    """All of them."""
    row = box.now()
    uids, flags, modseqs = array("I"), array("Q"), array("Q")
    text = "SELECT uid, flags, modseq FROM message WHERE mailbox_id = ? ORDER BY uid"
    for uid, flag, modseq in box.home.index.fetch(text, (row.id,)):
        uids.append(uid)
        flags.append(flag)
        modseqs.append(modseq)
    return State(uids, flags, modseqs, row.uidnext, row.modseq, row.recent, row.names)


def changes(box: Box, since: int) -> Changes:
    """What is new since."""
    row = box.now()
    if row.modseq <= since:
        return Changes((), (), row.uidnext, row.modseq, row.names)
    text = "SELECT uid, flags, modseq FROM message WHERE mailbox_id = ? AND modseq > ? ORDER BY uid"
    changed = box.home.index.fetch(text, (row.id, since))
    gone = None if since < row.forgotten else box.home.index.gone(row.id, since)
    return Changes(changed, gone, row.uidnext, row.modseq, row.names)


# -- octets


def open_file(box: Box, uid: int) -> OpenFile:
    """A message's file; raises `NotFound`."""
    return _open(box, *_entry(box, uid))


def open_measured(box: Box, uid: int) -> OpenFile:
    """A file whose size is what was said of it: when another program said otherwise, that is mended first."""
    row, entry = _entry(box, uid)
    file = _open(box, row, entry)
    try:
        size = file.size if entry.is_sure and file.is_plain else entry.size
        if not entry.is_sure:
            size = file.measure()
            with box.home.index.transaction():
                box.home.index.put_sizes(row.id, [(uid, size)])
            file.rewind()
        if size != entry.size:
            log.error("{name}: a file in it has another size than was said", name=box.home.name(row.folder))
            raise TemporaryFailure("its size was not what was said; ask again")
    except BaseException:
        file.close()
        raise
    return file


def read_many(box: Box, uids: Ranges) -> dict[int, bytes]:
    """Whole messages; those that are gone are left out."""
    found, row = {}, _row(box)
    for entry in box.home.index.entries(row.id, uids):
        try:
            with _open(box, row, entry) as file, file.whole() as octets:
                found[entry.uid] = bytes(octets)
        except NotFound:
            continue
    return found


def scanned(
    box: Box, work: Callable[[int, bytes, Any], Any], uids: Ranges, after: int, most: int
) -> tuple[list[tuple[int, Any]], int]:
    """What `work` finds in messages behind a UID, of about `most` octets; and where to go on, 0 at the end."""
    row, size, last = _row(box), 0, 0
    found: list[tuple[int, Any]] = []
    entries = [each for each in box.home.index.entries(row.id, uids) if each.uid > after]
    for entry in entries[:ROWS]:
        size += entry.size
        if size > most and last:
            return found, last
        last = entry.uid
        try:
            with _open(box, row, entry) as file, file.whole() as octets:
                found.append((entry.uid, work(entry.uid, b"", octets)))
        except NotFound:
            continue
        except OSError as error:
            _unreadable(box, row, entry, error)
    return found, last if len(entries) > ROWS else 0


# -- rows


def rendered(
    box: Box, render: Callable[[Sequence[tuple[Any, ...]]], Any], uids: Ranges, columns: Sequence[str], after: int,
    limit: int,
) -> tuple[Any, int, list[int]]:
    """What `render` makes of some rows, the last UID of them if there may be more, and who is not yet understood."""
    rows = box.home.index.rows(_row(box).id, uids, columns, after, limit)
    if not rows:
        return None, 0, []
    last = rows[-1][0] if len(rows) == limit else 0
    known = [row[2:] for row in rows if row[1] is not None]
    return render(known) if known else None, last, [row[0] for row in rows if row[1] is None]


def understand(box: Box, uids: Sequence[int]) -> None:
    """Read these messages and keep what is understood of them."""
    row, made = _row(box), []
    for uid in uids:
        entry = box.home.index.entry(row.id, uid)
        if entry is None:
            continue
        try:
            with _open(box, row, entry) as file, file.whole() as octets:
                made.append((uid, len(octets), digest_of(entry.content_id, octets)))
        except NotFound:
            continue
        except OSError as error:
            _unreadable(box, row, entry, error)
    with box.home.index.transaction():
        box.home.index.put_digests(row.id, made)


def _row(box: Box) -> Row:
    """What the index says; raises `NotFound`."""
    row = box.home.index.mailbox("guid", box.guid)
    if row is None or row.uidvalidity != box.uidvalidity:
        raise NotFound("the mailbox has been deleted")
    return row


def _entry(box: Box, uid: int) -> tuple[Row, Entry]:
    row = _row(box)
    entry = box.home.index.entry(row.id, uid) if 0 < uid < 1 << 32 else None
    if entry is None:
        raise NotFound(f"there is no message {uid} in this mailbox")
    return row, entry


def _open(box: Box, row: Row, entry: Entry) -> OpenFile:
    file = box.home.folder(row.folder).open(entry.place)
    if file is None:
        raise NotFound(f"there is no message {entry.uid} in this mailbox")
    return file


def _unreadable(box: Box, row: Row, entry: Entry, error: OSError) -> None:
    path = box.home.folder(row.folder).path / entry.place
    log.error("{path} cannot be read: {words}", path=str(path), words=error.strerror)
