"""Structures that are kept."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailserver.mime.stored import dump, load
from mailserver.mime.structure import parse
from tests.mime.letters import RFC_9051, crlf


class StoredTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        """All of it comes back, with octets of every kind in it."""
        odd = bytes(range(1, 256)).replace(b"\r", b"").replace(b"\n", b"")
        head = b"Content-Type: a/b; x=\"" + odd + b"\"\r\nContent-ID: " + odd + b"\r\nContent-Language: en, ja\r\n"
        for message in (RFC_9051, head + b"Content-Disposition: inline\r\n\r\n", b"Content-ID:\r\n\r\n", b""):
            root = parse(message)
            self.assertEqual(load(dump(root)), root)

    def test_small(self) -> None:
        """A usual message's takes less than a line."""
        self.assertLess(len(dump(parse(crlf("Subject: x\nContent-Type: text/plain; charset=utf-8\n\nhello\n")))), 80)

    def test_fields_before(self) -> None:
        """What a recipient's own fields move, and what they do not."""
        before = b"Return-Path: <a@b>\r\nDelivered-To: c@d\r\n"
        self.assertEqual(load(dump(parse(RFC_9051)), len(before)), parse(before + RFC_9051))

    def test_other_version(self) -> None:
        for octets in (b"", b"0[]", b"2[]", b"1[", b"1", b"1[]", b"1{}", b"1[0,1]", b"1" + b"[" * 10**5):
            self.assertRaises(ValueError, load, octets)
