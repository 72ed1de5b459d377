"""Reports about our mail, as they arrive: booked where it is proven to be ours."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path
from typing import Any

from twisted.internet.task import LoopingCall

from mailserver.address import Address
from mailserver.content import Content
from mailserver.destination import Drop, Forward
from mailserver.feedback import verp
from mailserver.feedback.rules import Rules
from mailserver.filters.feedback import Feedback
from mailserver.forwarding.bounces import KEY, Bounces
from mailserver.ident import read
from mailserver.store import feedback, suppressions, traces
from mailserver.store.key import load_key
from mailserver.story import event
from mailserver.testing import FilterContract, ForwarderContract, PluginCase, a_client, an_envelope
from mailserver.testing.cases import answer

CORPUS = Path(__file__).parent.parent / "corpus" / "feedback"
DSN, COMPLAINT = ((CORPUS / name).read_bytes() for name in ("dsn", "complaint"))
ID = read("0D34H7V8M2W0E")
NEWS, BOB = Address.parse("news@example.org"), Address.parse("bob@example.com")


class KeyedCase(PluginCase):
    """A house that sent the message of the corpus."""

    def setUp(self) -> None:
        super().setUp()
        self.server.hostname = "us.example.org"
        self.server.data.mkdir(parents=True, exist_ok=True)
        self.key = load_key(self.server.data / KEY)

    def path(self, recipient: Address = BOB) -> Address:
        return verp.encode(NEWS, recipient, ID, self.key)


class FeedbackTests(FilterContract, KeyedCase):
    plugin = Feedback

    async def sent(self, *recipients: str) -> None:
        record = json.dumps({"id": "0D34H7V8M2W0E", "recipients": recipients})
        await self.server.database.write(traces.add_many, [(ID, record)])
        ends = [
            (ID, event(1.0, "attempt", recipient=each, target=each, result="delivered", host="mx.example.com:25"))
            for each in recipients
        ]
        await self.server.database.write(traces.append_many, ends)

    async def judge(self, octets: bytes, sender: str = "", to: str = "alice@example.org") -> str:
        """What it says in the trace."""
        said: Any = await answer(self.build().content(a_client(), an_envelope(sender, [to]), Content.of(octets)))
        if said is None:
            return ""
        self.assertEqual(said.points, 0.0)
        return said.why                                     # type: ignore[no-any-return]

    async def booked(self) -> list[tuple[str, str, str, str]]:
        found = await self.server.database.read(feedback.listing)
        return [(each["sort"], each["recipient"], each["kind"], each["proof"]) for each in found]

    async def test_by_an_id(self) -> None:
        """A message of ours is named, and it went to who is said not to be there."""
        await self.sent("robert@example.com", "carol@example.com")
        said = await self.judge(DSN)
        self.assertEqual(said, "a report, booked: bounce of robert@example.com (gone) and 1 more")
        self.assertEqual(
            await self.booked(),
            [("delay", "carol@example.com", "unreachable", "trace"), ("bounce", "robert@example.com", "gone", "trace")],
        )
        story = await self.server.database.read(traces.story, ID)
        self.assertEqual([each["event"] for each in story[3:]], ["feedback", "feedback"])
        told = [(each.kind, each.more["class"], each.more["proof"]) for each in self.server.told]
        self.assertEqual(told, [("bounced", "gone", "trace")])
        self.assertIn("known already", await self.judge(DSN))
        self.assertEqual(len(await self.booked()), 2)

    async def test_by_each_id(self) -> None:
        """ENVID, our Received field, or our Message-ID: one of them is enough, but it must be ours."""
        await self.sent("bob@example.com")
        envid, mid = b"Original-Envelope-Id: 0D34H7V8M2W0E\r\n", b"<0D34H7V8M2W0E@us"
        received = b"with ESMTPSA id 0D34H7V8M2W0E"
        bare = DSN.replace(envid, b"").replace(mid, b"<x@us").replace(received, b"with ESMTPSA id x")
        self.assertIn("not ours", await self.judge(bare))
        theirs = DSN.replace(envid, b"").replace(b"us.example.org", b"we.example.org")
        self.assertIn("not ours", await self.judge(theirs))
        for octets in (
            DSN.replace(mid, b"<x@us").replace(received, b""), DSN.replace(envid, b"").replace(mid, b"<x@us"),
            DSN.replace(envid, b"").replace(received, b""),
        ):
            self.assertRegex(await self.judge(octets), "^a report, (booked|known already): ")

    async def test_not_ours(self) -> None:
        """A message that was never sent, or not to them."""
        self.assertIn("not ours", await self.judge(DSN))
        await self.sent("dave@example.com")
        self.assertIn("not ours", await self.judge(DSN))
        self.assertEqual(await self.booked(), [])

    async def test_what_did_not_leave(self) -> None:
        """The sender of what is delivered here knows its id: he books nothing about who got it."""
        record = json.dumps({"id": "0D34H7V8M2W0E", "recipients": ["robert@example.com"]})
        here = event(1.0, "attempt", recipient="robert@example.com", target="robert@example.com", result="delivered")
        await self.server.database.write(traces.add_many, [(ID, record)])
        await self.server.database.write(traces.append_many, [(ID, here)])
        self.assertIn("not ours", await self.judge(DSN))
        self.assertEqual((await self.booked(), self.server.told), ([], []))

    async def test_about_very_many(self) -> None:
        """A thousand strangers are named to a message that a thousand got: nobody else waits for that."""
        await self.sent(*(f"known{number}@example.com" for number in range(1000)))
        block = b"Final-Recipient: rfc822;u%d@x.org\r\nOriginal-Recipient: rfc822;v%d@x.org\r\nAction: failed\r\n\r\n"
        start = DSN.index(b"Original-Recipient:")
        named = b"".join(block % (number, number) for number in range(1000))
        octets = DSN[:start] + named + DSN[DSN.index(b"\r\n--", start):]
        longest, last = 0.0, time.monotonic()

        def look() -> None:
            nonlocal longest, last
            longest, last = max(longest, time.monotonic() - last), time.monotonic()

        looking = LoopingCall(look)
        looking.start(0.01)
        self.addCleanup(looking.stop)
        self.assertIn("not ours", await self.judge(octets))
        look()
        self.assertLess(longest, 1.0)

    async def test_keyed(self) -> None:
        """It came to a reverse-path that only we can have made: whatever it says, it speaks of that recipient."""
        self.server.suppression = Rules(bounces=1)
        nobody = DSN.replace(b"bob@", b"b.o.b@").replace(b"robert@", b"b.o.b@")
        self.assertIn("bounce of bob@example.com", await self.judge(nobody, to=str(self.path())))
        self.assertEqual(await self.booked(), [("bounce", "bob@example.com", "gone", "verp")])
        found = await self.server.database.read(suppressions.find, BOB.key, self.server.now())
        self.assertEqual(found.kind, "bounce")

    async def test_keyed_for_a_long_address(self) -> None:
        """Then the story of the message says who is meant."""
        long = Address.parse("somebody.with.a.long.name@subsidiary.example.com")
        self.assertIn("not ours", await self.judge(DSN, to=str(self.path(long))))
        await self.sent("x@example.com", str(long))
        self.assertIn(f"bounce of {long}", await self.judge(DSN, to=str(self.path(long))))

    async def test_no_report_to_a_keyed_path(self) -> None:
        self.assertIn("no report", await self.judge(b"Subject: I am away\r\n\r\nx\r\n", to=str(self.path())))

    async def test_complaint(self) -> None:
        """A feedback loop has a sender; the reverse-path in it proves whose complaint it is."""
        plain = str(self.path()).encode()
        octets = COMPLAINT.replace(b"news+aaaaaaaaaa=0d34h7v8m2w0e=bob=example.com@example.org", plain)
        self.assertIn("complaint of bob@example.com", await self.judge(octets, sender="loop@provider.example"))
        found = await self.server.database.read(suppressions.find, BOB.key, self.server.now())
        self.assertEqual(found.kind, "complaint")
        [told] = self.server.told
        self.assertEqual((told.kind, told.id, told.recipient), ("complained", ID, "bob@example.com"))
        self.assertEqual(told.more["proof"], "verp")
        await self.judge(octets, sender="loop@provider.example")
        self.assertEqual(len(self.server.told), 1)          # what is known already is no news

    async def test_complaint_of_hotmail(self) -> None:
        """Which is no report by any RFC, and has a sender."""
        await self.sent("bob@example.com")
        octets = (CORPUS / "hotmail").read_bytes()
        self.assertIn("complaint of bob@example.com", await self.judge(octets, sender="loop@provider.example"))

    async def test_forged_complaint(self) -> None:
        """Whoever makes up a reverse-path suppresses nobody."""
        await self.sent("bob@example.com")
        await self.judge(COMPLAINT, sender="loop@provider.example")
        self.assertEqual([proof for *_, proof in await self.booked()], ["trace"])
        self.assertIsNone(await self.server.database.read(suppressions.find, BOB.key, self.server.now()))

    async def test_mail_of_people(self) -> None:
        """It is not even read."""
        self.assertEqual(await self.judge(b"Subject: x\r\n\r\nHi. This is the \r\n", sender="bob@example.com"), "")
        self.assertEqual(await self.judge(b"Subject: x\r\n\r\nx\r\n"), "")


class BouncesTests(ForwarderContract, KeyedCase):
    plugin = Bounces
    others = ("bob@example.org", "news+x@example.org", "news+aaaaaaaaaa=0d34h7v8m2w0e=bob=example.com@example.org")

    async def test_taken(self) -> None:
        """What is for a keyed path is booked, and nobody need read it, who does not want to."""
        self.assertEqual(await self.build().forward(self.path()), (Drop("it is booked as feedback"),))
        self.assertEqual(await self.build(deliver=True).forward(self.path()), (Forward(NEWS),))

    async def test_without_a_key(self) -> None:
        """A folder that cannot be written to is no reason not to start."""
        (self.server.data / KEY).unlink()
        (self.server.data / KEY).mkdir()
        self.assertIsNone(await self.build().forward(self.path()))


class KeyTests(KeyedCase):
    def test_durable(self) -> None:
        """Mail that has left with it comes back for days: not only the file, also its name is on the disk."""
        folder = self.server.data / "other"
        folder.mkdir()
        synced: list[bool] = []

        def fsync(descriptor: int) -> None:
            synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode) and (folder / KEY).exists())
            sync(descriptor)

        sync = os.fsync
        self.patch(os, "fsync", fsync)
        load_key(folder / KEY)
        self.assertEqual(synced, [False, True])

    def test_kept(self) -> None:
        """It is made once, for nobody else to read."""
        self.assertEqual(load_key(self.server.data / KEY), self.key)
        self.assertEqual((len(self.key), (self.server.data / KEY).stat().st_mode & 0o777), (32, 0o600))
        self.assertEqual([each.name for each in self.server.data.iterdir() if KEY in each.name], [KEY])
