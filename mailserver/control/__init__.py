"""How a running server is told something: JSON lines over a socket, an order each and an answer each.

An operator's commands come by the UNIX socket ``control`` in the data folder; a master and its workers talk over a
pair of sockets, in the same words.  An order is ``{"order": "kick", "whom": ["192.0.2.1"]}``; its answer is
``{"done": …}``, or ``{"error": "one sentence"}``.  A ``number`` beside the order stands beside its answer too, for
whoever gives several at once.
"""
