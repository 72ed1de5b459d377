"""Delivery to mailbox stores that lie outside the server's database."""

from __future__ import annotations

from collections.abc import Mapping

from mailserver.delivery.result import Result
from mailserver.errors import TemporaryFailure
from mailserver.interfaces import Delivery, IDirectory, IMailboxStore
from mailserver.reply import NO_SUCH_USER
from mailserver.store import contents
from mailserver.store.database import Database
from mailserver.store.spool import Entry
from mailserver.world import World


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
        """Put one entry into its mailbox."""
        name, _, mailbox = entry.place.partition("/")
        store = self._stores.get(name)
        if store is None:
            return Result("deferred", f"there is no mailbox store called {name} in the configuration")
        account = await self._directory.account(entry.target)
        if account is None:
            return Result("failed", f"the account {entry.target} is gone", NO_SUCH_USER)
        content, temporary = await contents.as_content(self._database, entry.content_id, self._world.in_thread)
        try:
            await store.deliver(
                Delivery(entry.id, entry.content_id, account, mailbox, entry.prefix, content, entry.created)
            )
        except TemporaryFailure as failure:
            return Result("deferred", str(failure))
        except OSError as error:
            return Result("deferred", f"{name}: {error.strerror or error}")
        finally:
            if temporary is not None:
                temporary.discard()
        return Result("delivered", f"to {mailbox} ({name})")
