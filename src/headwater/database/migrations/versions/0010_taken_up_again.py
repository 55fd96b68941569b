"""What a client that was cut off takes up again: creations of images that are tried again, and uploads that resume."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from headwater.database.tables import ExactString, LongText

revision = "0010"
down_revision = "0006"
compatible_with = "0004"  # two tables that the release before does not know


def upgrade() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("owner", ExactString(255), nullable=False),
        sa.Column("user_id", ExactString(255), nullable=False),
        sa.Column("idempotency_key", ExactString(255), nullable=False),
        sa.Column("fingerprint", ExactString(64), nullable=False),
        sa.Column("image_id", ExactString(36), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "user_id", "idempotency_key"),
    )
    op.create_index("ix_idempotency_keys_expires_at", "idempotency_keys", ["expires_at"])
    op.create_table(
        "resumable_uploads",
        sa.Column("id", ExactString(32), nullable=False),
        sa.Column("image_id", ExactString(36), nullable=False),
        sa.Column("store", ExactString(64), nullable=False),
        sa.Column("object_key", ExactString(255), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=True),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("digests", LongText(), nullable=False),
        sa.Column("is_complete", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_resumable_uploads_image_id", "resumable_uploads", ["image_id"])
    op.create_index("ix_resumable_uploads_expires_at", "resumable_uploads", ["expires_at"])
