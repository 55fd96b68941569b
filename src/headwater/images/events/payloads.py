"""An image, a member, a download as notifications tell of them: the payloads of Glance 33.

Locations are left out on purpose: their URLs may hold credentials.
"""

from __future__ import annotations

from typing import Any

from headwater.clock import timestamp
from headwater.images.member import Member
from headwater.images.model import Image, Visibility

# Of these Glance tells as lists what the image holds as one text.
_LISTS = ("os_glance_importing_to_stores", "os_glance_failed_import")


def image_payload(image: Image, *, deleted_at: int | None = None) -> dict[str, Any]:
    """Return the payload of ``image.*``.

    Args:
        deleted_at: When the image went, in microseconds since 1970; ``None`` while it is there.
    """
    return {
        "id": image.id,
        "name": image.name,
        "status": image.status.value,
        "created_at": timestamp(image.created_at),
        "updated_at": timestamp(image.updated_at),
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "protected": image.protected,
        "checksum": image.checksum,
        "owner": image.owner,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "is_public": image.visibility is Visibility.PUBLIC,
        "visibility": image.visibility.value,
        "properties": dict(image.properties),
        "tags": list(image.tags),
        **deletion(deleted_at),
        **{name: image.properties[name].split(",") for name in _LISTS if image.properties.get(name)},
    }


def member_payload(member: Member, *, deleted_at: int | None = None) -> dict[str, Any]:
    """Return the payload of ``image.member.*``."""
    return {
        "image_id": member.image_id,
        "member_id": member.member,
        "status": member.status.value,
        "created_at": timestamp(member.created_at),
        "updated_at": timestamp(member.updated_at),
        **deletion(deleted_at),
    }


def send_payload(image: Image, bytes_sent: int, *, project_id: str | None, user_id: str | None) -> dict[str, Any]:
    """Return the payload of ``image.send``: who has got how much of the image's data."""
    return {
        "bytes_sent": bytes_sent,
        "image_id": image.id,
        "owner_id": image.owner,
        "receiver_tenant_id": project_id,
        "receiver_user_id": user_id,
    }


def deletion(at: int | None) -> dict[str, Any]:
    """Return what says whether, and when, something went."""
    return {"deleted": at is not None, "deleted_at": None if at is None else timestamp(at)}
