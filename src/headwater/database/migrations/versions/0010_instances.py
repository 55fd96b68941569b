"""What instances are known by, what their guests fetched, and the keys that sign who they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from headwater.database.tables import ExactString, LongText

revision = "0010"
down_revision = "0009"
# New tables and columns, which the release before does not look at.
compatible_with = "0004"


def upgrade() -> None:
    """Each part is a function below, for itself."""
    _visits()
    _identity_keys()
    _addresses_of_networks()


def _visits() -> None:
    op.create_table(
        "instance_visits",
        sa.Column("id", ExactString(36), nullable=False),
        sa.Column("instance_id", ExactString(36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("document", LongText(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], ondelete="CASCADE"),
    )
    op.create_index("ix_instance_visits_instance_id", "instance_visits", ["instance_id", "at"])


def _identity_keys() -> None:
    op.create_table(
        "instance_identity_keys",
        sa.Column("id", ExactString(36), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("private_key", LongText(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _addresses_of_networks() -> None:
    """Let two networks have the same address; the address comes first in the key, as the release before asks for it."""
    network: sa.Column[str] = sa.Column("network", ExactString(64), nullable=False, server_default="")
    kind = op.get_bind().dialect.name
    if kind == "sqlite":  # changes no key of a table that is there
        op.create_table(
            "instance_addresses_anew",
            sa.Column("address", ExactString(45), nullable=False),
            network,
            sa.Column("instance_id", ExactString(36), nullable=False),
            sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], ondelete="CASCADE"),
            sa.PrimaryKeyConstraint("address", "network"),
        )
        columns = "address, instance_id"
        op.execute(f"INSERT INTO instance_addresses_anew ({columns}) SELECT {columns} FROM instance_addresses")  # noqa: S608 - ours
        op.drop_table("instance_addresses")
        op.rename_table("instance_addresses_anew", "instance_addresses")
        op.create_index("ix_instance_addresses_instance_id", "instance_addresses", ["instance_id"])
        return
    op.add_column("instance_addresses", network)
    old = "CONSTRAINT instance_addresses_pkey" if kind == "postgresql" else "PRIMARY KEY"
    op.execute(f"ALTER TABLE instance_addresses DROP {old}, ADD PRIMARY KEY (address, network)")
