"""One IMAP conversation: who talks, which mailbox is chosen, and each command in its turn."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailserver.envelope import Client, Tls
from mailserver.ident import spell
from mailserver.imap import responses
from mailserver.imap.commands import append, connection, messages
from mailserver.imap.commands.table import State
from mailserver.imap.error import ImapError
from mailserver.imap.events import (
    Announced,
    Cancelled,
    Done,
    Event,
    Joining,
    Joint,
    Linked,
    Piece,
    Request,
    Response,
    Wanted,
)
from mailserver.imap.limits import MOST_SIZE, UNASKED, after_login
from mailserver.imap.wire import ServerWire
from mailserver.interfaces import Account
from mailserver.net.answer import About, Answer, Then
from mailserver.session.imap import capabilities, ending, together, uidonly
from mailserver.session.imap.appending import Appending
from mailserver.session.imap.compression import Compression
from mailserver.session.imap.contexts import Contexts
from mailserver.session.imap.idling import Idling
from mailserver.session.imap.login import Login
from mailserver.session.imap.notifying import Notifying
from mailserver.session.imap.policy import ImapPolicy
from mailserver.session.imap.progress import LONG, Working, with_progress
from mailserver.session.imap.refusing import refusal
from mailserver.session.imap.reply import Reply
from mailserver.session.imap.selected import Selected
from mailserver.session.imap.table import HANDLERS
from mailserver.session.imap.telling import unasked

log = Logger()

MOST_ERRORS = 50            # before the login; after it ten times as many
# Whoever changes messages hears what has become of them, whatever it wants to hear of else.
OWN = (messages.Store, messages.Expunge, messages.Move, append.Replace)
PATIENCE = 1800.0           # seconds of silence that a peer has once it has logged in (RFC 9051 5.4)


class ImapSession:
    """A `mailserver.net.answer.Talker` for IMAP."""

    __slots__ = (
        "_appending", "_compression", "_errors", "_held", "_id", "_idling", "_is_due", "_login",
        "_wake", "_will_compress", "account", "annotated", "at_work", "client", "contexts", "enabled", "is_lost",
        "is_streaming", "notifying", "policy", "selected", "tag", "wire",
    )

    def __init__(self, policy: ImapPolicy, address: str, port: int) -> None:
        self.policy = policy
        self.wire = ServerWire(after_login(policy.size, UNASKED if policy.has_small_literals else MOST_SIZE))
        self.client = Client(address, port, "imap")
        self.account: Account | None = None
        self.selected: Selected | None = None
        self.tag = ""                   # of the command that is being answered
        self.enabled: frozenset[str] = frozenset()
        self.annotated: int | None = None   # the last change of annotations that it heard of; None: it hears of none
        self._id = policy.world.new_id()
        self._login: Login | None = Login(policy)
        self._appending: Appending | None = None
        self._idling: Idling | None = None
        self._held: Event | ImapError | None = None     # what the wire said before its turn
        self._compression: Compression | None = None
        self.at_work: Working | None = None     # on a command that takes long
        self.notifying: Notifying | None = None         # what it has said that it wants to hear of (NOTIFY)
        self.contexts: Contexts | None = None           # searches that are kept up to date
        self._wake: Callable[[], None] | None = None
        self._is_due = False            # something is to be said that nobody asked for
        self._will_compress = False     # from the answer after this one on
        self.is_streaming = False
        self.is_lost = False
        self._errors = 0

    # -- a Talker

    async def greeting(self) -> Answer:
        if self.policy.referral:            # RFC 2221 4.2
            code = f"REFERRAL {self.policy.referral}"
            return Answer(responses.status("BYE", "this server has moved", code), Then.CLOSE)
        words = " ".join(self.capabilities())
        return Answer(responses.status("OK", f"{self.policy.hostname} IMAP", f"CAPABILITY {words}"))

    def spoke_first(self) -> None:
        """Whatever it said is answered in turn."""

    def receive(self, data: bytes) -> None:
        if self._compression is None:
            self.wire.receive(data)
        else:
            self._compression.receive(data)
        if self._idling is not None:
            self._idling.end()

    @property
    def buffered(self) -> int:
        waiting = self._compression.buffered if self._compression is not None else 0
        return self.wire.buffered + waiting + (self._held is not None)

    @property
    def patience(self) -> float:
        return PATIENCE if self.account is not None else 0.0

    def hurry(self) -> None:
        if self._idling is not None:
            self._idling.end()

    async def next(self) -> Answer | None:
        compression = self._compression
        try:
            answer = await self._next()
        finally:
            if self.is_lost:
                self.lost()                 # of what the command has begun since
        if self._will_compress:
            self._compression, self._will_compress = Compression(), False
        if compression is None:
            return answer
        if answer is None:
            if not compression.buffered:
                return None
            try:                            # only now that nothing is left of what was inflated before
                self.wire.receive(compression.inflate())
            except ValueError:
                return Answer(compression.deflate(responses.status("BYE", "that is not DEFLATE")), Then.CLOSE)
            return Answer(b"")
        stream = None if answer.stream is None else compression.deflated(answer.stream)
        return Answer(compression.deflate(answer.data), answer.then, stream)

    async def _next(self) -> Answer | None:
        try:
            event, self._held = self._held, None
            if isinstance(event, ImapError):
                raise event
            if event is None:
                event = self.wire.next()
            while isinstance(event, (Joining, Linked, Joint)):
                await self._join(event)
                event = self.wire.next()
            if event is None:
                return self._unasked()
            if isinstance(event, Request):
                group = self._said_ahead(event) if together.is_one(event.command) and not self.follows else ()
                if len(group) > 1:
                    return Answer(b"", stream=together.answers(self, group))
                work = self.request(event.tag, event.command)
                return await (with_progress(self, event.tag, work) if isinstance(event.command, LONG) else work)
            if isinstance(event, Wanted):
                self.wire.grant()
                return Answer(responses.continuation("go on"))
            if isinstance(event, Announced):
                return await self._announced(event)
            if isinstance(event, Piece):
                assert self._appending is not None
                await self._appending.take(event.octets, event.is_last)
                return Answer(b"")
            if isinstance(event, Done):
                return await self._end_idle()
            assert isinstance(event, (Response, Cancelled))
            return await self._exchange(event)
        except ImapError as error:
            return self._failed(error)

    def _said_ahead(self, first: Request) -> list[Request]:
        """This FETCH and those behind it that can be answered together with it."""
        group = [first]
        while len(group) < together.MOST:
            try:
                event = self.wire.next()
            except ImapError as error:
                self._held = error
                break
            if not isinstance(event, Request) or not together.goes_with(event.command, first.command):
                self._held = event
                break
            group.append(event)
        return group

    def _failed(self, error: ImapError) -> Answer:
        self._forget_appending()
        self._idling = None
        answer = responses.failure(error)
        return Answer(answer, Then.LINGER) if error.fatal else self._counted(answer)

    def _counted(self, answer: bytes) -> Answer:
        """The answer to an error; whoever makes too many of them is sent away."""
        self._errors += 1
        if self._errors > (MOST_ERRORS if self.account is None else 10 * MOST_ERRORS):
            return Answer(answer + responses.status("BYE", "too many errors"), Then.LINGER)
        return Answer(answer)

    def tls_started(self, tls: Tls) -> None:
        self.wire.restart()
        self._login = Login(self.policy)
        self.client = Client(self.client.address, self.client.port, "imap", tls=tls)

    def timed_out(self) -> bytes:
        return self._last("BYE", "you have been silent for too long")

    def stopping(self) -> bytes:
        return self._last("BYE", "the server is shutting down", "UNAVAILABLE")

    def dismissed(self) -> bytes:
        return self._last("BYE", "this connection is ended by the operator")

    @property
    def id(self) -> int:
        """That of no other session."""
        return self._id

    def about(self) -> About:
        doing = "idle" if self._idling is not None else self.wire.state.name.lower().replace("_", " ")
        return About(self._id, self.client, doing)

    def too_many(self) -> bytes:
        return responses.status("BYE", "too many connections from your address", "LIMIT")

    def failed(self) -> bytes:
        if self.is_streaming:
            return b""          # in the middle of a message there is nothing to say: no end of it is what tells
        return self._last("BYE", f"internal error ({spell(self._id)})", "SERVERBUG")

    def _last(self, condition: str, text: str, code: str = "") -> bytes:
        words = responses.status(condition, text, code)
        return words if self._compression is None else self._compression.deflate(words)

    def lost(self) -> None:
        self.is_lost = True
        if self._idling is not None:
            self._idling.end()
        if self.at_work is not None:
            self.at_work.nudge()
        self._forget_appending()
        self.unselect()
        self._hear_no_more()
        self._wake = None

    def _hear_no_more(self) -> None:
        notifying, self.notifying = self.notifying, None
        if notifying is not None:
            notifying.close()

    # -- what nobody asked for

    def woken_by(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def wake(self) -> None:
        """There is something to be told, though nobody asked."""
        if self._idling is not None:
            self._idling.wake()
        elif self._wake is not None:
            self._is_due = True
            self._wake()

    @property
    def follows(self) -> bool:
        """Whether it hears news in another way than most: by `mailserver.session.imap.telling`."""
        return self.notifying is not None or self.contexts is not None

    def notify(self, notifying: Notifying | None) -> None:
        """From now on it hears of this; None: of nothing."""
        old, self.notifying = self.notifying, notifying or Notifying(self, ())
        if old is not None:
            old.close()

    def _unasked(self) -> Answer | None:
        if not self._is_due or self.notifying is None or self._appending is not None:
            return None
        self._is_due = False
        return Answer(b"", stream=self._spoken())

    async def _spoken(self) -> AsyncIterator[bytes]:
        self.is_streaming = True
        async for piece in unasked(self):
            yield piece
        self.is_streaming = False

    # -- commands

    async def request(self, tag: str, command: object) -> Answer:
        """What a command comes to."""
        self.tag = tag
        try:
            handler = HANDLERS.get(type(command))
            if isinstance(command, connection.Idle):
                return await self._idle(tag)
            if isinstance(command, (connection.Login, connection.Authenticate)):
                return await self._authenticate(tag, command)
            if "UIDONLY" in self.enabled:
                uidonly.check(command)
            if self.selected is not None:
                await self.selected.look()
            if self._appending is not None:
                appending, self._appending = self._appending, None
                reply = await appending.finish(self)
            else:
                assert handler is not None, command
                reply = await handler(self, command)
            answer = await ending.end(self, tag, reply, isinstance(command, OWN))
        except Exception as error:
            self._forget_appending()
            reply = self.refusal(error)
            answer = self._refused(tag, reply)
        self.count(command, reply)
        return answer

    def count(self, command: object, reply: Reply) -> None:
        """It is among the figures."""
        self.policy.figures.commands["imap", type(command).__name__.upper(), reply.condition] += 1

    def refusal(self, error: Exception) -> Reply:
        """What the peer hears of what went wrong."""
        return refusal(error, self._id)

    def _refused(self, tag: str, reply: Reply) -> Answer:
        answer = b"".join([*reply.lines, ending.tagged(tag, reply)])
        if self.account is None and reply.then is Then.GO_ON:
            return self._counted(answer)
        return Answer(answer, reply.then)

    def told(
        self, may_expunge: bool, quiet: Collection[int] = (), with_uid: bool = False, tells_flags: bool = True
    ) -> list[bytes]:
        """What is new in the chosen mailbox, for the peer."""
        selected = self.selected
        assert selected is not None
        lines = selected.news(
            may_expunge, with_uid or self.tells_uids, "CONDSTORE" in self.enabled,
            bool(self.enabled & {"QRESYNC", "UIDONLY"}), quiet, "CONDSTORE" in self.enabled, tells_flags,
        )
        if selected.claims is not None:
            claims, selected.claims = selected.claims, None
            claiming = Deferred.fromCoroutine(selected.board.mailbox.claim_recent(claims))
            claiming.addErrback(lambda failure: log.warn("{words}", words=failure.getErrorMessage()))
        return lines

    def capabilities(self) -> list[str]:
        """What can be done now."""
        if self._login is not None:
            may_start_tls = self.policy.tls and self.client.tls is None
            words = capabilities.outside(self._login.mechanisms, self._login.is_allowed(self.client), may_start_tls)
        else:
            words = capabilities.inside(self.policy, self._compression is None)
        if self.policy.has_small_literals:
            words[words.index("LITERAL+")] = "LITERAL-"         # never both (RFC 7888 5)
        return words

    def enable(self, words: frozenset[str]) -> None:
        """Switch these on, for good (RFC 9051 6.3.1)."""
        if "QRESYNC" in words:
            words |= {"CONDSTORE"}
        self.enabled |= words
        self.wire.utf8 = bool(self.enabled & {"UTF8=ACCEPT", "IMAP4REV2"})
        if self.selected is not None:
            self.selected.uid_only = "UIDONLY" in self.enabled

    @property
    def tells_uids(self) -> bool:
        """Whether a FETCH that nobody asked for says the UID (RFC 7162 3.2.3, RFC 9051 7.5.2)."""
        return bool(self.enabled & {"QRESYNC", "IMAP4REV2"})

    def unselect(self) -> None:
        """No mailbox is chosen any more."""
        selected, self.selected = self.selected, None
        self.contexts = None
        if self.notifying is not None:
            self.notifying.look_at(None)
        if selected is not None:
            self.policy.boards.give_back(selected.board)
            if self.wire.state is State.SELECTED:
                self.wire.state = State.AUTHENTICATED

    def compress(self) -> None:
        """From the answer after this one on.  Raises `ImapError`."""
        if self._compression is not None:
            raise ImapError("that is on already", "NO", "COMPRESSIONACTIVE")
        if self.wire.buffered:
            raise ImapError("nothing may come behind COMPRESS until it is answered", fatal=True)
        self._will_compress = True

    # -- login

    async def _authenticate(self, tag: str, command: connection.Login | connection.Authenticate) -> Answer:
        assert self._login is not None
        return await self._logged_in(tag, self._login.begin(tag, command, self.client))

    async def _exchange(self, event: Response | Cancelled) -> Answer:
        assert self._login is not None
        return await self._logged_in(self._login.tag, self._login.proceed(event, self.client))

    async def _logged_in(self, tag: str, step: Awaitable[bytes | Account | Reply]) -> Answer:
        referral = None
        try:
            found = await step
            if isinstance(found, Account) and self.policy.referred is not None:
                referral = await self.policy.referred(found)        # of who has proved who he is (RFC 2221 6)
        except Exception as error:
            return self._refused(tag, self.refusal(error))
        if referral is not None and not referral.may_log_in:
            found = Reply("your mailboxes are on another server", condition="NO", code=f"REFERRAL {referral.url}")
        if isinstance(found, bytes):
            self.wire.challenge(tag)
            return Answer(responses.challenge(found))
        if isinstance(found, Reply):
            return self._refused(tag, found)
        self._login, self.account = None, found
        self.wire.state = State.AUTHENTICATED
        self.client = replace(self.client, login=found.address)
        tls = self.client.tls
        log.info(
            "{id}: {login} logged in to IMAP from {address} ({tls})", id=spell(self._id), login=str(found.address),
            address=self.client.address, tls=tls.version if tls else "no TLS",
        )
        if referral is not None:            # there is room for one code
            here = responses.status("OK", "your own mailboxes are elsewhere", f"REFERRAL {referral.url}", tag)
            return Answer(responses.capability(self.capabilities()) + here)
        words = " ".join(self.capabilities())
        return Answer(responses.status("OK", "you are logged in", f"CAPABILITY {words}", tag))

    def log_out(self) -> None:
        """As if the peer had just connected, but for TLS (RFC 8437)."""
        self.unselect()
        self._hear_no_more()
        self.account = None
        self.enabled = frozenset()
        self.annotated = None
        self.wire.state, self.wire.utf8 = State.NOT_AUTHENTICATED, False
        self.client = replace(self.client, login=None)
        self._login = Login(self.policy)

    # -- messages that come

    async def _announced(self, event: Announced) -> Answer | None:
        if self._appending is None:
            self._appending = Appending(self.policy, event.command)
        try:
            if "UIDONLY" in self.enabled:
                uidonly.check(event.command)
            await self._appending.announce(self, event.draft)
        except Exception as error:
            reply = self.refusal(error)
            self._forget_appending()
            self.wire.refuse(ImapError(reply.text, reply.condition, reply.code, event.tag))
            return await self._next()       # who waits hears it now: nothing is to come before
        self.wire.grant()
        return Answer(responses.continuation("go on") if event.draft.waits else b"")

    async def _join(self, event: Joining | Linked | Joint) -> None:
        if isinstance(event, Joining):
            if self._appending is None:
                self._appending = Appending(self.policy, event.command)
            self._appending.join(event.draft)
        elif self._appending is not None and isinstance(event, Linked):
            await self._appending.link(self, event.url)
        elif self._appending is not None:
            await self._appending.joint()

    def _forget_appending(self) -> None:
        appending, self._appending = self._appending, None
        if appending is not None:
            appending.discard()

    # -- IDLE

    async def _idle(self, tag: str) -> Answer:
        self.wire.idle(tag)
        self._idling = idling = Idling(self, tag)
        if self.buffered:
            idling.end()            # the peer has said more already
        return Answer(responses.continuation("idling"), stream=idling.stream())

    async def _end_idle(self) -> Answer:
        assert self._idling is not None
        idling, self._idling = self._idling, None
        return await ending.end(self, idling.tag, Reply("idled"))
