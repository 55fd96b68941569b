"""What each store is known by, so that one that is not there is told from an empty one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from headwater.database.tables import ExactString

revision = "0005"
down_revision = "0004"
compatible_with = "0004"  # a table that the release before does not know


def upgrade() -> None:
    op.create_table(
        "stores",
        sa.Column("name", ExactString(64), nullable=False),
        sa.Column("identity", ExactString(32), nullable=False),
        sa.Column("admitted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        # MySQL commits it before the number of the schema is noted: a kill in between lets it run again.
        if_not_exists=True,
    )
