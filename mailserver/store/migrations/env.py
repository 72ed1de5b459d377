"""What Alembic runs: the migrations, on the connection that it is given."""

from alembic import context

from mailserver.store.schema import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",  # SQLite alters a table by copying it
    transactional_ddl=True,
)
context.run_migrations()
