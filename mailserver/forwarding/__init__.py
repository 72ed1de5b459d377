"""Forwarders: where mail for an address goes (`mailserver.interfaces.IForwarder`).

A forwarder is asked with one address at a time, in the order of the ``[[forward]]`` tables, and answers

* None: not mine, the next one is asked;
* an empty list: taken and dropped;
* destinations (`mailserver.destination`): a mailbox here, a remote address, an address that is routed again
  from the first forwarder on, or a refusal.

It is asked at RCPT, so its answer is the peer's reply: raise `TemporaryFailure` when you cannot know.  What nobody
takes is "No such user here" for a local domain, and goes to its own server for every other.
"""
