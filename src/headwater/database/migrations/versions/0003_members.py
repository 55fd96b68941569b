"""The projects that images are shared with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from headwater.database.tables import ExactString

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "image_members",
        sa.Column("image_id", ExactString(36), nullable=False),
        sa.Column("member", ExactString(255), nullable=False),
        sa.Column("status", ExactString(16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("image_created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("image_id", "member"),
    )
    op.create_index(
        "ix_image_members_member", "image_members", ["member", "status", "image_created_at", "image_id"], unique=False
    )
