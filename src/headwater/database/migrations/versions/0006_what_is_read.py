"""Which image each change of the public images was of, and how old deleted images are: so that not all are read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from headwater.database.documents import part
from headwater.database.tables import ExactString, LongText

revision = "0006"
down_revision = "0005"
# A table and a column that the release before does not know. That it leaves them out is seen by those who read them.
compatible_with = "0004"


def upgrade() -> None:
    op.create_table(
        "public_changes",
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("image_id", ExactString(36), nullable=False),
        sa.PrimaryKeyConstraint("revision"),
    )
    op.add_column("deleted_images", sa.Column("created_at", sa.BigInteger(), nullable=True))
    deleted = sa.table("deleted_images", sa.column("document", LongText()), sa.column("created_at", sa.BigInteger()))
    op.execute(deleted.update().values(created_at=sa.cast(part(deleted.c.document, "created_at"), sa.BigInteger())))
    op.create_index("ix_deleted_images_created_at", "deleted_images", ["created_at", "id"])
    op.create_index("ix_deleted_images_owner_created_at", "deleted_images", ["owner", "created_at", "id"])
