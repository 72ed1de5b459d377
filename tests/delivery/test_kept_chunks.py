"""Bad servers that are sent chunks (BDAT, RFC 3030) on a connection that stays, with an envelope behind the chunk.

Nobody says "go on" before a chunk: it is sent to who has taken a recipient, and the answer comes when it has come.
So only what is binary is sent like that, as the first of a connection.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.task import deferLater

from mailserver.delivery import courier as courier_module
from tests.delivery.peers import CLOSE, Talk
from tests.delivery.test_kept_hostile import COUNT, KeptCase, rest

reactor: Any = installed_reactor
TAKEN = b"250 2.0.0 Taken\r\n"
GARBAGE = (
    b"HTTP/1.1 200 OK\r\n\r\n", b"\x16\x03\x01\x02\x00\r\n", b"x" * 10_000, b"\r\n", b"250-a\r\n550 b\r\n",
    b"999 x\r\n",
)


class ChunksCase(KeptCase):
    """Every third of the twelve is binary: u00, u03, u06 and u09; behind each of them two go the usual way."""

    def setUp(self) -> None:
        super().setUp()
        self.to.extensions += ["CHUNKING", "BINARYMIME"]

    async def twelve(self, **others: Any) -> None:
        for number in range(COUNT):
            name = f"u{number:02d}"
            self.ids[name] = await self.send(
                f"{name}@example.com", content=f"Subject: to {name}\r\n\r\nonly for {name}\r\n".encode(),
                body="8BITMIME" if number % 3 else "BINARYMIME",
            )

    async def anew(self) -> None:
        """Twelve more, with nothing left of those before."""
        for each in self.schedulers:
            await each.stop()
        self.schedulers.clear()
        with self.writing() as connection:
            connection.exec_driver_sql("DELETE FROM spool")
        self.to.messages.clear()
        self.to.talks.clear()
        self.to.heard.clear()
        self.ids.clear()
        self.to.replies = {}
        await self.twelve()

    def once(self, reply: Any, usual: bytes = TAKEN, name: str = "u03") -> Any:
        """A reply about this message, the first time."""
        said: list[int] = []

        def say(talk: Talk) -> Any:
            if said or not talk.recipients or not talk.recipients[-1].startswith(name):
                return usual
            said.append(1)
            return reply(talk) if callable(reply) else reply

        return say

    async def said(self) -> dict[str, str]:
        """The end of the first attempt of each, once all were tried."""
        await self.quiet()
        return {name: words[0] for name, words in (await self.results()).items()}

    async def doubtful(self) -> list[str]:
        """Those of which nobody knows whether they arrived."""
        return [name for name, words in (await self.said()).items() if "the message was sent, but" in words]

    async def all_but(self, words: str, *names: str) -> None:
        """What was said of u03; all the others were delivered at their first attempt, and came once."""
        said = await self.said()
        self.assertEqual(said.pop("u03"), words)
        self.assertEqual(set(said.values()), {"250 2.0.0 Taken"})
        arrived = self.arrived()
        arrived.pop("u03", None)
        self.assertEqual(arrived, dict.fromkeys(said, 1))
        self.is_intact()


class AsTheyShouldTests(ChunksCase):
    async def test_ahead(self) -> None:
        """A connection for each that is binary, in one chunk; the envelope of the next goes out behind the chunk."""
        seen: list[bytes] = []

        def look(talk: Talk) -> bytes:
            if talk.peer.heard[-1].startswith("BDAT"):
                seen.append(talk.buffer)
            return TAKEN

        self.to.replies = {".": look}
        await self.twelve()
        self.begin()
        await self.empty()
        self.assertEqual(Counter(self.to.verbs())["BDAT"], 4)
        self.assertEqual(len(self.to.talks), 4)
        self.assertTrue(any(each.startswith(b"MAIL FROM:") for each in seen), seen)
        await self.all_arrive()
        heard = self.to.heard
        for number, each in enumerate(heard):
            self.assertEqual("BODY=BINARYMIME" in each, each.startswith("MAIL") and heard[number + 2][:4] == "BDAT")

    async def test_only_binary(self) -> None:
        """The rest is asked for with 354, though chunks would be taken."""
        for number in range(3):
            await self.send(f"u{number}@example.com")
        self.begin()
        await self.empty()
        self.assertEqual((self.to.verbs().count("DATA"), self.to.verbs().count("BDAT")), (3, 0))

    async def test_late(self) -> None:
        """The answer takes its time, and what is said behind it too: each is the answer of its own message."""

        def late(talk: Talk) -> bytes:
            number = len(self.to.messages)
            rest(talk, 0.05)
            return b"250 2.0.0 Number %d\r\n" % number

        self.to.replies = {".": late}
        await self.twelve()
        self.begin()
        said = await self.said()
        order = [each[1][0].partition("@")[0] for each in self.to.messages]
        self.assertEqual(said, {name: f"250 2.0.0 Number {number}" for number, name in enumerate(order, 1)})
        await self.all_arrive()


class RefusedTests(ChunksCase):
    async def test_each_gets_its_own_answer(self) -> None:
        """4xx and 5xx to a chunk: no word about one is said of another."""

        def answer(talk: Talk) -> bytes:
            name = talk.recipients[-1].partition("@")[0].encode()
            return {
                b"u00": b"451 4.3.0 Not now u00\r\n", b"u03": b"554 5.6.0 Never u03\r\n",
                b"u04": b"451 4.3.0 Nor u04\r\n", b"u06": b"552 5.3.4 Too large u06\r\n",
                b"u08": b"554 5.6.0 Never u08\r\n",
            }.get(name, TAKEN)

        self.to.replies = {".": answer}
        await self.twelve()
        self.begin()
        said = {name: words for name, words in (await self.said()).items() if words != "250 2.0.0 Taken"}
        self.assertEqual(said, {
            "u00": "451 4.3.0 Not now u00", "u03": "554 5.6.0 Never u03", "u04": "451 4.3.0 Nor u04",
            "u06": "552 5.3.4 Too large u06", "u08": "554 5.6.0 Never u08",
        })
        self.is_intact()

    async def test_before_it_has_come(self) -> None:
        """A refusal of the command itself, by one that swallows the chunk, and by one that takes it for commands.

        Whatever the second says to those, it says to nobody: nothing more is sent over that connection.
        """
        for swallow in (True, False):
            for reply in (b"503 5.5.1 Not now\r\n", b"500 5.5.2 What is BDAT?\r\n", b"452 4.3.1 Full\r\n"):
                await self.anew()
                self.to.swallow = swallow
                self.to.replies = {"BDAT": self.once(reply, b"")}
                self.begin()
                await self.all_but(reply.decode().strip())

    async def test_content_like_commands(self) -> None:
        """Nothing of a content that comes the usual way is ever a command, whatever is refused and by whom."""
        self.to.swallow = False
        self.to.replies = {"BDAT": b"500 5.5.2 What is BDAT?\r\n"}
        evil = b"Subject: x\r\n\r\nRSET\r\nMAIL FROM:<evil@x.example>\r\nRCPT TO:<them@example.com>\r\nDATA\r\n"
        for number in range(6):
            await self.send(f"u{number}@example.com", content=evil)
        self.begin()
        await self.empty()
        self.assertEqual(len(self.to.messages), 6)
        self.assertNotIn("evil@x.example", "".join(self.to.heard))

    async def test_a_third(self) -> None:
        """354, which is for DATA, to the command or to the chunk: perhaps it waits for something else."""
        for key, usual in ((".", TAKEN), ("BDAT", b"")):
            await self.anew()
            self.to.replies = {key: self.once(b"354 Go on\r\n", usual)}
            self.begin()
            await self.all_but("354 Go on")
            self.assertEqual([each.target.local for each in await self.queue()], ["u03"])


class BrokenTests(ChunksCase):
    async def test_in_a_chunk(self) -> None:
        """It hangs up before the chunk has come: it comes again, and the others over another connection."""
        self.to.replies = {"BDAT": self.once(CLOSE, b"")}
        await self.twelve()
        self.begin()
        self.assertEqual((await self.doubtful(), len(await self.queue())), (["u03"], 1))
        await self.all_arrive()

    async def test_behind_a_chunk(self) -> None:
        """It has the chunk and hangs up: that one may come twice, and no other."""
        self.to.replies = {".": self.once(CLOSE)}
        await self.twelve()
        self.begin()
        self.assertEqual(await self.doubtful(), ["u03"])
        await self.all_arrive("u03")

    async def test_behind_the_answer(self) -> None:
        """It answers, and hangs up: nothing is doubtful."""

        def last(talk: Talk) -> Any:
            talk.transport.write(b"250 2.0.0 Taken, and bye\r\n")
            return CLOSE

        self.to.replies = {".": self.once(last)}
        await self.twelve()
        self.begin()
        await self.all_but("250 2.0.0 Taken, and bye")
        await self.all_arrive()

    async def test_no_answer(self) -> None:
        """Nothing for longer than one waits; when it comes after all it is nobody's."""
        self.patch(courier_module, "FINAL", 0.3)

        def late(talk: Talk) -> bytes:
            rest(talk, 1.0)
            reactor.callLater(0.6, lambda: None if talk.gone.called else talk.transport.write(TAKEN))
            return b""

        self.to.replies = {".": self.once(late)}
        await self.twelve()
        self.begin()
        await self.all_but("the message was sent, but no answer within 0.3 s")
        await deferLater(reactor, 0.8)
        await self.all_arrive("u03")

    async def test_goodbye(self) -> None:
        """421 for a chunk, and it stays on the line: the others go over another one."""

        def bye(talk: Talk) -> bytes:
            talk.command = lambda line: None        # type: ignore[method-assign]
            return b"421 4.3.2 Shutting down\r\n"

        self.to.replies = {".": self.once(bye)}
        await self.twelve()
        self.begin()
        await self.all_but("421 4.3.2 Shutting down")


