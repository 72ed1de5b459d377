"""What is said to another server, in which order."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from mailserver.delivery.consignment import Consignment
from mailserver.delivery.conversion import InThread, converted_at_hand, converted_elsewhere, limit, takes_long
from mailserver.delivery.line import Line, TlsFailed, Unanswered, Unusable
from mailserver.delivery.result import Unroutable
from mailserver.errors import MailserverError
from mailserver.reply import Reply
from mailserver.smtp import client
from mailserver.smtp.stuffing import Stuffer

# RFC 5321 4.5.3.2, in seconds
GREETING = 300.0
DATA = 120.0
FINAL = 600.0

BLOCK_SIZE = 64 * 1024  # octets of content that are handed over at a time

Outcome: TypeAlias = Reply | MailserverError
"""What became of one recipient: the server's last word, or why there is none."""


GO_AHEAD = Reply(354, "", "Send chunks")        # what DATA would be answered with


@dataclass(frozen=True, slots=True, eq=False)
class _Said:
    """The envelope of a message as this server is told it; `told` are the numbers of the recipients.

    `sent` is what it gets of `load`: the same, or a conversion of it.
    """

    load: Consignment
    sent: Consignment
    commands: Sequence[bytes]
    told: Sequence[int]
    outcomes: list[Any]             # one for each recipient in the end


