"""Feedback: what other servers say of our mail, read (DSN, RFC 3464; ARF, RFC 5965), and what it is about.

Everything here is pure.  What is read is booked by `mailserver.store.feedback` when it is proven that we sent the
mail that it speaks of; the filter ``feedback`` and the forwarder ``bounces`` bring it there.
"""
