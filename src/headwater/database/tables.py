"""The tables of the catalogue.

Built for a million images (what makes others slow: a join for each property filter, rows of the
deleted among the living, offset paging):

* ``images`` holds the living only; a deleted image leaves its id in ``deleted_images``, so an id is
  never used twice and no list ever steps over the dead.
* ``images.properties`` and ``images.tags`` hold the whole answer as JSON text, so one row is one
  image. ``image_properties`` and ``image_tags`` hold the same facts again, only to be searched; they
  carry ``created_at`` and the audience so that a search gives its rows in the default order straight from the index.
* Every list filters on ``os_hidden``, so each index of an admin's list begins with it, then the sort key, then
  the tie-breakers. A member's list is made of what few audiences are shown
  (``images/catalogue/lists/audience.py``), so its indexes begin with the audience: what others have is never
  stepped over.
* ``uploads`` is the intention to write bytes, made before the first byte and removed in the
  transaction that makes the image active. ``discarded_objects`` is the intention to delete bytes,
  made in the transaction that forgets them. A crash leaves one of the two behind, and whoever finds
  it completes it. ``import_objects`` is that of imports, which write several objects, and keep what is staged.

Times are microseconds since 1970 in UTC. Text compares by code point on every database, so that
paging and equality mean the same everywhere.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
    types,
)
from sqlalchemy.dialects.mysql import MEDIUMTEXT
from sqlalchemy.dialects.mysql import VARCHAR as MYSQL_VARCHAR


class ExactString(TypeDecorator[str]):
    """Text that compares and sorts by code point: no folding of case, no padding, no locale."""

    impl = String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> types.TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(String(self.length, collation="C"))
        if dialect.name == "mysql":
            collation = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
            return dialect.type_descriptor(MYSQL_VARCHAR(self.length, charset="utf8mb4", collation=collation))
        return dialect.type_descriptor(String(self.length))


class LongText(TypeDecorator[str]):
    """Text without a practical limit; never compared."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> types.TypeEngine[Any]:
        if dialect.name == "mysql":
            return dialect.type_descriptor(MEDIUMTEXT(charset="utf8mb4"))
        return dialect.type_descriptor(Text())


metadata = MetaData()

