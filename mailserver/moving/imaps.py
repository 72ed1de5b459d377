"""An account on another IMAP server as a source."""

from __future__ import annotations

import imaplib
import re
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from mailserver.errors import TemporaryFailure
from mailserver.imap.dates import read_date_time
from mailserver.imap.error import ImapError
from mailserver.imap.flags import collect
from mailserver.imap.names import decode
from mailserver.imapstore import SPECIAL_USES, Flags
from mailserver.moving.source import Damaged, Folder, Item, decoded_mailbox

PATIENCE = 60.0             # seconds of silence
LARGEST = 1 << 30           # octets of one literal
TOGETHER = 4 * 1024 * 1024  # octets of messages that are asked for at once
ASKED = 500                 # messages whose flags, dates and sizes are
_LISTED = re.compile(rb'\(([^)]*)\) (?:NIL|"((?:[^"\\]|\\.)*)") (?:"((?:[^"\\]|\\.)*)"|(\S+))?\Z')
_UID = re.compile(rb"\bUID (\d{1,10})\b")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d{1,12})\b")
_FLAGS = re.compile(rb"\bFLAGS \(([^)]*)\)")
_DATE = re.compile(rb'\bINTERNALDATE "([^"]{1,40})"')
WRONG = (imaplib.IMAP4.error, OSError, ssl.SSLError)


class _Guarded(imaplib.IMAP4):
    """No server makes us hold more than a message may have."""

    def read(self, size: int) -> bytes:
        if size > LARGEST:
            raise self.abort(f"a literal of {size} octets")
        return super().read(size)


class _GuardedTls(_Guarded, imaplib.IMAP4_SSL):
    pass


def connect(host: str, port: int, tls: str, user: str, password: str) -> imaplib.IMAP4:
    """A session that has logged in; `tls` is "tls", "starttls" or "none".  Raises `TemporaryFailure`."""
    context = ssl.create_default_context()
    try:
        client: imaplib.IMAP4
        if tls == "tls":
            client = _GuardedTls(host, port, ssl_context=context, timeout=PATIENCE)
        else:
            client = _Guarded(host, port, timeout=PATIENCE)
            if tls == "starttls":
                client.starttls(context)
        client.login(user, password)
    except WRONG as error:
        raise TemporaryFailure(f"{host} does not let us in: {_words(error)}") from None
    return client


