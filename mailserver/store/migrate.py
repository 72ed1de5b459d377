"""Bringing the tables to what this program wants, and refusing to work with others."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from mailserver.errors import StartRefused

HEAD = "0014"       # the newest file in migrations/versions


def revision(connection: Connection) -> str | None:
    """The revision that the database says it has; None: it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def refuse_foreign_revision(engine: Engine) -> None:
    """Raises `StartRefused` unless the tables are exactly those of this program."""
    with engine.connect() as connection, connection.begin():
        found = revision(connection)
    if found is None:
        raise StartRefused("the database is empty; mailserver init, or a start of the server, makes its tables")
    if found != HEAD:
        raise StartRefused(
            f"the database has revision {found} and this program needs {HEAD};"
            " start the server of this version to renew it, or use the version that it belongs to"
        )


def upgrade(engine: Engine) -> None:
    """Make or renew the tables in one transaction; the caller sees to it that nobody else is at it.

    Raises `StartRefused` when the database is from a newer program.
    """
    with engine.connect() as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(7235411)"))
        found = revision(connection)
        if found == HEAD:
            return
        # Alembic is heavy, and most starts need none of it.
        from alembic import command
        from alembic.config import Config
        from alembic.script import ScriptDirectory

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        known = {each.revision for each in ScriptDirectory.from_config(config).walk_revisions()}
        if found is not None and found not in known:
            raise StartRefused(f"the database has revision {found}, which this program does not know; it is newer")
        config.attributes["connection"] = connection
        command.upgrade(config, HEAD)
