"""Alembic's entry: runs the migrations on the connection that ``headwater.database.schema`` gives."""

from __future__ import annotations

from alembic import context

from headwater.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,  # the caller has begun the transaction and commits it
)
context.run_migrations()
