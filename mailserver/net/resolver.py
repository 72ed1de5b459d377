"""The DNS as a server of mail asks it: several name servers, a bounded memory, equal questions asked once."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from twisted.internet.defer import Deferred, DeferredSemaphore
from zope.interface import implementer

from mailserver.errors import NotFound, TemporaryFailure
from mailserver.interfaces import Answer, IResolver
from mailserver.net.nameserver import Question, Server, ask

WAITS = (2.0, 4.0, 6.0)     # seconds for an answer, round by round over all servers
AT_ONCE = 200               # questions that are being asked
MOST_RECORDS = 100_000      # in memory; a "no" counts as one
MOST_OCTETS = 64 << 20      # of the messages that they came in
LONGEST = 86400             # seconds in memory
LONGEST_NEGATIVE = 10800    # the same for a "no" (RFC 2308 5: one to three hours)
NEGATIVE = 300              # for a "no" whose zone does not say
MOST_ALIASES = 8            # CNAMEs in a row

# Stands for TLSA records of which none could be read: there are some, and they cannot be used (usage 255 is private).
UNREADABLE = dns.rdata.from_text("IN", "TLSA", "255 255 0 00")


class NoSuchName(NotFound):
    """The name does not exist (NXDOMAIN)."""


@dataclass(eq=False, slots=True)
class _Asked:
    """A question that is being asked, and who waits for the answer."""

    waiting: list[Deferred[Answer]] = field(default_factory=list)
    work: Deferred[None] | None = None


@implementer(IResolver)
class Resolver:
    """Asks the `servers` ("192.0.2.53", "127.0.0.1:5353", "[::1]:53"), or those of /etc/resolv.conf.

    `trust_ad` says which of them are believed when they say that DNSSEC has validated an answer: those on "loopback",
    since on the way from another anybody could say so (RFC 4035 4.9.3, RFC 7672 2.2.1); "always"; "never".
    """

    def __init__(self, reactor: Any, servers: Sequence[str] | None = None, trust_ad: str = "loopback") -> None:
        self._reactor = reactor
        self._trust_ad = trust_ad
        self._servers = [Server.parse(each) for each in (servers or system_servers())]
        self._memory = Memory(reactor)
        self._asking: dict[Question, _Asked] = {}
        self._turns = DeferredSemaphore(AT_ONCE)

    async def query(self, name: str, type: str) -> Sequence[Any]:
        """The records of one type; see `mailserver.interfaces.IResolver`."""
        answer = await self.ask(name, type)
        if not answer.exists:
            raise NoSuchName(f"the name {name.rstrip('.')} does not exist")
        return answer.records

    async def ask(self, name: str, type: str) -> Answer:
        """All that is known of it; see `mailserver.interfaces.IResolver`."""
        try:
            question = (dns.name.from_text(name), int(dns.rdatatype.from_text(type)))
        except (dns.exception.DNSException, UnicodeError):
            return Answer(exists=False)         # what can be no name is none
        return self._memory.recall(question) or await self._once(question)

    def _once(self, question: Question) -> Deferred[Answer]:
        """Ask, together with whoever asks the same at this time; when all of them have gone it is asked no more."""
        asked = self._asking.get(question)
        if asked is None:
            asked = self._asking[question] = _Asked()

        def went_away(waiter: Deferred[Answer]) -> None:
            asked.waiting.remove(waiter)
            if not asked.waiting and asked.work is not None:
                self._asking.pop(question, None)
                asked.work.cancel()

        mine: Deferred[Answer] = Deferred(went_away)
        asked.waiting.append(mine)
        if asked.work is None:
            asked.work = Deferred.fromCoroutine(self._answer(question, asked))
        return mine

    async def _answer(self, question: Question, asked: _Asked) -> None:
        answer: Answer | TemporaryFailure
        try:
            answer = await self._turn(question)
        except Exception as error:
            answer = TemporaryFailure(str(error) or type(error).__name__)
        if self._asking.get(question) is asked:
            del self._asking[question]
        while asked.waiting:
            each = asked.waiting.pop(0)
            if isinstance(answer, Answer):
                each.callback(answer)
            else:
                each.errback(answer)

    async def _turn(self, question: Question) -> Answer:
        await self._turns.acquire()
        try:
            return await self._ask(question)
        finally:
            self._turns.release()

    async def _ask(self, question: Question) -> Answer:
        """Ask the servers in turn until one knows; raises `TemporaryFailure` when none does."""
        why = ""
        for wait in WAITS:
            for server in list(self._servers):
                try:
                    reply = await ask(self._reactor, question, server, wait)
                    answer, ttl = read(reply, question)
                except (TemporaryFailure, dns.exception.DNSException) as error:
                    why = f"{server.address}: {error or type(error).__name__}"
                    continue
                if server is not self._servers[0]:
                    # Who answers is asked first from now on; who does not would cost each question its wait.
                    self._servers.remove(server)
                    self._servers.insert(0, server)
                if not self._is_trusted(server):
                    answer = replace(answer, validated=False)
                self._memory.keep(question, answer, ttl, len(reply.wire or b""))
                return answer
        raise TemporaryFailure(f"no answer from the DNS about {question[0].to_text(omit_final_dot=True)} ({why})")

    def _is_trusted(self, server: Server) -> bool:
        """Whether nobody can have changed what it says about DNSSEC."""
        if self._trust_ad == "loopback":
            return ipaddress.ip_address(server.address.partition("%")[0]).is_loopback
        return self._trust_ad == "always"


class Memory:
    """Answers until their time is over; those that nobody asked for lately go first when there are too many."""

    def __init__(self, clock: Any, most: int = MOST_RECORDS, most_octets: int = MOST_OCTETS) -> None:
        self._clock = clock
        self._most = most
        self._most_octets = most_octets
        self._kept: OrderedDict[Question, tuple[float, Answer, int]] = OrderedDict()
        self._count = 0
        self._octets = 0

    def recall(self, question: Question) -> Answer | None:
        """The answer, if it is known and still good."""
        found = self._kept.get(question)
        if found is None:
            return None
        until, answer, _ = found
        if until <= self._clock.seconds():
            self._forget(question)
            return None
        self._kept.move_to_end(question)
        return answer

    def keep(self, question: Question, answer: Answer, ttl: float, octets: int = 0) -> None:
        """Remember an answer for `ttl` seconds; `octets` is about what it takes."""
        if question in self._kept:
            self._forget(question)
        if ttl <= 0:
            return                          # RFC 1035 3.2.1: for the transaction at hand only
        self._kept[question] = self._clock.seconds() + ttl, answer, octets
        self._count += max(1, len(answer.records))
        self._octets += octets
        while self._count > self._most or self._octets > self._most_octets:
            self._forget(next(iter(self._kept)))

    def _forget(self, question: Question) -> None:
        _, answer, octets = self._kept.pop(question)
        self._count -= max(1, len(answer.records))
        self._octets -= octets


def read(reply: dns.message.Message, question: Question) -> tuple[Answer, float]:
    """An answer out of a message, and for how many seconds it is good; raises `TemporaryFailure` if it says nothing.

    It is validated if the message says so, whoever sent it.
    """
    name, type = question
    validated = bool(reply.flags & dns.flags.AD)
    alias, ttl = "", LONGEST
    for _ in range(MOST_ALIASES):
        records = reply.get_rrset(reply.answer, name, dns.rdataclass.IN, dns.rdatatype.RdataType(type))
        if records is not None:
            found = tuple(map(_in_small_letters, records))
            return Answer(found, True, validated, alias), min(ttl, records.ttl)
        pointer = reply.get_rrset(reply.answer, name, dns.rdataclass.IN, dns.rdatatype.CNAME)
        if pointer is None:
            if reply.errors and type == dns.rdatatype.TLSA:
                return Answer((UNREADABLE,), True, validated, alias), 0
            break
        name, ttl = pointer[0].target, min(ttl, pointer.ttl)
        alias = name.canonicalize().to_text(omit_final_dot=True)
    else:
        raise TemporaryFailure("too many aliases in a row")
    negative = NEGATIVE
    for records in reply.authority:
        if records.rdtype == dns.rdatatype.SOA:
            negative = min(records.ttl, records[0].minimum)         # RFC 2308 4
    ttl = min(ttl, negative, LONGEST_NEGATIVE)
    if reply.rcode() == dns.rcode.NXDOMAIN:
        return Answer((), False, validated, alias), ttl
    if not reply.flags & (dns.flags.RA | dns.flags.AA):
        # Points elsewhere, which is no "no": mail would be bounced for it.
        raise TemporaryFailure("it does not resolve for us")
    return Answer((), True, validated, alias), ttl


def _in_small_letters(record: Any) -> Any:
    """A record whose names are not in the letters that our question happened to have."""
    names = {
        slot: value.canonicalize()
        for slot in record.__slots__
        if isinstance(value := getattr(record, slot), dns.name.Name)
    }
    return record.replace(**names) if names else record


def system_servers(path: Path = Path("/etc/resolv.conf")) -> list[str]:
    """The name servers of this machine; its own loopback when it names none (resolv.conf(5))."""
    try:
        lines = path.read_text("utf-8", "replace").split("\n")
    except OSError:
        lines = []
    found = [words[1] for words in map(str.split, lines) if len(words) > 1 and words[0] == "nameserver"]
    return found[:3] or ["127.0.0.1"]
