"""One machine whole, as JSON: its record, with what nobody sets beside it. The API and the commands tell the same.

User data is told as ``user_data_base64``, whatever bytes it holds, and a file's as ``content_base64``.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import msgspec

from headwater.clock import timestamp
from headwater.instances.bulk.found import Found
from headwater.instances.bulk.records import description, said_of
from headwater.instances.bulk.said import FIELDS, said_in
from headwater.instances.errors import InstanceInvalid
from headwater.instances.model import Instance
from headwater.instances.names import is_uuid
from headwater.instances.service import described

BESIDE = ("image_name", "revision", "created_at", "updated_at", "source", "told_at")  # what no record says
# What no record says and libvirt, or an earlier release, may have registered; the commands print it where there is any.
_OF_OTHERS = (
    "kernel_id",
    "ramdisk_id",
    "launch_index",
    "reservation_id",
    "security_groups",
    "block_devices",
    "devices",
    "dedicated_cpus",
)
_NOT_SAID: Mapping[str, Any] = {
    **dict.fromkeys(name for name in FIELDS if name != "user_data"),
    "addresses": [],
    "ssh_keys": [],
    "meta": {},
    "tokens": "optional",
    "files": [],
}
_USUAL = Instance(id=str(UUID(int=0)), name="any", hostname="any", created_at=0, updated_at=0).to_dict()


def instance_document(found: Found) -> dict[str, Any]:
    """Return the whole of it."""
    instance = found.instance
    said = said_of(instance)
    said.pop("user_data", None)
    if instance.user_data is not None:
        said["user_data_base64"] = _base64(instance.user_data)
    if instance.files:
        said["files"] = [{"path": file.path, "content_base64": _base64(file.data)} for file in instance.files]
    return {
        **_NOT_SAID,
        **said,
        "image_name": instance.image_name,
        "revision": instance.revision,
        "created_at": timestamp(instance.created_at),
        "updated_at": timestamp(instance.updated_at),
        "source": found.source,
        "told_at": None if found.told_at is None else timestamp(found.told_at),
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def printed(found: Found) -> dict[str, Any]:
    """Return ``instance_document``, and what else is known of it."""
    known = found.instance.to_dict()
    others = {name: known[name] for name in _OF_OTHERS if known[name] != _USUAL[name]}
    if certificates := [key for key in known["keys"] if key["type"] != "ssh"]:
        others["certificates"] = certificates
    return instance_document(found) | others


def instance_in(document: object) -> Instance:
    """Return the instance of what ``printed`` returns, or of a record; also as earlier releases printed it.

    Raises:
        InstanceInvalid: It is none.
    """
    if not isinstance(document, Mapping):
        raise InstanceInvalid("instance", "a record is a mapping")
    if isinstance(document.get("created_at"), int):
        return Instance.from_dict(document)
    try:
        others = {name: document[name] for name in _OF_OTHERS if name in document}
        certificates = document.get("certificates", [])
        without = {*BESIDE, *others, "certificates"}
        said = said_in({name: _as_now(name, value) for name, value in document.items() if name not in without})
        found = described(description(said))
        known = found.to_dict()
        keys = [*known["keys"], *msgspec.convert(certificates, list[Any])]
        found = Instance.from_dict({**known, **others, "keys": keys})
    except msgspec.ValidationError as error:
        raise InstanceInvalid("instance", str(error)) from error
    image = said.image or ""
    return replace(found, image_id=image.lower()) if is_uuid(image.lower()) else found


def _as_now(name: str, value: Any) -> Any:
    """Return what a field says as this release prints it: an earlier one called the content of files ``data``."""
    if name != "files" or not isinstance(value, list):
        return value
    return [
        {"path": each["path"], "content_base64": each["data"]}
        if isinstance(each, Mapping) and each.keys() == {"path", "data"}
        else each
        for each in value
    ]
