"""Delivery: what acceptance left in the spool is taken to where it belongs, or back to who sent it."""
