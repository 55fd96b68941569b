"""What people write of a machine: the fields of a record, in YAML and in JSON, and what is wrong with others."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

import msgspec

Tokens = Literal["optional", "required"]


class SaidFile(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A file for the guest: its content is a text, or base64 of any bytes."""

    path: str
    content: str | None = None
    content_base64: str | None = None


class Said(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One record, as people write it."""

    name: str
    id: str | None = None
    hostname: str | None = None
    project_id: str | None = None
    addresses: list[str] = []
    ssh_keys: list[str] = []
    user_data: str | None = None
    user_data_base64: str | None = None
    vendor_data: Any = None
    network_data: Any = None
    meta: dict[str, str] = {}
    image: str | None = None
    instance_type: str | None = None
    availability_zone: str | None = "nova"
    serial: str | None = None
    public_ipv4: str | None = None
    tokens: Tokens = "optional"
    hop_limit: int | None = None
    files: list[SaidFile] = []


FIELDS: Final = Said.__struct_fields__
_ALIKE: Final = 0.6  # of 1
# What others call it, in lower case, and the field that has it.
_MEANT: Final = {
    "address": "addresses",
    "az": "availability_zone",
    "fixed_ips": "addresses",
    "flavor": "instance_type",
    "flavour": "instance_type",
    "floating_ip": "public_ipv4",
    "image_id": "image",
    "image_name": "image",
    "injected_files": "files",
    "ip": "addresses",
    "ips": "addresses",
    "key": "ssh_keys",
    "keys": "ssh_keys",
    "labels": "meta",
    "mac": "network_data, in which links have ethernet_mac_address",
    "mac_address": "network_data, in which links have ethernet_mac_address",
    "macs": "network_data, in which links have ethernet_mac_address",
    "meta_data": "meta",
    "metadata": "meta",
    "network": "network_data",
    "networks": "network_data",
    "personality": "files",
    "properties": "meta",
    "public_ip": "public_ipv4",
    "public_keys": "ssh_keys",
    "ssh_authorized_keys": "ssh_keys",
    "tags": "meta",
    "tenant_id": "project_id",
    "uuid": "id",
    "write_files": "files",
    "zone": "availability_zone",
}


def said_in(document: object) -> Said:
    """Return what a document says of a machine.

    Raises:
        msgspec.ValidationError: A field is not known, missing, or of a wrong type; the message is for who wrote it.
    """
    if not isinstance(document, Mapping):
        raise msgspec.ValidationError("a record is an object with fields such as name and addresses")
    require_known(document)
    try:
        return msgspec.convert(document, Said)
    except msgspec.ValidationError as error:
        if not str(error).startswith("Invalid enum value"):
            raise
        raise msgspec.ValidationError(f"{error}; it is one of {', '.join(get_args(Tokens))}") from error


def require_known(document: Mapping[Any, Any]) -> None:
    """Return when a document has no other fields than a record.

    Raises:
        msgspec.ValidationError: It has; the message says which is meant.
    """
    for key in document:
        if key not in FIELDS:
            raise msgspec.ValidationError(_unknown(key))


def _unknown(key: object) -> str:
    found = key if isinstance(key, str) else str(key)
    plain = found.lower().replace("-", "_")
    near = _MEANT.get(plain) or next(iter(difflib.get_close_matches(plain, FIELDS, 1, _ALIKE)), None)
    meant = "" if near is None else f"; {near} may be meant"
    return f"there is no field {found[:64]!r}{meant} (a record has {', '.join(FIELDS)})"
