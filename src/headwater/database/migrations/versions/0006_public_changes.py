"""Which image each change of the public images was of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from headwater.database.tables import ExactString

revision = "0006"
down_revision = "0005"
# A table that the release before does not know. It counts its changes and does not note them; that is seen by the gap.
compatible_with = "0004"


def upgrade() -> None:
    op.create_table(
        "public_changes",
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("image_id", ExactString(36), nullable=False),
        sa.PrimaryKeyConstraint("revision"),
    )
