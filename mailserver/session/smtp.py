"""One SMTP, submission or LMTP conversation: what is asked of whom, and what is answered."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailserver import reply as replies
from mailserver.envelope import Client, Reverse, Tls
from mailserver.errors import TemporaryFailure
from mailserver.ident import spell
from mailserver.interfaces import Account
from mailserver.net.answer import About, Answer, Then
from mailserver.net.reverse import known
from mailserver.reply import Reply
from mailserver.sasl import MECHANISMS, Challenge
from mailserver.session import burl, inquiries, vouched
from mailserver.session.exchange import Exchange
from mailserver.session.intake import Intake
from mailserver.session.policy import SmtpPolicy
from mailserver.smtp.commands import (
    Auth,
    AuthResponse,
    Burl,
    Chunk,
    Command,
    Data,
    EndOfChunk,
    EndOfContent,
    Etrn,
    Expn,
    Hello,
    Help,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
    XClient,
    XForward,
)
from mailserver.smtp.lines import SmtpError
from mailserver.smtp.server import ServerWire
from mailserver.smtp.syntax import VERBS
from mailserver.story import Story

log = Logger()

MOST_NOTES = 50         # refusals of one session that its story keeps
_NOTHING = Answer(b"")


class SmtpSession:
    """A `mailserver.net.answer.Talker` for SMTP, submission and LMTP."""

    __slots__ = (
        "_client", "_complaints", "_errors", "_exchange", "_intake", "_mechanism", "_peer", "_policy", "_reverse",
        "_spoke_first", "_story", "_waiting", "_wire",
    )

    def __init__(self, policy: SmtpPolicy, address: str, port: int) -> None:
        self._policy = policy
        self._peer = address            # of the connection, whatever XCLIENT says of the client
        self._wire = ServerWire(policy.size, policy.lmtp)
        self._client = Client(address, port, policy.service, trusted=policy.trusted(address), reverse=known(address))
        self._story = Story(policy.world.new_id())      # of the session, for what is refused outside transactions
        self._intake = Intake(policy, address)
        self._exchange: Exchange | None = None
        self._mechanism = ""
        self._reverse: Deferred[Reverse] | None = None      # while it is being looked up
        self._spoke_first = False
        self._waiting: Deferred[None] | None = None
        self._errors = 0
        self._complaints: list[list[Any]] = []          # what was refused outside transactions

    # -- a Talker

    async def greeting(self) -> Answer:
        policy = self._policy
        refused = await self._meet()
        if refused is not None:
            return refused
        if (self._spoke_first or self._wire.buffered) and not (policy.early_talkers or self._client.trusted):
            # RFC 5321 4.3.1: who does not wait for the greeting does not wait for answers either.
            return self._refused(replies.SPOKE_FIRST, "connect", Then.LINGER)
        return self._greeting

    async def _meet(self) -> Answer | None:
        """Judge who is there; an answer when it is not welcome."""
        policy, client = self._policy, self._client
        if client.reverse is None:
            # Looked up while the client is greeted and says its own name; waited for where somebody may ask.
            self._reverse = Deferred.fromCoroutine(policy.reverse(client.address))
        if not policy.pipeline.asks("connected"):
            return None
        outcome = await policy.pipeline.run("connected", None, self._story, client)
        refusal = outcome.refusal
        if refusal is not None:
            # RFC 5321 3.1: 554 for "no"; a "not now" ends the connection too (421).
            code = 554 if refusal.severity == 5 else 421
            return self._refused(Reply(code, refusal.detail, refusal.text), "connect", Then.CLOSE)
        if outcome.pause:
            await self._wait(outcome.pause)
        return None

    @property
    def _greeting(self) -> Answer:
        return Answer(f"220 {self._policy.hostname} {'LMTP' if self._policy.lmtp else 'ESMTP'}\r\n".encode())

    def spoke_first(self) -> None:
        self._spoke_first = True

    def receive(self, data: bytes) -> None:
        self._wire.receive(data)

    @property
    def buffered(self) -> int:
        return self._wire.buffered

    async def next(self) -> Answer | None:
        command: Command | None = None
        try:
            command = self._wire.next()
            if command is None:
                return None
            if isinstance(command, Burl):
                command = await self._burl(command)
            said = _ANSWERS[type(command)](self, command)
            answer = said if isinstance(said, (Reply, Answer)) else await said
        except SmtpError as error:
            self._count(None, error.reply.code)
            refused = self._refused(error.reply, "command", Then.LINGER if error.fatal else Then.GO_ON)
            return await self._tarpit(refused)
        except TemporaryFailure as error:
            log.warn("{id}: not now: {error}", id=spell(self._id), error=str(error))
            answer = replies.NOT_NOW
        except Exception:
            log.failure("{id}: {command} failed", id=spell(self._id), command=type(command).__name__)
            answer = replies.NOT_NOW
        if isinstance(answer, Answer):
            if answer.data:
                self._count(command, int(answer.data[:3]))
            return answer
        assert command is not None
        self._count(command, answer.code)
        if answer.severity >= 4:
            self._wire.refuse(command)
            refused = self._refused(answer, type(command).__name__, self._after(answer))
            if isinstance(command, (Mail, EndOfChunk, Burl)):
                self._intake.end(self._client)
            return await self._tarpit(refused)
        self._wire.advance(command)
        return Answer(answer.encode())

    patience = 0.0

    def hurry(self) -> None:
        """No answer waits for news."""

    def tls_started(self, tls: Tls) -> None:
        self._intake.end(self._client)
        self._wire.restart()
        old = self._client
        self._client = Client(old.address, old.port, old.service, tls=tls, trusted=old.trusted, reverse=old.reverse)

    def timed_out(self) -> bytes:
        return replies.TOO_SLOW.encode()

    def stopping(self) -> bytes:
        return replies.SHUTTING_DOWN.encode()

    def dismissed(self) -> bytes:
        return replies.DISMISSED.encode()

    def about(self) -> About:
        return About(self._story.id, self._client, self._wire.phase.value)

    def too_many(self) -> bytes:
        return replies.TOO_MANY_CONNECTIONS.encode()

    def failed(self) -> bytes:
        return Reply(421, "3.0", f"Internal error, closing ({spell(self._id)})").encode()

    def lost(self) -> None:
        if self._waiting is not None:
            self._waiting.callback(None)
        self._intake.end(self._client)
        if self._complaints:
            self._story.verdicts += self._complaints
            self._policy.refused(
                self._story.id, self._story.record(self._policy.world.now(), self._client, None, 0, "")
            )

    # -- commands

    async def _hello(self, command: Hello) -> Reply | Answer:
        policy, old = self._policy, self._client
        self._intake.end(old)
        looking, self._reverse = self._reverse, None
        if looking is not None:
            self._client = old = replace(old, reverse=await looking)     # known whatever becomes of this command
        client = Client(
            old.address, old.port, old.service, command.name, command.verb != "HELO", old.tls, old.login, old.trusted,
            old.reverse,
        )
        if policy.pipeline.asks("hello"):
            # The last one counts: a peer may say it as often as it likes.
            self._story.verdicts = [each for each in self._story.verdicts if each[0] != "hello"]
            outcome = await policy.pipeline.run("hello", None, self._story, client, command.name)
            if outcome.refusal is not None:
                return outcome.refusal
        self._client = client
        if not client.extended:
            return Reply(250, "", policy.hostname)
        return policy.offers.to(client, self._peer).reply

    def _mail(self, command: Mail) -> Awaitable[Reply]:
        return self._intake.mail(command, self._client, self._story)

    def _rcpt(self, command: Rcpt) -> Awaitable[Reply]:
        return self._intake.rcpt(command, self._client)

    def _data(self, command: Data) -> Reply:
        return self._intake.data()

    async def _chunk(self, command: Chunk) -> Answer:
        await self._intake.keep(command.octets)
        self._wire.advance(command)
        return _NOTHING

    async def _burl(self, command: Burl) -> Command:
        """What it has become: the end of a BDAT.  Raises `SmtpError` where BURL is not offered."""
        policy, login = self._policy, self._client.login
        if login is None or policy.links is None or policy.offers.to(self._client, self._peer).refuses({"BURL"}):
            raise SmtpError(replies.UNKNOWN_COMMAND)
        account = await policy.directory.account(login)
        if account is None or not account.enabled:
            raise SmtpError(replies.DISABLED)
        return await burl.fetched(self._wire, self._intake, policy.links, account, command)

    async def _end_of_chunk(self, command: EndOfChunk) -> Reply:
        if command.fault is not None:
            return command.fault
        if not await self._intake.keep(command.octets):
            return replies.NOT_NOW
        return Reply(250, "0.0", f"{command.size} octets received")

    async def _end_of_content(self, command: EndOfContent) -> Answer:
        transaction = self._intake.transaction
        assert transaction is not None
        self._wire.advance(command)
        reply = await self._intake.finish(command, self._client)
        then = self._after(reply)
        policy = self._policy
        policy.figures.messages[policy.service, _RESULTS.get(reply.severity, "deferred")] += 1
        if reply.severity == 2:
            transaction.refusal = ""
        else:
            reply = reply.with_id(spell(self._id))
            transaction.refusal = str(reply)
            log.info("{address}: content: {reply}", address=self._client.address, reply=transaction.refusal)
        self._intake.end(self._client)
        # RFC 2033 4.2: LMTP answers for each recipient that it took.
        count = len(transaction.routes) if self._policy.lmtp else 1
        return Answer(reply.encode() * count, then)

    def _rset(self, command: Rset) -> Reply:
        self._intake.end(self._client)
        return replies.OK

    def _noop(self, command: Noop) -> Reply:
        return replies.OK

    def _vrfy(self, command: Vrfy) -> Awaitable[Reply]:
        return inquiries.vrfy(self._policy, self._client, command.what)

    def _expn(self, command: Expn) -> Awaitable[Reply]:
        return inquiries.expn(self._policy, self._client, command.what)

    def _etrn(self, command: Etrn) -> Awaitable[Reply]:
        return inquiries.etrn(self._policy, self._client, command.what)

    def _help(self, command: Help) -> Reply:
        return Reply(214, "0.0", "Commands: " + " ".join(VERBS) + "\nRFC 5321 tells what they do")

    def _quit(self, command: Quit) -> Answer:
        return Answer(replies.BYE.encode(), Then.CLOSE)

    def _starttls(self, command: StartTls) -> Reply | Answer:
        if self._client.tls is not None:
            return Reply(503, "5.1", "TLS is on already")
        if not self._policy.tls:
            return replies.TLS_NOT_AVAILABLE
        if self._wire.buffered:
            # Said in clear behind STARTTLS: whoever said it is not the one who will be inside TLS.
            return Answer(b"", Then.CLOSE)
        return Answer(replies.READY_FOR_TLS.encode(), Then.START_TLS)

    # -- peers that speak for others

    async def _xclient(self, command: XClient) -> Reply | Answer:
        policy = self._policy
        if not policy.offers.xclient(self._peer):
            return replies.NOT_NAMED
        self._client = await vouched.speaks_for(self._client, command.attributes, policy.trusted, policy.directory)
        self._wire.advance(command)
        self._wire.normalises = policy.normalises and self._client.login is not None
        self._story = Story(policy.world.new_id())
        return await self._meet() or self._greeting

    async def _xforward(self, command: XForward) -> Reply:
        if not self._policy.offers.xforward(self._peer):
            return replies.NOT_NAMED
        self._story.forwarded = (self._story.forwarded or {}) | vouched.forwarded(command.attributes)
        return replies.OK

    # -- authentication (RFC 4954)

    async def _auth(self, command: Auth) -> Reply | Answer:
        client = self._client
        if client.login is not None or self._policy.lmtp:
            return replies.BAD_SEQUENCE
        if client.tls is None:
            return replies.AUTH_NEEDS_TLS
        make = MECHANISMS.get(command.mechanism)
        if make is None:
            return replies.MECHANISM_UNKNOWN
        self._mechanism = command.mechanism
        self._exchange = Exchange(make(), self._policy.authentication, client)
        return self._said(command, await self._exchange.begin(command.initial))

    async def _auth_response(self, command: AuthResponse) -> Reply | Answer:
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        if command.response is None:
            return replies.AUTH_CANCELLED
        self._exchange = exchange
        return self._said(command, await exchange.go_on(command.response))

    def _said(self, command: Command, said: Challenge | Account | Reply) -> Reply | Answer:
        """Answer what came of a step of an AUTH."""
        if not isinstance(said, Challenge):
            result = _LOGINS.get(said, "malformed") if isinstance(said, Reply) else "right"
            self._policy.figures.auth[self._policy.service, self._mechanism, result] += 1
        if isinstance(said, Challenge):
            self._wire.advance(command, challenged=True)
            return Answer(b"334 " + base64.b64encode(said.octets) + b"\r\n")
        self._exchange = None
        if isinstance(said, Reply):
            return said
        self._client = replace(self._client, login=said.address)
        self._wire.normalises = self._policy.normalises
        return replies.AUTHENTICATED

    # -- helpers

    @property
    def _id(self) -> int:
        transaction = self._intake.transaction
        return transaction.story.id if transaction is not None else self._story.id

    def _count(self, command: Command | None, code: int) -> None:
        policy = self._policy
        policy.figures.commands[policy.service, _VERBS[type(command)], code] += 1

    async def _wait(self, seconds: float) -> None:
        """Some seconds, or until the peer has gone."""
        waiting: Deferred[None] = Deferred()
        self._waiting = waiting
        timer = self._policy.world.clock.callLater(seconds, waiting.callback, None)
        try:
            await waiting
        finally:
            self._waiting = None
            if timer.active():
                timer.cancel()

    async def _tarpit(self, answer: Answer) -> Answer:
        """An error's answer, slowly to whoever makes many of them."""
        policy, client = self._policy, self._client
        if self._errors > policy.tarpit_after and policy.tarpit and not client.may_relay and answer.then is Then.GO_ON:
            await self._wait(policy.tarpit)
        return answer

    def _after(self, reply: Reply) -> Then:
        """What follows an answer: who sends bare line ends, and is not known, is not listened to any more."""
        return Then.LINGER if reply is replies.BARE_LINE_END and self._client.login is None else Then.GO_ON

    def _refused(self, reply: Reply, what: str, then: Then = Then.GO_ON) -> Answer:
        """An error reply, with the id under which its story can be read."""
        reply = reply.with_id(spell(self._id))
        log.info("{address}: {what}: {reply}", address=self._client.address, what=what.lower(), reply=str(reply))
        if self._intake.transaction is not None:
            self._intake.transaction.refusal = str(reply)
        elif len(self._complaints) < MOST_NOTES:
            self._complaints.append([what.lower(), "", 0, str(reply), ""])
        if reply.severity == 5:
            self._errors += 1
        if then is Then.GO_ON and self._errors > self._policy.errors:
            return Answer(reply.encode() + replies.TOO_MANY_ERRORS.encode(), Then.LINGER)
        return Answer(reply.encode(), then)


