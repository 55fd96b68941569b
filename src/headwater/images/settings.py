"""Section ``[images]``: what the image service takes, and how much of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from headwater.config import Section
from headwater.images.inspection.inspect import Rules


class ImagesSettings(Section):
    """Section ``[images]``."""

    store: Annotated[
        str | None, Field(description="Name of the store that takes uploads. Default: the first in [stores] that can.")
    ] = None
    staging_store: Annotated[
        str | None,
        Field(
            description="Name of the store that takes staged data. An import to this store moves no byte. "
            "Default: the one that takes uploads."
        ),
    ] = None
    import_methods: Annotated[
        tuple[Literal["glance-direct", "web-download", "copy-image", "glance-download"], ...],
        Field(
            description="The import methods that are offered. Without glance-direct nothing can be staged; "
            "glance-download needs Keystone."
        ),
    ] = ("glance-direct", "web-download", "copy-image")
    # Source: the default of Glance's [glance_download_properties] extra_properties.
    glance_download_properties: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        Field(
            description="Properties that an image brings along from another region by glance-download: names, or what "
            "they begin with."
        ),
    ] = ("hw_", "trait:", "os_distro", "os_secure_boot", "os_type")
    hash_algorithm: Annotated[
        Literal["sha512", "sha384", "sha256"], Field(description="The os_hash_algo of new images.")
    ] = "sha512"
    # The order is part of the API: Nova picks a snapshot's format from it.
    disk_formats: Annotated[
        tuple[str, ...], Field(description="Values that disk_format may have, in the order the schema lists them.")
    ] = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop")
    container_formats: Annotated[tuple[str, ...], Field(description="Values that container_format may have.")] = (
        "ami",
        "ari",
        "aki",
        "bare",
        "ovf",
        "ova",
        "docker",
        "compressed",
    )
    require_format_match: Annotated[
        bool,
        Field(
            description="Refuse an upload whose bytes are not what disk_format says. What could be read as several "
            "formats, or fails the safety check of its own, is refused in any case."
        ),
    ] = True
    # No host comes to harm by a partition table, and hybrid ones are in the images of many boards.
    partition_tables: Annotated[
        Literal["lenient", "strict"],
        Field(
            description="Which partition tables a disk may have: with `lenient` hybrid ones too, where partitions "
            "stand beside the one that protects a GPT; with `strict` only those that Glance takes."
        ),
    ] = "lenient"
    size_cap: Annotated[int, Field(description="Largest image, in bytes.", ge=1)] = 1 << 40
    property_quota: Annotated[int, Field(description="Most properties of one image; -1: no limit.", ge=-1)] = 128
    tag_quota: Annotated[int, Field(description="Most tags of one image; -1: no limit.", ge=-1)] = 128
    member_quota: Annotated[
        int, Field(description="Most projects that one image is shared with; -1: no limit.", ge=-1)
    ] = 128
    property_protection_file: Annotated[
        Path | None,
        Field(
            description="Who may create, read, update and delete which properties: a file of Glance's form; "
            "read again when it changes. Default: whoever may change an image may do all of that."
        ),
    ] = None
    property_protection_rule_format: Annotated[
        Literal["roles", "policies"],
        Field(description="Whether that file names roles or rules of the policy."),
    ] = "roles"
    location_quota: Annotated[int, Field(description="Most locations of one image; -1: no limit.", ge=-1)] = 10
    show_multiple_locations: Annotated[
        bool,
        Field(
            description="Show the locations of images and let them be changed. Whoever may change an image's locations "
            "decides what its data is."
        ),
    ] = False
    show_image_direct_url: Annotated[
        bool, Field(description="Show the URL at which the store keeps an image's data, as direct_url.")
    ] = False
    delayed_delete_s: Annotated[
        int,
        Field(
            description="How long the data of a deleted image is kept, in seconds: until then `headwater trash "
            "restore` gives the image back, and it counts against its project's limits. 0: it goes at once.",
            ge=0,
            le=315_360_000,
        ),
    ] = 0
    resumable_upload_ttl_h: Annotated[
        int,
        Field(
            description="How long an upload that can be resumed waits for its client to come back, in hours; then its "
            "bytes are removed and the image waits for data again.",
            ge=1,
            le=8760,
        ),
    ] = 24
    do_secure_hash: Annotated[
        bool,
        Field(
            description="Read the data of a location that is added through the locations API to hash it. "
            "If not, hashes that are given with it are believed."
        ),
    ] = True
    direct_delivery: Annotated[
        Literal["off", "asked", "always"],
        Field(
            description="Answer downloads with 307 and an address where the store itself gives the data, where it has "
            "such (S3, Swift): `asked` to clients that send `Prefer: redirect`, `always` to all. Most clients of "
            "OpenStack follow, and show their token to the store too."
        ),
    ] = "off"
    direct_delivery_s: Annotated[
        int, Field(description="How long such an address is good, in seconds.", ge=10, le=86400)
    ] = 300
    http_retries: Annotated[
        int,
        Field(
            description="How often data at a URL is asked for again when its server fails, after 2, 4, 8 … 60 s.",
            ge=0,
        ),
    ] = 5
    limit_default: Annotated[int, Field(description="Images in a list when the caller gives no limit.", ge=1)] = 25
    limit_max: Annotated[int, Field(description="Most images in one list.", ge=1)] = 1000
    api_v1: Annotated[
        bool, Field(description="Answer the Image API v1 too, which OpenStack gave up in 2018 and old clients speak.")
    ] = False
    compute_image_proxy: Annotated[
        bool,
        Field(
            description="Answer what the Compute API had on images too, below /compute, for old clients: Nova gave it "
            "up in 2016."
        ),
    ] = False
    task_time_to_live_h: Annotated[
        int, Field(description="How long a task that is over is shown, in hours.", ge=1, le=87600)
    ] = 48

    @property
    def inspection(self) -> Rules:
        """What data that comes in is held to."""
        return Rules(
            require_match=self.require_format_match,
            partition_tables=self.partition_tables,
            disk_formats=self.disk_formats,
        )
