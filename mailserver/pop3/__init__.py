"""POP3 (RFC 1939) as a machine without a socket: octets in, commands out."""
