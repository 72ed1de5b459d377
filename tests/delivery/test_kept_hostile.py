"""Bad servers on a connection that stays, where the next envelope goes out behind the final dot of the message before.

Whatever they say: no message gets the answer of another, none is lost, none gets into another.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.task import deferLater

from mailserver.delivery import ride as ride_module
from mailserver.delivery.result import DEFERRED, FAILED, Result
from mailserver.delivery.ride import Ride
from mailserver.delivery.scheduler import Scheduler
from tests.delivery.house import HouseCase
from tests.delivery.peers import CLOSE, Peer, Talk

reactor: Any = installed_reactor
COUNT = 12


def rest(talk: Talk, seconds: float = 0.1) -> None:
    """Let what has come behind this, and what will come, wait for a while."""
    buffered, talk.buffer = talk.buffer, b""
    talk.transport.pauseProducing()

    def go_on() -> None:
        if not talk.gone.called:
            talk.dataReceived(buffered)
            talk.transport.resumeProducing()

    reactor.callLater(seconds, go_on)


class KeptCase(HouseCase):
    """Twelve messages for twelve people at one host that gets one connection at a time."""

    def setUp(self) -> None:
        super().setUp()
        self.to = self.peer()
        self.ids: dict[str, int] = {}

    async def twelve(self, **others: Any) -> None:
        for number in range(COUNT):
            name = f"u{number:02d}"
            self.ids[name] = await self.send(
                f"{name}@example.com", content=f"Subject: to {name}\r\n\r\nonly for {name}\r\n".encode(), **others
            )

    def begin(self, to: Peer | None = None, **outbound: Any) -> Scheduler:
        return self.route(to=to or self.to, connections_per_host=1, **outbound)

    async def quiet(self) -> None:
        """Wait until each was tried."""

        async def tried() -> bool:
            return all([await self.attempts(id) for id in self.ids.values()])

        await self.until(tried, 15)

    async def results(self) -> dict[str, list[str]]:
        return {name: [each["said"] for each in await self.attempts(id)] for name, id in self.ids.items()}

    def is_intact(self) -> None:
        """What arrived is whole, and came to nobody but whom it was for."""
        for sender, recipients, octets in self.to.messages:
            [recipient] = recipients
            name = recipient.partition("@")[0]
            self.assertEqual(sender, "alice@example.org")
            self.assertTrue(octets.endswith(f"\r\nSubject: to {name}\r\n\r\nonly for {name}\r\n".encode()), octets)
            self.assertEqual(len(re.findall(rb"(?m)^(?:Subject|only for|MAIL|RCPT|DATA|RSET|QUIT)", octets)), 2, octets)

    def arrived(self) -> Counter[str]:
        return Counter(each[1][0].partition("@")[0] for each in self.to.messages)

    async def all_arrive(self, *twice: str) -> None:
        """In the end, once each; `twice` may have come once more."""
        self.to.replies = {}
        for _ in range(6):
            self.later(7200)
            await deferLater(reactor, 0.3)
            if not await self.queue():
                break
        await self.empty()
        self.is_intact()
        self.assertEqual(self.arrived(), {name: 1 + (name in twice) for name in self.ids})


class OneConnectionTests(KeptCase):
    async def test_ahead(self) -> None:
        """As it should be: one connection, and envelopes that were said before the answer to the dot before."""
        seen: list[bytes] = []

        def look(talk: Talk) -> bytes:
            seen.append(talk.buffer)
            if len(seen) < COUNT:
                rest(talk, 0.05)            # until others are at hand
            return b"250 2.0.0 Taken\r\n"

        self.to.replies = {".": look}
        await self.twelve()
        self.begin()
        await self.empty()
        self.is_intact()
        self.assertEqual((len(self.to.talks), len(self.to.messages)), (1, COUNT))
        self.assertGreater(sum(each.startswith(b"MAIL FROM:") for each in seen), 5)

    async def test_each_gets_its_own_answer(self) -> None:
        """Refused at MAIL, RCPT, DATA and the end, in turn: each story has the words that were said of that message."""

        def answer(stage: str, usual: bytes) -> Any:
            def say(talk: Talk) -> bytes:
                name = talk.recipients[-1].partition("@")[0] if talk.recipients else ""
                if name and stage == ("DATA", ".", "-")[int(name[1:]) % 3]:
                    return f"451 4.0.0 {stage} {name}\r\n".encode()
                return usual

            return say

        self.to.replies = {"DATA": answer("DATA", b"354 Go on\r\n"), ".": answer(".", b"250 2.0.0 Taken\r\n")} | {
            f"RCPT TO:<u{number:02d}": f"550 5.1.1 RCPT u{number:02d}\r\n".encode() for number in (2, 5)
        }
        await self.twelve()
        self.begin()
        await self.quiet()
        said = await self.results()
        for name in self.ids:
            number = int(name[1:])
            wanted = "250 2.0.0 Taken"
            if number in (2, 5):
                wanted = f"550 5.1.1 RCPT {name}"
            elif number % 3 < 2:
                wanted = f"451 4.0.0 {'DATA' if number % 3 == 0 else '.'} {name}"
            self.assertEqual(said[name][0], wanted, name)

    async def test_refused_envelopes(self) -> None:
        """554 to MAIL of every other: what follows it, 503 and 503, is nobody else's answer."""
        turns = iter(range(10_000))

        def mail(talk: Talk) -> bytes:
            if next(turns) % 2:
                talk.refused = True                     # type: ignore[attr-defined]
                return b"554 5.7.1 Not this one\r\n"
            return b"250 2.1.0 Ok\r\n"

        def rcpt(talk: Talk) -> bytes:
            if getattr(talk, "refused", False):
                return b"503 5.5.1 MAIL first\r\n"
            return b"250 2.1.5 Ok\r\n"

        def data(talk: Talk) -> bytes:
            if getattr(talk, "refused", False):
                talk.refused = False                    # type: ignore[attr-defined]
                return b"503 5.5.1 RCPT first\r\n"
            return b"354 Go on\r\n"

        self.to.replies = {"MAIL": mail, "RCPT": rcpt, "DATA": data}
        await self.twelve()
        self.begin()
        await self.empty()
        said = Counter(each for [each] in (await self.results()).values())
        self.assertEqual(said, {"250 2.0.0 Taken": 6, "554 5.7.1 Not this one": 6})
        self.is_intact()
        self.assertEqual(len(self.to.messages), 6)

    async def test_354_for_who_was_refused(self) -> None:
        """A server that wants a content all the same gets an empty one, for nobody."""
        self.to.replies = {"RCPT TO:<u03": b"550 5.1.1 No\r\n", "DATA": b"354 Go on\r\n"}
        await self.twelve()
        self.begin()
        await self.empty()
        self.assertEqual([octets for _, recipients, octets in self.to.messages if not recipients], [b""])
        self.to.messages = [each for each in self.to.messages if each[1]]
        self.is_intact()
        self.assertEqual(self.arrived(), {name: 1 for name in self.ids if name != "u03"})


