"""IMAP (RFC 3501, RFC 9051) as a machine without a socket: octets in, commands out; values in, answers out.

* `wire.ServerWire` cuts what comes into commands, literals and pieces of messages; `events` are what it says.
* `reader.Reader` reads one command, with the parsers of `commands` (a table: name -> parser, one file a subject).
* `numbers`, `names`, `patterns`, `flags`, `dates` are the words of the language.
* `responses`, `listings`, `fetched` and `found` write the answers, with the strings of `strings`.
"""
