"""What each store is known by, so that one that is not there is told from an empty one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from headwater.database.tables import ExactString

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    # A kill may have come between this and the note of the version, where a database commits such a change by itself.
    if sa.inspect(op.get_bind()).has_table("stores"):
        return
    op.create_table(
        "stores",
        sa.Column("name", ExactString(64), nullable=False),
        sa.Column("identity", ExactString(32), nullable=False),
        sa.Column("admitted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
