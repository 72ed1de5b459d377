"""What URLs of messages lead to: for CATENATE, URLFETCH and BURL, in this server's own mailboxes and nowhere else.

No URL is ever followed to another host: what is not ours is refused by its name alone (RFC 4467 6, RFC 4468 3.2).
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from random import Random
from typing import Any

from mailserver.accesskeys import KEY, IAccessKeys
from mailserver.address import Address
from mailserver.errors import BadAddress, NotFound, TemporaryFailure
from mailserver.imap.commands.sections import Binary, Body
from mailserver.imap.reader import MOST_NUMBER64
from mailserver.imap.urls import Access, BadUrl, ImapUrl, parse
from mailserver.interfaces import Account, IDirectory
from mailserver.session.imap.bodies import Interrupted, Span, located, verbatim

INTERNAL = "INTERNAL"       # the one mechanism (RFC 4467 2.4.1)
HOW = "01"                  # how its tokens are made; a better way gets another number


class ForeignUrl(BadUrl):
    """It leads to another server."""


@dataclass(frozen=True, slots=True)
class Found:
    """Octets of a message that a URL leads to."""

    mailbox: Any
    uid: int
    span: Span

    @property
    def size(self) -> int:
        """How many."""
        return self.span.size

    async def octets(self) -> AsyncIterator[bytes]:
        """All of them, as they lie.  Raises `BadUrl` when they go meanwhile, and `TemporaryFailure`."""
        left = self.size
        try:
            async for piece in verbatim(self.mailbox, self.uid, self.span):
                left -= len(piece)
                yield piece
        except Interrupted as error:
            if isinstance(error.__cause__, TemporaryFailure):
                raise error.__cause__ from None
        if left:
            raise BadUrl("what it leads to went while it was read")


@dataclass(frozen=True, slots=True)
class Led:
    """The message that a URL leads to, which may have gone."""

    url: ImapUrl
    mailbox: Any

    async def located(self, is_decoded: bool = False) -> Found:
        """Where its octets lie, with their transfer encoding or without.  Raises `BadUrl`: there is no such part."""
        url = self.url
        partial = url.partial
        if partial is not None and not partial[1]:
            partial = partial[0], MOST_NUMBER64
        item: Body | Binary = Body(url.section, partial, marks_seen=False)
        if is_decoded and not url.section.text:
            item = Binary(url.section.part, partial, marks_seen=False)
        try:
            span = await located(self.mailbox, url.uid, item)
        except NotFound:
            span = None
        if span is None:
            raise BadUrl("there is no such message, or no such part of it")
        return Found(self.mailbox, url.uid, span)


class Links:
    """Of one mailbox store.  `hosts`: how URLs may call this server.  `keys` is None when the store has none."""

    def __init__(
        self, store: Any, directory: IDirectory, hosts: Collection[str], now: Callable[[], float], random: Random
    ) -> None:
        self.keys: Any = store if IAccessKeys.providedBy(store) else None
        self._store = store
        self._directory = directory
        self._hosts = frozenset(each.casefold() for each in hosts)
        self._now = now
        self._random = random
        self._nobody = random.randbytes(KEY)        # stands for the key of who has none

    # -- one's own messages

    async def own(self, account: Account, octets: bytes) -> Led:
        """What a URL means to an account that is logged in (RFC 4469 3).  Raises `BadUrl`."""
        url = parse(octets)
        if url.access is not None:
            return await self.authorized(octets, account)
        if url.host and not self._is_ours(url):
            raise ForeignUrl("that is on another server")
        if url.user and not _is(account, url.user):
            raise BadUrl("that belongs to somebody else")
        return Led(url, await self._opened(account, url))

    # -- with the authorization that a URL carries

    async def authorize(self, account: Account, octets: bytes) -> bytes:
        """The URL with a token (RFC 4467 5, 7).  Raises `BadUrl` for one that nobody may use, or not here."""
        url = parse(octets)
        access = url.access
        if access is None or access.token:
            raise BadUrl("it has to end with URLAUTH and who may use it")
        if not self._is_ours(url):
            raise ForeignUrl("that is on another server")
        if not _is(account, url.user):
            raise BadUrl("it has to name you as its user")
        if access.kind in ("submit", "user") and _address(access.user) is None:
            raise BadUrl("there is nobody of that name who could use it")
        if access.expires is not None and access.expires <= self._now():
            raise BadUrl("it would have expired already")
        mailbox = await self._opened(account, url)
        key = await self.keys.access_key(account, mailbox, self._random.randbytes(KEY))
        return b"%b:%b:%b" % (octets, INTERNAL.encode(), _token(key, access).encode())

    async def reset(self, account: Account, name: str | None) -> None:
        """What was authorized for a mailbox, or for all, is so no more.  Raises `NotFound`."""
        if name is None:
            await self.keys.forget_access_keys(account)
            return
        mailbox = await self._store.open(account, name)
        await self.keys.forget_access_keys(account, mailbox)
        await self.keys.access_key(account, mailbox, self._random.randbytes(KEY))

    async def authorized(self, octets: bytes, who: Account, submits: bool = False) -> Led:
        """What `who` may have by this URL (RFC 4467 6); `submits`: in order to send it.  Raises `BadUrl`.

        Whatever is wrong with the token, or with that of which it should have been made, is found out in the same way.
        """
        url = parse(octets)
        access = url.access
        if access is None or access.mechanism != INTERNAL or self.keys is None:
            raise BadUrl("nobody here has authorized it")
        if not self._is_ours(url):
            raise ForeignUrl("that is on another server")
        if not _may_use(access, who, submits):
            raise BadUrl("it is not for you")
        if access.expires is not None and access.expires <= self._now():
            raise BadUrl("it has expired")
        owner = await self._account(url.user)
        mailbox = key = None
        if owner is not None:
            try:
                mailbox = await self._opened(owner, url)
                key = await self.keys.find_access_key(owner, mailbox)
            except BadUrl:
                pass
        is_right = hmac.compare_digest(_token(key or self._nobody, access), access.token)
        if key is None or not is_right:
            raise BadUrl("nobody here has authorized it")
        return Led(url, mailbox)

    # -- helpers

    def _is_ours(self, url: ImapUrl) -> bool:
        return url.host in self._hosts

    async def _opened(self, account: Account, url: ImapUrl) -> Any:
        try:
            mailbox = await self._store.open(account, url.mailbox)
        except NotFound:
            raise BadUrl("there is no such mailbox") from None
        if url.uidvalidity not in (None, mailbox.uidvalidity):
            raise BadUrl("the mailbox of that name is another one now")
        return mailbox

    async def _account(self, user: str) -> Account | None:
        address = _address(user)
        if address is None:
            return None
        account = await self._directory.account(address)
        if account is None and await self._directory.refreshed():
            account = await self._directory.account(address)
        return account if account is not None and account.enabled else None


def _token(key: bytes, access: Access) -> str:
    return HOW + hmac.digest(key, access.rump.encode("latin-1"), "sha256").hex()


def _may_use(access: Access, who: Account, submits: bool) -> bool:
    """RFC 4467 3, RFC 4468 3.2: to send it there has to be a permission for just that."""
    if submits or access.kind == "submit":
        return submits and access.kind == "submit" and _is(who, access.user)
    return access.kind in ("authuser", "anonymous") or _is(who, access.user)


def _is(account: Account, user: str) -> bool:
    address = _address(user)
    return address is not None and address.key == account.address.key


def _address(user: str) -> Address | None:
    try:
        address = Address.parse(user)
    except BadAddress:
        return None
    return address if address.domain else None