class BrokenTests(KeptCase):
    """A connection that ends between two messages."""

    def at(self, number: int, reply: Any) -> Any:
        """A reply for the answer to the dot of one message."""

        def say(talk: Talk) -> Any:
            return reply if len(self.to.messages) == number else b"250 2.0.0 Taken\r\n"

        return say

    async def test_at_the_dot(self) -> None:
        """Only what was behind the dot may come twice; the next one goes over another connection, at once."""
        self.to.replies = {".": self.at(5, CLOSE)}
        await self.twelve()
        self.begin()
        await self.quiet()
        said = await self.results()
        doubtful = [name for name, words in said.items() if "the message was sent, but" in words[0]]
        self.assertEqual(len(doubtful), 1, said)
        self.assertEqual(len(await self.queue()), 1)
        self.assertEqual(len(self.to.talks), 2)
        await self.all_arrive(*doubtful)

    async def test_behind_the_answer(self) -> None:
        """It answers the dot, and hangs up: nothing is doubtful, and nothing comes twice."""

        def last(talk: Talk) -> bytes:
            if len(self.to.messages) == 5:
                talk.transport.write(b"250 2.0.0 Taken, and bye\r\n")
                talk.command = lambda line: None        # type: ignore[method-assign]
                talk.transport.loseConnection()
                return b""
            return b"250 2.0.0 Taken\r\n"

        self.to.replies = {".": last}
        await self.twelve()
        self.begin()
        await self.empty()
        self.assertEqual(self.arrived(), dict.fromkeys(self.ids, 1))
        self.is_intact()
        self.assertEqual(len(self.to.talks), 2)

    async def test_in_the_middle_of_an_envelope(self) -> None:
        """The dot is answered, and MAIL, and then nothing more comes."""

        def rcpt(talk: Talk) -> Any:
            return CLOSE if len(self.to.messages) == 5 and len(self.to.talks) == 1 else b"250 2.1.5 Ok\r\n"

        self.to.replies = {"RCPT": rcpt}
        await self.twelve()
        self.begin()
        await self.empty()
        self.assertEqual(self.arrived(), dict.fromkeys(self.ids, 1))
        self.is_intact()

    async def test_goodbye_for_the_dot(self) -> None:
        """421 in answer to a message, and it neither takes more nor hangs up: nobody waits for that."""

        def bye(talk: Talk) -> bytes:
            if len(self.to.messages) == 5 and len(self.to.talks) == 1:
                talk.command = lambda line: None        # type: ignore[method-assign]
                return b"421 4.3.2 Shutting down\r\n"
            return b"250 2.0.0 Taken\r\n"

        self.to.replies = {".": bye}
        await self.twelve()
        self.begin()
        await self.quiet()
        said = [each for words in (await self.results()).values() for each in words]
        self.assertEqual(Counter(said), {"250 2.0.0 Taken": 11, "421 4.3.2 Shutting down": 1})

    async def test_goodbye_at_every_step(self) -> None:
        """Of a later message: it goes over another connection, or waits; nothing is lost or doubled."""
        for verb in ("MAIL", "RCPT", "DATA"):
            self.to.messages.clear()
            del self.to.talks[:]
            self.ids.clear()

            def bye(talk: Talk, verb: str = verb) -> bytes:
                if len(self.to.messages) == 5 and len(self.to.talks) == 1:
                    return b"421 4.7.0 Enough for now\r\n"
                return {"MAIL": b"250 Ok\r\n", "RCPT": b"250 Ok\r\n", "DATA": b"354 Go\r\n"}[verb]

            self.to.replies = {verb: bye}
            await self.twelve()
            scheduler = self.begin()
            await self.empty()
            self.assertEqual(self.arrived(), dict.fromkeys(self.ids, 1), verb)
            self.is_intact()
            await scheduler.stop()


