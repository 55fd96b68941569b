"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from headwater.database.tables import ExactString, LongText

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "catalogue_revisions",
        sa.Column("scope", ExactString(32), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope"),
    )
    op.create_table(
        "deleted_images",
        sa.Column("id", ExactString(36), nullable=False),
        sa.Column("owner", ExactString(255), nullable=True),
        sa.Column("deleted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_deleted_images_deleted_at"), "deleted_images", ["deleted_at"], unique=False)
    op.create_table(
        "discarded_objects",
        sa.Column("store", ExactString(64), nullable=False),
        sa.Column("object_key", ExactString(255), nullable=False),
        sa.Column("discarded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("store", "object_key"),
    )
    op.create_index(op.f("ix_discarded_objects_discarded_at"), "discarded_objects", ["discarded_at"], unique=False)
    op.create_table(
        "images",
        sa.Column("id", ExactString(36), nullable=False),
        sa.Column("name", ExactString(255), nullable=True),
        sa.Column("status", ExactString(32), nullable=False),
        sa.Column("visibility", ExactString(32), nullable=False),
        sa.Column("os_hidden", sa.Boolean(), nullable=False),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.Column("owner", ExactString(255), nullable=True),
        sa.Column("disk_format", ExactString(64), nullable=True),
        sa.Column("container_format", ExactString(64), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("virtual_size", sa.BigInteger(), nullable=True),
        sa.Column("checksum", ExactString(32), nullable=True),
        sa.Column("os_hash_algo", ExactString(64), nullable=True),
        sa.Column("os_hash_value", ExactString(128), nullable=True),
        sa.Column("min_ram", sa.BigInteger(), nullable=False),
        sa.Column("min_disk", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("properties", LongText(), nullable=False),
        sa.Column("tags", LongText(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_images_checksum", "images", ["os_hidden", "checksum", "created_at", "id"], unique=False)
    op.create_index(
        "ix_images_container_format", "images", ["os_hidden", "container_format", "created_at", "id"], unique=False
    )
    op.create_index("ix_images_created_at", "images", ["os_hidden", "created_at", "id"], unique=False)
    op.create_index("ix_images_disk_format", "images", ["os_hidden", "disk_format", "created_at", "id"], unique=False)
    op.create_index("ix_images_id", "images", ["os_hidden", "id"], unique=False)
    op.create_index("ix_images_name", "images", ["os_hidden", "name", "created_at", "id"], unique=False)
    op.create_index(
        "ix_images_os_hash_value", "images", ["os_hidden", "os_hash_value", "created_at", "id"], unique=False
    )
    op.create_index("ix_images_owner", "images", ["os_hidden", "owner", "created_at", "id"], unique=False)
    op.create_index("ix_images_size", "images", ["os_hidden", "size", "created_at", "id"], unique=False)
    op.create_index("ix_images_status", "images", ["os_hidden", "status", "created_at", "id"], unique=False)
    op.create_index("ix_images_updated_at", "images", ["os_hidden", "updated_at", "created_at", "id"], unique=False)
    op.create_index("ix_images_visibility", "images", ["os_hidden", "visibility", "created_at", "id"], unique=False)
    op.create_table(
        "instances",
        sa.Column("id", ExactString(36), nullable=False),
        sa.Column("name", ExactString(255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("document", LongText(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "uploads",
        sa.Column("image_id", ExactString(36), nullable=False),
        sa.Column("store", ExactString(64), nullable=False),
        sa.Column("object_key", ExactString(255), nullable=False),
        sa.Column("writer", ExactString(255), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("image_id"),
    )
    op.create_index(op.f("ix_uploads_expires_at"), "uploads", ["expires_at"], unique=False)
    op.create_table(
        "image_locations",
        sa.Column("image_id", ExactString(36), nullable=False),
        sa.Column("store", ExactString(64), nullable=False),
        sa.Column("object_key", ExactString(255), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("image_id", "store"),
    )
    op.create_table(
        "image_properties",
        sa.Column("image_id", ExactString(36), nullable=False),
        sa.Column("name", ExactString(255), nullable=False),
        sa.Column("value_digest", ExactString(32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("image_id", "name"),
    )
    op.create_index(
        "ix_image_properties_value",
        "image_properties",
        ["name", "value_digest", "created_at", "image_id"],
        unique=False,
    )
    op.create_table(
        "image_tags",
        sa.Column("image_id", ExactString(36), nullable=False),
        sa.Column("tag", ExactString(255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("image_id", "tag"),
    )
    op.create_index("ix_image_tags_tag", "image_tags", ["tag", "created_at", "image_id"], unique=False)
    op.create_table(
        "instance_addresses",
        sa.Column("address", ExactString(45), nullable=False),
        sa.Column("instance_id", ExactString(36), nullable=False),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("address"),
    )
    op.create_index(op.f("ix_instance_addresses_instance_id"), "instance_addresses", ["instance_id"], unique=False)
    op.execute("INSERT INTO catalogue_revisions (scope, revision) VALUES ('public', 0)")
