"""The database and the files beside it: what is durable lies here and nowhere else.

Modules that say what is in the database are plain functions over a SQLAlchemy connection; `database` runs
them, in the writer's thread, in a reader's thread, or (commands, tests) in the caller's.
"""
