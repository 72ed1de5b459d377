"""A process that accepts mail without end, and says on its standard output what it has promised.

``python -m tests.store.busy URL-or-"" DATA ACCOUNT``: each line is the id of a message that is committed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred, gatherResults

from mailserver.content import Content
from mailserver.ident import Ids
from mailserver.interfaces import INBOX, Account, Delivery
from mailserver.store import directory, messages
from mailserver.store.accepting import Accepting, write_many
from mailserver.store.database import Database
from tests.store.cases import make_entry


async def run(reactor: Any, url: str, data: str, key: str) -> None:
    database = Database(url or None, Path(data))
    database.open()
    with database.reading() as connection:
        account = directory.find_account(connection, key)
    assert account is not None
    database.start(reactor)
    new_id = Ids(time.time)
    await gatherResults([Deferred.fromCoroutine(send(database, account, new_id)) for _ in range(10)])


async def send(database: Database, account: Account, new_id: Ids) -> None:
    while True:
        id = new_id()
        content = Content.of(b"x" * 2000)
        delivery = Delivery(new_id(), id, account, INBOX, b"A: b\r\n", content, 1.0)
        entry = make_entry(new_id(), id)
        await database.write_with(
            write_many, Accepting(id, content, "{}", ((messages.insert_deliveries, delivery),), (entry,))
        )
        sys.stdout.write(f"{id}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    task.react(lambda reactor: Deferred.fromCoroutine(run(reactor, *sys.argv[1:])))
