"""The boards of one server: those that are in use, and some of those that were lately."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from mailserver.interfaces import Account
from mailserver.session.imap.board import Board

MOST_KEPT = 200_000         # messages on boards that nobody looks at, which the next to look need not read again


class Boards:
    """Opens mailboxes of one store; who has opened one gives it back."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._used: dict[str, list[Any]] = {}                   # by MAILBOXID: the board, and how many look at it
        self._kept: OrderedDict[str, Board] = OrderedDict()

    async def open(self, account: Account, name: str) -> Board:
        """The board of a mailbox, as it is now.  Raises `NotFound`."""
        mailbox = await self._store.open(account, name)
        entry = self._used.get(mailbox.id)
        if entry is None:
            kept = self._kept.pop(mailbox.id, None)
            state = await mailbox.load() if kept is None else None
            entry = self._used.get(mailbox.id)                  # somebody else may have opened it meanwhile
            if entry is None:
                if kept is None:
                    assert state is not None
                    kept = Board(mailbox, state)
                entry = self._used[mailbox.id] = [kept, 0]
                kept.watch(self._store.watch(mailbox, kept.heard))
        entry[1] += 1
        board: Board = entry[0]
        try:
            await board.refresh(force=True)
        except BaseException:
            self.give_back(board)
            raise
        return board

    def give_back(self, board: Board) -> None:
        """One session fewer looks at it."""
        id = board.mailbox.id
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
