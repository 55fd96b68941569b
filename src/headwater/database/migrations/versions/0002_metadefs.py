"""Metadata definitions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from headwater.database.tables import ExactString, LongText

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "metadef_namespaces",
        sa.Column("id", ExactString(36), nullable=False),
        sa.Column("namespace", ExactString(80), nullable=False),
        sa.Column("visibility", ExactString(32), nullable=False),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.Column("owner", ExactString(255), nullable=True),
        sa.Column("display_name", ExactString(80), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("document", LongText(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("namespace"),
    )
    op.create_index("ix_metadef_namespaces_created_at", "metadef_namespaces", ["created_at", "namespace"], unique=False)
    op.create_table(
        "metadef_resource_types",
        sa.Column("name", ExactString(80), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "metadef_associations",
        sa.Column("namespace_id", ExactString(36), nullable=False),
        sa.Column("resource_type", ExactString(80), nullable=False),
        sa.ForeignKeyConstraint(["namespace_id"], ["metadef_namespaces.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("namespace_id", "resource_type"),
    )
    op.create_index(
        "ix_metadef_associations_resource_type",
        "metadef_associations",
        ["resource_type", "namespace_id"],
        unique=False,
    )
    op.execute("INSERT INTO catalogue_revisions (scope, revision) VALUES ('metadefs', 0)")
