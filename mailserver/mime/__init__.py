"""Messages and their parts (RFC 5322, RFC 2045 to 2047) as octets: read once at delivery, and kept as answers.

`mailserver.mime.understood.understand` is the one way in; `mailserver.mime.stored` brings the structure back, and
`mailserver.mime.section` finds octets by it.  Everything here is pure, linear in what it is given, bounded, and
raises nothing because of what a message says.
"""