# What needs nobody's answer is answered at once, without a coroutine.
_ANSWERS: dict[type[Command], Callable[[SmtpSession, Any], Reply | Answer | Awaitable[Reply | Answer]]] = {
    Hello: SmtpSession._hello,
    Mail: SmtpSession._mail,
    Rcpt: SmtpSession._rcpt,
    Data: SmtpSession._data,
    Chunk: SmtpSession._chunk,
    EndOfChunk: SmtpSession._end_of_chunk,
    EndOfContent: SmtpSession._end_of_content,
    Rset: SmtpSession._rset,
    Noop: SmtpSession._noop,
    Vrfy: SmtpSession._vrfy,
    Expn: SmtpSession._expn,
    Etrn: SmtpSession._etrn,
    Help: SmtpSession._help,
    Quit: SmtpSession._quit,
    StartTls: SmtpSession._starttls,
    Auth: SmtpSession._auth,
    AuthResponse: SmtpSession._auth_response,
    XClient: SmtpSession._xclient,
    XForward: SmtpSession._xforward,
}

# What each command is called where they are counted; what was none is "other".
_VERBS: dict[type, str] = {each: each.__name__.upper() for each in _ANSWERS} | {
    type(None): "other", Hello: "EHLO", EndOfContent: "content", Chunk: "BDAT", EndOfChunk: "BDAT",
    AuthResponse: "AUTH", Burl: "BURL",
}
_RESULTS = {2: "accepted", 4: "deferred", 5: "rejected"}
_LOGINS = {replies.AUTH_FAILED: "wrong", replies.AUTH_NOT_NOW: "not now", replies.AUTH_CANCELLED: "cancelled"}
