"""Several stores, imports, and what a client that was cut off takes up again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from headwater.database.tables import ExactString, LongText

revision = "0007"
down_revision = "0006"
# Tables and columns that the release before does not know. It begins no import, so it has nothing to enter there; a
# location that it writes anew is read once more.
compatible_with = "0004"


def upgrade() -> None:
    # What was found when the data at a location was read whole.
    op.add_column("image_locations", sa.Column("verdict", ExactString(1024), nullable=True))
    # Objects of imports, staged or on their way to stores, and how many bytes a task has moved.
    op.create_table(
        "import_objects",
        sa.Column("store", ExactString(64), nullable=False),
        sa.Column("object_key", ExactString(255), nullable=False),
        sa.Column("image_id", ExactString(36), nullable=False),
        sa.Column("task_id", ExactString(36), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("document", LongText(), nullable=False),
        sa.PrimaryKeyConstraint("store", "object_key"),
    )
    op.create_index("ix_import_objects_image_id", "import_objects", ["image_id"])
    op.add_column("tasks", sa.Column("bytes_done", sa.BigInteger(), nullable=True))
    op.add_column("tasks", sa.Column("bytes_total", sa.BigInteger(), nullable=True))
    # Creations of images that are tried again, and uploads that resume.
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
