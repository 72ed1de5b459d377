"""One POP3 conversation: a login, a mailbox that nobody else may change meanwhile, and its messages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from mailserver.authentication import Authentication
from mailserver.envelope import Client, Tls
from mailserver.errors import NotFound, TemporaryFailure
from mailserver.ident import spell
from mailserver.interfaces import INBOX, Account, IMailboxStore, Message
from mailserver.net.answer import Answer, Then
from mailserver.net.limits import peer_key
from mailserver.pop3.wire import Command, Pop3Error, ServerWire, State, Stuffer
from mailserver.sasl import MECHANISMS, Challenge, Mechanism, SaslError
from mailserver.store import locks
from mailserver.store.database import Database
from mailserver.world import World

log = Logger()

MOST_FAILURES = 3           # wrong logins before the connection ends
FAILURE_WAIT = 1.0          # seconds after each
MOST_ERRORS = 50
TOP_READS = 64 * 1024       # octets looked at for TOP at first


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


@dataclass(slots=True)
class Maildrop:
    """A mailbox as it was when the session locked it (RFC 1939 4)."""

    mailbox: Any                    # IMailbox
    messages: Sequence[Message]
    lock: str
    deleted: set[int]               # numbers, counted from 0

    def pick(self, number: int) -> Message:
        """Message `number`, counted from 1; raises `Pop3Error`."""
        if not 1 <= number <= len(self.messages) or number - 1 in self.deleted:
            raise Pop3Error("there is no such message")
        return self.messages[number - 1]

    def left(self) -> list[tuple[int, Message]]:
        """What is not marked as deleted, with its numbers."""
        return [(at + 1, each) for at, each in enumerate(self.messages) if at not in self.deleted]

    def uidl(self, message: Message) -> str:
        """An identifier that no other message of this mailbox ever has (RFC 1939 7)."""
        return f"{self.mailbox.uidvalidity}.{message.uid}"


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
        self._failures = 0
        self._errors = 0
        self._gone = False
        self._answers: dict[str, Callable[[Command], Awaitable[Answer]]] = {
            "CAPA": self._capa, "QUIT": self._quit, "STLS": self._stls, "USER": self._name, "PASS": self._pass,
            "AUTH": self._auth, "NOOP": self._noop, "STAT": self._stat, "LIST": self._list, "UIDL": self._uidl,
            "RETR": self._retr, "TOP": self._top, "DELE": self._dele, "RSET": self._rset,
        }

    # -- a Talker

    async def greeting(self) -> Answer:
        return _ok(f"{self._policy.hostname} POP3")

    def receive(self, data: bytes) -> None:
        self._wire.receive(data)

    @property
    def buffered(self) -> int:
        return self._wire.buffered

    async def next(self) -> Answer | None:
        try:
            said = self._wire.next()
            if said is None:
                return None
            if isinstance(said, bytes):
                return await self._exchange(said)
            return await self._answers[said.verb](said)
        except Pop3Error as error:
            self._errors += 1
            if error.fatal or self._errors > MOST_ERRORS:
                return Answer(_err(str(error)).data, Then.LINGER)
            return _err(str(error))
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

    def too_many(self) -> bytes:
        return b"-ERR [SYS/TEMP] too many connections from your address\r\n"

    def failed(self) -> bytes:
        return f"-ERR [SYS/TEMP] internal error ({spell(self._id)})\r\n".encode()

    def lost(self) -> None:
        self._gone = True
        self._unlock()

    # -- authorization

    async def _capa(self, command: Command) -> Answer:
        lines = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"]
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
            return _err("[AUTH] that mechanism is not known")
        mechanism = make()
        initial = None
        if len(words) == 2:
            initial = b"" if words[1] == "=" else _base64(words[1].encode())
        return await self._step(mechanism, lambda: mechanism.start(initial))

    async def _exchange(self, line: bytes) -> Answer:
        mechanism, self._mechanism = self._mechanism, None
        self._wire.state = State.AUTHORIZATION
        assert mechanism is not None
        if line == b"*":
            return _err("authentication cancelled")
        response = _base64(line)
        return await self._step(mechanism, lambda: mechanism.step(response))

    async def _step(self, mechanism: Mechanism, step: Callable[[], Any]) -> Answer:
        try:
            said = step()
        except SaslError as error:
            return _err(f"[AUTH] malformed authentication: {error}")
        if isinstance(said, Challenge):
            self._mechanism = mechanism
            self._wire.state = State.EXCHANGE
            return Answer(b"+ " + base64.b64encode(said.octets) + b"\r\n")
        if said.authorize_as not in ("", said.name):
            return await self._wrong()
        return await self._log_in(said.name, said.password)

    async def _log_in(self, name: str, password: str) -> Answer:
        account = await self._policy.authentication.check(name, password, self._client)
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
        try:
            mailbox = await policy.store.open(account, INBOX)
            messages = await mailbox.messages()
        except BaseException:
            await policy.database.write(locks.release, name, self._owner)
            raise
        self._drop = Maildrop(mailbox, messages, name, set())
        self._wire.state = State.TRANSACTION
        if self._gone:
            self._unlock()
        return _ok(f"{len(messages)} messages")

    @property
    def _owner(self) -> str:
        return f"{self._policy.instance}/{spell(self._id)}"

    def _unlock(self) -> Deferred[None] | None:
        """Let others open the mailbox."""
        drop, self._drop = self._drop, None
        if drop is None:
            return None
        try:
            freed = self._policy.database.write(locks.release, drop.lock, self._owner)
        except (RuntimeError, TemporaryFailure):
            return None             # the server stops, and gives back all that it holds
        freed.addErrback(lambda failure: log.failure("a lock was not given back; it will lapse", failure))
        return freed

    # -- transaction

    @property
    def _open_drop(self) -> Maildrop:
        assert self._drop is not None
        return self._drop

    async def _noop(self, command: Command) -> Answer:
        return _ok("")

    async def _stat(self, command: Command) -> Answer:
        left = self._open_drop.left()
        return _ok(f"{len(left)} {sum(each.size for _, each in left)}")

    async def _list(self, command: Command) -> Answer:
        return self._listing(command, lambda message: str(message.size))

    async def _uidl(self, command: Command) -> Answer:
        return self._listing(command, self._open_drop.uidl)

    def _listing(self, command: Command, tell: Callable[[Message], str]) -> Answer:
        drop = self._open_drop
        if command.argument:
            return _ok(f"{command.number} {tell(drop.pick(command.number))}")
        lines = [f"{number} {tell(message)}" for number, message in drop.left()]
        return Answer("\r\n".join([f"+OK {len(lines)} messages", *lines, ".", ""]).encode())

    async def _retr(self, command: Command) -> Answer:
        drop = self._open_drop
        message = drop.pick(command.number)
        octets = drop.mailbox.read(message.uid)
        first = await _first(octets)
        return Answer(f"+OK {message.size} octets\r\n".encode(), stream=_stuffed(first, octets))

    async def _top(self, command: Command) -> Answer:
        drop = self._open_drop
        message = drop.pick(command.number)
        count = TOP_READS
        while True:
            octets = await drop.mailbox.beginning(message.uid, count)
            top = top_of(octets, command.lines)
            if len(top) < len(octets) or len(octets) < count:
                break
            count *= 4
        stuffer = Stuffer()
        return Answer(b"+OK\r\n" + stuffer.feed(top) + stuffer.end())

    async def _dele(self, command: Command) -> Answer:
        drop = self._open_drop
        drop.pick(command.number)
        drop.deleted.add(command.number - 1)
        return _ok(f"message {command.number} will be deleted at QUIT")

    async def _rset(self, command: Command) -> Answer:
        self._open_drop.deleted.clear()
        return _ok("")

    async def _quit(self, command: Command) -> Answer:
        drop = self._drop
        answer = _ok("bye")
        if drop is not None and drop.deleted:
            try:
                await drop.mailbox.remove([drop.messages[at].uid for at in drop.deleted])
            except Exception:
                log.failure("{id}: deleting failed", id=spell(self._id))
                answer = _err(f"[SYS/TEMP] nothing was deleted ({spell(self._id)})")
        unlocked = self._unlock()
        if unlocked is not None:
            await unlocked
        return Answer(answer.data, Then.CLOSE)


def _ok(text: str) -> Answer:
    return Answer(f"+OK {text}".rstrip().encode() + b"\r\n")


def _err(text: str) -> Answer:
    return Answer(f"-ERR {text}\r\n".encode())


def _base64(line: bytes) -> bytes:
    try:
        return base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raise Pop3Error("[AUTH] that is not base64") from None


async def _first(octets: AsyncIterator[bytes]) -> bytes:
    """The first piece, read before anything is promised: a message that is gone is an error, not half an answer."""
    async for piece in octets:
        return piece
    return b""


async def _stuffed(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    stuffer = Stuffer()
    yield stuffer.feed(first)
    async for octets in rest:
        yield stuffer.feed(octets)
    yield stuffer.end()


def top_of(octets: bytes, lines: int) -> bytes:
    """The header, the empty line and the first `lines` lines of the body, as far as `octets` go."""
    end = octets.find(b"\r\n\r\n")
    if end < 0:
        return octets
    at = end + 4
    for _ in range(lines):
        following = octets.find(b"\n", at)
        if following < 0:
            return octets
        at = following + 1
    return octets[:at]
