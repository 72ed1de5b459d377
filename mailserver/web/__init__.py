"""What the server shows over HTTP: its health, and what is measured of it.

Nothing here is imported before a listener of the service ``http`` is wanted: twisted.web and the Prometheus client need
some megabytes of memory.
"""
