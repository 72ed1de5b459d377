"""What is asked of a mailbox: the lines of the table, each a piece of work whose time is taken."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.imap import Imap, pop3_all, shares
from benchmarks.larder import Unavailable
from benchmarks.mailboxes import PASSWORD, Mailboxes
from benchmarks.mails import NAMED, RARE, SIZE, Mail
from benchmarks.peer import PATIENCE

Work = Callable[[Mailboxes, Imap], None]


@dataclass(frozen=True)
class Reading:
    """One line: `work` is done `times` over in a session that has selected INBOX, and the time is that of one."""

    run: str
    what: str
    work: Work
    times: int = 1
    warm_up: bool = False       # it is done once before, so that nothing happens for the first time


def says(command: bytes, least: int = 0, untold: bytes | None = None) -> Work:
    """A command whose answer has so many octets at the least; `untold` is one that goes before it."""

    def work(peer: Mailboxes, session: Imap) -> None:
        if untold is not None:
            session.do(untold)
        heard = session.do(command)
        if heard.octets < least:
            raise AssertionError(f"{command!r}: {heard.octets} octets are too few")

    return work


def appends(mails: Sequence[Mail], connections: int) -> Work:
    """One by one, by so many connections at once."""
    those = [(mail.options, mail.octets) for mail in mails]

    def work(peer: Mailboxes, session: Imap) -> None:
        sessions = [peer.session(mailbox=None) for _ in range(connections)]

        def send(pair: tuple[Imap, Sequence[tuple[bytes, bytes]]]) -> None:
            for each in pair[1]:
                pair[0].append(b"Drawer", [each])

        with ThreadPoolExecutor(connections) as pool:
            list(pool.map(send, zip(sessions, shares(those, connections), strict=True)))
        for each in sessions:
            each.close()

    return work


def multiappend(mails: Sequence[Mail]) -> Work:
    """All by one command (RFC 3502)."""
    those = [(mail.options, mail.octets) for mail in mails]
    return lambda peer, session: void(session.append(b"Drawer", those))


def void(_: object) -> None:
    """Nothing."""


def by_pop3(count: int) -> Work:
    """RETR of all; the IMAP session goes on meanwhile."""
    return lambda peer, session: void(pop3_all(peer.pop3_port, peer.user, PASSWORD, count, SIZE))


def by_mbsync(count: int) -> Work:
    """The first time that isync's mbsync copies the mailbox, to a Maildir, without fsync on its side."""

    def work(peer: Mailboxes, session: Imap) -> None:
        folder = peer.folder / "mbsync"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "local").mkdir(parents=True)
        (folder / "mbsyncrc").write_text(
            f"FSync no\nIMAPAccount there\nHost 127.0.0.1\nPort {peer.imap_port}\nUser {peer.user}\nPass {PASSWORD}\n"
            f"SSLType None\nAuthMechs LOGIN\nTimeout 120\n\nIMAPStore far\nAccount there\n\nMaildirStore near\n"
            f"Path {folder}/local/\nInbox {folder}/local/INBOX\n\nChannel all\nFar :far:\nNear :near:\nPatterns INBOX\n"
            f"Create Near\nSync Pull\nSyncState *\n"
        )
        done = subprocess.run(
            ["mbsync", "-q", "-c", str(folder / "mbsyncrc"), "-a"], capture_output=True, text=True, check=False,
            timeout=PATIENCE * 10, env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
        )
        there = sum(1 for part in ("new", "cur") for _ in Path(folder, "local/INBOX", part).iterdir())
        if done.returncode or there < count:
            raise AssertionError(f"mbsync: {there} of {count} messages came; {done.stderr.strip()[-200:]}")
        shutil.rmtree(folder)

    return work


def mbsync_version() -> str:
    """Which one is here; raises `larder.Unavailable`."""
    if shutil.which("mbsync") is None:
        raise Unavailable("mbsync is missing: apt install isync")
    said = subprocess.run(["mbsync", "--version"], capture_output=True, text=True, check=False)
    return said.stdout.strip() or said.stderr.strip()


ENVELOPES = b"FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"
IN_SUBJECT = b"UID SEARCH SUBJECT " + NAMED.encode()
IN_TEXT = b"UID SEARCH BODY " + RARE.encode()
SORTED = b"SORT (REVERSE DATE) UTF-8 ALL"
THREADED = b"THREAD REFERENCES UTF-8 ALL"


def readings(count: int, written: Sequence[Mail]) -> tuple[Reading, ...]:
    """All lines for a mailbox of so many messages; `written` are those that are appended.

    How much must be heard shows that a server found what there is: a UID has two octets at the least.
    """
    return (
        # Each of these begins with a server that has just started and has not read the mailbox before.
        Reading("cold", "cold: SELECT", says(b"NOOP")),
        Reading("cold", "cold: SELECT, ENVELOPE …", says(ENVELOPES, count * 200)),
        Reading("cold", "cold: SELECT, BODYSTRUCTURE", says(b"FETCH 1:* (BODYSTRUCTURE)", count * 50)),
        Reading("cold", "cold: SELECT, SEARCH SUBJECT", says(IN_SUBJECT, count // 4)),
        Reading("cold", "cold: SELECT, SORT", says(SORTED, count * 2)),
        Reading("cold", "cold: SELECT, THREAD", says(THREADED, count * 2)),
        Reading("read", "SELECT", says(b"SELECT INBOX", untold=b"UNSELECT"), 20, True),
        Reading("read", "FETCH 1:* (FLAGS)", says(b"FETCH 1:* (FLAGS)", count * 15), 5, True),
        Reading("read", "FETCH 1:* (… ENVELOPE)", says(ENVELOPES, count * 200), 2, True),
        Reading("read", "FETCH 1:* (BODYSTRUCTURE)", says(b"FETCH 1:* (BODYSTRUCTURE)", count * 50), 2, True),
        Reading("read", "FETCH 1:* BODY.PEEK[]", says(b"FETCH 1:* (BODY.PEEK[])", count * SIZE), 1, True),
        Reading("read", "SEARCH UNSEEN FLAGGED", says(b"UID SEARCH UNSEEN FLAGGED", count // 40), 20, True),
        Reading("read", "SEARCH SUBJECT", says(IN_SUBJECT, count // 4), 2, True),
        Reading("read", "SEARCH BODY", says(IN_TEXT, count // 50), 1, True),
        Reading("read", "SORT (REVERSE DATE)", says(SORTED, count * 2), 5, True),
        Reading("read", "THREAD REFERENCES", says(THREADED, count * 2), 5, True),
        Reading("read", "POP3: RETR of all", by_pop3(count), 1),
        Reading("mbsync", "mbsync, first time", by_mbsync(count), 1),
        Reading("write", "STORE 1:* +FLAGS", says(b"STORE 1:* +FLAGS (\\Draft)", count * 10)),
        Reading("write", "STORE 1:* -FLAGS.SILENT", says(b"STORE 1:* -FLAGS.SILENT (\\Draft)")),
        Reading("write", "COPY 1:*", says(b"COPY 1:* Copies")),
        Reading("write", f"APPEND of {len(written)}, 1 connection", appends(written, 1)),
        Reading("write", f"APPEND of {len(written)}, 8 connections", appends(written, 8)),
        Reading("write", f"MULTIAPPEND of {len(written)}", multiappend(written)),
        Reading("write", "MOVE 1:*", says(b"MOVE 1:* Moved")),
    )
