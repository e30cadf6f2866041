"""Run by Alembic: on the connection, and in the transaction, that `app.database.prepare` gives."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
)
context.run_migrations()