class CountTests(ChunksCase):
    """Servers that cannot count, and such as speak no SMTP."""

    replies: Sequence[bytes] = (
        TAKEN * 2, TAKEN * 5, TAKEN + b"550 5.7.1 No\r\n", TAKEN + b"354 Go on\r\n", TAKEN + b"451 4.3.0 Not now\r\n",
    )

    async def test_more_replies_than_chunks(self) -> None:
        """The second is no answer to the next envelope."""
        for reply in self.replies:
            await self.anew()
            self.to.replies = {".": self.once(reply)}
            self.begin()
            await self.all_but("250 2.0.0 Taken")

    async def test_slowly(self) -> None:
        """The same of one that takes its time for each answer, and refuses the next content."""
        for reply in self.replies:
            await self.anew()

            def slowly(talk: Talk) -> bytes:
                rest(talk, 0.02)
                return b"250 Ok\r\n"

            def end(talk: Talk, reply: bytes = reply) -> bytes:
                if talk.recipients[0].startswith("u04"):
                    return b"451 4.3.0 Not this one\r\n"
                return reply if talk.recipients[0].startswith("u03") else TAKEN

            self.to.replies = {"MAIL": slowly, "RCPT": slowly, ".": end}
            self.begin()
            said = await self.said()
            self.assertEqual(said.pop("u04"), "451 4.3.0 Not this one")
            self.assertEqual(set(said.values()), {"250 2.0.0 Taken"})
            self.is_intact()

    async def test_more_replies_than_commands(self) -> None:
        """In the envelope of a chunk, which is not sent then, and in the one behind it, which goes elsewhere."""
        for before, name in (("u02", "u03"), ("u03", "u04")):
            for verb in ("MAIL", "RCPT"):
                for more in (b"250 Ok\r\n", b"451 Not now\r\n", b"550 No\r\n"):
                    await self.anew()
                    self.to.replies = {verb: self.behind(before, b"250 Ok\r\n" + more)}
                    self.begin()
                    await self.quiet()
                    left = [each.target.local for each in await self.queue()]
                    self.assertEqual(left, ["u03"] if name == "u03" else [], (name, verb, more))
                    await self.all_arrive()

    def behind(self, name: str, reply: bytes) -> Any:
        """A reply in the first envelope behind the content of this one."""
        said: list[int] = []

        def say(talk: Talk) -> bytes:
            if said or not self.to.messages or self.to.messages[-1][1] != [f"{name}@example.com"]:
                return b"250 Ok\r\n"
            said.append(1)
            return reply

        return say

    async def test_no_reply(self) -> None:
        """HTTP, TLS, a line without an end: that message comes again, the others go over another connection."""
        for garbage in GARBAGE:
            await self.anew()
            self.to.replies = {".": self.once(garbage)}
            self.begin()
            self.assertEqual(await self.doubtful(), ["u03"], garbage)
            await self.all_arrive("u03")
