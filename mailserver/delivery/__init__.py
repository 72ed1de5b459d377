"""Delivery: what acceptance left in the spool is taken to where it belongs, or back to who sent it."""

from __future__ import annotations

# Extensions of SMTP whose promise delivery keeps, and which are therefore offered (`mailserver.session.offers`).
HONOURED: frozenset[str] = frozenset()
