"""One SMTP, submission or LMTP conversation: what is asked of whom, and what is answered."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from twisted.logger import Logger

from mailserver import reply as replies
from mailserver.address import Address
from mailserver.content import Content
from mailserver.destination import Drop
from mailserver.envelope import Client, Envelope, Origin, Tls
from mailserver.errors import TemporaryFailure
from mailserver.ident import spell
from mailserver.interfaces import Account
from mailserver.net.answer import Answer, Then
from mailserver.reply import Reply
from mailserver.routing import Routed
from mailserver.sasl import MECHANISMS, Challenge
from mailserver.session.exchange import Exchange
from mailserver.session.policy import SmtpPolicy
from mailserver.session.transaction import Transaction
from mailserver.smtp.commands import (
    VERBS,
    Auth,
    AuthResponse,
    Chunk,
    Command,
    Data,
    EndOfContent,
    Hello,
    Help,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
)
from mailserver.smtp.lines import SmtpError
from mailserver.smtp.server import ServerWire
from mailserver.story import Story

log = Logger()

MOST_NOTES = 50         # refusals of one session that its story keeps
_NOTHING = Answer(b"")


class SmtpSession:
    """A `mailserver.net.answer.Talker` for SMTP, submission and LMTP."""

    def __init__(self, policy: SmtpPolicy, address: str, port: int) -> None:
        self._policy = policy
        self._wire = ServerWire(policy.size, policy.lmtp)
        self._client = Client(address, port, policy.service, trusted=policy.trusted(address))
        self._story = Story(policy.world.new_id())      # of the session, for what is refused outside transactions
        self._transaction: Transaction | None = None
        self._exchange: Exchange | None = None
        self._errors = 0
        self._complaints: list[list[Any]] = []          # what was refused outside transactions

    # -- a Talker

    async def greeting(self) -> Answer:
        policy = self._policy
        if policy.pipeline.asks("connected"):
            outcome = await policy.pipeline.run("connected", None, self._story, self._client)
            refusal = outcome.refusal
            if refusal is not None:
                # RFC 5321 3.1: 554 for "no"; a "not now" ends the connection too (421).
                code = 554 if refusal.severity == 5 else 421
                return self._refused(Reply(code, refusal.detail, refusal.text), "connect", Then.CLOSE)
        kind = "LMTP" if policy.lmtp else "ESMTP"
        return Answer(f"220 {policy.hostname} {kind}\r\n".encode())

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
            answer = await _ANSWERS[type(command)](self, command)
        except SmtpError as error:
            return self._refused(error.reply, "command", Then.LINGER if error.fatal else Then.GO_ON)
        except TemporaryFailure as error:
            log.warn("{id}: not now: {error}", id=spell(self._id), error=str(error))
            answer = replies.NOT_NOW
        except Exception:
            log.failure("{id}: {command} failed", id=spell(self._id), command=type(command).__name__)
            answer = replies.NOT_NOW
        if isinstance(answer, Answer):
            return answer
        assert command is not None
        if answer.severity >= 4:
            self._wire.refuse(command)
            refused = self._refused(answer, type(command).__name__)
            if isinstance(command, Mail):
                self._end_transaction()
            return refused
        self._wire.advance(command)
        return Answer(answer.encode())

    def tls_started(self, tls: Tls) -> None:
        self._end_transaction()
        self._wire.restart()
        old = self._client
        self._client = Client(old.address, old.port, old.service, tls=tls, trusted=old.trusted)

    def timed_out(self) -> bytes:
        return replies.TOO_SLOW.encode()

    def stopping(self) -> bytes:
        return replies.SHUTTING_DOWN.encode()

    def too_many(self) -> bytes:
        return replies.TOO_MANY_CONNECTIONS.encode()

    def failed(self) -> bytes:
        return Reply(421, "3.0", f"Internal error, closing ({spell(self._id)})").encode()

    def lost(self) -> None:
        self._end_transaction()
        if self._complaints:
            self._story.verdicts += self._complaints
            self._policy.refused(
                self._story.id, self._story.record(self._policy.world.now(), self._client, None, 0, "")
            )

    # -- commands

    async def _hello(self, command: Hello) -> Reply | Answer:
        policy = self._policy
        self._end_transaction()
        client = replace(self._client, hello=command.name, extended=command.verb != "HELO")
        if policy.pipeline.asks("hello"):
            outcome = await policy.pipeline.run("hello", None, self._story, client, command.name)
            if outcome.refusal is not None:
                return outcome.refusal
        self._client = client
        if not client.extended:
            return Reply(250, "", policy.hostname)
        lines = [policy.hostname, "PIPELINING", f"SIZE {policy.size}", "8BITMIME", "ENHANCEDSTATUSCODES"]
        if client.tls is None and policy.tls:
            lines.append("STARTTLS")
        if self._may_log_in:
            lines.append("AUTH " + " ".join(MECHANISMS))
        lines.append("HELP")
        return Reply(250, "", "\n".join(lines))

    async def _mail(self, command: Mail) -> Reply:
        policy, client = self._policy, self._client
        if policy.login_required and not client.may_relay:
            return replies.TLS_REQUIRED if client.tls is None and policy.tls else replies.AUTH_REQUIRED
        if command.size > policy.size:
            return replies.TOO_BIG
        if not policy.acceptance.has_room():
            return replies.NO_ROOM
        id = policy.world.new_id()
        origin = Origin.SUBMISSION if client.may_relay and not policy.lmtp else Origin.ARRIVAL
        envelope = Envelope(id, origin, command.sender, (), command.size, command.body)
        self._transaction = transaction = Transaction(envelope, Story(id))
        transaction.story.verdicts += self._story.verdicts      # what was said of the connection
        if client.login is not None and not await self._owns(client.login, command.sender):
            return replies.NOT_YOUR_SENDER
        if policy.pipeline.asks("sender", origin):
            outcome = await policy.pipeline.run("sender", origin, transaction.story, client, envelope)
            if outcome.refusal is not None:
                return outcome.refusal
            transaction.note(outcome)
        return replies.SENDER_OK

    async def _rcpt(self, command: Rcpt) -> Reply:
        transaction = self._transaction
        assert transaction is not None
        if len(transaction.routes) >= self._policy.recipients:
            return replies.TOO_MANY_RECIPIENTS
        recipient = command.recipient
        refusal = await self._take(transaction, recipient)
        if refusal is not None:
            transaction.story.destination(str(recipient), "", f"refused: {refusal}")
            return refusal
        return replies.RECIPIENT_OK

    async def _take(self, transaction: Transaction, recipient: Address) -> Reply | None:
        """Judge and route one recipient; the reply is given when it is refused."""
        policy, client = self._policy, self._client
        local = not recipient.domain or await policy.directory.is_local(recipient.domain)
        if not local and (policy.lmtp or not (client.may_relay or policy.relays(recipient.domain))):
            return replies.RELAY_DENIED
        envelope, story = transaction.envelope, transaction.story
        quarantine = False
        wanted = recipient
        if policy.pipeline.asks("recipient", envelope.origin):
            outcome = await policy.pipeline.run(
                "recipient", envelope.origin, story, client, envelope, recipient, about=str(recipient)
            )
            if outcome.refusal is not None:
                return outcome.refusal
            if outcome.discard is not None:
                transaction.grow(recipient, Routed(recipient, (Drop(outcome.discard),)))
                return None
            wanted = outcome.rewrite or recipient
            quarantine = outcome.quarantine is not None
            transaction.add(outcome.add)
        routed = await policy.router.route(wanted, story)
        if routed.refusal is not None:
            return routed.refusal
        if wanted is not recipient:
            routed = replace(routed, recipient=recipient)
        transaction.grow(recipient, routed)
        if quarantine:
            transaction.junk.add(recipient)
        return None

    async def _data(self, command: Data) -> Reply:
        assert self._transaction is not None
        self._transaction.incoming = self._policy.incoming(self._transaction.envelope.id)
        return replies.GO_AHEAD

    async def _chunk(self, command: Chunk) -> Answer:
        transaction = self._transaction
        assert transaction is not None and transaction.incoming is not None
        await transaction.incoming.write(command.octets)
        return _NOTHING

    async def _end_of_content(self, command: EndOfContent) -> Reply | Answer:
        transaction = self._transaction
        assert transaction is not None
        self._wire.advance(command)
        try:
            reply = command.fault or await self._accept(transaction, command.octets)
        except TemporaryFailure as error:
            log.warn("{id}: not now: {error}", id=spell(self._id), error=str(error))
            reply = replies.NOT_NOW
        except Exception:
            log.failure("{id}: acceptance failed", id=spell(self._id))
            reply = replies.NOT_NOW
        then = Then.GO_ON
        if reply.severity == 2:
            transaction.refusal = ""
        else:
            reply = reply.with_id(spell(self._id))
            transaction.refusal = str(reply)
            log.info("{address}: content: {reply}", address=self._client.address, reply=transaction.refusal)
            if command.fault is replies.BARE_LINE_END and self._client.login is None:
                then = Then.LINGER
        self._end_transaction()
        # RFC 2033 4.2: LMTP answers for each recipient that it took.
        count = len(transaction.routes) if self._policy.lmtp else 1
        return Answer(reply.encode() * count, then)

    async def _accept(self, transaction: Transaction, octets: bytes) -> Reply:
        policy, client = self._policy, self._client
        incoming = transaction.incoming
        assert incoming is not None
        await incoming.write(octets)
        content: Content = await incoming.finish()
        envelope, story = transaction.envelope, transaction.story
        if policy.pipeline.asks("content", envelope.origin):
            outcome = await policy.pipeline.run("content", envelope.origin, story, client, envelope, content)
            if outcome.refusal is not None:
                return outcome.refusal
            transaction.note(outcome)
            if outcome.remove:
                content, rewritten = await policy.acceptance.without(envelope.id, content, outcome.remove)
                if rewritten is not None:
                    incoming.discard()
                    transaction.incoming = rewritten
        routes = transaction.routes
        if transaction.discard is not None:
            routes = [Routed(each.recipient, (Drop(transaction.discard),)) for each in routes]
        junk = envelope.recipients if transaction.quarantine else transaction.junk
        added = b"".join(transaction.added)
        # From here on the content is the store's: the peer may go while it is being committed.
        incoming, transaction.incoming = transaction.incoming, None
        try:
            return await policy.acceptance.accept(envelope, content, client, story, routes, added, junk)
        except Exception:
            if content.is_large and incoming is not None and not await policy.acceptance.may_be_taken(envelope.id):
                incoming.discard()
            raise

    async def _rset(self, command: Rset) -> Reply:
        self._end_transaction()
        return replies.OK

    async def _noop(self, command: Noop) -> Reply:
        return replies.OK

    async def _vrfy(self, command: Vrfy) -> Reply:
        # RFC 5321 3.5.3: a site may decline to say who lives there.
        return Reply(252, "1.5", "Cannot VRFY user, but will accept message and attempt delivery")

    async def _help(self, command: Help) -> Reply:
        return Reply(214, "0.0", "Commands: " + " ".join(VERBS) + "\nRFC 5321 tells what they do")

    async def _quit(self, command: Quit) -> Answer:
        return Answer(replies.BYE.encode(), Then.CLOSE)

    async def _starttls(self, command: StartTls) -> Reply | Answer:
        if self._client.tls is not None:
            return Reply(503, "5.1", "TLS is on already")
        if not self._policy.tls:
            return replies.TLS_NOT_AVAILABLE
        if self._wire.buffered:
            # Said in clear behind STARTTLS: whoever said it is not the one who will be inside TLS.
            return Answer(b"", Then.CLOSE)
        return Answer(replies.READY_FOR_TLS.encode(), Then.START_TLS)

    # -- authentication (RFC 4954)

    @property
    def _may_log_in(self) -> bool:
        client = self._client
        return client.tls is not None and client.login is None and not self._policy.lmtp

    async def _auth(self, command: Auth) -> Reply | Answer:
        client = self._client
        if client.login is not None or self._policy.lmtp:
            return replies.BAD_SEQUENCE
        if client.tls is None:
            return replies.AUTH_NEEDS_TLS
        make = MECHANISMS.get(command.mechanism)
        if make is None:
            return replies.MECHANISM_UNKNOWN
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
        if isinstance(said, Challenge):
            self._wire.advance(command, challenged=True)
            return Answer(b"334 " + base64.b64encode(said.octets) + b"\r\n")
        self._exchange = None
        if isinstance(said, Reply):
            return said
        self._client = replace(self._client, login=said.address)
        return replies.AUTHENTICATED

    # -- helpers

    @property
    def _id(self) -> int:
        return self._transaction.story.id if self._transaction is not None else self._story.id

    async def _owns(self, login: Address, sender: Address | None) -> bool:
        """Whether somebody logged in may send as `sender`: itself, an alias that leads to it, or nobody (<>)."""
        if sender is None or sender.key == login.key:
            return True
        targets = await self._policy.directory.alias(sender)
        return targets is not None and any(target.key == login.key for target in targets)

    def _refused(self, reply: Reply, what: str, then: Then = Then.GO_ON) -> Answer:
        """An error reply, with the id under which its story can be read."""
        reply = reply.with_id(spell(self._id))
        log.info("{address}: {what}: {reply}", address=self._client.address, what=what.lower(), reply=str(reply))
        if self._transaction is not None:
            self._transaction.refusal = str(reply)
        elif len(self._complaints) < MOST_NOTES:
            self._complaints.append([what.lower(), "", 0, str(reply), ""])
        if reply.severity == 5:
            self._errors += 1
        if then is Then.GO_ON and self._errors > self._policy.errors:
            return Answer(reply.encode() + replies.TOO_MANY_ERRORS.encode(), Then.LINGER)
        return Answer(reply.encode(), then)

    def _end_transaction(self) -> None:
        transaction, self._transaction = self._transaction, None
        if transaction is None:
            return
        transaction.drop()
        if transaction.refusal:
            self._policy.refused(
                transaction.story.id,
                transaction.story.record(
                    self._policy.world.now(), self._client, transaction.envelope, 0, transaction.refusal
                ),
            )


_ANSWERS: dict[type[Command], Callable[[SmtpSession, Any], Awaitable[Reply | Answer]]] = {
    Hello: SmtpSession._hello,
    Mail: SmtpSession._mail,
    Rcpt: SmtpSession._rcpt,
    Data: SmtpSession._data,
    Chunk: SmtpSession._chunk,
    EndOfContent: SmtpSession._end_of_content,
    Rset: SmtpSession._rset,
    Noop: SmtpSession._noop,
    Vrfy: SmtpSession._vrfy,
    Help: SmtpSession._help,
    Quit: SmtpSession._quit,
    StartTls: SmtpSession._starttls,
    Auth: SmtpSession._auth,
    AuthResponse: SmtpSession._auth_response,
}
