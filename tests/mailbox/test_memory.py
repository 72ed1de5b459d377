"""Mailboxes that end with the process."""

from __future__ import annotations

from mailserver.mailbox.memory import Memory
from mailserver.testing import PluginCase
from mailserver.testing.stores import MailboxStoreContract


class MemoryTests(MailboxStoreContract, PluginCase):
    plugin = Memory
    persists = False
