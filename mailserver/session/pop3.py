"""One POP3 conversation: a login, a mailbox that nobody else may change meanwhile, and its messages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from twisted.internet.defer import succeed
from twisted.internet.task import deferLater
from twisted.logger import Logger

from mailserver.authentication import Authentication
from mailserver.envelope import Client, Tls
from mailserver.errors import NotFound, TemporaryFailure
from mailserver.figures import Figures
from mailserver.ident import spell
from mailserver.interfaces import INBOX, Account, IMailboxStore
from mailserver.net.answer import About, Answer, Then
from mailserver.net.limits import peer_key
from mailserver.pop3.wire import Command, Pop3Error, ServerWire, State
from mailserver.sasl import MECHANISMS, Challenge, Mechanism, SaslError
from mailserver.session.maildrop import Maildrop
from mailserver.store import locks
from mailserver.store.database import Database
from mailserver.world import World

log = Logger()

MOST_FAILURES = 3           # wrong logins before the connection ends
FAILURE_WAIT = 1.0          # seconds after each
MOST_ERRORS = 50
MOST_JOINED = 64 * 1024     # octets of answers that may go out together, before it is seen whether the peer reads


@dataclass(frozen=True)
class Pop3Policy:
    """What all POP3 sessions of one listener share; `lease` is in seconds."""

    hostname: str
    world: World
    authentication: Authentication
    store: IMailboxStore
    database: Database
    instance: str
    tls: bool = False
    clear_passwords: bool = False
    lease: float = 90.0
    figures: Figures = field(default_factory=Figures)


class Pop3Session:
    """A `mailserver.net.answer.Talker` for POP3."""

    def __init__(self, policy: Pop3Policy, address: str, port: int) -> None:
        self._policy = policy
        self._wire = ServerWire()
        self._client = Client(address, port, "pop3")
        self._id = policy.world.new_id()
        self._user: str | None = None
        self._mechanism: Mechanism | None = None
        self._drop: Maildrop | None = None
        self._lock: str | None = None
        self._unpaced = 0           # octets answered since the last stream
        self._is_streaming = False
        self._failures = 0
        self._errors = 0
        self._gone = False
        self._answers: dict[str, Callable[[Command], Awaitable[Answer]]] = {
            "CAPA": self._capa, "QUIT": self._quit, "STLS": self._stls, "USER": self._name, "PASS": self._pass,
            "AUTH": self._auth, "NOOP": self._noop, "STAT": self._stat, "LIST": self._list, "UIDL": self._list,
            "RETR": self._retr, "TOP": self._top, "DELE": self._dele, "RSET": self._rset,
        }

    # -- a Talker

    async def greeting(self) -> Answer:
        return _ok(f"{self._policy.hostname} POP3")

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
        try:
            said = self._wire.next()
            if said is None:
                return None
            if isinstance(said, bytes):
                return await self._exchange(said)
            answer = await self._answers[said.verb](said)
            policy = self._policy
            policy.figures.commands["pop3", said.verb, "-ERR" if answer.data.startswith(b"-") else "+OK"] += 1
            return answer
        except Pop3Error as error:
            self._end_exchange()
            return Answer(_err(str(error)).data, Then.LINGER if error.fatal else Then.GO_ON)
        except NotFound:
            return _err("that message is gone")
        except TemporaryFailure as error:
            log.warn("{id}: not now: {error}", id=spell(self._id), error=str(error))
            return _err(f"[SYS/TEMP] not now, try again later ({spell(self._id)})")
        except Exception:
            log.failure("{id}: POP3 command failed", id=spell(self._id))
            return _err(f"[SYS/TEMP] not now, try again later ({spell(self._id)})")

    def tls_started(self, tls: Tls) -> None:
        self._wire.restart()
        self._user = self._mechanism = None
        self._client = Client(self._client.address, self._client.port, "pop3", tls=tls)

    def timed_out(self) -> bytes:
        return b"-ERR you have been silent for too long\r\n"

    def stopping(self) -> bytes:
        return b"-ERR [SYS/TEMP] the server is shutting down\r\n"

    def dismissed(self) -> bytes:
        return b"-ERR [SYS/TEMP] this connection is ended by the operator\r\n"

    def about(self) -> About:
        return About(self._id, self._client, self._wire.state.name.lower())

    def too_many(self) -> bytes:
        return b"-ERR [SYS/TEMP] too many connections from your address\r\n"

    def failed(self) -> bytes:
        if self._is_streaming:
            return b""          # in the middle of a message there is nothing to say: no end of it is what tells
        return f"-ERR [SYS/TEMP] internal error ({spell(self._id)})\r\n".encode()

    def lost(self) -> None:
        self._gone = True
        self._unlock()

    # -- authorization

    async def _capa(self, command: Command) -> Answer:
        lines = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER"]
        if self._may_log_in and self._wire.state is State.AUTHORIZATION:
            lines += ["USER", "SASL " + " ".join(MECHANISMS)]
        if self._policy.tls and self._client.tls is None:
            lines.append("STLS")
        return Answer("\r\n".join(["+OK", *lines, ".", ""]).encode())

    async def _stls(self, command: Command) -> Answer:
        if self._client.tls is not None:
            return _err("TLS is on already")
        if not self._policy.tls:
            return _err("TLS is not available")
        if self._wire.buffered:
            # Said in clear behind STLS: whoever said it is not the one who will be inside TLS.
            return Answer(b"", Then.CLOSE)
        return Answer(_ok("begin TLS").data, Then.START_TLS)

    @property
    def _may_log_in(self) -> bool:
        """Passwords are taken inside TLS, from this machine, or where the operator says so."""
        return (
            self._client.tls is not None or self._policy.clear_passwords or peer_key(self._client.address) == ""
        )

    def _refuse_clear(self) -> None:
        if not self._may_log_in:
            raise Pop3Error("[AUTH] passwords are taken inside TLS only: STLS first")

    async def _name(self, command: Command) -> Answer:
        self._refuse_clear()
        self._user = command.argument
        return _ok("and the password")

    async def _pass(self, command: Command) -> Answer:
        self._refuse_clear()
        user, self._user = self._user, None
        if user is None:
            return _err("USER first")
        return await self._log_in(user, command.argument)

    async def _auth(self, command: Command) -> Answer:
        words = command.argument.split()
        if not words:
            return Answer("\r\n".join(["+OK", *MECHANISMS, ".", ""]).encode())
        self._refuse_clear()
        make = MECHANISMS.get(words[0].upper())
        if make is None or len(words) > 2:
            return _err("that mechanism is not known")
        mechanism = make()
        initial = None
        if len(words) == 2:
            initial = b"" if words[1] == "=" else _base64(words[1].encode())
        return await self._step(mechanism, lambda: mechanism.start(initial))

    async def _exchange(self, line: bytes) -> Answer:
        mechanism = self._mechanism
        self._end_exchange()
        assert mechanism is not None
        if line == b"*":
            return _err("authentication cancelled")
        response = _base64(line)
        return await self._step(mechanism, lambda: mechanism.step(response))

    def _end_exchange(self) -> None:
        """Whatever comes next is a command."""
        self._mechanism = None
        if self._wire.state is State.EXCHANGE:
            self._wire.state = State.AUTHORIZATION

    async def _step(self, mechanism: Mechanism, step: Callable[[], Any]) -> Answer:
        try:
            said = step()
        except SaslError as error:
            return _err(f"malformed authentication: {error}")
        if isinstance(said, Challenge):
            self._mechanism = mechanism
            self._wire.state = State.EXCHANGE
            return Answer(b"+ " + base64.b64encode(said.octets) + b"\r\n")
        if said.authorize_as not in ("", said.name):
            return await self._wrong()
        return await self._log_in(said.name, said.password)

    async def _log_in(self, name: str, password: str) -> Answer:
        account = await self._policy.authentication.check(name, password, self._client)
        how = "USER" if self._mechanism is None else "SASL"
        self._policy.figures.auth["pop3", how, "wrong" if account is None else "right"] += 1
        if account is None:
            return await self._wrong()
        return await self._open(account)

    async def _wrong(self) -> Answer:
        """The same words, after the same while, for whatever was wrong."""
        self._failures += 1
        log.info("login failed from {address}", address=self._client.address)
        await deferLater(self._policy.world.clock, FAILURE_WAIT, lambda: None)
        answer = _err("[AUTH] name or password is wrong")
        return answer if self._failures < MOST_FAILURES else Answer(answer.data, Then.CLOSE)

    async def _open(self, account: Account) -> Answer:
        policy = self._policy
        name = f"pop3/{account.id}"
        now = policy.world.now()
        if not await policy.database.write(locks.take, name, self._owner, now, now + policy.lease):
            return _err("[IN-USE] another session has this mailbox open")
        self._lock = name
        try:
            mailbox = await policy.store.open(account, INBOX)
            drop = Maildrop(mailbox, await mailbox.messages())
        except BaseException:
            await self._unlock()
            raise
        if self._gone:
            await self._unlock()
        self._drop = drop
        self._wire.state = State.TRANSACTION
        self._client = replace(self._client, login=account.address)
        tls = self._client.tls
        log.info(
            "{id}: {login} opened POP3 from {address} ({tls}), {count} messages",
            id=spell(self._id), login=str(account.address), address=self._client.address,
            tls=tls.version if tls else "no TLS", count=drop.count,
        )
        return _ok(f"{drop.count} messages")

    @property
    def _owner(self) -> str:
        return f"{self._policy.instance}/{spell(self._id)}"

    def _unlock(self) -> Awaitable[None]:
        """Let others open the mailbox; never fails."""
        name, self._lock = self._lock, None
        if name is None:
            return succeed(None)
        try:
            freed = self._policy.database.write(locks.release, name, self._owner)
        except (RuntimeError, TemporaryFailure):
            return succeed(None)        # the server stops, and gives back all that it holds
        return freed.addErrback(lambda failure: log.failure("a lock was not given back; it will lapse", failure))

    # -- transaction

    @property
    def _open_drop(self) -> Maildrop:
        assert self._drop is not None
        return self._drop

    async def _noop(self, command: Command) -> Answer:
        return _ok("")

    async def _stat(self, command: Command) -> Answer:
        drop = self._open_drop
        return _ok(f"{drop.count} {drop.octets}")

    async def _list(self, command: Command) -> Answer:
        drop = self._open_drop
        if command.argument:
            return _ok(drop.line(command.verb, command.number))
        return self._paced(drop.listing(command.verb))

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
        return _ok(f"message {command.number} will be deleted at QUIT")

    async def _rset(self, command: Command) -> Answer:
        self._open_drop.unmark()
        return _ok("")

    async def _quit(self, command: Command) -> Answer:
        # The lock stays until all is done, even if the peer is gone by then.
        lock, self._lock = self._lock, None
        drop = self._drop
        answer = _ok("bye")
        if drop is not None and drop.marked:
            try:
                await drop.remove_marked()
                log.info("{id}: deleted {count} messages", id=spell(self._id), count=len(drop.marked))
            except TemporaryFailure as error:
                log.warn("{id}: nothing was deleted: {error}", id=spell(self._id), error=str(error))
                answer = _err(f"[SYS/TEMP] nothing was deleted ({spell(self._id)})")
            except Exception:
                log.failure("{id}: deleting failed", id=spell(self._id))
                answer = _err(f"[SYS/TEMP] nothing was deleted ({spell(self._id)})")
        self._lock = lock
        await self._unlock()
        return Answer(answer.data, Then.CLOSE)


def _ok(text: str) -> Answer:
    return Answer(f"+OK {text}".rstrip().encode() + b"\r\n")


def _err(text: str) -> Answer:
    return Answer(f"-ERR {text}\r\n".encode())


def _base64(line: bytes) -> bytes:
    try:
        return base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raise Pop3Error("that is not base64") from None


async def _once(octets: bytes) -> AsyncIterator[bytes]:
    yield octets
