"""The whole Image API: locations, tasks, deleted images until they are purged; durable jobs; notifications."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from headwater.database.tables import ExactString, LongText

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    _locations()
    _deleted()
    _tasks()
    _jobs()
    _uploads()
    op.create_table(
        "project_locks",
        sa.Column("project_id", ExactString(255), nullable=False),
        sa.PrimaryKeyConstraint("project_id"),
    )
    _notifications()
    op.add_column("image_members", sa.Column("can_share", sa.Boolean(), nullable=False, server_default=sa.false()))
    _audiences()


def _locations() -> None:
    op.rename_table("image_locations", "image_locations_before")
    op.create_table(
        "image_locations",
        sa.Column("image_id", ExactString(36), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("store", ExactString(64), nullable=False),
        sa.Column("object_key", LongText(), nullable=False),
        sa.Column("metadata", LongText(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("image_id", "position"),
    )
    # Until now every image had one location at most.
    op.execute(
        "INSERT INTO image_locations (image_id, position, store, object_key, metadata) "
        "SELECT image_id, 0, store, object_key, '{}' FROM image_locations_before"
    )
    op.drop_table("image_locations_before")


def _deleted() -> None:
    op.create_table("purged_images", sa.Column("id", ExactString(36), nullable=False), sa.PrimaryKeyConstraint("id"))
    # Of what was deleted until now nothing but the id is known.
    op.execute("INSERT INTO purged_images (id) SELECT id FROM deleted_images")
    op.drop_table("deleted_images")
    op.create_table(
        "deleted_images",
        sa.Column("id", ExactString(36), nullable=False),
        sa.Column("owner", ExactString(255), nullable=True),
        sa.Column("deleted_at", sa.BigInteger(), nullable=False),
        sa.Column("document", LongText(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_deleted_images_deleted_at"), "deleted_images", ["deleted_at"], unique=False)
    op.create_index("ix_deleted_images_owner", "deleted_images", ["owner", "deleted_at"], unique=False)


def _uploads() -> None:
    op.add_column("uploads", sa.Column("size", sa.BigInteger(), nullable=True))
    op.add_column("uploads", sa.Column("owner", ExactString(255), nullable=True))
    op.execute("UPDATE uploads SET owner = (SELECT owner FROM images WHERE images.id = uploads.image_id)")
    op.create_index("ix_uploads_owner", "uploads", ["owner"], unique=False)


def _tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", ExactString(36), nullable=False),
        sa.Column("type", ExactString(64), nullable=False),
        sa.Column("status", ExactString(16), nullable=False),
        sa.Column("owner", ExactString(255), nullable=True),
        sa.Column("user_id", ExactString(255), nullable=True),
        sa.Column("image_id", ExactString(36), nullable=True),
        sa.Column("request_id", ExactString(255), nullable=True),
        sa.Column("input", LongText(), nullable=False),
        sa.Column("result", LongText(), nullable=True),
        sa.Column("message", LongText(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_tasks_created_at", "tasks", ["created_at", "id"], unique=False)
    op.create_index("ix_tasks_owner", "tasks", ["owner", "created_at", "id"], unique=False)
    op.create_index("ix_tasks_image_id", "tasks", ["image_id", "created_at"], unique=False)
    op.create_index("ix_tasks_expires_at", "tasks", ["expires_at"], unique=False)


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", ExactString(36), nullable=False),
        sa.Column("kind", ExactString(64), nullable=False),
        sa.Column("document", LongText(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("run_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("runner", ExactString(255), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_jobs_run_at", "jobs", ["kind", "run_at", "created_at"], unique=False)
    op.create_index("ix_jobs_runner", "jobs", ["runner"], unique=False)


def _notifications() -> None:
    op.create_table(
        "notifications",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("target", ExactString(16), nullable=False),
        sa.Column("document", LongText(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_notifications_created_at"), "notifications", ["created_at"], unique=False)
    op.create_index("ix_notifications_target", "notifications", ["target", "sequence"], unique=False)
    op.create_table(
        "notification_targets",
        sa.Column("target", ExactString(16), nullable=False),
        sa.Column("sender", ExactString(255), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("rests_until", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("target"),
    )


def _audiences() -> None:
    for table in ("images", "image_properties", "image_tags"):
        op.add_column(table, sa.Column("audience", ExactString(270), nullable=False, server_default=""))
    names = ("id", "visibility", "owner", "audience")
    images = sa.table("images", *map(sa.column, names), sa.column("os_hidden", sa.Boolean()))
    hidden = sa.case((images.c.os_hidden, "hidden "), else_="")
    word = sa.case(
        (images.c.visibility == "public", hidden.concat("everybody")),
        (images.c.owner.is_(None), ""),
        else_=hidden.concat("project:").concat(images.c.owner),
    )
    op.execute(images.update().values(audience=word))
    for name in ("image_properties", "image_tags"):
        searched = sa.table(name, sa.column("image_id"), sa.column("audience"))
        of_image = sa.select(images.c.audience).where(images.c.id == searched.c.image_id).scalar_subquery()
        op.execute(searched.update().values(audience=of_image))
    op.create_index("ix_images_audience", "images", ["audience", "created_at", "id"], unique=False)
    for key in ("name", "size", "updated_at"):
        op.create_index(f"ix_images_audience_{key}", "images", ["audience", key, "created_at", "id"], unique=False)
    last = ["created_at", "image_id"]
    op.create_index(
        "ix_image_properties_audience", "image_properties", ["audience", "name", "value_digest", *last], unique=False
    )
    op.create_index("ix_image_tags_audience", "image_tags", ["audience", "tag", *last], unique=False)
