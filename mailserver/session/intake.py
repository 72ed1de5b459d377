"""One message after the other, from MAIL to the end of its content: what is asked of whom, and what is answered."""

from __future__ import annotations

from dataclasses import replace

from twisted.logger import Logger

from mailserver import reply as replies
from mailserver.address import Address
from mailserver.content import Content
from mailserver.destination import Drop
from mailserver.envelope import Client, Envelope, Origin
from mailserver.errors import TemporaryFailure
from mailserver.header import solicitations
from mailserver.ident import spell
from mailserver.reply import Reply
from mailserver.routing import Routed
from mailserver.session.policy import SmtpPolicy
from mailserver.session.transaction import Transaction
from mailserver.smtp.commands import EndOfContent, Mail, Rcpt
from mailserver.story import Story
from mailserver.wishes import NONE, Wishes

log = Logger()

MOST_REFUSALS = 100     # recipients whose refusal one story tells: a peer may ask for as many as it likes


class Intake:
    """Holds the transaction, if there is one."""

    __slots__ = ("_peer", "_policy", "transaction")

    def __init__(self, policy: SmtpPolicy, peer: str) -> None:
        self._policy = policy
        self._peer = peer
        self.transaction: Transaction | None = None

    def end(self, client: Client) -> None:
        """The transaction is over; what was refused of it leaves its story."""
        transaction, self.transaction = self.transaction, None
        if transaction is None:
            return
        transaction.drop()
        if transaction.refusal:
            story, now = transaction.story, self._policy.world.now()
            self._policy.refused(story.id, story.record(now, client, transaction.envelope, 0, transaction.refusal))

    # -- MAIL

    async def mail(self, command: Mail, client: Client, said: Story) -> Reply:
        """Begin a transaction; `said` is what was said of the connection so far."""
        policy = self._policy
        if policy.login_required and not client.may_relay:
            return replies.TLS_REQUIRED if client.tls is None and policy.tls else replies.AUTH_REQUIRED
        if command.uses and (refusal := self._wrong_parameters(command, client)) is not None:
            return refusal
        if not client.trusted and not policy.limits.message(client.address, _login(client)):
            return replies.TOO_MANY_MESSAGES
        if not policy.acceptance.has_room():
            return replies.NO_ROOM
        id = policy.world.new_id()
        origin = Origin.SUBMISSION if client.may_relay and not policy.lmtp else Origin.ARRIVAL
        wishes = self._wishes(command) if command.uses else NONE
        envelope = Envelope(id, origin, command.sender, (), command.size, command.body, wishes)
        self.transaction = transaction = Transaction(envelope, Story(id))
        transaction.story.verdicts += said.verdicts
        transaction.story.forwarded, said.forwarded = said.forwarded, None
        if client.login is not None:
            refusal = await self._refuses(client.login, command.sender, transaction.story)
            if refusal is not None:
                return refusal
        if policy.pipeline.asks("sender", origin):
            outcome = await policy.pipeline.run("sender", origin, transaction.story, client, envelope)
            if outcome.refusal is not None:
                return outcome.refusal
            transaction.note(outcome)
        return replies.SENDER_OK

    def _wrong_parameters(self, command: Mail, client: Client) -> Reply | None:
        policy = self._policy
        offer = policy.offers.to(client, self._peer)
        if command.size > policy.size:
            return replies.TOO_BIG
        extensions = command.uses - {"AUTH"}        # RFC 4954 5: relays say it to those that do not offer it now
        if offer.refuses(extensions) or (command.body == "BINARYMIME" and offer.refuses({"BINARYMIME"})):
            return replies.PARAMETER_UNKNOWN
        unwanted = set(command.solicit) & set(policy.offers.no_soliciting)
        if unwanted:
            return _soliciting(unwanted)
        longest = policy.offers.longest_hold
        if command.hold_for > longest or command.hold_until > policy.world.now() + longest:
            return Reply(501, "5.4", f"A message may wait for its release {longest} seconds at most")
        return None

    def _wishes(self, command: Mail) -> Wishes:
        now = self._policy.world.now()
        return Wishes(
            utf8=command.utf8,
            ret=command.ret,
            envid=command.envid,
            require_tls=command.require_tls,
            release=now + command.hold_for if command.hold_for else command.hold_until,
            priority=command.priority,
            deliver_by=now + command.by if command.by_mode else 0.0,
            by_mode=command.by_mode,
        )

    async def _refuses(self, login: Address, sender: Address | None, story: Story) -> Reply | None:
        """Why somebody logged in may not send as `sender`.

        It may as itself, as what leads to it, as nobody (<>), and in the name of those whose delegate it is.

        The login may be hours old, and the account disabled meanwhile.
        """
        directory = self._policy.directory
        account = await directory.account(login)
        if account is None and await directory.refreshed():
            account = await directory.account(login)
        if account is None or not account.enabled:
            return replies.DISABLED
        if sender is None or sender.key == login.key:
            return None
        if await self._may_send_as(login, sender, story):
            return None
        if await directory.refreshed() and await self._may_send_as(login, sender, story):
            return None
        return replies.NOT_YOUR_SENDER

    async def _may_send_as(self, login: Address, sender: Address, story: Story) -> bool:
        owners = await self._policy.router.owners(sender)
        if login.key in owners:
            return True
        for each in sorted(owners):
            owner = Address.parse(each)
            if login.key in await self._policy.directory.delegates(owner):
                name = str(owner) if owner.local else f"@{owner.domain}"
                story.verdict("sender", "delegation", 0.0, f"{login} sends in the name of {name}", str(sender))
                return True
        return False

    # -- RCPT

    async def rcpt(self, command: Rcpt, client: Client) -> Reply:
        """One more recipient, or why not."""
        transaction = self.transaction
        assert transaction is not None
        recipient = command.recipient
        if len(transaction.routes) >= self._policy.recipients:
            return replies.TOO_MANY_RECIPIENTS
        if command.uses and self._policy.offers.to(client, self._peer).refuses(command.uses):
            return replies.PARAMETER_UNKNOWN
        if not recipient.is_ascii and not transaction.envelope.wishes.utf8:
            return replies.NEEDS_SMTPUTF8
        if not client.trusted and not self._policy.limits.recipient(client.address, _login(client)):
            return replies.TOO_MANY_RECIPIENTS_NOW
        story = transaction.story
        told = len(story.verdicts), len(story.destinations)
        refusal = await self._take(transaction, command, client)
        if refusal is not None:
            story.destination(str(recipient), "", f"refused: {refusal}")
            transaction.refusals += 1
            if transaction.refusals > MOST_REFUSALS:
                del story.verdicts[told[0]:], story.destinations[told[1]:]
            return refusal
        return replies.RECIPIENT_OK

    async def _take(self, transaction: Transaction, command: Rcpt, client: Client) -> Reply | None:
        """Judge and route one recipient; the reply is given when it is refused."""
        policy, recipient = self._policy, command.recipient
        local = not recipient.domain or await policy.directory.is_local(recipient.domain)
        if not local and (policy.lmtp or not (client.may_relay or policy.relays(recipient.domain))):
            return self._no(replies.RELAY_DENIED)
        envelope, story = transaction.envelope, transaction.story
        if not local and policy.relays(recipient.domain):
            unknown = await policy.exists(recipient)
            if unknown is not None:
                return self._no(unknown)
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
            return self._no(routed.refusal)
        if await policy.room.is_full(routed.destinations, envelope.size):
            return self._no(replies.MAILBOX_FULL)
        if wanted is not recipient or command.uses:
            routed = replace(routed, recipient=recipient, notify=command.notify, orcpt=command.orcpt)
        transaction.grow(recipient, routed)
        if quarantine:
            transaction.junk.add(recipient)
        return None

    def _no(self, refusal: Reply) -> Reply:
        """A refusal of ours, not of a filter's, who are counted where they are asked."""
        self._policy.figures.rejections["recipient", "", refusal.code] += 1
        return refusal

    # -- the content

    def data(self) -> Reply:
        """May the content come by DATA?"""
        assert self.transaction is not None
        if self.transaction.envelope.body == "BINARYMIME":
            return Reply(503, "5.1", "BODY=BINARYMIME needs BDAT")          # RFC 3030 3
        return replies.GO_AHEAD

    def is_8bit(self) -> None:
        """The content has octets beyond ASCII, whatever MAIL said of it: what BURL brings its sender has not seen."""
        transaction = self.transaction
        assert transaction is not None
        if transaction.envelope.body == "7BIT":
            transaction.envelope = replace(transaction.envelope, body="8BITMIME")

    async def keep(self, octets: bytes) -> bool:
        """Some octets of the content; False once it cannot be kept, which its end is answered with."""
        transaction = self.transaction
        assert transaction is not None
        if transaction.incoming is None and not transaction.failed:
            transaction.incoming = self._policy.incoming(transaction.envelope.id)
        try:
            if transaction.incoming is not None:
                await transaction.incoming.write(octets)
        except Exception:
            log.failure("{id}: a content cannot be kept", id=spell(transaction.envelope.id))
            transaction.drop()
            transaction.failed = True
        return not transaction.failed

    async def finish(self, command: EndOfContent, client: Client) -> Reply:
        """The content is here: the reply that promises it, or why it is not taken."""
        transaction = self.transaction
        assert transaction is not None
        id = spell(transaction.envelope.id)
        try:
            if command.fault is not None:
                return command.fault
            kept = await self.keep(command.octets)
            if kept and not self._is_over(transaction):
                return await self._accept(transaction, client)
        except TemporaryFailure as error:
            log.warn("{id}: not now: {error}", id=id, error=str(error))
        except Exception:
            if not self._is_over(transaction):
                log.failure("{id}: acceptance failed", id=id)
        return replies.NOT_NOW

    def _is_over(self, transaction: Transaction) -> bool:
        """Whether the peer has gone meanwhile, and with it whatever came of the content: to be asked after a wait."""
        if self.transaction is transaction:
            return False
        transaction.drop()
        return True

    async def _accept(self, transaction: Transaction, client: Client) -> Reply:
        policy = self._policy
        incoming = transaction.incoming
        assert incoming is not None
        content: Content = await incoming.finish()
        envelope, story = transaction.envelope, transaction.story
        if policy.offers.no_soliciting:
            unwanted = solicitations(content) & set(policy.offers.no_soliciting)
            if unwanted:
                return _soliciting(unwanted)
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
        if self._is_over(transaction):
            return replies.NOT_NOW
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


def _login(client: Client) -> str:
    return client.login.key if client.login is not None else ""


def _soliciting(unwanted: set[str]) -> Reply:
    return Reply(550, "7.1", f"Not wanted here: {', '.join(sorted(unwanted))} (RFC 3865)")
