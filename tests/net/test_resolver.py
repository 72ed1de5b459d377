"""Asking a real name server, a lying one, a silent one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from mailserver.errors import TemporaryFailure
from mailserver.interfaces import Answer
from mailserver.net import resolver as module
from mailserver.net.nameserver import Server
from mailserver.net.resolver import Memory, NoSuchName, Resolver, system_servers
from tests.net.nameservers import NameServer

reactor: Any = installed_reactor


class ResolverCase(TestCase):
    timeout = 30

    def setUp(self) -> None:
        self.patch(module, "WAITS", (0.2, 0.3))
        self.server = self.name_server()
        self.resolver = Resolver(reactor, [self.server.address])

    def name_server(self) -> NameServer:
        server = NameServer.listen()
        self.addCleanup(server.stop)
        return server

    def ask(self, name: str, type: str = "MX") -> Deferred[Any]:
        return Deferred.fromCoroutine(self.resolver.query(name, type))


class AnswersTests(ResolverCase):
    async def test_records(self) -> None:
        """Every type as dnspython has it; the question carries EDNS and asks for recursion."""
        self.server.know("example.com", "MX", "10 a.example.com.", "20 b.example.com.")
        self.server.know("a.example.com", "AAAA", "2001:db8::1")
        records = await self.ask("example.com")
        self.assertEqual(
            sorted((each.preference, each.exchange.to_text()) for each in records),
            [(10, "a.example.com."), (20, "b.example.com.")],
        )
        self.assertEqual([each.address for each in await self.ask("a.example.com", "AAAA")], ["2001:db8::1"])
        question = self.server.questions[0]
        self.assertEqual((question.edns, question.payload), (0, 1232))
        self.assertTrue(question.flags & dns.flags.RD)

    async def test_no_such_name(self) -> None:
        with self.assertRaisesRegex(NoSuchName, "the name nowhere.example does not exist"):
            await self.ask("nowhere.example")
        with self.assertRaises(NoSuchName):
            await self.ask("a..b")
        with self.assertRaises(NoSuchName):
            await self.ask("x" * 64 + ".example")

    async def test_no_such_records(self) -> None:
        """The name exists, with other records."""
        self.server.know("example.com", "A", "192.0.2.1")
        self.assertEqual(list(await self.ask("example.com")), [])

    async def test_aliases(self) -> None:
        """CNAMEs are followed, eight in a row; a circle of them is no answer."""
        self.server.know("www.example.com", "CNAME", "b.example.com.")
        self.server.know("b.example.com", "CNAME", "c.example.com.")
        self.server.know("c.example.com", "A", "192.0.2.7")
        self.assertEqual([each.address for each in await self.ask("www.example.com", "A")], ["192.0.2.7"])
        self.server.know("x.example.com", "CNAME", "y.example.com.")
        self.server.know("y.example.com", "CNAME", "x.example.com.")
        with self.assertRaisesRegex(TemporaryFailure, "too many aliases"):
            await self.ask("x.example.com", "A")

    async def test_a_cut_answer_is_asked_again_over_tcp(self) -> None:
        """Whether the cut is clean or in the middle of a record."""
        for number, cut in enumerate((lambda wire: wire[:40], lambda wire: wire)):
            name = f"big{number}.example.com"
            self.server.know(name, "TXT", *(f'"{"x" * 200} {each}"' for each in range(30)))

            def truncated(question: dns.message.Message, reply: dns.message.Message, cut: Any = cut) -> list[bytes]:
                short = dns.message.make_response(question)
                short.flags |= dns.flags.TC
                short.answer.append(dns.rrset.from_text(question.question[0].name, 1, "IN", "TXT", '"half"'))
                wire = short.to_wire()
                self.assertGreater(len(wire), 40)
                return [cut(wire)]

            self.server.odd = truncated
            self.assertEqual(len(await self.ask(name, "TXT")), 30)
            self.assertEqual([each[0] for each in self.server.asked[-2:]], ["udp", "tcp"])

    async def test_a_server_without_edns(self) -> None:
        """FORMERR to a question with EDNS: it is asked without."""
        self.server.know("example.com", "A", "192.0.2.1")

        def old(question: dns.message.Message, reply: dns.message.Message) -> list[bytes]:
            if question.edns < 0:
                return [reply.to_wire()]
            refusal = dns.message.make_response(question)
            refusal.set_rcode(dns.rcode.FORMERR)
            refusal.use_edns(False)
            return [refusal.to_wire()]

        self.server.odd = old
        self.assertEqual(len(await self.ask("example.com", "A")), 1)


class TrustTests(ResolverCase):
    async def test_lies_are_not_listened_to(self) -> None:
        """Another id, another question, no response, no message: the right answer behind them counts."""
        self.server.know("example.com", "A", "192.0.2.1")

        def lies(question: dns.message.Message, reply: dns.message.Message) -> list[bytes]:
            false = dns.rrset.from_text(question.question[0].name, 60, "IN", "A", "198.51.100.66")
            other_id = dns.message.make_response(question)
            other_id.answer.append(false)
            other_id.id ^= 1
            other_question = dns.message.make_response(dns.message.make_query("example.net", "A"))
            other_question.id = question.id
            other_question.answer.append(false)
            not_a_reply = dns.message.make_response(question)
            not_a_reply.answer.append(false)
            not_a_reply.flags &= ~dns.flags.QR
            return [
                other_id.to_wire(), other_question.to_wire(), not_a_reply.to_wire(), b"", b"\0" * 11, b"\xff" * 600,
                reply.to_wire(),
            ]

        self.server.odd = lies
        self.assertEqual([each.address for each in await self.ask("example.com", "A")], ["192.0.2.1"])

    async def test_other_letters_are_asked_again_over_tcp(self) -> None:
        """Who does not know in which letters the name was written had to guess, and TCP cannot be guessed."""
        self.server.know("example.com", "A", "192.0.2.1")

        def guess(question: dns.message.Message, reply: dns.message.Message) -> list[bytes]:
            name = dns.name.Name([label.swapcase() for label in question.question[0].name.labels])
            false = dns.message.make_response(dns.message.make_query(name, "A"))
            false.id = question.id
            false.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "198.51.100.66"))
            return [false.to_wire()]

        self.server.odd = guess
        self.assertEqual([each.address for each in await self.ask("example.com", "A")], ["192.0.2.1"])
        self.assertEqual([each[0] for each in self.server.asked], ["udp", "tcp"])

    async def test_nothing_can_be_foreseen(self) -> None:
        """Ids, ports and letters differ from question to question."""
        for number in range(12):
            self.server.know(f"averylongname{number}.example.com", "A", "192.0.2.1")
            await self.ask(f"averylongname{number}.example.com", "A")
        self.assertGreater(len({each.id for each in self.server.questions}), 10)
        self.assertGreater(len({port for _, port in self.server.peers}), 10)
        letters = {each.question[0].name.labels[0][:13] for each in self.server.questions}
        self.assertGreater(len(letters), 10)

    async def test_a_referral_is_no_no(self) -> None:
        """A server that does not resolve for us says nothing about the name; mail would be bounced for it."""
        self.server.know("example.com", "A", "192.0.2.1")
        self.server.flags = dns.flags.QR
        with self.assertRaisesRegex(TemporaryFailure, "does not resolve for us"):
            await self.ask("example.com", "MX")


class ValidatedTests(ResolverCase):
    """Whether DNSSEC stands behind an answer, as far as we can believe that."""

    def setUp(self) -> None:
        super().setUp()
        self.server.know("example.com", "MX", "10 mx.example.com.")
        self.server.flags |= dns.flags.AD

    async def test_the_question(self) -> None:
        """It asks to be told, and does not ask for what was found forged."""
        await self.ask("example.com")
        (question,) = self.server.questions
        self.assertTrue(question.flags & dns.flags.AD)
        self.assertFalse(question.flags & dns.flags.CD)
        self.assertFalse(question.ednsflags & dns.flags.DO)

    async def test_who_is_believed(self) -> None:
        """Who sits on loopback; or everybody, or nobody, as is configured."""
        for trust_ad, believed in (("loopback", True), ("always", True), ("never", False)):
            resolver = Resolver(reactor, [self.server.address], trust_ad)
            answer = await resolver.ask("example.com", "MX")
            self.assertEqual((len(answer.records), answer.validated), (1, believed))
            self.assertEqual((await resolver.ask("example.com", "MX")).validated, believed)
            self.assertEqual((await resolver.ask("nowhere.example", "MX")), Answer(exists=False, validated=believed))
        for address, trusted in (("127.0.0.53", True), ("::1", True), ("192.0.2.53", False), ("fe80::1%eth0", False)):
            self.assertIs(Resolver(reactor, [])._is_trusted(Server(address)), trusted)
            self.assertTrue(Resolver(reactor, [], "always")._is_trusted(Server(address)))

    async def test_who_says_nothing(self) -> None:
        self.server.flags &= ~dns.flags.AD
        self.assertFalse((await self.resolver.ask("example.com", "MX")).validated)

    async def test_alias(self) -> None:
        """The name behind it is told, in small letters, with or without records."""
        self.server.know("www.example.com", "CNAME", "Example.COM.")
        self.assertEqual((await self.resolver.ask("www.example.com", "MX")).alias, "example.com")
        self.assertEqual(await self.resolver.ask("www.example.com", "A"), Answer((), True, True, "example.com"))

    async def test_why_it_failed(self) -> None:
        """Forged is another thing than away (RFC 8914)."""

        def bogus(question: dns.message.Message, reply: dns.message.Message) -> list[bytes]:
            refusal = dns.message.make_response(question)
            refusal.set_rcode(dns.rcode.SERVFAIL)
            refusal.use_edns(0, options=[dns.edns.EDEOption(6, "the words of \x1b[31mothers")])
            return [refusal.to_wire()]

        self.server.odd = bogus
        with self.assertRaisesRegex(TemporaryFailure, r"it said SERVFAIL \(DNSSEC bogus\)\)$"):
            await self.resolver.ask("example.com", "MX")


class ServersTests(ResolverCase):
    def silent(self) -> NameServer:
        server = self.name_server()
        server.odd = lambda question, reply: []
        return server

    async def test_the_next_one_is_asked(self) -> None:
        """One is silent, one fails, one is not there: the fourth knows, and is asked first from then on."""
        silent, broken, gone = self.silent(), self.name_server(), self.name_server()
        await gone.stop()

        def fail(question: dns.message.Message, reply: dns.message.Message) -> list[bytes]:
            reply = dns.message.make_response(question)
            reply.set_rcode(dns.rcode.SERVFAIL)
            return [reply.to_wire()]

        broken.odd = fail
        self.server.know("example.com", "A", "192.0.2.1")
        self.server.know("example.net", "A", "192.0.2.2")
        self.resolver = Resolver(
            reactor, [silent.address, broken.address, gone.address, self.server.address]
        )
        self.assertEqual(len(await self.ask("example.com", "A")), 1)
        self.assertEqual((len(silent.asked), len(broken.asked)), (1, 1))
        self.assertEqual(len(await self.ask("example.net", "A")), 1)
        self.assertEqual((len(silent.asked), len(broken.asked)), (1, 1))

    async def test_a_lost_datagram(self) -> None:
        """It is asked again."""
        self.server.know("example.com", "A", "192.0.2.1")
        self.server.odd = lambda question, reply: [reply.to_wire()] if len(self.server.asked) > 1 else []
        self.assertEqual(len(await self.ask("example.com", "A")), 1)

    async def test_nobody_answers(self) -> None:
        """In bounded time, with the reason."""
        self.resolver = Resolver(reactor, [self.silent().address])
        with self.assertRaisesRegex(TemporaryFailure, r"about example.com \(127.0.0.1: no answer in 0.3 s\)"):
            await self.ask("example.com")
        # A failure is not remembered.
        self.assertEqual(self.resolver._asking, {})

    def test_spellings(self) -> None:
        for text, server in {
            "192.0.2.53": Server("192.0.2.53", 53), "127.0.0.1:5353": Server("127.0.0.1", 5353),
            "::1": Server("::1", 53), "[::1]:54": Server("::1", 54), "[2001:db8::1]": Server("2001:db8::1", 53),
        }.items():
            self.assertEqual(Server.parse(text), server)

    def test_resolv_conf(self) -> None:
        """As resolv.conf(5) says: three at most, this machine when there is none."""
        path = Path(self.mktemp())
        path.write_text("# nameserver 192.0.2.9\nsearch x\nnameserver 192.0.2.1\nnameserver\n" + "nameserver ::1\n" * 5)
        self.assertEqual(system_servers(path), ["192.0.2.1", "::1", "::1"])
        self.assertEqual(system_servers(Path("/nonexistent")), ["127.0.0.1"])


class OnceTests(ResolverCase):
    async def test_equal_questions_are_one(self) -> None:
        """Asked at the same time, in whatever letters; and what is known is not asked."""
        self.server.know("example.com", "A", "192.0.2.1")
        answers = await gatherResults([self.ask(name, "A") for name in ("example.com", "EXAMPLE.com", "example.com.")])
        self.assertEqual([len(each) for each in answers], [1, 1, 1])
        await self.ask("Example.Com", "A")
        self.assertEqual(len(self.server.asked), 1)

    async def test_who_goes_away_leaves_the_others_their_answer(self) -> None:
        self.server.know("example.com", "A", "192.0.2.1")
        first, second = self.ask("example.com", "A"), self.ask("example.com", "A")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(len(await second), 1)

    async def test_when_all_have_gone_it_is_asked_no_more(self) -> None:
        """No port and no timer stays; and whoever asks in the same moment gets an answer."""
        self.server.know("example.com", "A", "192.0.2.1")
        self.server.odd = lambda question, reply: []
        first = self.ask("example.com", "A")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.server.odd = None
        self.assertEqual(len(await self.ask("example.com", "A")), 1)

    async def test_a_failure_is_everybodys(self) -> None:
        self.server.odd = lambda question, reply: []
        for each in [self.ask("example.com", "A") for _ in range(3)]:
            with self.assertRaises(TemporaryFailure):
                await each

    async def test_not_too_many_at_once(self) -> None:
        """Of many questions some wait; all are answered."""
        self.patch(module, "WAITS", (10.0, 10.0))       # a busy machine is no silent server
        for number in range(400):
            self.server.know(f"h{number}.example.com", "A", "192.0.2.1")
        most = 0

        def count() -> None:
            nonlocal most
            most = max(most, len(reactor.getReaders()))

        asking = [self.ask(f"h{number}.example.com", "A") for number in range(400)]
        count()
        self.assertLess(most, 250)
        await gatherResults(asking)

    async def test_a_no_is_remembered_as_long_as_its_zone_says(self) -> None:
        self.server.minimum = 1
        with self.assertRaises(NoSuchName):
            await self.ask("new.example.com", "A")
        self.server.know("new.example.com", "A", "192.0.2.1")
        with self.assertRaises(NoSuchName):
            await self.ask("new.example.com", "A")
        await deferLater(reactor, 1.1, lambda: None)
        self.assertEqual(len(await self.ask("new.example.com", "A")), 1)

    async def test_what_is_for_this_time_only(self) -> None:
        """A TTL of 0, of records or of a "no": it is asked again."""
        self.server.ttl = self.server.minimum = 0
        self.server.know("example.com", "A", "192.0.2.1")
        for number in (1, 2):
            await self.ask("example.com", "A")
            await self.ask("example.com", "AAAA")
            self.assertEqual(len(self.server.asked), 2 * number)


class MemoryTests(SynchronousTestCase):
    def question(self, name: str) -> tuple[dns.name.Name, int]:
        return dns.name.from_text(name), int(dns.rdatatype.A)

    def test_time(self) -> None:
        clock = Clock()
        memory = Memory(clock)
        memory.keep(self.question("a"), Answer(("x",)), 10)
        clock.advance(9.9)
        self.assertEqual(memory.recall(self.question("A")), Answer(("x",)))
        clock.advance(0.1)
        self.assertIsNone(memory.recall(self.question("a")))

    def test_room(self) -> None:
        """It is bounded by records, not by names; who was asked for lately stays."""
        memory = Memory(Clock(), most=10)
        memory.keep(self.question("often"), Answer(("x",)), 10)
        for number in range(100):
            memory.keep(self.question(f"n{number}"), Answer(("x",) * 3), 10)
            self.assertIsNotNone(memory.recall(self.question("often")))
        self.assertLessEqual(memory._count, 10)
        memory.keep(self.question("huge"), Answer(("x",) * 1000), 10)
        self.assertEqual((memory._count, len(memory._kept)), (0, 0))

    def test_octets(self) -> None:
        """It is bounded by octets too: a few records can be large."""
        memory = Memory(Clock(), most_octets=10_000)
        for number in range(100):
            memory.keep(self.question(f"n{number}"), Answer(("x",)), 10, octets=3000)
        self.assertEqual((memory._octets, len(memory._kept)), (9000, 3))
        memory.keep(self.question("n99"), Answer(("x",)), 10, octets=1000)
        self.assertEqual((memory._octets, len(memory._kept)), (7000, 3))
