"""Files and rows."""

from __future__ import annotations

from mailserver_skeleton.shoebox import Shoebox

from mailserver.testing import MailboxStoreContract, PluginCase


class ShoeboxTests(MailboxStoreContract, PluginCase):
    """What every mailbox store has to do, and what this one does."""

    plugin = Shoebox

    def files(self) -> list[str]:
        """The files that are there."""
        return sorted(path.name for path in (self.server.data / "shoebox").iterdir())

    async def test_one_file_a_message(self) -> None:
        store, bob = self.build(), self.account("bob")
        delivery = await self.delivery(bob)
        await store.deliver(delivery)
        await store.deliver(delivery)
        self.assertEqual(self.files(), [str(delivery.key)])

    async def test_removed_files(self) -> None:
        store, bob = self.build(), self.account("bob")
        await self.deliver(store, bob, b"a", b"b")
        box = await store.open(bob, "INBOX")
        await box.remove([each.uid for each in await box.messages()])
        self.assertEqual(self.files(), [])

    async def test_what_a_crash_leaves_behind(self) -> None:
        """A file whose row was not written: the next attempt takes its place."""
        store, bob = self.build(), self.account("bob")
        await self.deliver(store, bob, b"a")
        delivery = await self.delivery(bob, b"whole")
        (self.server.data / "shoebox" / str(delivery.key)).write_bytes(b"ha")
        await store.deliver(delivery)
        self.assertTrue((await self.all(store, bob))[1].endswith(b"whole"))
