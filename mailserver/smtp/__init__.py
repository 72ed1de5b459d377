"""SMTP and LMTP (RFC 5321, RFC 2033) as machines without a socket: octets in, commands out; replies in, octets out.

Knows no policy: what may be said is decided here, what is wanted is decided by a session.
"""
