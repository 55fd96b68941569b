"""Objects of imports, staged or on their way to stores, and how many bytes a task has moved."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from headwater.database.tables import ExactString, LongText

revision = "0008"
down_revision = "0006"
# A table and two columns that the release before does not know: it begins no import, so it has nothing to enter there.
compatible_with = "0004"


def upgrade() -> None:
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
