"""What callers say of an instance as JSON: its document, new or as a patch.

User data is answered as ``user_data_base64``, whatever bytes it holds; it is taken as ``user_data`` (a text) too.
So it is with ``content_base64`` and ``content`` of files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from headwater.clock import timestamp
from headwater.instances.api.errors import DocumentWrong, RevisionDiffers
from headwater.instances.bulk import said as records
from headwater.instances.bulk.document import BESIDE, instance_document
from headwater.instances.bulk.found import REGISTRY, Found, Source
from headwater.instances.bulk.records import description
from headwater.instances.bulk.said import Said
from headwater.instances.lists.rows import Head
from headwater.instances.model import Instance
from headwater.instances.service import Description

READ_ONLY = ("id", *BESIDE)
# By the name of what a record says, that of ``changed``.
_CALLED = {"user_data_base64": "user_data"}


def head_document(head: Head, *, source: Source = REGISTRY, told_at: int | None = None) -> dict[str, Any]:
    """Return what a list shows of it.

    Args:
        source, told_at: As of ``Found``.
    """
    return {
        "id": head.id,
        "name": head.name,
        "hostname": head.hostname,
        "project_id": head.project_id,
        "addresses": head.addresses,
        "image": head.image_id,
        "image_name": head.image_name,
        "revision": head.revision,
        "created_at": timestamp(head.created_at),
        "updated_at": timestamp(head.updated_at),
        "source": source,
        "told_at": None if told_at is None else timestamp(told_at),
    }


def found_document(found: Found) -> dict[str, Any]:
    """Return what a list shows of a machine that is known whole."""
    head = Head(**{name: getattr(found.instance, name) for name in Head.__slots__})
    return head_document(head, source=found.source, told_at=found.told_at)


def said_in(document: Mapping[str, Any]) -> Said:
    """Return what a document says of an instance.

    Raises:
        DocumentWrong: A field is not known, missing, or of a wrong type.
    """
    try:
        return records.said_in(document)
    except msgspec.ValidationError as error:
        raise DocumentWrong(str(error)) from error


def description_of(said: Said) -> Description:
    """Return what it says as the use cases take it.

    Raises:
        DocumentWrong: Its user data, or a file, is said twice, or is no base64.
        InstanceInvalid: The path of a file is none.
    """
    try:
        return description(said)
    except msgspec.ValidationError as error:
        raise DocumentWrong(str(error)) from error


def merged(instance: Instance, patch: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Return what a merge patch (RFC 7396) changes, as ``service.changed`` takes it, and the image if it names one.

    Raises:
        DocumentWrong: It cannot be so, or changes what nobody sets.
        RevisionDiffers: It is for another revision.
    """
    document = instance_document(Found(instance=instance))
    revision = patch.get("revision", instance.revision)
    if type(revision) is not int:
        raise DocumentWrong("revision: it is a whole number")
    if revision != instance.revision:
        raise RevisionDiffers(instance.id, revision, instance.revision)
    for name in READ_ONLY:
        if name in patch and patch[name] != document[name]:
            raise DocumentWrong(f"{name}: nobody changes it; leave it out, or as it is")
    asked = {name: value for name, value in patch.items() if name not in READ_ONLY}
    try:
        records.require_known(asked)  # also of what is taken away
    except msgspec.ValidationError as error:
        raise DocumentWrong(str(error)) from error
    if "user_data" in asked and "user_data_base64" not in asked:  # a text in place of what there is
        document.pop("user_data_base64")
    after = _merged({name: value for name, value in document.items() if name not in READ_ONLY}, asked)
    # What is taken away is as if nobody had said it, but for the zone: then there is none.
    kept = {name: value for name, value in after.items() if value is not None}
    kept["availability_zone"] = after.get("availability_zone")
    said = description_of(said_in(kept))
    values = {called: getattr(said, called) for name in asked if (called := _CALLED.get(name, name)) != "image"}
    if values.get("hostname", "") is None:
        raise DocumentWrong("hostname: a machine has one; give another")
    return values, asked.get("image")


def _merged(before: Any, patch: Mapping[str, Any]) -> dict[str, Any]:
    after = dict(before) if isinstance(before, Mapping) else {}
    for name, value in patch.items():
        if isinstance(value, Mapping):
            after[name] = _merged(after.get(name), value)
        elif value is None:
            after.pop(name, None)
        else:
            after[name] = value
    return after
