"""Mailbox stores: who keeps the mail (`mailserver.interfaces.IMailboxStore`).

A store puts deliveries into mailboxes, durably, and never twice for one ``key``; it lists and opens mailboxes for
those who read.  One that lies in the server's own database is an `ITransactionalStore`: acceptance then
writes into it inside its own transaction.  Every other store gets its deliveries from the spool.
"""
