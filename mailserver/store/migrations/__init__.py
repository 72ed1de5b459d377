"""Alembic's scripts; ``mailserver.store.migrate`` runs them."""