class CountTests(KeptCase):
    """Servers that cannot count."""

    def once(self, number: int, reply: bytes, usual: bytes) -> Any:
        """A reply of one message of the first connection."""

        def say(talk: Talk) -> bytes:
            return reply if len(self.to.messages) == number and len(self.to.talks) == 1 else usual

        return say

    async def test_more_replies_than_commands(self) -> None:
        """Where their number does not come out it counts for nothing, and another connection is made."""
        for key, reply, usual in (
            (".", b"250 Taken\r\n250 Taken again\r\n", b"250 2.0.0 Taken\r\n"),
            ("MAIL", b"250 Ok\r\n250 Ok\r\n", b"250 Ok\r\n"),
            ("RCPT", b"250 Ok\r\n250 Ok\r\n", b"250 Ok\r\n"),
            ("DATA", b"354 Go\r\n250 Taken\r\n", b"354 Go\r\n"),
            ("DATA", b"354 Go\r\n354 Go\r\n", b"354 Go\r\n"),
        ):
            self.to.messages.clear()
            del self.to.talks[:]
            self.ids.clear()
            self.to.replies = {key: self.once(5, reply, usual)}
            await self.twelve()
            scheduler = self.begin()
            await self.empty()
            self.is_intact()
            self.assertEqual(self.arrived(), dict.fromkeys(self.ids, 1), (key, reply))
            self.assertEqual(len(self.to.talks), 2, (key, reply))
            await scheduler.stop()

    async def test_a_refusal_that_is_another_s(self) -> None:
        """One reply too many, and the refusal of one recipient would be that of all: nobody's mail comes back."""
        twice = []

        def taken(talk: Talk) -> bytes:
            if b"<nobody@" in talk.buffer and not twice:
                twice.append(talk)
                return b"250 2.0.0 Taken\r\n" * 2
            return b"250 2.0.0 Taken\r\n"

        self.to.replies = {
            ".": taken,
            "RCPT TO:<nobody": b"550 5.1.1 No such user\r\n",
        }
        ids = [
            await self.send(
                f"a{number}@example.com", f"b{number}@example.com", *(["nobody@example.com"] if number > 5 else [])
            )
            for number in range(12)
        ]
        self.begin()
        await self.empty()
        for id in ids:
            told = {each["target"][0]: each["result"] for each in await self.attempts(id)}
            self.assertEqual(told, {"a": "delivered", "b": "delivered"} | ({"n": "failed"} if "n" in told else {}))
        self.assertTrue(twice)
        self.assertEqual(len(self.to.messages), 12)

    async def test_fewer_replies_than_commands(self) -> None:
        """What is not answered is not delivered; nothing moves up in its place."""
        from mailserver.delivery import line as line_module

        self.patch(line_module, "COMMAND", 1.0)
        self.patch(line_module.Line.answer, "__defaults__", (1.0,))
        self.to.replies = {"RCPT": self.once(5, b"", b"250 Ok\r\n"), "DATA": self.once(5, b"", b"354 Go\r\n")}
        await self.twelve()
        self.begin()
        await self.empty()
        self.is_intact()
        self.assertEqual(self.arrived(), dict.fromkeys(self.ids, 1))

    async def test_a_third_for_the_dot(self) -> None:
        """354 or 334 in answer to a content: it is tried again, and over another connection."""
        self.to.replies = {".": self.once(5, b"354 More?\r\n", b"250 2.0.0 Taken\r\n")}
        await self.twelve()
        self.begin()
        await self.quiet()
        [entry] = await self.queue()
        self.assertEqual(entry.reason, "354 More?")
        self.assertEqual(len(self.to.talks), 2)


