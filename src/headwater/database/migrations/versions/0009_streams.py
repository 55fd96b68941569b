"""What feeds need to know of images and who may read them, sources of images, and what is kept of guests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from headwater.database.tables import ExactString, LongText

revision = "0009"
down_revision = "0008"
# New tables, which the release before does not look at. Records of a controller that it keeps in a file are taken in
# when one of this release looks for them.
compatible_with = "0004"


def upgrade() -> None:
    _guests()
    _controller_images()
    _image_fingerprints()
    _private_paths()
    _stream_sources()


def _guests() -> None:
    op.create_table(
        "instance_secrets",
        sa.Column("id", ExactString(36), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("secret", ExactString(64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "instance_seeds",
        sa.Column("digest", ExactString(64), nullable=False),
        sa.Column("instance_id", ExactString(36), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], ondelete="CASCADE"),
    )
    op.create_index("ix_instance_seeds_instance_id", "instance_seeds", ["instance_id"])
    op.create_table(
        "instance_passwords",
        sa.Column("instance_id", ExactString(36), nullable=False),
        sa.Column("posted_at", sa.BigInteger(), nullable=False),
        sa.Column("value", ExactString(1020), nullable=False),
        sa.PrimaryKeyConstraint("instance_id"),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], ondelete="CASCADE"),
    )


def _controller_images() -> None:
    op.create_table(
        "controller_images",
        sa.Column("identity", ExactString(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("document", LongText(), nullable=False),
        sa.PrimaryKeyConstraint("identity"),
    )


def _image_fingerprints() -> None:
    op.create_table(
        "image_fingerprints",
        sa.Column("image_id", ExactString(36), nullable=False),
        sa.Column("data_hash", ExactString(128), nullable=False),
        sa.Column("sha256", ExactString(64), nullable=True),
        sa.Column("product", ExactString(255), nullable=True),
        sa.Column("metadata", LongText(), nullable=True),
        sa.Column("combined", ExactString(64), nullable=True),
        sa.Column("tried_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", ExactString(1024), nullable=True),
        sa.PrimaryKeyConstraint("image_id"),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], ondelete="CASCADE"),
    )


def _private_paths() -> None:
    op.create_table(
        "private_paths",
        sa.Column("id", ExactString(36), nullable=False),
        sa.Column("secret_hash", ExactString(64), nullable=False),
        sa.Column("project_id", ExactString(255), nullable=False),
        sa.Column("user_id", ExactString(255), nullable=True),
        sa.Column("name", ExactString(255), nullable=True),
        sa.Column("with_community", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("secret_hash"),
    )
    op.create_index("ix_private_paths_project_id", "private_paths", ["project_id", "created_at"])


def _stream_sources() -> None:
    op.create_table(
        "stream_sources",
        sa.Column("id", ExactString(36), nullable=False),
        sa.Column("name", ExactString(255), nullable=False),
        sa.Column("document", LongText(), nullable=False),
        sa.Column("project_id", ExactString(255), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("next_run_at", sa.BigInteger(), nullable=True),
        sa.Column("job_id", ExactString(36), nullable=True),
        sa.Column("began_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("succeeded_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", ExactString(16), nullable=True),
        sa.Column("error", LongText(), nullable=True),
        sa.Column("report", LongText(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_stream_sources_name", "stream_sources", ["name"], unique=True)
    op.create_index("ix_stream_sources_next_run_at", "stream_sources", ["next_run_at"])
