"""How an attempt ends for who sent the message."""

from __future__ import annotations

import email
from typing import Any

from mailserver.acceptance import OURSELVES
from mailserver.address import Address
from mailserver.content import Content
from mailserver.destination import Remote
from mailserver.envelope import Envelope, Origin
from mailserver.errors import TemporaryFailure
from mailserver.routing import Routed
from mailserver.store.schema import content
from mailserver.story import Story
from tests.delivery.house import ALICE, HouseCase


def statuses(report: bytes) -> list[tuple[str, str]]:
    """The recipient and the status of each one that a report tells of."""
    parts: Any = email.message_from_bytes(report).get_payload()
    return [(each["Final-Recipient"], each["Status"]) for each in parts[1].get_payload()[1:]]


class FailureTests(HouseCase):
    async def test_refused(self) -> None:
        """The sender is told once, by <>; the queue is empty; the story says who was told."""
        peer = self.peer()
        peer.replies = {"RCPT": b"550 5.1.1 No such user\r\n"}
        self.route(to=peer)
        id = await self.send("bob@example.com", content=b"Subject: hello\r\nX-Secret: no\r\n\r\nbody\r\n")
        await self.empty()
        [report] = await self.reports()
        self.assertTrue(report.startswith(b"Return-Path: <>\r\nDelivered-To: alice@example.org\r\n"))
        self.assertEqual(statuses(report), [("rfc822; bob@example.com", "5.1.1")])
        self.assertIn(b"Diagnostic-Code: smtp; 550 5.1.1 No such user\r\n", report)
        self.assertIn(b"Subject: hello\r\nX-Secret: no\r\n", report)
        self.assertNotIn(b"body", report)
        [attempt] = await self.attempts(id)
        self.assertEqual(attempt["result"], "failed")
        self.assertRegex(attempt["reported_to"], r"^alice@example.org by \w{13}$")
        self.assertEqual(self.count(content), 1)        # that of the report

    async def test_some_of_them(self) -> None:
        """Those that failed in one attempt share a report; one waits, one is delivered."""
        peer = self.peer()
        peer.replies = {
            "RCPT TO:<a@": b"550 5.1.1 No\r\n", "RCPT TO:<b@": b"451 4.2.2 Full\r\n",
            "RCPT TO:<c@": b"553 5.7.1 Never\r\n",
        }
        self.route(to=peer)
        id = await self.send(*(f"{name}@example.com" for name in "abcd"))
        entry = await self.reason("451 4.2.2 Full")
        self.assertEqual(entry.recipient, Address.parse("b@example.com"))
        [report] = await self.reports()
        self.assertEqual(
            sorted(statuses(report)), [("rfc822; a@example.com", "5.1.1"), ("rfc822; c@example.com", "5.7.1")]
        )
        [message] = peer.messages
        self.assertEqual(message[1], ["d@example.com"])
        told = {each["recipient"][0]: each["result"] for each in await self.attempts(id)}
        self.assertEqual(told, {"a": "failed", "b": "deferred", "c": "failed", "d": "delivered"})

    async def test_never_for_nobody(self) -> None:
        """A report that cannot be delivered is not reported."""
        peer = self.peer()
        peer.replies = {"RCPT": b"550 5.1.1 No\r\n"}
        self.route(to=peer)
        id = await self.send("bob@example.com", sender=None)
        await self.empty()
        [attempt] = await self.attempts(id)
        self.assertEqual(attempt["reported_to"], "nobody: there is no sender")
        self.assertEqual((self.inbox(self.alice), self.count(content)), ([], 0))

    async def test_nobody_asked(self) -> None:
        """NOTIFY says of which nobody wants to hear (RFC 3461 4.1)."""
        peer = self.peer()
        peer.replies = {"RCPT": b"550 5.1.1 No\r\n"}
        self.route(to=peer)
        id = await self.send("bob@example.com", notify="NEVER")
        await self.empty()
        [attempt] = await self.attempts(id)
        self.assertEqual(attempt["reported_to"], "nobody: the sender does not want to know")
        self.assertEqual((self.inbox(self.alice), self.count(content)), ([], 0))

    async def test_a_sender_elsewhere(self) -> None:
        """The report goes to where mail for the sender goes, from <>, and is the last one when that fails, too."""
        here, there = self.peer(), self.peer()
        here.replies = {"RCPT": b"550 5.1.1 No\r\n"}
        self.work(route={"example.com": here.endpoint, "example.net": there.endpoint})
        await self.send("bob@example.com", sender=Address.parse("eve@example.net"))
        await self.empty()
        [(sender, recipients, report)] = there.messages
        self.assertEqual((sender, recipients), ("", ["eve@example.net"]))
        self.assertEqual(statuses(report), [("rfc822; bob@example.com", "5.1.1")])
        there.replies = {"RCPT": b"550 5.1.1 No\r\n"}
        await self.send("bob@example.com", sender=Address.parse("eve@example.net"))
        await self.empty()
        self.assertEqual((len(there.messages), self.count(content)), (1, 0))

    async def test_a_sender_who_is_gone(self) -> None:
        """Who is not here any more cannot be told."""
        peer = self.peer()
        peer.replies = {"RCPT": b"550 5.1.1 No\r\n"}
        self.route(to=peer)
        id = await self.send("bob@example.com", sender=Address.parse("gone@example.org"))
        await self.empty()
        [attempt] = await self.attempts(id)
        self.assertRegex(attempt["reported_to"], "^nobody: gone@example.org: 550 5.1.1")

    async def test_nobody_can_be_told_now(self) -> None:
        """Then the entry stays, and with it the knowledge that somebody has to be told."""
        peer = self.peer()
        peer.replies = {"RCPT": b"550 5.1.1 No\r\n"}
        report = self.acceptance.report

        async def full(*args: Any) -> int:
            raise TemporaryFailure("the disk is full")

        self.patch(self.acceptance, "report", full)
        self.route(to=peer)
        await self.send("bob@example.com")
        entry = await self.reason("550 5.1.1 No (not reported yet: the disk is full)")
        self.assertGreater(entry.next_attempt, self.world.now() + 200)
        self.flushLoggedErrors(TemporaryFailure)
        self.patch(self.acceptance, "report", report)
        self.later(400)
        await self.empty()
        self.assertEqual(len(await self.reports()), 1)

    async def test_no_such_domain(self) -> None:
        """Whatever is for good has its own status."""
        self.names.add("null.example", "MX", "0 .")
        self.names.add("us.example", "MX", "0 us.example.org.")
        self.names.add("bare.example", "TXT", '"x"')
        self.work()
        await self.send("a@none.example", "a@null.example", "a@us.example", "a@bare.example")
        await self.empty()
        found = [status for report in await self.reports(4) for status in statuses(report)]
        self.assertEqual(
            sorted(found),
            [("rfc822; a@bare.example", "5.4.4"), ("rfc822; a@none.example", "5.1.2"),
             ("rfc822; a@null.example", "5.1.10"), ("rfc822; a@us.example", "5.4.6")],
        )