class UnwantedTests(KeptCase):
    async def test_an_envelope_that_is_not_meant_any_more(self) -> None:
        """It was said, and its message has come to its end: what follows is no content of that one.

        Its time is over (RFC 2852), say, while the message before it was sent.
        """
        late: list[str] = []
        in_time = ride_module.too_late

        def too_late(entry: Any, now: float) -> Any:
            return Result(DEFERRED, "the time is over") if late == [entry.target.local] else in_time(entry, now)

        def slow(talk: Talk) -> Any:
            # The envelope of the next one is here, and is answered when nobody waits for that any more.
            [lane] = scheduler._open.values()
            if not late and (named := re.search(rb"RCPT TO:<(u\d\d)@", talk.buffer)) and lane.waiting:
                late.append(named[1].decode())
                rest(talk)
            return b"250 2.0.0 Taken\r\n"

        self.patch(ride_module, "too_late", too_late)
        self.to.replies = {".": slow}
        await self.twelve()
        scheduler = self.begin()
        await self.quiet()
        await deferLater(reactor, 0.3)
        self.is_intact()
        [entry] = await self.queue()
        self.assertEqual([entry.target.local], late)
        late.append("but not any more")
        await self.all_arrive()

    async def test_some_of_them_are_not(self) -> None:
        """Whom we do not write to any more gets nothing, though the envelope named them."""
        real, done = Ride._suppressed, []

        async def suppressed(ride: Ride, attempt: Any) -> Any:
            theirs = [each for each in attempt.entries if each.target.local == "no"]
            if theirs and ride._kept is not None and ride._kept.courier.ahead is not None:
                done.append(1)
                return [(each, Result(FAILED, "suppressed: no", detail="7.1")) for each in theirs]
            return await real(ride, attempt)

        self.patch(Ride, "_suppressed", suppressed)

        def slow(talk: Talk) -> Any:
            if b"<no@" in talk.buffer:
                rest(talk)
            return b"250 2.0.0 Taken\r\n"

        self.to.replies = {".": slow}
        for number in range(20):
            await self.send(f"yes{number:02d}@example.com", "no@example.com")
        self.begin()
        await self.empty()
        await deferLater(reactor, 0.2)
        self.assertTrue(done)
        self.assertEqual(sorted(name for each in self.to.messages for name in each[1] if name[0] == "y"),
                         [f"yes{number:02d}@example.com" for number in range(20)])
        for _, _, octets in self.to.messages:
            self.assertNotIn(b"MAIL FROM", octets)
