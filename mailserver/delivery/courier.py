"""What is said to another server, in which order."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from mailserver.address import Address
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


class Courier:
    """Speaks SMTP, or LMTP, on a line; every method raises `Unusable` when nothing can be had from this host now."""

    def __init__(self, line: Line, hostname: str, lmtp: bool = False) -> None:
        self.line = line
        self._hostname = hostname
        self._lmtp = lmtp
        self.offered: Mapping[str, str] = {}

    async def begin(self) -> None:
        """Greeting and EHLO, or HELO where that is all they know; raises `Unusable` unless they let us in."""
        greeting = await self.line.answer(GREETING)
        if greeting.code != 220:
            raise Unusable(f"greeted with {greeting}", greeting)
        await self._hello()

    async def _hello(self) -> None:
        self.offered = {}
        reply = await self.line.ask(client.hello("LHLO" if self._lmtp else "EHLO", self._hostname))
        if reply.severity == 2:
            self.offered = client.extensions(reply)
            return
        if reply.severity == 5 and not self._lmtp:
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
        self,
        sender: Address | None,
        recipients: Sequence[Address],
        size: int,
        body: str,
        content: Callable[[], AsyncIterator[bytes]],
        may_send: Callable[[], Awaitable[bool]],
        utf8_header: bool = False,
    ) -> Sequence[Outcome]:
        """One message to some recipients; what became of each.

        `may_send` is asked before the final dot: whoever has lost the right to send hangs up instead.
        `utf8_header`: its header fields are beyond ASCII (RFC 6532), as the sender said.
        """
        utf8 = utf8_header or client.needs_utf8([sender, *recipients])
        if utf8 and "SMTPUTF8" not in self.offered:
            if utf8_header:
                return [Unroutable("the server does not take header fields beyond ASCII (SMTPUTF8)", "6.9")] * len(
                    recipients
                )
            return await self._in_ascii(sender, recipients, size, body, content, may_send)
        commands = [client.mail(sender, size, body, self.offered, utf8), *map(client.rcpt, recipients), b"DATA\r\n"]
        if "PIPELINING" in self.offered:
            self.line.say(b"".join(commands))                   # RFC 2920 3.1
            begun, *answers = [await self.line.answer() for _ in commands[:-1]]
            go_ahead: Reply | None = await self.line.answer(DATA)
        else:
            begun, answers, go_ahead = await self._step_by_step(commands)
        if begun.severity != 2:
            answers = [begun] * len(recipients)
        taken = [number for number, reply in enumerate(answers) if reply.severity == 2]
        if go_ahead is None:
            return answers
        if go_ahead.code != 354:
            if go_ahead.severity in (2, 3):
                # It thinks that it has a message; whatever it is, this connection is no good.
                self.line.abort()
                raise Unusable(f"answered DATA with {go_ahead}")
            return [go_ahead if number in taken else answers[number] for number in range(len(answers))]
        if not taken:
            self.line.say(b".\r\n")                             # RFC 2920 3.1: an empty message to nobody
            return answers
        await self._send(content(), may_send)
        return await self._last_words(answers, taken)

    async def _step_by_step(self, commands: Sequence[bytes]) -> tuple[Reply, list[Reply], Reply | None]:
        """Each command when the one before was answered, and no more than makes sense."""
        begun = await self.line.ask(commands[0])
        if begun.severity != 2:
            return begun, [], None
        answers = [await self.line.ask(command) for command in commands[1:-1]]
        if not any(reply.severity == 2 for reply in answers):
            return begun, answers, None
        self.line.say(commands[-1])
        return begun, answers, await self.line.answer(DATA)

    async def _in_ascii(
        self, sender: Address | None, recipients: Sequence[Address], *others: Any
    ) -> Sequence[Outcome]:
        """To those whose addresses a server without SMTPUTF8 understands."""
        told = [each for each in recipients if not client.needs_utf8([sender, each])]
        reached = iter(await self.transact(sender, told, *others) if told else ())
        refusal = Unroutable("the server does not take addresses beyond ASCII (SMTPUTF8)", "6.7")
        return [next(reached) if each in told else refusal for each in recipients]

    async def _send(self, content: AsyncIterator[bytes], may_send: Callable[[], Awaitable[bool]]) -> None:
        stuffer = Stuffer()
        try:
            async for octets in content:
                for start in range(0, len(octets), BLOCK_SIZE):
                    self.line.say(stuffer.feed(octets[start : start + BLOCK_SIZE]))
                    await self.line.room()
        except BaseException:
            self.line.abort()                    # without its final dot a content is nothing
            raise
        finally:
            if isinstance(content, AsyncGenerator):
                await content.aclose()
        if not await may_send():
            self.line.abort()
            raise Unanswered("it is not ours to send any more")
        self.line.say(stuffer.end())

    async def _last_words(self, answers: Sequence[Reply], taken: Sequence[int]) -> Sequence[Outcome]:
        """The answers to the content: one for all who were taken, or one for each of them (RFC 2033 4.2)."""
        outcomes: list[Outcome] = list(answers)
        last: Outcome | None = None
        for number in taken:
            if last is None or (self._lmtp and not isinstance(last, Unanswered)):
                try:
                    last = await self.line.reply(FINAL)
                except Unusable as failure:
                    last = Unanswered(f"the message was sent, but {failure}")
            outcomes[number] = last
        return outcomes
