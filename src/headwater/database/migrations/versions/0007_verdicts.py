"""What was found when the data at a location was read whole."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from headwater.database.tables import ExactString

revision = "0007"
down_revision = "0006"
# A column that the release before does not know: what it rewrites is read once more.
compatible_with = "0004"


def upgrade() -> None:
    op.add_column("image_locations", sa.Column("verdict", ExactString(1024), nullable=True))
