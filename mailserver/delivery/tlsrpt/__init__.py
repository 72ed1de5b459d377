"""Reports about TLS to the domains that we send to (RFC 8460).

`records` counts how each connection went, and `reporter` tells each domain that wants it once a day, by mail or by
`post`.  What a report is stands in `mailserver.tlsrpt`; the filter and the forwarder ``tls-reports`` take those of
others.
"""
