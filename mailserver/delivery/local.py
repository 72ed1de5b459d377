"""Delivery to mailbox stores that lie outside the server's database."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import CancelledError, maybeDeferred
from twisted.logger import Logger

from mailserver.delivery.result import DEFERRED, DELIVERED, FAILED, Result, by_error
from mailserver.errors import MailserverError
from mailserver.ident import spell
from mailserver.interfaces import Delivery, IDirectory, IMailboxStore
from mailserver.reply import NO_SUCH_USER
from mailserver.store import contents
from mailserver.store.database import Database
from mailserver.store.spool import Entry
from mailserver.world import World

log = Logger()


class Local:
    """Hands entries to their store; the entry's id is the delivery's key, so that no retry delivers twice."""

    def __init__(
        self, database: Database, stores: Mapping[str, IMailboxStore], directory: IDirectory, world: World
    ) -> None:
        self._database = database
        self._stores = stores
        self._directory = directory
        self._world = world

    async def deliver(self, entry: Entry) -> Result:
        """Put one entry into its mailbox; whatever the store raises is an answer, too."""
        name, _, mailbox = entry.place.partition("/")
        store = self._stores.get(name)
        if store is None:
            return Result(DEFERRED, f"there is no mailbox store called {name} in the configuration")
        try:
            account = await self._directory.account(entry.target)
            if account is None:
                return Result(FAILED, f"the account {entry.target} is gone", NO_SUCH_USER)
            content, copy = await contents.as_content(self._database, entry.content_id, self._world.in_thread)
            try:
                await maybeDeferred(
                    store.deliver,
                    Delivery(entry.id, entry.content_id, account, mailbox, entry.prefix, content, entry.created),
                )
            finally:
                if copy is not None:
                    copy.discard()
        except MailserverError as error:
            return by_error(error)
        except OSError as error:
            return Result(DEFERRED, f"{name}: {error.strerror or error}")
        except CancelledError:
            raise
        except Exception as error:
            log.failure("{id}: the mailbox store {name} failed", id=spell(entry.content_id), name=name)
            return Result(DEFERRED, f"the mailbox store {name} failed: {type(error).__name__}")
        return Result(DELIVERED, f"to {mailbox} ({name})")
