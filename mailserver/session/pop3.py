"""One POP3 conversation: a login, a mailbox that nobody else may change meanwhile, and its messages."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import replace
from math import ceil

from twisted.logger import Logger

from mailserver.envelope import Client, Tls
from mailserver.errors import NotFound, TemporaryFailure
from mailserver.ident import spell
from mailserver.interfaces import INBOX, Account
from mailserver.net.answer import About, Answer, Then
from mailserver.pop3 import phrases
from mailserver.pop3.capabilities import capabilities
from mailserver.pop3.languages import LISTING, Voice, chosen, said
from mailserver.pop3.multiline import END
from mailserver.pop3.wire import Command, Pop3Error, ServerWire, State
from mailserver.sasl import MECHANISMS
from mailserver.session.authorization import Authorization, WrongLogin
from mailserver.session.maildrop import Maildrop
from mailserver.session.maildroplock import MaildropLock
from mailserver.session.pop3policy import Pop3Policy
from mailserver.session.pop3transaction import Transaction

log = Logger()

PATIENCE = 600.0            # seconds of silence, RFC 1939 3: at least ten minutes
MOST_ERRORS = 50


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
        self._transaction: Transaction | None = None
        self._lock = MaildropLock(policy.database, f"{policy.instance}/{spell(self._id)}")
        self._is_leaving = False
        self._errors = 0
        self._gone = False
        self._answers: dict[str, Callable[[Command], Awaitable[Answer]]] = {
            "CAPA": self._capa, "QUIT": self._quit, "STLS": self._stls, "UTF8": self._utf8_mode, "LANG": self._lang,
            "USER": self._name, "PASS": self._pass, "AUTH": self._auth,
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
            if (octets := self._at_hand()) is not None:
                return Answer(octets)
            command = self._wire.next()
            if command is None:
                return None
            if isinstance(command, bytes):
                verb = "AUTH"
                answer = await self._proceed(await self._authorization.go_on(command))
            else:
                verb = command.verb
                answer = await self._answers.get(verb, self._transact)(command)
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

    def _at_hand(self) -> bytes | None:
        """The answers to the next RETRs that are there and need nobody to be waited for; None: there are none.

        Who takes a mailbox says many of them ahead: a coroutine on each floor would cost as much as all the rest.
        """
        transaction = self._transaction
        if transaction is None:
            return None
        joined: list[bytes] = []
        while (number := self._wire.next_retr(transaction.may_answer)) is not None:
            joined.append(transaction.at_hand(number))
        if not joined:
            return None
        self._policy.figures.commands["pop3", "RETR", "+OK"] += len(joined)
        return b"".join(joined)

    def _refusal(self, error: Pop3Error) -> bytes:
        return self._voice.err(error.phrase, *error.values)

    def _ok(self, phrase: phrases.Phrase = phrases.NOTHING, *values: object) -> Answer:
        return Answer(self._voice.ok(phrase, *values))

    def _err(self, phrase: phrases.Phrase, *values: object) -> Answer:
        return Answer(self._voice.err(phrase, *values))

    patience = PATIENCE

    def hurry(self) -> None:
        """No answer waits for news."""

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
        if self._transaction is not None and self._transaction.is_streaming:
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
        self._transaction = Transaction(drop, self._voice)
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

    async def _transact(self, command: Command) -> Answer:
        assert self._transaction is not None
        return await self._transaction.answer(command)

    async def _quit(self, command: Command) -> Answer:
        self._is_leaving = True         # the lock stays until all is done, even if the peer is gone by then
        drop = None if self._transaction is None else self._transaction.drop
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
