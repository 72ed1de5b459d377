"""Stories, as people read them."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailserver.cli.shown import when
from mailserver.cli.told import lines

NOW = 1_800_000_000.0


class ToldTests(SynchronousTestCase):
    def told(self, event: str, **fields: Any) -> list[str]:
        first, *more = lines({"at": NOW, "event": event, **fields})
        self.assertTrue(first.startswith(when(NOW) + "  "))
        return [first.removeprefix(when(NOW) + "  "), *more]

    def test_interrupted(self) -> None:
        told = self.told("interrupted", recipient="a@example.org", target="a@example.org", attempt=1, said="it died",
                         next=NOW)
        self.assertEqual(told, [
            "attempt 1 for a@example.org: interrupted: it died", f"    next attempt {when(NOW)}",
        ])

    def test_delivered(self) -> None:
        told = self.told(
            "attempt", recipient="a@example.org", target="b@example.com", attempt=2, result="delivered",
            said="250 2.0.0 Ok", host="mx.example.com:25", address="192.0.2.1", source="192.0.2.9",
            tls="TLSv1.3 TLS_AES_256_GCM_SHA384", policy="dane: TLSA of mx.example.com",
        )
        self.assertEqual(told, [
            "attempt 2 for a@example.org, which is b@example.com: delivered: 250 2.0.0 Ok",
            "    to mx.example.com:25 (192.0.2.1) from 192.0.2.9, TLSv1.3 TLS_AES_256_GCM_SHA384",
            "    TLS policy: dane: TLSA of mx.example.com",
        ])

    def test_deferred(self) -> None:
        told = self.told(
            "attempt", recipient="b@example.com", target="b@example.com", attempt=1, result="deferred",
            said="451 4.7.1 Greylisted", host="192.0.2.1:25", address="192.0.2.1", next=NOW + 300, rule="greylisted",
        )
        self.assertEqual(told, [
            "attempt 1 for b@example.com: deferred: 451 4.7.1 Greylisted",
            "    to 192.0.2.1:25, without TLS",
            f"    next attempt {when(NOW + 300)}, by the rule greylisted",
        ])

    def test_nobody_answered(self) -> None:
        """Then nothing is said of TLS; where there was no host at all, nothing of a host."""
        said = "connection refused by 192.0.2.1:25"
        told = self.told("attempt", recipient="b@example.com", attempt=1, result="deferred", said=said, host="x:25")
        self.assertEqual(told[1:], ["    to x:25"])
        self.assertEqual(len(self.told("attempt", recipient="b@example.com", attempt=1, result="deferred")), 1)

    def test_failed(self) -> None:
        told = self.told("attempt", recipient="b@example.com", attempt=1, result="failed", reported_to="a@example.org")
        self.assertEqual(told[-1], "    reported to a@example.org")

    def test_unknown_fields(self) -> None:
        """A newer program's are told as they are, of attempts and of events that nobody knows."""
        told = self.told("attempt", recipient="b@example.com", attempt=1, result="deferred", shard="b 7", way=3)
        self.assertEqual(told[-1], '    shard="b 7"  way=3')
        told = self.told("teleported", recipient="b@example.com")
        self.assertEqual(told, ["teleported", "    recipient=b@example.com"])

    def test_operator(self) -> None:
        self.assertEqual(
            self.told("held", by="an operator", why="spam", recipients=["a@example.com", "b@example.com"], more=7),
            ["held by an operator: spam", "    for a@example.com, b@example.com and 7 more"],
        )
