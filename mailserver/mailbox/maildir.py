"""``maildir``: mail in Maildir folders, a file a message, as Dovecot and other programs read and write them."""

from __future__ import annotations

import string
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import attrs
from twisted.internet.defer import DeferredLock
from zope.interface import implementer

from mailserver.errors import TemporaryFailure
from mailserver.imapstore import Appended, Copied, IImapStore, Quota, Ranges, Status
from mailserver.interfaces import INBOX, Account, Delivery, IResident, IServer
from mailserver.mailbox import maildirchanging as changing
from mailserver.mailbox import maildirsync, subscribed
from mailserver.mailbox.home import Home
from mailserver.mailbox.maildirbox import MaildirMailbox
from mailserver.mailbox.maildirchanging import Box
from mailserver.mailbox.maildirindex import IndexBroken
from mailserver.mailbox.maildirnames import check_name, safe_name
from mailserver.mailbox.maildirwatches import MaildirWatches
from mailserver.store import mailboxes

MOST_HOMES = 200            # accounts whose index stays open


def _template(instance: Any, attribute: Any, value: str) -> None:
    try:
        names = sorted(name for _, name, _, _ in string.Formatter().parse(value) if name is not None)
    except ValueError as error:
        raise ValueError(f'"path": {error}') from None
    if names != ["domain", "local"]:
        raise ValueError('"path" needs {domain} and {local} in it, once each, and nothing else in braces')


@attrs.frozen
class MaildirOptions:
    """`path` is where an account's Maildir lies: ``/srv/mail/{domain}/{local}``; relative paths lie below the data.

    `quota_octets` and `quota_messages` are what an account may have in all its mailboxes together; 0 is no limit.
    ``mailserver user quota`` says otherwise of one account.  What is said of a whole domain does not count here.
    """

    path: str = attrs.field(default="maildir/{domain}/{local}", validator=_template)
    quota_octets: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    quota_messages: int = attrs.field(default=0, validator=attrs.validators.ge(0))


