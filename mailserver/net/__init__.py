"""Transports: from an endpoint string to octets in and out, with TLS, limits and timers.  Knows no protocol."""
