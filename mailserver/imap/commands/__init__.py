"""The commands of IMAP by subject: what each says as a value, and how it is read.

A subject's module ends with its `PARSERS`; `mailserver.imap.commands.table` puts them together.  A new command is a
value, a function that reads it behind its name, and a line in a table.
"""
