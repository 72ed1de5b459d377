"""A mail server on Twisted whose every decision can be a plugin."""