class _Place:
    """One account's folders, and whose turn it is there."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.turn = DeferredLock()


@implementer(IImapStore, IResident)
class Maildir:
    """INBOX is the Maildir itself, every other mailbox a folder ``.Name`` in it (Maildir++).

    Beside them lie Dovecot's files (``dovecot-uidlist``, ``dovecot-keywords``, ``subscriptions``), which either of the
    two may write, and ``mailserver-index``, which may be thrown away.
    """

    Options = MaildirOptions

    def __init__(self, options: MaildirOptions, server: IServer) -> None:
        self._options = options
        self._server = server
        self._usual = (options.quota_octets, options.quota_messages)
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._watches = MaildirWatches(server.clock, self._look)

    def start(self) -> None:
        """There is nothing to do before somebody asks."""

    async def stop(self) -> None:
        self._watches.stop()
        places, self._places = list(self._places.values()), OrderedDict()
        for place in places:
            await place.turn.run(place.home.close)

    # -- threads and turns

    async def in_thread(self, account: Account, work: Any, *args: Any) -> Any:
        """What blocking `work` returns; what the disk says instead is "not now"."""
        try:
            return await self._server.in_thread(work, *args)
        except (OSError, IndexBroken) as error:
            words = error.strerror if isinstance(error, OSError) else str(error)
            raise TemporaryFailure(f"the Maildir of {account.address} cannot be used: {words}") from error

    async def change(self, account: Account, work: Callable[..., Any], *args: Any) -> Any:
        """Blocking work with the lock of an account's folders."""
        return await self._together([account], work, *args)

    async def view(self, account: Account, work: Callable[..., Any], *args: Any) -> Any:
        """Blocking work that reads the index."""
        place = self._place(account)

        def run() -> Any:
            with place.home.reading():
                return work(*args)

        async with _turns([place]):
            return await self.in_thread(account, run)

    async def _together(self, accounts: Sequence[Account], work: Callable[..., Any], *args: Any) -> Any:
        """With the locks of several accounts, always in the same order."""
        places = sorted({id(place): place for place in map(self._place, accounts)}.values(), key=_base)

        def run() -> Any:
            with ExitStack() as stack:
                for place in places:
                    stack.enter_context(place.home.locked())
                return work(*args)

        async with _turns(places):
            return await self.in_thread(accounts[0], run)

    def _place(self, account: Account) -> _Place:
        # One folder for all spellings of an address.
        key = account.address.key
        place = self._places.get(key)
        if place is not None and place.home.owner == account.id:
            self._places.move_to_end(key)
            return place
        local, _, domain = key.rpartition("@")
        base = self._server.data / self._options.path.format(domain=safe_name(domain), local=safe_name(local))
        place = self._places[key] = _Place(Home(base, account.id, self._server.now))
        for other, each in list(self._places.items())[: len(self._places) - MOST_HOMES]:
            if not each.turn.locked and not each.turn.waiting and each is not place:
                del self._places[other]
                each.home.close()
        return place

    def home(self, account: Account) -> Home:
        """The account's folders."""
        return self._place(account).home

    # -- delivery

    async def deliver(self, delivery: Delivery) -> None:
        home = self.home(delivery.account)
        await self.in_thread(delivery.account, home.deliver, delivery)
        self._watches.tell_name(delivery.account.id, delivery.mailbox)

    # -- mailboxes

    async def mailboxes(self, account: Account) -> Sequence[str]:
        names: Sequence[str] = await self.change(account, self.home(account).mailboxes)
        return names

    async def open(self, account: Account, name: str) -> Any:
        home = self.home(account)
        row = await self.change(account, home.find, name)
        return MaildirMailbox(self, account, name, Box(home, row.guid, row.uidvalidity), home.id(row))

    async def status(self, account: Account, names: Collection[str] | None = None) -> Sequence[Status]:
        found: Sequence[Status] = await self.change(account, self.home(account).status, names)
        return found

    async def create(self, account: Account, name: str, special_use: str = "") -> Status:
        made: Status = await self.change(account, self.home(account).create, name, special_use)
        return made

    async def delete(self, account: Account, name: str) -> None:
        self._watches.tell(await self.change(account, self.home(account).delete, name))

    async def rename(self, account: Account, old: str, new: str) -> None:
        home = self.home(account)
        if old == INBOX:
            await self.change(account, changing.rename_inbox, home, new)
            self._watches.tell_name(account.id, INBOX)
        else:
            await self.change(account, home.rename, old, new)

    async def subscriptions(self, account: Account) -> Sequence[str]:
        names: Sequence[str] = await self.change(account, subscribed.read, self.home(account).base)
        return names

    async def subscribe(self, account: Account, name: str, wanted: bool = True) -> None:
        home = self.home(account)
        if wanted:
            check_name(name)

        def run() -> None:
            subscribed.change(home.base, [name], wanted, home.times.disk_seconds)

        await self.change(account, run)

    # -- messages

    async def append(
        self, account: Account, name: str, messages: Sequence[Appended], replaces: tuple[Any, int] | None = None
    ) -> Copied:
        limits, accounts, going = await self._limits(account), [account], None
        if replaces is not None:
            accounts.append(replaces[0].account)
            going = (replaces[0].box, replaces[1])
        copied: Copied = await self._together(
            accounts, changing.append, self.home(account), name, messages, going, limits
        )
        self._watches.tell_name(account.id, name)
        if going is not None:
            self.tell(going[0].guid)
        return copied

    async def copy(self, mailbox: MaildirMailbox, uids: Ranges, account: Account, name: str, move: bool) -> Copied:
        """`IImapMailbox.copy` of one of our mailboxes."""
        limits = await self._limits(account)
        copied: Copied = await self._together(
            [mailbox.account, account], changing.copy, mailbox.box, uids, self.home(account), name, move, limits
        )
        if copied.targets:
            self._watches.tell_name(account.id, name)
            if move:
                self.tell(mailbox.guid)
        return copied

    # -- quota

    async def _limits(self, account: Account) -> tuple[int, int]:
        octets, messages = await self._server.database.read(mailboxes.limits, account.id)
        return (
            self._usual[0] if octets is None else octets, self._usual[1] if messages is None else messages,
        )

    async def quota(self, account: Account) -> Quota:
        limits = await self._limits(account)
        quota: Quota = await self.change(account, self.home(account).quota, limits)
        return quota

    async def has_quotas(self) -> bool:
        return any(self._usual) or await self._server.database.read(mailboxes.has_quotas)

    # -- watching

    def watch(self, mailbox: Any, callback: Callable[[], None]) -> Callable[[], None]:
        return self._watches.watch(mailbox, callback)

    def tell(self, guid: str) -> None:
        """A mailbox was changed by this process."""
        self._watches.tell(guid)

    async def _look(self, watched: Sequence[MaildirMailbox]) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        for mailbox in watched:
            found[mailbox.guid] = await self.view(mailbox.account, _stamp, mailbox.box)
        return found


def _stamp(box: Box) -> Any:
    row = box.home.index.mailbox("guid", box.guid)
    folder = None if row is None else box.home.folder(row.folder)
    if folder is None or not folder.exists():
        return None
    return maildirsync.stamp(folder)[:2]


def _base(place: _Place) -> str:
    return str(place.home.base)


class _turns:
    """The turns of several places, in this order, for as long as it lasts."""

    def __init__(self, places: Sequence[_Place]) -> None:
        self._places = places
        self._held: list[DeferredLock] = []

    async def __aenter__(self) -> None:
        for place in self._places:
            await place.turn.acquire()
            self._held.append(place.turn)

    async def __aexit__(self, *error: object) -> None:
        for each in reversed(self._held):
            each.release()