class Imaps:
    """See `mailserver.moving.source.Source`; nothing is changed there.  Only mailboxes that fit `pattern` come."""

    def __init__(self, client: imaplib.IMAP4, identity: str, into: str = "", pattern: str = "*") -> None:
        self.identity = f"imap:{identity}"
        self.skipped: list[tuple[str, str]] = []
        self._client = client
        self._into = into
        self._found = list(self._listed(pattern))
        self.total = sum(self._count(each) for each, _, _ in self._found)

    def folders(self) -> list[Folder]:
        return [
            Folder(decoded_mailbox(name, self._into), "" if self._into else use, name in self._subscribed)
            for _, name, use in self._found
        ]

    def items(self, is_done: Callable[[str], bool], advance: Callable[[int], None]) -> Iterator[Item]:
        for spelled, name, _ in self._found:
            try:
                yield from self._items_of(spelled, name, is_done, advance)
            except (*WRONG, ValueError) as error:
                if isinstance(error, (imaplib.IMAP4.abort, OSError)):
                    raise TemporaryFailure(f"the other server is gone, try again: {_words(error)}") from None
                self.skipped.append((name, _words(error)))

    # -- mailboxes

    def _listed(self, pattern: str) -> Iterator[tuple[bytes, str, str]]:
        self._subscribed = {name for _, name, _ in self._parsed(self._ask("lsub", '""', "*"))}
        for attributes, name, spelled in self._parsed(self._ask("list", '""', "*")):
            if rb"\noselect" in attributes or rb"\nonexistent" in attributes or not fnmatchcase(name, pattern):
                continue
            use = next((use for use in SPECIAL_USES if use.lower().encode() in attributes), "")
            yield spelled, name, use

    def _parsed(self, lines: Sequence[Any]) -> Iterator[tuple[list[bytes], str, bytes]]:
        for line in lines:
            if line is None:
                continue
            octets, literal = (line[0], line[1]) if isinstance(line, tuple) else (line, None)
            if literal is not None:
                octets = re.sub(rb"\{\d+\}\Z", b"x", octets)
            elif not octets:
                continue
            found = _LISTED.match(octets)
            if found is None:
                self.skipped.append((repr(octets[:100]), "that is no mailbox that can be understood"))
                continue
            spelled = literal if literal is not None else _unquoted(found[3]) if found[3] is not None else found[4]
            try:
                name = decode(spelled, utf8=False)
            except (ImapError, UnicodeDecodeError):
                self.skipped.append((repr(spelled[:100]), "that is no name of a mailbox"))
                continue
            separator = _unquoted(found[2] or b"").decode("latin-1")
            levels = name.split(separator) if separator else [name]
            if len(levels) > 1 and levels[0].upper() == "INBOX" and separator == ".":
                levels = levels[1:]             # Courier's and others' personal namespace
            name = "/".join(each.replace("/", "_") for each in levels)
            yield found[1].lower().split(), "INBOX" if name.upper() == "INBOX" else name, spelled

    def _count(self, spelled: bytes) -> int:
        try:
            status, lines = self._client.status(_quoted(spelled), "(MESSAGES)")
            found = re.search(rb"MESSAGES (\d{1,10})", lines[0] or b"") if status == "OK" else None
        except imaplib.IMAP4.abort as error:
            raise TemporaryFailure(f"the other server is gone: {_words(error)}") from None
        except WRONG:
            found = None
        return int(found[1]) if found is not None else 0

    def _ask(self, method: str, *words: str) -> list[Any]:
        try:
            status, lines = getattr(self._client, method)(*words)
        except WRONG as error:
            raise TemporaryFailure(f"the other server does not list its mailboxes: {_words(error)}") from None
        return list(lines) if status == "OK" else []

    # -- messages

    def _items_of(
        self, spelled: bytes, name: str, is_done: Callable[[str], bool], advance: Callable[[int], None]
    ) -> Iterator[Item]:
        status, said = self._client.select(_quoted(spelled), readonly=True)
        if status != "OK":
            raise ValueError(f"it cannot be opened: {said[0]!r}")
        validity = self._client.response("UIDVALIDITY")[1][0]
        status, said = self._client.uid("SEARCH", "ALL")
        uids = sorted({int(each) for each in (said[0] or b"").split() if each.isdigit()}) if status == "OK" else []
        prefix = f"{name}\n{(validity or b'0').decode('latin-1')} "
        left = []
        for uid in uids:
            if is_done(f"{prefix}{uid}"):
                advance(1)
            else:
                left.append(uid)
        for start in range(0, len(left), ASKED):
            some = left[start : start + ASKED]
            about = self._about(some)
            for missing in some:
                if missing not in about:
                    advance(1)
            group: list[int] = []
            size = 0
            for uid in sorted(about):
                if group and size + about[uid][0] > TOGETHER:
                    yield from self._whole(group, about, prefix, name, advance)
                    group, size = [], 0
                group.append(uid)
                size += about[uid][0]
            if group:
                yield from self._whole(group, about, prefix, name, advance)

    def _about(self, uids: Sequence[int]) -> dict[int, tuple[int, Flags, float]]:
        """Size, flags and internal date, by UID."""
        found: dict[int, tuple[int, Flags, float]] = {}
        wanted = set(uids)
        for line in self._fetch(uids, "(UID FLAGS INTERNALDATE RFC822.SIZE)"):
            octets = line[0] if isinstance(line, tuple) else line or b""
            uid, size = _UID.search(octets), _SIZE.search(octets)
            if uid is None or size is None or int(uid[1]) not in wanted:
                continue
            flags, date = _FLAGS.search(octets), _DATE.search(octets)
            words = [each.decode("latin-1") for each in flags[1].split()] if flags is not None else []
            try:
                known = collect([each for each in words if each.lower() != "\\recent"])
                read = Flags(known.bits, known.keywords)
            except ImapError:
                read = Flags()
            try:
                received = float(read_date_time(date[1])) if date is not None else time.time()
            except ImapError:
                received = time.time()
            found[int(uid[1])] = int(size[1]), read, received
        return found

    def _whole(
        self, uids: Sequence[int], about: dict[int, tuple[int, Flags, float]], prefix: str, name: str,
        advance: Callable[[int], None],
    ) -> Iterator[Item]:
        heard: dict[int, bytes] = {}
        for line in self._fetch(uids, "(UID BODY.PEEK[])"):
            if isinstance(line, tuple) and (found := _UID.search(line[0])) is not None:
                heard[int(found[1])] = line[1]
        for uid in uids:
            advance(1)
            _, flags, received = about[uid]
            octets = heard.get(uid)
            if octets is None:
                self.skipped.append((f"{name}: {uid}", "the other server has not sent it"))
                continue
            yield Item(f"{prefix}{uid}", decoded_mailbox(name, self._into), flags, received, _reader(octets))

    def _fetch(self, uids: Sequence[int], items: str) -> list[Any]:
        status, lines = self._client.uid("FETCH", ",".join(map(str, uids)), items)
        if status != "OK":
            raise ValueError("it cannot be read")
        return list(lines)


def _reader(octets: bytes) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        if not octets:
            raise Damaged("it is empty")
        yield octets

    return pieces


def _unquoted(octets: bytes) -> bytes:
    return re.sub(rb"\\(.)", rb"\1", octets)


def _quoted(spelled: bytes) -> str:
    return '"' + spelled.decode("latin-1").replace("\\", "\\\\").replace('"', '\\"') + '"'


def _words(error: BaseException) -> str:
    """Of a server that need not be honest: short, on one line."""
    said = error.args[0] if error.args else error
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return " ".join(text.split())[:200]


