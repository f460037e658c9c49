"""What Alembic runs to get its connection; `migrate.upgrade` made it."""

from alembic import context

from perdure_server.store.schema.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=True,
    # SQLite alters columns by copying the table.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
