"""Alembic's entry: runs the migrations on the connection that ``headwater.database.migrating`` gives."""

from __future__ import annotations

from alembic import context

from headwater.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,  # the caller has begun the transaction and commits it
    on_version_apply=context.config.attributes["version_reached"],
)
context.run_migrations()
