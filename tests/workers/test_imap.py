"""What happens at one worker is told at the other."""

from __future__ import annotations

import socket
import time

from tests.workers.cases import WorkersCase


class NotifyTests(WorkersCase):
    def test_notify(self) -> None:
        """Whoever has asked for it hears of a new mailbox and of its message, whichever worker he talks to."""
        self.start()
        peers = self.imap_peers()
        for peer in peers:
            peer.sendall(b"b NOTIFY SET (personal (MailboxName MessageNew MessageExpunge))\r\n")
            self.heard(peer, b"b OK")
        maker = peers[0]
        maker.sendall(b"c CREATE made\r\nd APPEND made {3+}\r\nabc\r\n")
        began = time.monotonic()
        self.heard(maker, b"d OK")
        for peer in peers[1:]:
            self.heard(peer, b"* STATUS made (MESSAGES 1 UIDNEXT 2")
        self.assertLess(time.monotonic() - began, 5.0)

    def imap_peers(self) -> list[socket.socket]:
        """Those that have logged in, of which each worker has one at the least."""
        made: list[socket.socket] = []
        while {each["worker"] for each in self.ask("who") if each["service"] == "imap"} != {0, 1}:
            self.assertLess(len(made), 45)
            peer = socket.create_connection(("127.0.0.1", self.base + 143), timeout=20)
            self.addCleanup(peer.close)
            self.heard(peer, b"* OK")
            peer.sendall(b"a LOGIN alice@example.org secret\r\n")
            self.heard(peer, b"a OK")
            made.append(peer)
        return made

    def heard(self, peer: socket.socket, words: bytes) -> None:
        """Until a line begins with these."""
        found = b""
        while not any(line.startswith(words) for line in found.split(b"\r\n")[:-1]):
            octets = peer.recv(4096)
            self.assertTrue(octets, found)
            found += octets
