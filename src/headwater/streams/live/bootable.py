"""What boots as a fresh server: a whole disk, of a system that no server has run from yet.

Only what is certain is held against an image. Nova writes on each snapshot of what it was taken; a snapshot of a server
that runs from a volume has no data of its own and names the volumes' snapshots, which are its project's only.
Source: Nova, ``compute/api.py``: ``snapshot``, ``backup`` and ``snapshot_volume_backed``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from headwater.images.model import Image
from headwater.streams.format.guests import LXD

DISKS: Final = ("qcow2", "raw", "vhd", "vhdx", "vmdk", "vdi", "ploop", "gpt")
# What containers start from besides; the glance sync's words for it.
_FILE_TREES: Final = ("root-tar", "squashfs")
_COPIES: Final = frozenset({"snapshot", "backup"})
# Cinder's images of encrypted volumes, and images encrypted for Glance.
_KEYS: Final = ("cinder_encryption_key_id", "os_encrypt_key_id")
_NO_MAPPING: Final = frozenset({"", "[]", "null"})


def obstacles(image: Image, virt: str) -> Iterator[str]:
    """Yield what keeps ``image`` from booting as a fresh server of the kind ``virt``, as sentences for its owner."""
    # Without formats an image has no data yet, and its status says so.
    disk, container = image.disk_format, image.container_format
    disks = (*DISKS, *_FILE_TREES) if virt == LXD else DISKS
    if disk is not None and disk not in disks:
        yield f"disk_format is {disk}, not that of a disk that a server boots from: {', '.join(disks)}"
    if container is not None and container != "bare":
        yield f"container_format is {container}, not bare: the data is not a disk as it is"
    if image.size == 0:
        yield "it has no data: its size is 0"
    yield from _past(image)
    for name in _KEYS:
        if image.properties.get(name, "").strip():
            yield f"{name} says that it is encrypted, with a key that other projects do not have"


def _past(image: Image) -> Iterator[str]:
    kind, instance, base, mapping = (
        image.properties.get(name, "").strip().lower()
        for name in ("image_type", "instance_uuid", "base_image_ref", "block_device_mapping")
    )
    if kind in _COPIES:
        yield f"image_type is {kind}: it is the copy of a server, not a fresh one"
    elif not kind and (instance or base):
        # Somebody who made a fresh system of a snapshot can say so.
        name = "instance_uuid" if instance else "base_image_ref"
        yield f"{name} says that it is the copy of a server; image_type = image says that it boots as a fresh one"
    if mapping not in _NO_MAPPING:
        yield "block_device_mapping names volumes or snapshots, which other projects cannot boot from"