class Courier:
    """Speaks SMTP, or LMTP, on a line; every method raises `Unusable` when nothing can be had from this host now."""

    def __init__(
        self, line: Line, hostname: str, in_thread: InThread, lmtp: bool = False,
        now: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.line = line
        self._hostname = hostname
        self._in_thread = in_thread
        self.is_lmtp = lmtp
        self._now = now
        self._said: _Said | None = None         # the envelope of `ahead`
        self._must_reset = False
        self.offered: Mapping[str, str] = {}
        self.ahead: Consignment | None = None   # the next message, whose envelope was said
        self.carried = 0                        # messages so far

    async def begin(self) -> None:
        """Greeting and EHLO, or HELO where that is all they know; raises `Unusable` unless they let us in."""
        greeting = await self.line.answer(GREETING)
        if greeting.code != 220:
            raise Unusable(f"greeted with {greeting}", greeting)
        await self._hello()

    async def _hello(self) -> None:
        self.offered = {}
        reply = await self.line.ask(client.hello("LHLO" if self.is_lmtp else "EHLO", self._hostname))
        if reply.severity == 2:
            self.offered = client.extensions(reply)
            return
        if reply.severity == 5 and not self.is_lmtp:
            reply = await self.line.ask(client.hello("HELO", self._hostname))
        if reply.severity != 2:
            raise Unusable(f"did not accept our greeting: {reply}", reply)

    async def start_tls(self, context: Any, already: bool = False) -> None:
        """STARTTLS, or TLS at once where it is implied; everything known before is forgotten (RFC 3207 4.2)."""
        if not already:
            reply = await self.line.ask(b"STARTTLS\r\n")
            if reply.code != 220:
                raise TlsFailed(f"STARTTLS was refused: {reply}", reply)
        await self.line.start_tls(context)
        if not already:
            await self._hello()

    async def log_in(self, login: str, password: str) -> None:
        """AUTH PLAIN, else LOGIN, inside TLS only; raises `Unusable` when it is not accepted."""
        if not self.line.tls:
            raise Unusable("the server offers no TLS, so the login is not sent")
        mechanisms = self.offered.get("AUTH", "").upper().split()
        if "PLAIN" in mechanisms:
            reply = await self.line.ask(client.auth_plain(login, password))
        elif "LOGIN" in mechanisms:
            reply = await self.line.ask(b"AUTH LOGIN\r\n")
            for text in (login, password):
                if reply.code == 334:
                    reply = await self.line.ask(client.base64_line(text))
        else:
            raise Unusable("the server offers no way to log in that we have")
        if reply.code != 235:
            raise Unusable(f"the login was not accepted: {reply}", reply)

    async def transact(
        self, load: Consignment, following: Callable[[], Consignment | None] = lambda: None
    ) -> Sequence[Outcome]:
        """Carry one message; what became of each recipient, in their order.

        With PIPELINING (RFC 2920) the envelope of the next message, which `following` may give, goes out behind the
        final dot of this one, so that a message costs one round trip; it is then `ahead`, and the next to be given.
        """
        said, self._said = self._said, None
        if said is not None and said.load is not load:
            if said.told:
                # They wait for the content of that one, and whatever is said now would be it.
                self.line.abort()
                raise Unusable("another message was begun, which is not sent any more")
            said = None
        if said is None:
            self.ahead = None
            said = await self._prepared(load)
            if self.carried and said.told and self._in_chunks(said.sent):
                # No 354 would tell whether the answers are those to this envelope.
                raise Unusable("what goes in chunks begins a connection")
            if said.told:
                await self._say_envelope(said)
        self.ahead = None
        self.carried += 1
        if not said.told:
            return said.outcomes
        taken, go_ahead = await self._answers(said)
        # Where there are more replies than commands, the refusal of one may be that of another.
        if (go_ahead is None or go_ahead.code != 354) and self.line.has_said_more():
            raise Unusable("answered what it was not asked")
        if go_ahead is None:
            self._must_reset = True
            return said.outcomes
        if go_ahead.code != 354:
            if go_ahead.severity in (2, 3):
                # It thinks that it has a message; whatever it is, this connection is no good.
                self.line.abort()
                raise Unusable(f"answered DATA with {go_ahead}")
            self._must_reset = True
            for number in taken:
                said.outcomes[number] = go_ahead
            return said.outcomes
        if not taken:
            # RFC 2920 3.1: it waits for a content all the same; it gets an empty one, for nobody.
            await self.line.ask(b".\r\n")
            return said.outcomes
        await self._send(said.sent, following)
        await self._last_words(said.outcomes, taken, self._in_chunks(said.sent))
        return said.outcomes

    # -- the envelope

    async def _prepared(self, load: Consignment) -> _Said:
        """The envelope of any message, whose content may have to be read for it."""
        if self._refusal(load) is not None or not takes_long(load, self.offered):
            return self._envelope(load)
        try:
            return self._envelope(load, await converted_elsewhere(load, self.offered, self._in_thread))
        except Unroutable as refusal:
            return _refused(load, refusal)

    def _envelope(self, load: Consignment, sent: Consignment | None = None) -> _Said:
        """Who can be told to this server, and with which commands; the content is at hand, or was `_prepared`."""
        refusal = self._refusal(load)
        if refusal is None and sent is None and (limits := limit(load, self.offered)) is not None:
            try:
                sent = converted_at_hand(load, limits)
            except Unroutable as reason:
                refusal = reason
        if refusal is None and sent is not None:
            refusal = self._refusal(sent)                   # it may have become too large
        if refusal is not None:
            return _refused(load, refusal)
        original, load = load, sent or load
        addresses = [each.address for each in load.recipients]
        outcomes: list[Outcome | None] = [None] * len(addresses)
        utf8 = load.utf8_header or client.needs_utf8([load.sender, *addresses])
        told = range(len(addresses))
        if utf8 and "SMTPUTF8" not in self.offered:
            told_apart = [not client.needs_utf8([load.sender, each]) for each in addresses]
            beyond = Unroutable("the server does not take addresses beyond ASCII (SMTPUTF8)", "6.7")
            outcomes = [None if fits else beyond for fits in told_apart]
            told, utf8 = [number for number in told if told_apart[number]], False       # type: ignore[assignment]
        wished = client.wished(load.wishes, self.offered, self._now())
        commands = [client.mail(load.sender, load.size, load.body, self.offered, utf8, wished)]
        dsn = "DSN" in self.offered
        for number in told:
            recipient = load.recipients[number]
            commands.append(client.rcpt(*recipient) if dsn else client.rcpt(recipient.address))
        if not self._in_chunks(load):
            commands.append(b"DATA\r\n")
        return _Said(original, load, commands, told, outcomes)

    def _refusal(self, load: Consignment) -> MailserverError | None:
        """Why this server may not have it at all."""
        offered, wishes = self.offered, load.wishes
        if load.utf8_header and "SMTPUTF8" not in offered:
            return Unroutable("the server does not take header fields beyond ASCII (SMTPUTF8)", "6.9")
        # A report is not lost for that (RFC 8689 5).
        if wishes.require_tls and "REQUIRETLS" not in offered and load.sender is not None:
            return Unroutable("the server does not offer REQUIRETLS, which the sender wants", "7.30")   # RFC 8689 4.2.1
        if wishes.deliver_by and wishes.by_mode.startswith("R") and "DELIVERBY" not in offered:
            # RFC 2852 4.1.5: who cannot keep the promise does not get it.
            return Unroutable("the server cannot promise to deliver in time (DELIVERBY)", "4.7")
        largest = offered.get("SIZE", "")
        if largest.isascii() and largest.isdecimal() and 0 < int(largest[:20]) < load.size:
            return Unroutable(f"the server takes no message of more than {largest} octets", "3.4")
        return None

    def _in_chunks(self, load: Consignment) -> bool:
        """Whether the content goes by BDAT (RFC 3030): what is binary, which has no other way.

        DATA takes no longer where its 354 comes with the answers to the envelope, and says two things that nothing else
        does: that they wait for a content, so that its lines are no commands to who refuses BDAT and goes on reading;
        and that there were as many answers as commands, so that none belongs to the message before.
        """
        return load.body == "BINARYMIME" and "CHUNKING" in self.offered

    async def _say_envelope(self, said: _Said) -> None:
        """All at once where that is understood."""
        if self._must_reset:
            # What was begun and came to nothing is not the beginning of this one.
            self._must_reset = False
            reply = await self.line.ask(b"RSET\r\n")
            if reply.severity != 2:
                raise Unusable(f"did not forget the message before: {reply}", reply)
        if "PIPELINING" in self.offered:
            self.line.say(b"".join(said.commands))

    async def _answers(self, said: _Said) -> tuple[list[int], Reply | None]:
        """Who was taken, and the answer to DATA (354 where chunks may come); the others have their outcome."""
        commands, line = said.commands, self.line
        pipelined = "PIPELINING" in self.offered
        data = commands[-1] == b"DATA\r\n"
        begun = await line.answer() if pipelined else await line.ask(commands[0])
        taken = []
        for number, command in zip(said.told, commands[1:], strict=False):
            if pipelined:
                answer = await line.answer()
            elif begun.severity == 2:
                answer = await line.ask(command)
            else:
                answer = begun
            said.outcomes[number] = answer if begun.severity == 2 else begun
            if begun.severity == 2 and answer.severity == 2:
                taken.append(number)
        if not data:
            return taken, GO_AHEAD if taken else None
        if pipelined:
            return taken, await line.answer(DATA)
        if not taken:
            return taken, None
        line.say(commands[-1])
        return taken, await line.answer(DATA)

    # -- the content

    async def _send(self, load: Consignment, following: Callable[[], Consignment | None]) -> None:
        in_chunks = self._in_chunks(load)
        if load.whole is not None:
            if not await load.may_send():
                self.line.abort()
                raise Unanswered("it is not ours to send any more")
            octets = _chunk(load) if in_chunks else _stuffed(load.whole)
            self.line.say(octets + self._more(following))
            await self.line.room()
            return
        if in_chunks:
            self.line.say(b"BDAT %d LAST\r\n" % load.size)
        stuffer, last, content = Stuffer(), b"", load.content()
        try:
            async for octets in content:
                for start in range(0, len(octets), BLOCK_SIZE):
                    block = octets[start : start + BLOCK_SIZE]
                    # One block is kept back: without it a chunk, as a content without its final dot, is nothing.
                    if last:
                        self.line.say(last)
                    last = block if in_chunks else stuffer.feed(block)
                    await self.line.room()
        except BaseException:
            self.line.abort()
            raise
        finally:
            if isinstance(content, AsyncGenerator):
                await content.aclose()
        if not await load.may_send():
            self.line.abort()
            raise Unanswered("it is not ours to send any more")
        self.line.say((last if in_chunks else last + stuffer.end()) + self._more(following))

    def _more(self, following: Callable[[], Consignment | None]) -> bytes:
        """The envelope of the next message, if there is one that may go along."""
        if "PIPELINING" not in self.offered or self.is_lmtp:
            return b""
        load = following()
        if load is None or self._in_chunks(load) or takes_long(load, self.offered):
            return b""
        self.ahead = load
        said = self._envelope(load)
        self._said = said
        return b"".join(said.commands) if said.told else b""

    async def _last_words(self, outcomes: list[Outcome | None], taken: Sequence[int], in_chunks: bool) -> None:
        """The answers to the content: one for all who were taken, or one for each of them (RFC 2033 4.2)."""
        last: Outcome | None = None
        for number in taken:
            if last is None or (self.is_lmtp and not isinstance(last, Unanswered)):
                try:
                    last = await self.line.reply(FINAL)
                except Unusable as failure:
                    last = Unanswered(f"the message was sent, but {failure}")
            outcomes[number] = last
        if isinstance(last, Reply) and (last.severity == 3 or last.code == 421 or (in_chunks and last.severity != 2)):
            # They take it for something else, or for commands, or have said goodbye: nothing more is understood here.
            self.line.abort()


def _refused(load: Consignment, refusal: MailserverError) -> _Said:
    return _Said(load, load, (), (), [refusal] * len(load.recipients))


def _chunk(load: Consignment) -> bytes:
    assert load.whole is not None
    return b"BDAT %d LAST\r\n" % len(load.whole) + load.whole


def _stuffed(octets: bytes) -> bytes:
    stuffer = Stuffer()
    return stuffer.feed(octets) + stuffer.end()
