"""One POP3 conversation: a login, a mailbox that nobody else may change meanwhile, and its messages."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from math import ceil

from twisted.logger import Logger

from mailserver.authentication import Authentication
from mailserver.envelope import Client, Tls
from mailserver.errors import NotFound, TemporaryFailure
from mailserver.figures import Figures
from mailserver.ident import spell
from mailserver.interfaces import INBOX, Account, IMailboxStore
from mailserver.net.answer import About, Answer, Then
from mailserver.net.tally import Tally
from mailserver.pop3 import phrases
from mailserver.pop3.capabilities import capabilities
from mailserver.pop3.languages import LISTING, Voice, chosen, said
from mailserver.pop3.multiline import END
from mailserver.pop3.wire import Command, Pop3Error, ServerWire, State
from mailserver.sasl import MECHANISMS
from mailserver.session.authorization import Authorization, WrongLogin
from mailserver.session.maildrop import Maildrop
from mailserver.session.maildroplock import MaildropLock
from mailserver.store.database import Database
from mailserver.world import World

log = Logger()

MOST_ERRORS = 50
MOST_JOINED = 64 * 1024     # octets of answers that may go out together, before it is seen whether the peer reads


@dataclass(frozen=True)
class Pop3Policy:
    """What all POP3 sessions of one listener share; `lease` and `login_delay` are in seconds, `expire` in days.

    `tally` is that of all processes of the server.  `utf8_messages`: what who has not said UTF8 gets of a message with
    UTF-8 in its header (RFC 6856 2.1), as `mailserver.session.maildrop.Maildrop` has it.
    """

    hostname: str
    world: World
    authentication: Authentication
    store: IMailboxStore
    database: Database
    instance: str
    tally: Tally
    tls: bool = False
    clear_passwords: bool = False
    lease: float = 90.0
    login_delay: float = 0.0
    expire: int | None = None
    language: str = "en"
    utf8_messages: str = "downgrade"
    figures: Figures = field(default_factory=Figures)


class Pop3Session:
    """A `mailserver.net.answer.Talker` for POP3."""

    def __init__(self, policy: Pop3Policy, address: str, port: int) -> None:
        self._policy = policy
        self._wire = ServerWire()
        self._client = Client(address, port, "pop3")
        self._id = policy.world.new_id()
        self._voice = Voice()
        self._authorization = self._stranger()
        self._utf8 = False
        self._drop: Maildrop | None = None
        self._lock = MaildropLock(policy.database, f"{policy.instance}/{spell(self._id)}")
        self._unpaced = 0           # octets answered since the last stream
        self._is_streaming = False
        self._is_leaving = False
        self._errors = 0
        self._gone = False
        self._answers: dict[str, Callable[[Command], Awaitable[Answer]]] = {
            "CAPA": self._capa, "QUIT": self._quit, "STLS": self._stls, "UTF8": self._utf8_mode, "LANG": self._lang,
            "USER": self._name, "PASS": self._pass, "AUTH": self._auth,
            "NOOP": self._noop, "STAT": self._stat, "LIST": self._list, "UIDL": self._list,
            "RETR": self._retr, "TOP": self._top, "DELE": self._dele, "RSET": self._rset,
        }

    # -- a Talker

    async def greeting(self) -> Answer:
        return self._ok(phrases.GREETING, self._policy.hostname)

    def spoke_first(self) -> None:
        """Whatever it said is answered in turn."""

    def receive(self, data: bytes) -> None:
        self._wire.receive(data)

    @property
    def buffered(self) -> int:
        return self._wire.buffered

    async def next(self) -> Answer | None:
        answer = await self._next()
        if answer is not None and answer.data.startswith(b"-ERR"):
            self._errors += 1
            if self._errors > MOST_ERRORS and answer.then is Then.GO_ON:
                return Answer(answer.data, Then.LINGER)
        return answer

    async def _next(self) -> Answer | None:
        verb = ""
        try:
            command = self._wire.next()
            if command is None:
                return None
            if isinstance(command, bytes):
                verb = "AUTH"
                answer = await self._proceed(await self._authorization.go_on(command))
            else:
                verb = command.verb
                answer = await self._answers[verb](command)
        except WrongLogin as error:
            answer = Answer(self._refusal(error), Then.CLOSE if error.fatal else Then.GO_ON)
        except Pop3Error as error:
            answer = Answer(self._refusal(error), Then.LINGER if error.fatal else Then.GO_ON)
        except NotFound:
            answer = self._err(phrases.GONE)
        except TemporaryFailure as error:
            log.warn("{id}: not now: {error}", id=spell(self._id), error=str(error))
            answer = self._err(phrases.NOT_NOW, spell(self._id))
        except Exception:
            log.failure("{id}: POP3 command failed", id=spell(self._id))
            answer = self._err(phrases.NOT_NOW, spell(self._id))
        if answer.data.startswith(b"-"):
            self._end_exchange()
        if verb:
            self._policy.figures.commands["pop3", verb, "-ERR" if answer.data.startswith(b"-") else "+OK"] += 1
        return answer

    def _refusal(self, error: Pop3Error) -> bytes:
        return self._voice.err(error.phrase, *error.values)

    def _ok(self, phrase: phrases.Phrase = phrases.NOTHING, *values: object) -> Answer:
        return Answer(self._voice.ok(phrase, *values))

    def _err(self, phrase: phrases.Phrase, *values: object) -> Answer:
        return Answer(self._voice.err(phrase, *values))

    def tls_started(self, tls: Tls) -> None:
        self._wire.restart()
        self._voice = Voice()
        self._client = Client(self._client.address, self._client.port, "pop3", tls=tls)
        self._authorization = self._stranger()

    def timed_out(self) -> bytes:
        return self._voice.err(phrases.SILENT)

    def stopping(self) -> bytes:
        return self._voice.err(phrases.STOPPING)

    def dismissed(self) -> bytes:
        return self._voice.err(phrases.DISMISSED)

    def about(self) -> About:
        return About(self._id, self._client, self._wire.state.name.lower())

    def too_many(self) -> bytes:
        return self._voice.err(phrases.TOO_MANY)

    def failed(self) -> bytes:
        if self._is_streaming:
            return b""          # in the middle of a message there is nothing to say: no end of it is what tells
        return self._voice.err(phrases.INTERNAL, spell(self._id))

    def lost(self) -> None:
        self._gone = True
        if not self._is_leaving:
            self._lock.release()

    # -- authorization

    def _stranger(self) -> Authorization:
        policy = self._policy
        return Authorization(
            policy.authentication, policy.world, policy.figures, self._client, policy.tls, policy.clear_passwords
        )

    async def _capa(self, command: Command) -> Answer:
        policy = self._policy
        lines = capabilities(
            MECHANISMS,
            self._authorization.is_open and self._wire.state is State.AUTHORIZATION,
            policy.tls and self._client.tls is None,
            policy.login_delay,
            policy.expire,
        )
        return Answer(self._voice.ok() + lines)

    async def _stls(self, command: Command) -> Answer:
        if self._client.tls is not None:
            return self._err(phrases.TLS_ON)
        if not self._policy.tls:
            return self._err(phrases.NO_TLS)
        if self._utf8:
            return self._err(phrases.TLS_BEFORE_UTF8)           # RFC 6856 2.1
        if self._wire.buffered:
            # Said in clear behind STLS: whoever said it is not the one who will be inside TLS.
            return Answer(b"", Then.CLOSE)
        return Answer(self._voice.ok(phrases.BEGIN_TLS), Then.START_TLS)

    async def _utf8_mode(self, command: Command) -> Answer:
        self._utf8 = True
        return self._ok(phrases.UTF8_ON)

    async def _lang(self, command: Command) -> Answer:
        if not command.argument:
            return Answer(self._voice.ok(phrases.LANGUAGES_FOLLOW) + LISTING + END)
        language = chosen(command.argument, self._policy.language)
        if language is None:
            return self._err(phrases.NO_SUCH_LANGUAGE)
        self._voice.language = language
        return Answer(said(f"+OK {language} {phrases.LANGUAGE_CHOSEN.text(language)}"))

    async def _name(self, command: Command) -> Answer:
        self._authorization.name(command.argument)
        return self._ok(phrases.AND_PASSWORD)

    async def _pass(self, command: Command) -> Answer:
        return await self._open(await self._authorization.password(command.argument))

    async def _auth(self, command: Command) -> Answer:
        if not command.argument:
            return Answer(self._voice.ok() + "".join(f"{each}\r\n" for each in MECHANISMS).encode() + END)
        return await self._proceed(await self._authorization.begin(command.argument))

    async def _proceed(self, proved: bytes | Account) -> Answer:
        if isinstance(proved, Account):
            self._end_exchange()
            return await self._open(proved)
        self._wire.state = State.EXCHANGE
        return Answer(b"+ " + base64.b64encode(proved) + b"\r\n")

    def _end_exchange(self) -> None:
        """Whatever comes next is a command."""
        self._authorization.end_exchange()
        if self._wire.state is State.EXCHANGE:
            self._wire.state = State.AUTHORIZATION

    async def _open(self, account: Account) -> Answer:
        policy = self._policy
        # A bucket of one login, which is full again when the delay is over.
        wait = policy.login_delay
        visit = (f"pop3 {account.id}", 1.0, 1 / wait if wait else 0.0)
        if wait and not policy.tally.has(*visit):
            return self._err(phrases.TOO_SOON, ceil(wait))
        if not await self._lock.take(account.id, policy.world.now(), policy.lease):
            return self._err(phrases.IN_USE)
        try:
            mailbox = await policy.store.open(account, INBOX)
            utf8 = "send" if self._utf8 else policy.utf8_messages
            drop = Maildrop(mailbox, await mailbox.messages(), self._voice, utf8)
        except NotFound:
            await self._lock.release()
            log.error("{id}: {login} has no {mailbox}", id=spell(self._id), login=str(account.address), mailbox=INBOX)
            return self._err(phrases.NO_MAILBOX, spell(self._id))
        except BaseException:
            await self._lock.release()
            raise
        if self._gone:
            await self._lock.release()
        elif wait:
            policy.tally.take(*visit)
        self._drop = drop
        self._wire.state = State.TRANSACTION
        self._client = replace(self._client, login=account.address)
        tls = self._client.tls
        log.info(
            "{id}: {login} opened POP3 from {address} ({tls}), {count} messages",
            id=spell(self._id), login=str(account.address), address=self._client.address,
            tls=tls.version if tls else "no TLS", count=drop.count,
        )
        return self._ok(phrases.MESSAGES, drop.count)

    # -- transaction

    @property
    def _open_drop(self) -> Maildrop:
        assert self._drop is not None
        return self._drop

    async def _noop(self, command: Command) -> Answer:
        return self._ok()

    async def _stat(self, command: Command) -> Answer:
        drop = self._open_drop
        return Answer(said(f"+OK {drop.count} {drop.octets}"))

    async def _list(self, command: Command) -> Answer:
        drop = self._open_drop
        if command.argument:
            return Answer(said(f"+OK {drop.line(command.verb, command.number)}"))
        head = self._voice.ok(phrases.MESSAGES_AND_OCTETS, drop.count, drop.octets)
        return self._paced(head + drop.listing(command.verb))

    async def _retr(self, command: Command) -> Answer:
        return self._message(await self._open_drop.read(command.number))

    async def _top(self, command: Command) -> Answer:
        return self._message(await self._open_drop.read(command.number, command.lines))

    def _message(self, response: bytes | tuple[bytes, AsyncIterator[bytes]]) -> Answer:
        if isinstance(response, bytes):
            return self._paced(response)
        head, pieces = response
        self._unpaced = 0
        return Answer(head, stream=self._streamed(pieces))

    def _paced(self, octets: bytes) -> Answer:
        """A long answer: after so many octets one goes as a stream, which waits for a peer that does not read."""
        self._unpaced += len(octets)
        if self._unpaced <= MOST_JOINED:
            return Answer(octets)
        self._unpaced = 0
        return Answer(b"", stream=_once(octets))

    async def _streamed(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self._is_streaming = True
        try:
            async for piece in pieces:
                yield piece
        finally:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()
        self._is_streaming = False

    async def _dele(self, command: Command) -> Answer:
        self._open_drop.mark(command.number)
        return self._ok(phrases.MARKED, command.number)

    async def _rset(self, command: Command) -> Answer:
        self._open_drop.unmark()
        return self._ok()

    async def _quit(self, command: Command) -> Answer:
        self._is_leaving = True         # the lock stays until all is done, even if the peer is gone by then
        drop = self._drop
        answer = self._ok(phrases.BYE)
        if drop is not None and drop.marked:
            try:
                await drop.remove_marked()
                log.info("{id}: deleted {count} messages", id=spell(self._id), count=len(drop.marked))
            except TemporaryFailure as error:
                log.warn("{id}: nothing was deleted: {error}", id=spell(self._id), error=str(error))
                answer = self._err(phrases.NOT_DELETED, spell(self._id))
            except Exception:
                log.failure("{id}: deleting failed", id=spell(self._id))
                answer = self._err(phrases.NOT_DELETED, spell(self._id))
        await self._lock.release()
        return Answer(answer.data, Then.CLOSE)


async def _once(octets: bytes) -> AsyncIterator[bytes]:
    yield octets
