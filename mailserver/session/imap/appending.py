"""Messages that a client brings: APPEND of one or several, and REPLACE (RFC 9051 6.3.12, RFC 3502, RFC 8508)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailserver import imapstore
from mailserver.content import LARGE, Content
from mailserver.errors import NotFound, OverQuota
from mailserver.imap.commands.append import Append, Draft, Replace
from mailserver.imap.error import ImapError
from mailserver.imap.numbers import spell as spell_numbers
from mailserver.imap.responses import status
from mailserver.imap.urls import LONGEST_URL, BadUrl
from mailserver.imapstore import Appended
from mailserver.session.imap import places
from mailserver.session.imap.places import Place
from mailserver.session.imap.policy import ImapPolicy
from mailserver.session.imap.reply import Reply
from mailserver.store.contents import Incoming

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

MOST_MESSAGES = 10_000      # of one command
MOST_PARTS = 10_000         # of all messages that one command puts together
WORTH_ASKING = 64 * 1024        # octets of a message before which the store is asked whether it will take it
MOST_HELD = 16 * 1024 * 1024    # octets of messages of one command that wait in memory; large ones wait in files


class Appending:
    """The messages of one command as they come; they are kept all together, or not at all."""

    __slots__ = (
        "_command", "_draft", "_held", "_in_memory", "_incoming", "_joint", "_kept", "_messages", "_parts", "_policy",
        "_refusal",
    )

    def __init__(self, policy: ImapPolicy, command: Append | Replace) -> None:
        self._policy = policy
        self._command = command
        self._messages: list[Appended] = []
        self._kept: list[Incoming] = []         # to be thrown away when it comes to nothing
        self._incoming: Incoming | None = None
        self._draft: Draft | None = None
        self._held = 0          # octets of all of them
        self._in_memory = 0
        self._joint: int | None = None      # octets of the message that is put together of parts
        self._parts = 0                     # of all of them
        self._refusal: Exception | None = None

    async def announce(self, session: ImapSession, draft: Draft) -> None:
        """A message is to come; raises what is wrong with that."""
        assert session.account is not None
        if self._refusal is not None:
            raise self._refusal
        if self._joint is not None:
            await self._make_room(session, draft.size)
            self._draft = draft
            return
        if not draft.size:
            raise ImapError("the command is taken back", "NO")              # RFC 3502 6.3.11
        place = await self._place(session)
        if draft.size > WORTH_ASKING:
            await self._ask(place, draft)
        self._begin(draft)

    def _begin(self, draft: Draft) -> None:
        """One more message, of as many octets, or of as many as its parts will be."""
        limit = self._policy.message_limit or self._policy.save_limit
        if limit and len(self._messages) >= limit:
            raise ImapError("too many messages at once", "NO", f"MESSAGELIMIT {limit}")        # RFC 9738 3.1
        if len(self._messages) >= MOST_MESSAGES or self._in_memory > MOST_HELD:
            raise ImapError("too many messages at once", "NO", "LIMIT")
        id = self._policy.world.new_id()
        incoming = self._policy.incoming(id)
        self._kept.append(incoming)
        self._incoming, self._draft = incoming, draft
        self._held += draft.size
        self._in_memory += min(draft.size, LARGE)
        now = self._policy.world.now()
        self._messages.append(Appended(
            id, Content.of(b""), imapstore.Flags(draft.flags.bits, draft.flags.keywords),
            now if draft.date is None else draft.date,
        ))

    async def _place(self, session: ImapSession) -> Place:
        """Where they are to go; raises `ImapError` when they may not."""
        try:
            return await places.place(session, self._command.mailbox, "i")
        except NotFound as error:
            raise ImapError(str(error), "NO", "TRYCREATE") from None

    async def _ask(self, place: Place, draft: Draft) -> None:
        """What the store would refuse in the end is refused before it is sent."""
        if not await self._policy.store.status(place.owner, {place.own_name}):
            raise ImapError("there is no such mailbox", "NO", "TRYCREATE")
        quota = await self._policy.store.quota(place.owner)
        if not isinstance(self._command, Replace) and not quota.has_room(self._held + draft.size):
            raise OverQuota("there is no room for it: the quota is used up")

    # -- messages that are put together of parts (RFC 4469)

    def join(self, draft: Draft) -> None:
        """One begins.  What is wrong is said when the next literal is announced, or at the end."""
        try:
            self._begin(draft)
        except ImapError as error:
            self._refusal = self._refusal or error
        self._joint = 0

    async def link(self, session: ImapSession, url: bytes) -> None:
        """A part that lies in a mailbox."""
        assert session.account is not None and self._incoming is not None
        links = self._policy.links
        if self._refusal is not None:
            return
        try:
            if links is None:
                raise BadUrl("no URL leads anywhere here")
            found = await (await links.own(session.account, url)).located()
            await self._make_room(session, found.size)
            async for octets in found.octets():
                await self._incoming.write(octets)
        except BadUrl as error:
            self._refusal = ImapError(f"that URL leads to nothing: {error}", "NO", f"BADURL {_spelled(url)}")
        except Exception as error:
            self._refusal = error

    async def joint(self) -> None:
        """That was its last part."""
        self._joint = None
        if self._refusal is None:
            try:
                await self._end()
            except Exception as error:
                self._refusal = error

    async def _make_room(self, session: ImapSession, size: int) -> None:
        """For one more part; raises what is wrong with it."""
        assert session.account is not None and self._joint is not None
        before, self._parts = self._joint, self._parts + 1
        self._joint += size
        if self._joint > session.wire.limits.message:
            raise ImapError("that message is too large", "NO", "TOOBIG")
        if self._parts > MOST_PARTS:
            raise ImapError("too many parts at once", "NO", "LIMIT")
        if before <= WORTH_ASKING < self._joint:
            await self._ask(await self._place(session), Draft(self._joint, False))
        self._held += size
        self._in_memory += max(0, min(self._joint, LARGE) - min(before, LARGE))

    # -- octets

    async def take(self, octets: bytes, is_last: bool) -> None:
        """Octets of the message, or the part of one, that was announced last."""
        assert self._incoming is not None and self._draft is not None
        if b"\0" in octets and not self._draft.is_binary:
            self._refusal = ImapError("a NUL is for a literal8")            # RFC 9051 4.3
        if self._refusal is None:
            try:
                await self._incoming.write(octets)
                if is_last and self._joint is None:
                    await self._end()
            except Exception as error:
                self._refusal = error           # to be said when all have come

    async def _end(self) -> None:
        assert self._incoming is not None
        content = await self._incoming.finish()
        last = self._messages[-1]
        self._messages[-1] = Appended(last.id, content, last.flags, last.received)

    async def finish(self, session: ImapSession) -> Reply:
        """All have come: keep them."""
        command, account = self._command, session.account
        assert account is not None
        replaces = None
        try:
            if self._refusal is not None:
                raise self._refusal
            if isinstance(command, Replace):
                replaces = self._replaced(session, command)
            place = await self._place(session)
            try:
                if place.is_shared:
                    copied = await self._policy.store.bring(place.into, self._messages, replaces)
                else:
                    copied = await self._policy.store.append(account, command.mailbox, self._messages, replaces)
            except NotFound as error:
                code = "TRYCREATE" if replaces is None else "NONEXISTENT"
                raise ImapError(str(error), "NO", code) from None
        except BaseException:
            self.discard()
            raise
        selected = session.selected
        here = selected is not None and selected.is_of(place, copied.uidvalidity)
        if selected is not None and (here or replaces is not None):
            await selected.catch_up()
        if here and session.notifying is not None:
            session.notifying.brought(copied.targets)
        targets = spell_numbers(copied.targets).decode("ascii")
        code = f"APPENDUID {copied.uidvalidity} {targets}"
        if replaces is not None:
            return Reply("replaced", [status("OK", "this is the new one", code)])
        return Reply("appended", code=code)

    def _replaced(self, session: ImapSession, command: Replace) -> tuple[object, int]:
        selected = session.selected
        assert selected is not None
        if selected.read_only:
            raise ImapError("this mailbox is only read", "NO", "READ-ONLY")
        selected.place.need("te")
        uid = command.number
        if not command.by_uid or not uid:
            number = command.number or selected.count
            if not 0 < number <= selected.count:
                raise ImapError("there is no message of that number")
            uid = selected.uids[number - 1]
        if not selected.number(uid):
            raise ImapError("there is no such message", "NO", "NONEXISTENT")
        return selected.board.mailbox, uid

    def discard(self) -> None:
        """It comes to nothing."""
        for each in self._kept:
            each.discard()
        self._kept.clear()


def _spelled(url: bytes) -> str:
    """As a response code may have it (RFC 4469 5)."""
    return url[:LONGEST_URL].decode("latin-1").replace("]", "%5D")
