"""TLS reports (RFC 8460): the values, the JSON, the mail and the DNS record, all as text that touches no world.

`report` is what one says, `reading` reads those of strangers, `record` is where a domain wants them, `letter` writes
the mail that carries one, and `parts` finds it in a mail.
"""
