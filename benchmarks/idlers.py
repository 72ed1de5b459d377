"""Many IMAP sessions in IDLE (RFC 2177): what they cost, and how long it takes until all have heard of a message."""

from __future__ import annotations

import selectors
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.imap import LAST, Imap, lax_tls
from benchmarks.mailboxes import PASSWORD, Mailboxes
from benchmarks.mails import Mail
from benchmarks.peer import PATIENCE


@contextmanager
def idlers(peer: Mailboxes, count: int, tls: bool) -> Iterator[list[Imap]]:
    """So many sessions, spread evenly over the users, each in IDLE in an INBOX."""
    context = lax_tls()
    with ExitStack() as stack:
        made = []
        for number in range(count):
            session = Imap(peer.imap_port, buffer=LAST)
            stack.callback(session.close)
            if tls:
                session.start_tls(context)
            session.log_in(peer.addresses[number % len(peer.addresses)], PASSWORD)
            session.do(b"SELECT INBOX")
            session.idle()
            made.append(session)
        yield made


def told(peer: Mailboxes, sessions: list[Imap], mail: Mail) -> float:
    """Seconds from the first APPEND of one message to each user until every session has heard EXISTS.

    Raises `AssertionError` when some have not, after `PATIENCE`.
    """
    senders = [peer.session(user, None) for user in peer.addresses]
    with selectors.DefaultSelector() as selector:
        for session in sessions:
            session.socket.setblocking(False)
            selector.register(session.socket, selectors.EVENT_READ, session.socket)
        begun = time.perf_counter()
        for sender in senders:
            sender.append(b"INBOX", [(b"", mail.octets)])
        left = len(sessions)
        while left:
            ready = selector.select(max(0.0, begun + PATIENCE - time.perf_counter()))
            if not ready:
                raise AssertionError(f"{left} of {len(sessions)} sessions did not hear of a message")
            for key, _ in ready:
                connection: socket.socket = key.data
                try:
                    said = connection.recv(65536)
                except (ssl.SSLWantReadError, BlockingIOError):
                    continue
                if not said:
                    raise AssertionError("a session has ended")
                if b"EXISTS" in said:
                    selector.unregister(connection)
                    left -= 1
        took = time.perf_counter() - begun
    for sender in senders:
        sender.close()
    return took
