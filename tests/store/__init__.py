"""Tests of the store: the same contract on SQLite and on PostgreSQL, and what only one of them has."""
