"""What is kept of machines that a cloud knows: what it told of them, their passwords, and what they fetched."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from headwater.database.tables import ExactString, LongText

revision = "0011"
down_revision = "0010"
# New tables, which the release before does not look at.
compatible_with = "0004"


def upgrade() -> None:
    """Each part is a function below, for itself."""
    _machines()
    _passwords()
    _visits()


def _machines() -> None:
    op.create_table(
        "cloud_instances",
        sa.Column("id", ExactString(36), nullable=False),
        sa.Column("document", LongText(), nullable=True),
        sa.Column("name", ExactString(255), nullable=True),
        sa.Column("project_id", ExactString(255), nullable=True),
        sa.Column("has_user_data", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("loaded_at", sa.BigInteger(), nullable=True),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=False),
        sa.Column("gone_at", sa.BigInteger(), nullable=True),
        sa.Column("asked_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_cloud_instances_name", "cloud_instances", ["name", "project_id"])
    op.create_index("ix_cloud_instances_confirmed_at", "cloud_instances", ["confirmed_at"])
    op.create_index("ix_cloud_instances_gone_at", "cloud_instances", ["gone_at"])


def _passwords() -> None:
    op.create_table(
        "cloud_passwords",
        sa.Column("instance_id", ExactString(36), nullable=False),
        sa.Column("posted_at", sa.BigInteger(), nullable=False),
        sa.Column("value", ExactString(1020), nullable=False),
        sa.PrimaryKeyConstraint("instance_id"),
        sa.ForeignKeyConstraint(["instance_id"], ["cloud_instances.id"], ondelete="CASCADE"),
    )


def _visits() -> None:
    op.create_table(
        "cloud_visits",
        sa.Column("id", ExactString(36), nullable=False),
        sa.Column("instance_id", ExactString(36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("document", LongText(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["instance_id"], ["cloud_instances.id"], ondelete="CASCADE"),
    )
    op.create_index("ix_cloud_visits_instance_id", "cloud_visits", ["instance_id", "at"])
    op.create_index("ix_cloud_visits_at", "cloud_visits", ["at"])