class ExpiryTests(HouseCase):
    async def test_given_up(self) -> None:
        """After its time, with the last reason; 4.4.7 says that it may work another day."""
        peer = self.peer()
        peer.replies = {"RCPT": b"451 4.7.1 Later\r\n"}
        self.route(to=peer)
        id = await self.send("bob@example.com")
        await self.reason("451 4.7.1 Later")
        self.later(5 * 86400)
        await self.empty()
        [report] = await self.reports()
        self.assertEqual(statuses(report), [("rfc822; bob@example.com", "4.4.7")])
        self.assertIn(b"Diagnostic-Code: smtp; 451 4.7.1 Later\r\n", report)
        self.assertEqual((await self.attempts(id))[-1]["said"], "given up after 5 days: 451 4.7.1 Later")

    async def test_never_without_an_attempt(self) -> None:
        """However late the server comes to it: the first attempt may still succeed, or fail with its own words."""
        peer = self.peer()
        await self.send("bob@example.com", "eve@example.net")
        self.moved += 20 * 86400
        peer.replies = {"RCPT TO:<eve": b"451 4.7.1 Later\r\n"}
        self.route("example.com", "example.net", to=peer)
        await self.empty()
        self.assertEqual([each[1] for each in peer.messages], [["bob@example.com"]])
        [report] = await self.reports()
        self.assertEqual(statuses(report), [("rfc822; eve@example.net", "4.4.7")])

    async def test_the_clock_jumps_back(self) -> None:
        """What waits is not lost: it is tried when its time comes, or when somebody asks for it."""
        peer = self.peer()
        peer.replies = {"RCPT": b"451 4.7.1 Later\r\n"}
        self.route(to=peer)
        await self.send("bob@example.com")
        await self.reason("451 4.7.1 Later")
        peer.replies = {}
        self.later(-3600)
        self.assertEqual(len(await self.queue()), 1)
        self.later(3600 + 400)
        await self.empty()
        self.assertEqual(len(peer.messages), 1)


class ForwardedTests(HouseCase):
    async def test_a_report_names_both(self) -> None:
        """The address that the sender wrote, and the one that failed."""
        peer = self.peer()
        peer.replies = {"RCPT": b"550 5.7.1 Not from you\r\n"}
        self.route(to=peer)
        id = self.world.new_id()
        sales, bob = Address.parse("sales@example.org"), Address.parse("bob@example.com")
        octets = Content.of(b"Subject: x\r\n\r\n")
        await self.acceptance.accept(
            Envelope(id, Origin.ARRIVAL, ALICE, (sales,)), octets, OURSELVES, Story(id),
            [Routed(sales, (Remote(bob),))],
        )
        await self.empty()
        [report] = await self.reports()
        original, final = b"rfc822; sales@example.org", b"rfc822; bob@example.com"
        self.assertIn(b"Original-Recipient: %s\r\nFinal-Recipient: %s\r\n" % (original, final), report)
