"""What is seen of jobs, when images were last used, deleted images that come back, and why objects stay."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from headwater.database.tables import ExactString, LongText

revision = "0008"
down_revision = "0007"
# Tables and columns that the release before does not know: it notes no use, and what it deletes cannot be restored. A
# job that was given up is never due, so it leaves that alone; one that is to be cancelled and runs there goes on.
compatible_with = "0004"


def upgrade() -> None:
    op.create_table(
        "pending_deletes",
        sa.Column("image_id", ExactString(36), nullable=False),
        sa.Column("owner", ExactString(255), nullable=True),
        sa.Column("deleted_at", sa.BigInteger(), nullable=False),
        sa.Column("scrub_at", sa.BigInteger(), nullable=False),
        sa.Column("stored_size", sa.BigInteger(), nullable=False),
        sa.Column("document", LongText(), nullable=False),
        sa.PrimaryKeyConstraint("image_id"),
    )
    op.create_index("ix_pending_deletes_scrub_at", "pending_deletes", ["scrub_at", "image_id"])
    op.create_index("ix_pending_deletes_owner", "pending_deletes", ["owner", "stored_size"])
    op.create_index("ix_pending_deletes_deleted_at", "pending_deletes", ["deleted_at", "stored_size"])
    op.add_column("discarded_objects", sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("discarded_objects", sa.Column("tried_at", sa.BigInteger(), nullable=True))
    op.add_column("discarded_objects", sa.Column("error", ExactString(1024), nullable=True))
    op.create_table(
        "image_uses",
        sa.Column("image_id", ExactString(36), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("image_id"),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], ondelete="CASCADE"),
    )
    op.add_column("jobs", sa.Column("began_at", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("failed_at", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("error", LongText(), nullable=True))
    op.add_column("jobs", sa.Column("cancelled_by", ExactString(255), nullable=True))
