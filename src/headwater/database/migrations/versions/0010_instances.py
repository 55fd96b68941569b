"""What instances are known by, what their guests fetched, and the keys that sign who they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from headwater.database.documents import text_part
from headwater.database.tables import ExactString, LongText

revision = "0010"
down_revision = "0009"
# New tables and columns, which the release before does not look at.
compatible_with = "0004"


def upgrade() -> None:
    """Each part is a function below, for itself."""
    _visits()
    _identity_keys()
    _revision()
    _what_lists_search()


def _visits() -> None:
    op.create_table(
        "instance_visits",
        sa.Column("id", ExactString(36), nullable=False),
        sa.Column("instance_id", ExactString(36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("document", LongText(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], ondelete="CASCADE"),
    )
    op.create_index("ix_instance_visits_instance_id", "instance_visits", ["instance_id", "at"])


def _identity_keys() -> None:
    op.create_table(
        "instance_identity_keys",
        sa.Column("id", ExactString(36), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("private_key", LongText(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _revision() -> None:
    op.execute("INSERT INTO catalogue_revisions (scope, revision) VALUES ('instances', 0)")


def _what_lists_search() -> None:
    instances = sa.table(
        "instances",
        sa.column("document", LongText()),
        sa.column("project_id", ExactString(255)),
        sa.column("image_id", ExactString(36)),
    )
    op.add_column("instances", sa.Column("project_id", ExactString(255), nullable=True))
    op.add_column("instances", sa.Column("image_id", ExactString(36), nullable=True))
    found = {name: text_part(instances.c.document, "instance", name) for name in ("project_id", "image_id")}
    op.execute(instances.update().values(**found))
    op.create_index("ix_instances_project_id", "instances", ["project_id", "name"])
    op.create_index("ix_instances_image_id", "instances", ["image_id", "name"])