images = Table(
    "images",
    metadata,
    Column("id", ExactString(36), primary_key=True),
    Column("name", ExactString(255)),
    Column("status", ExactString(32), nullable=False),
    Column("visibility", ExactString(32), nullable=False),
    Column("os_hidden", Boolean, nullable=False),
    Column("protected", Boolean, nullable=False),
    Column("owner", ExactString(255)),
    Column("disk_format", ExactString(64)),
    Column("container_format", ExactString(64)),
    Column("size", BigInteger),
    Column("virtual_size", BigInteger),
    Column("checksum", ExactString(32)),
    Column("os_hash_algo", ExactString(64)),
    Column("os_hash_value", ExactString(128)),
    Column("min_ram", BigInteger, nullable=False),
    Column("min_disk", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("properties", LongText, nullable=False),
    Column("tags", LongText, nullable=False),
    # Whose lists show the image: see images/catalogue/lists/audience.py.
    Column("audience", ExactString(270), nullable=False, server_default=""),
    Index("ix_images_created_at", "os_hidden", "created_at", "id"),
    Index("ix_images_id", "os_hidden", "id"),
    Index("ix_images_name", "os_hidden", "name", "created_at", "id"),
    Index("ix_images_status", "os_hidden", "status", "created_at", "id"),
    Index("ix_images_disk_format", "os_hidden", "disk_format", "created_at", "id"),
    Index("ix_images_container_format", "os_hidden", "container_format", "created_at", "id"),
    Index("ix_images_size", "os_hidden", "size", "created_at", "id"),
    Index("ix_images_updated_at", "os_hidden", "updated_at", "created_at", "id"),
    Index("ix_images_visibility", "os_hidden", "visibility", "created_at", "id"),
    Index("ix_images_owner", "os_hidden", "owner", "created_at", "id"),
    Index("ix_images_checksum", "os_hidden", "checksum", "created_at", "id"),
    Index("ix_images_os_hash_value", "os_hidden", "os_hash_value", "created_at", "id"),
    Index("ix_images_audience", "audience", "created_at", "id"),
    Index("ix_images_audience_name", "audience", "name", "created_at", "id"),
    Index("ix_images_audience_size", "audience", "size", "created_at", "id"),
    Index("ix_images_audience_updated_at", "audience", "updated_at", "created_at", "id"),
)


image_properties = Table(
    "image_properties",
    metadata,
    Column("image_id", ExactString(36), ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("name", ExactString(255), primary_key=True),
    # The value may be many KiB; equality is decided by its digest (hex, 128 bits of SHA-256).
    Column("value_digest", ExactString(32), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("audience", ExactString(270), nullable=False, server_default=""),
    Index("ix_image_properties_value", "name", "value_digest", "created_at", "image_id"),
    Index("ix_image_properties_audience", "audience", "name", "value_digest", "created_at", "image_id"),
)

image_tags = Table(
    "image_tags",
    metadata,
    Column("image_id", ExactString(36), ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", ExactString(255), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("audience", ExactString(270), nullable=False, server_default=""),
    Index("ix_image_tags_tag", "tag", "created_at", "image_id"),
    Index("ix_image_tags_audience", "audience", "tag", "created_at", "image_id"),
)

image_members = Table(
    "image_members",
    metadata,
    Column("image_id", ExactString(36), ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("member", ExactString(255), primary_key=True),
    Column("status", ExactString(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    # The member may share the image further. Only the API v1 says so.
    Column("can_share", Boolean, nullable=False, server_default=false()),
    # Of the image: what is shared with a project comes out of the index in the default order of lists.
    Column("image_created_at", BigInteger, nullable=False),
    Index("ix_image_members_member", "member", "status", "image_created_at", "image_id"),
)

image_locations = Table(
    "image_locations",
    metadata,
    Column("image_id", ExactString(36), ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("store", ExactString(64), nullable=False),
    # What the store knows the bytes by; of an external location its URL.
    Column("object_key", LongText, nullable=False),
    # What users say of the location: a JSON object.
    Column("metadata", LongText, nullable=False),
    # What was found when its data was read whole; NULL: nobody has, or a release did that does not say.
    Column("verdict", ExactString(1024)),
)

image_uses = Table(
    "image_uses",
    metadata,
    Column("image_id", ExactString(36), ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    # When somebody last used its data, to the hour; see images/catalogue/retention/uses.py. An image that nobody has
    # used since uses are noted has no row.
    Column("used_at", BigInteger, nullable=False),
)

# What feeds say of the files of an image: see images/catalogue/fingerprints/image_fingerprints.py.
image_fingerprints = Table(
    "image_fingerprints",
    metadata,
    Column("image_id", ExactString(36), ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    # The image's own hash of the data that was read: of other data nothing here is true.
    Column("data_hash", ExactString(128), nullable=False),
    # Of the data; NULL: it could not be read.
    Column("sha256", ExactString(64)),
    # Of an image for LXD and Incus: what it is, its metadata tarball (base64), and the hash of that and the data.
    Column("product", ExactString(255)),
    Column("metadata", LongText),
    Column("combined", ExactString(64)),
    Column("tried_at", BigInteger, nullable=False),
    # How often the data could not be read, and why not the last time.
    Column("attempts", Integer, nullable=False),
    Column("error", ExactString(1024)),
)

private_paths = Table(
    "private_paths",
    metadata,
    Column("id", ExactString(36), primary_key=True),
    # SHA-256 of the secret, in hex; see images/catalogue/sharing/private_paths.py.
    Column("secret_hash", ExactString(64), nullable=False, unique=True),
    Column("project_id", ExactString(255), nullable=False),
    Column("user_id", ExactString(255)),
    Column("name", ExactString(255)),
    Column("with_community", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Index("ix_private_paths_project_id", "project_id", "created_at"),
)

deleted_images = Table(
    "deleted_images",
    metadata,
    Column("id", ExactString(36), primary_key=True),
    Column("owner", ExactString(255)),
    Column("deleted_at", BigInteger, nullable=False, index=True),
    # The row that the image had, as a JSON object.
    Column("document", LongText, nullable=False),
    # Of the image; an older release leaves it out.
    Column("created_at", BigInteger),
    Index("ix_deleted_images_owner", "owner", "deleted_at"),
    Index("ix_deleted_images_created_at", "created_at", "id"),
    Index("ix_deleted_images_owner_created_at", "owner", "created_at", "id"),
)

# Deleted images whose data is kept for a time: each has a row in ``deleted_images`` too.
pending_deletes = Table(
    "pending_deletes",
    metadata,
    Column("image_id", ExactString(36), primary_key=True),
    Column("owner", ExactString(255)),
    Column("deleted_at", BigInteger, nullable=False),
    # When its data goes.
    Column("scrub_at", BigInteger, nullable=False),
    # The bytes of all its copies, which stay on its owner's account.
    Column("stored_size", BigInteger, nullable=False),
    # All that makes the image what it was, as a JSON object: see images/catalogue/deletions/pending_deletes.py.
    Column("document", LongText, nullable=False),
    Index("ix_pending_deletes_scrub_at", "scrub_at", "image_id"),
    Index("ix_pending_deletes_owner", "owner", "stored_size"),
    # All that is counted, so that no document is read for it.
    Index("ix_pending_deletes_deleted_at", "deleted_at", "stored_size"),
)

# What is left of the deleted ones after a purge: an id is never used again.
purged_images = Table("purged_images", metadata, Column("id", ExactString(36), primary_key=True))

uploads = Table(
    "uploads",
    metadata,
    Column("image_id", ExactString(36), primary_key=True),
    Column("store", ExactString(64), nullable=False),
    Column("object_key", ExactString(255), nullable=False),
    # Who writes: see jobs/leases.py.
    Column("writer", ExactString(255), nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    # How many bytes will come, as far as the client said; or those that came, where their number is limited.
    Column("size", BigInteger),
    # Of the image, also when that was deleted meanwhile: the bytes still come on its account.
    Column("owner", ExactString(255)),
    Index("ix_uploads_owner", "owner"),
)

import_objects = Table(
    "import_objects",
    metadata,
    Column("store", ExactString(64), primary_key=True),
    Column("object_key", ExactString(255), primary_key=True),
    Column("image_id", ExactString(36), nullable=False, index=True),
    # The import that writes it; NULL: it is staged, whole, and waits for its import.
    Column("task_id", ExactString(36)),
    # How many bytes it has; of one that is written, how many will come or have come.
    Column("size", BigInteger),
    # JSON: what is known of staged bytes.
    Column("document", LongText, nullable=False),
)
discarded_objects = Table(
    "discarded_objects",
    metadata,
    Column("store", ExactString(64), primary_key=True),
    Column("object_key", ExactString(255), primary_key=True),
    Column("discarded_at", BigInteger, nullable=False, index=True),
    # How often its store did not remove it, when it was asked last, and why not; NULL: it was not asked.
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("tried_at", BigInteger),
    Column("error", ExactString(1024)),
)

# Creations of images that are answered alike when a client tries them again: see images/catalogue/resumed/.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    # Of the caller: its project and itself, each empty where it has none.
    Column("owner", ExactString(255), primary_key=True),
    Column("user_id", ExactString(255), primary_key=True),
    Column("idempotency_key", ExactString(255), primary_key=True),
    # The SHA-256 of what was asked for, hex.
    Column("fingerprint", ExactString(64), nullable=False),
    Column("image_id", ExactString(36), nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

# Uploads that outlive their connection. While its bytes are on their way, such a one has a row in ``uploads`` too.
resumable_uploads = Table(
    "resumable_uploads",
    metadata,
    Column("id", ExactString(32), primary_key=True),
    Column("image_id", ExactString(36), nullable=False, index=True),
    Column("store", ExactString(64), nullable=False),
    Column("object_key", ExactString(255), nullable=False),
    # Of all the data, once the client has said so.
    Column("length", BigInteger),
    # How many bytes the client was told to be kept: the store has never fewer.
    Column("received", BigInteger, nullable=False),
    # What all the data must hash to: a JSON object of hex by hashlib's names.
    Column("digests", LongText, nullable=False),
    Column("is_complete", Boolean, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

stores = Table(
    "stores",
    metadata,
    Column("name", ExactString(64), primary_key=True),
    # The mark that lies in the store: see images/data/admission.py.
    Column("identity", ExactString(32), nullable=False),
    Column("admitted_at", BigInteger, nullable=False),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", ExactString(36), primary_key=True),
    Column("type", ExactString(64), nullable=False),
    Column("status", ExactString(16), nullable=False),
    Column("owner", ExactString(255)),
    Column("user_id", ExactString(255)),
    Column("image_id", ExactString(36)),
    Column("request_id", ExactString(255)),
    Column("input", LongText, nullable=False),
    Column("result", LongText),
    Column("message", LongText, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    # How far it is, as far as anybody counts.
    Column("bytes_done", BigInteger),
    Column("bytes_total", BigInteger),
    Index("ix_tasks_created_at", "created_at", "id"),
    Index("ix_tasks_owner", "owner", "created_at", "id"),
    Index("ix_tasks_image_id", "image_id", "created_at"),
    Index("ix_tasks_expires_at", "expires_at"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", ExactString(36), primary_key=True),
    Column("kind", ExactString(64), nullable=False),
    Column("document", LongText, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # When anybody may run it: later than now while somebody runs it.
    Column("run_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    # Who runs it: see jobs/leases.py.
    Column("runner", ExactString(255)),
    # When whoever runs it began, or did so last.
    Column("began_at", BigInteger),
    # When it was given up; it is kept for a while, to be seen and to be run again when somebody says so.
    Column("failed_at", BigInteger),
    # Why it failed last.
    Column("error", LongText),
    # Who wants it to end.
    Column("cancelled_by", ExactString(255)),
    Index("ix_jobs_run_at", "kind", "run_at", "created_at"),
    Index("ix_jobs_runner", "runner"),
)

# A row to hold while the uses of a project are counted: see images/catalogue/usage.py. Made when first needed.
project_locks = Table("project_locks", metadata, Column("project_id", ExactString(255), primary_key=True))
notifications = Table(
    "notifications",
    metadata,
    # The order of delivery. Never used twice, so that what was delivered is not taken for something newer.
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("target", ExactString(16), nullable=False),
    # The event: see activity/notifications/event.py.
    Column("document", LongText, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
    # Later than now for one that its receiver refused and others go before.
    Column("due_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Index("ix_notifications_target", "target", "sequence"),
    sqlite_autoincrement=True,
)

notification_targets = Table(
    "notification_targets",
    metadata,
    Column("target", ExactString(16), primary_key=True),
    # Who delivers: see jobs/leases.py.
    Column("sender", ExactString(255)),
    Column("expires_at", BigInteger, nullable=False),
    # The receiver is left alone until then, after so many failures in a row.
    Column("rests_until", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),
)

SCHEMA = "schema "  # how the scope of a schema begins

catalogue_revisions = Table(
    "catalogue_revisions",
    metadata,
    # "public": grows with each change of an image that is or was public, so that a feed made of
    # them knows by one row whether it is still right. "metadefs": which edition of the base
    # definitions was loaded; 0 when none was. "instances": grows with each change of an instance, or of what it is
    # known by. "uses since", "uses until": when uses of images are noted, in microseconds since 1970.
    # "schema 0005": the number of the oldest schema whose release may run on schema 0005.
    Column("scope", ExactString(32), primary_key=True),
    Column("revision", BigInteger, nullable=False),
)

public_changes = Table(
    "public_changes",
    metadata,
    # The number that the change gave to the public images: see images/catalogue/public.py.
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("image_id", ExactString(36), nullable=False),
)

# What a controller of Juju knows of images: see streams/lookup/record_rows.py.
controller_images = Table(
    "controller_images",
    metadata,
    # The SHA-256 of what tells records apart: stream, region, version, architecture, virt and root store.
    Column("identity", ExactString(64), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    # The record as one JSON document.
    Column("document", LongText, nullable=False),
)

instances = Table(
    "instances",
    metadata,
    Column("id", ExactString(36), primary_key=True),
    Column("name", ExactString(255), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    # The instance as one JSON document; see instances/model.py.
    Column("document", LongText, nullable=False),
    # Of the document again, to be searched for. NULL in rows that schema 0009 wrote and could not be read, too.
    Column("project_id", ExactString(255)),
    Column("image_id", ExactString(36)),
    Index("ix_instances_project_id", "project_id", "name"),
    Index("ix_instances_image_id", "image_id", "name"),
    Column("serial", ExactString(64)),
    Index("ix_instances_serial", "serial", unique=True),
)

instance_addresses = Table(
    "instance_addresses",
    metadata,
    # Canonical text of an IPv4 or IPv6 address; an IPv4-mapped IPv6 address is kept as IPv4.
    Column("address", ExactString(45), primary_key=True),
    # The one of the settings whose listener it asks; empty for the metadata port, as the release before writes it.
    Column("network", ExactString(64), primary_key=True, server_default=""),
    Column("instance_id", ExactString(36), ForeignKey("instances.id", ondelete="CASCADE"), nullable=False, index=True),
)

# The MAC addresses of their records, each in lower case with colons; see instances/registry/hardware.py.
instance_macs = Table(
    "instance_macs",
    metadata,
    Column("mac", ExactString(17), primary_key=True),
    Column(
        "instance_id", ExactString(36), ForeignKey("instances.id", ondelete="CASCADE"), primary_key=True, index=True
    ),
)

# What signs the session tokens of guests; see instances/tokens/secrets.py.
instance_secrets = Table(
    "instance_secrets",
    metadata,
    Column("id", ExactString(36), primary_key=True),
    Column("made_at", BigInteger, nullable=False),
    Column("secret", ExactString(64), nullable=False),
)

# Secret paths of machines that no address tells apart, by their SHA-256; see instances/callers/seeds.py.
instance_seeds = Table(
    "instance_seeds",
    metadata,
    Column("digest", ExactString(64), primary_key=True),
    Column("instance_id", ExactString(36), ForeignKey("instances.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("made_at", BigInteger, nullable=False),
)

# What a guest has posted as its password, which only the owner's key opens.
instance_passwords = Table(
    "instance_passwords",
    metadata,
    Column("instance_id", ExactString(36), ForeignKey("instances.id", ondelete="CASCADE"), primary_key=True),
    Column("posted_at", BigInteger, nullable=False),
    Column("value", ExactString(1020), nullable=False),
)

# What signs the tokens by which instances prove who they are; see instances/identity/keys.py.
instance_identity_keys = Table(
    "instance_identity_keys",
    metadata,
    Column("id", ExactString(36), primary_key=True),
    Column("made_at", BigInteger, nullable=False),
    Column("private_key", LongText, nullable=False),
)

# What guests fetched, and what they reported; see instances/boot_log.
instance_visits = Table(
    "instance_visits",
    metadata,
    Column("id", ExactString(36), primary_key=True),
    Column("instance_id", ExactString(36), ForeignKey("instances.id", ondelete="CASCADE"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("document", LongText, nullable=False),
    Index("ix_instance_visits_instance_id", "instance_id", "at"),
)

# Machines that a cloud knows and nobody registered, once they have asked; see instances/sources/openstack.
cloud_instances = Table(
    "cloud_instances",
    metadata,
    Column("id", ExactString(36), primary_key=True),
    # What the cloud said last, and what it said before; nothing while it is asked for the first time.
    Column("document", LongText),
    # Of the document again, to be searched for.
    Column("name", ExactString(255)),
    Column("project_id", ExactString(255)),
    Column("has_user_data", Boolean, nullable=False, server_default=false()),
    # When the cloud said so.
    Column("loaded_at", BigInteger),
    # When the cloud last said that there is such a machine, or when it was asked first.
    Column("confirmed_at", BigInteger, nullable=False),
    # Since when it says that there is none.
    Column("gone_at", BigInteger),
    # Somebody asks the cloud, and is waited for until then.
    Column("asked_until", BigInteger),
    Index("ix_cloud_instances_name", "name", "project_id"),
    Index("ix_cloud_instances_confirmed_at", "confirmed_at"),
    Index("ix_cloud_instances_gone_at", "gone_at"),
)

# What their guests have posted, as of instance_passwords.
cloud_passwords = Table(
    "cloud_passwords",
    metadata,
    Column("instance_id", ExactString(36), ForeignKey("cloud_instances.id", ondelete="CASCADE"), primary_key=True),
    Column("posted_at", BigInteger, nullable=False),
    Column("value", ExactString(1020), nullable=False),
)

# What they fetched and reported, as of instance_visits.
cloud_visits = Table(
    "cloud_visits",
    metadata,
    Column("id", ExactString(36), primary_key=True),
    Column("instance_id", ExactString(36), ForeignKey("cloud_instances.id", ondelete="CASCADE"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("document", LongText, nullable=False),
    Index("ix_cloud_visits_instance_id", "instance_id", "at"),
    Index("ix_cloud_visits_at", "at"),
)

metadef_namespaces = Table(
    "metadef_namespaces",
    metadata,
    Column("id", ExactString(36), primary_key=True),
    Column("namespace", ExactString(80), nullable=False, unique=True),
    Column("visibility", ExactString(32), nullable=False),
    Column("protected", Boolean, nullable=False),
    Column("owner", ExactString(255)),
    Column("display_name", ExactString(80)),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    # All that the namespace holds, as one JSON document; see images/metadefs/catalogue.py.
    Column("document", LongText, nullable=False),
    Index("ix_metadef_namespaces_created_at", "created_at", "namespace"),
)

metadef_associations = Table(
    "metadef_associations",
    metadata,
    # The associations of the document again, to be searched for.
    Column("namespace_id", ExactString(36), ForeignKey("metadef_namespaces.id", ondelete="CASCADE"), primary_key=True),
    Column("resource_type", ExactString(80), primary_key=True),
    Index("ix_metadef_associations_resource_type", "resource_type", "namespace_id"),
)

metadef_resource_types = Table(
    "metadef_resource_types",
    metadata,
    Column("name", ExactString(80), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

# Feeds that images are brought from, again and again: see streams/syncing/sources.
stream_sources = Table(
    "stream_sources",
    metadata,
    Column("id", ExactString(36), primary_key=True),
    Column("name", ExactString(255), nullable=False),
    Column("document", LongText, nullable=False),
    # Whose the images are.
    Column("project_id", ExactString(255)),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    # When it is due; nothing: never, unless somebody says so.
    Column("next_run_at", BigInteger),
    # Of the run that was entered last; that job may be done.
    Column("job_id", ExactString(36)),
    Column("began_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("succeeded_at", BigInteger),
    # How the last run ended, why it failed, and what it did.
    Column("outcome", ExactString(16)),
    Column("error", LongText),
    Column("report", LongText),
    Index("ix_stream_sources_name", "name", unique=True),
    Index("ix_stream_sources_next_run_at", "next_run_at"),
)
