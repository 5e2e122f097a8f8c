"""What Alembic runs: the revisions, on the connection and in the transaction it is given."""

from alembic import context

from paysaga.database import tables  # noqa: F401 - importing it fills the metadata
from paysaga.database.columns import Row

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Row.metadata,
    compare_type=True,
    # SQLite alters a table by making it anew. The triggers of that table are then to be made anew.
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
