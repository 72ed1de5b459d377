"""Conversations: what is wanted from a peer and what it may do, over a wire that says only what it said."""
