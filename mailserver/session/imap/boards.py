"""The boards of one server: those that are in use, and some of those that were lately."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from mailserver.interfaces import Account
from mailserver.session.imap.board import Board

FRESH = 0.5                 # seconds for which a name means what it meant
MOST_NAMES = 10_000
MOST_KEPT = 200_000         # messages on boards that nobody looks at, which the next to look need not read again


class Boards:
    """Opens mailboxes of one store; who has opened one gives it back."""

    def __init__(self, store: Any, seconds: Callable[[], float]) -> None:
        """`seconds` is a clock's."""
        self._store = store
        self._seconds = seconds
        self._names: dict[tuple[int, str, int], tuple[str, float]] = {}     # its `_id`, and when looked up
        self._used: dict[str, list[Any]] = {}                   # by `_id`: the board, and how many look at it
        self._kept: OrderedDict[str, Board] = OrderedDict()

    async def open(self, account: Account, name: str, viewer: Account | None = None) -> Board:
        """The board of a mailbox, as it is now; with a `viewer`, his own (`mailserver.sharing`).  Raises `NotFound`."""
        asked = (account.id, name, 0 if viewer is None else viewer.id)
        id, looked = self._names.get(asked, ("", 0.0))
        entry = self._used.get(id)
        if entry is not None and self._seconds() - looked < FRESH and not entry[0].is_gone:
            entry[1] += 1
            return await self._current(entry[0], force=False)           # whoever looks at it is told of changes
        if viewer is None:
            mailbox = await self._store.open(account, name)
        else:
            mailbox = await self._store.view(account, name, viewer)
        id = _id(mailbox)
        if len(self._names) > MOST_NAMES:
            self._names.clear()
        self._names[asked] = (id, self._seconds())
        entry = self._used.get(id)
        if entry is None:
            kept = self._kept.pop(id, None)
            state = await mailbox.load() if kept is None else None
            entry = self._used.get(id)                  # somebody else may have opened it meanwhile
            if entry is None:
                if kept is None:
                    assert state is not None
                    kept = Board(mailbox, state)
                entry = self._used[id] = [kept, 0]
                kept.watch(self._store.watch(mailbox, kept.heard))
        entry[1] += 1
        return await self._current(entry[0], force=True)

    async def _current(self, board: Board, force: bool) -> Board:
        try:
            await board.refresh(force)
        except BaseException:
            self.give_back(board)
            raise
        return board

    def forget_names(self) -> None:
        """Mailboxes were renamed or deleted."""
        self._names.clear()

    def give_back(self, board: Board) -> None:
        """One session fewer looks at it."""
        id = _id(board.mailbox)
        entry = self._used[id]
        entry[1] -= 1
        if entry[1]:
            return
        del self._used[id]
        board.close()
        if not board.is_gone:
            self._kept[id] = board
            kept = sum(len(each.uids) for each in self._kept.values())
            while self._kept and kept > MOST_KEPT:
                kept -= len(self._kept.popitem(last=False)[1].uids)
        while len(self._kept) > 1000:
            self._kept.popitem(last=False)


def _id(mailbox: Any) -> str:
    """The MAILBOXID, and whose view of it that is."""
    viewer = getattr(mailbox, "viewer", None)
    return mailbox.id if viewer is None else f"{mailbox.id} {viewer}"
