"""Mailboxes that move: in from Maildirs, mbox files and other servers, and out into one file."""
