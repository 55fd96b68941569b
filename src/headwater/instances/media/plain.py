"""Media from plain files and a few words, with no registry: what is given is a record that is never kept.

Files that cloud-init reads as they are go on the medium byte for byte, once they are what they should be.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import msgspec
import yaml

from headwater.instances.errors import InstanceInvalid
from headwater.instances.media.config_drive import Layout, drive_files
from headwater.instances.model import File
from headwater.instances.names import is_uuid
from headwater.instances.service import Description, described
from headwater.instances.trees import openstack
from headwater.json_keys import twice

_NAME = "machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What somebody gives; the files in the form of the layout: YAML or scripts for NoCloud, JSON for OpenStack."""

    instance_id: str | None = None
    hostname: str | None = None
    ssh_keys: tuple[str, ...] = ()
    user_data: bytes | None = None
    meta_data: bytes | None = None
    network_config: bytes | None = None
    vendor_data: bytes | None = None
    files: tuple[File, ...] = ()


def plain_files(given: Given, layout: Layout) -> dict[str, bytes]:
    """Return every file of the medium by its path.

    Raises:
        InstanceInvalid: A file is not what a guest could read.
    """
    if given.meta_data is not None and (given.instance_id or given.hostname or given.ssh_keys or given.files):
        raise InstanceInvalid(
            "meta-data", "the file says who the machine is: leave id, host name, SSH keys and files for it away"
        )
    if given.files and layout == "nocloud":
        raise InstanceInvalid("files", "NoCloud has none: take the layout openstack, or write_files of a cloud-config")
    return _nocloud(given) if layout == "nocloud" else _openstack(given)


def _nocloud(given: Given) -> dict[str, bytes]:
    files = drive_files(described(_description(given)), layout="nocloud")
    as_they_are = {
        "meta-data": given.meta_data,
        "network-config": given.network_config,
        "vendor-data": given.vendor_data,
    }
    for name, body in as_they_are.items():
        if body is None:
            continue
        if name != "vendor-data":
            _require_mapping(name, body)
        files[name] = body
    return files


def _openstack(given: Given) -> dict[str, bytes]:
    description = _description(
        given,
        vendor_data=None if given.vendor_data is None else _json("vendor data", given.vendor_data),
        network_data=None if given.network_config is None else _json("network data", given.network_config),
    )
    files = drive_files(described(description))
    if given.meta_data is None:
        return files
    document = _json("meta-data", given.meta_data)
    if not isinstance(document, dict) or not isinstance(document.get("uuid"), str):
        raise InstanceInvalid("meta-data", "it must be a JSON object with a 'uuid'")
    return {
        path: given.meta_data if path.endswith("/meta_data.json") else body
        for path, body in files.items()
        if path.startswith(f"{openstack.ROOT}/")  # the EC2 tree would say something else
    }


def _description(given: Given, *, vendor_data: Any = None, network_data: Any = None) -> Description:
    hostname = given.hostname or _NAME
    return Description(
        name=_NAME if is_uuid(hostname.lower()) else hostname,
        # The same words name the same machine, so that a medium that is made again does not begin its life anew.
        id=given.instance_id or str(uuid.uuid5(uuid.NAMESPACE_DNS, hostname)),
        hostname=given.hostname,
        ssh_keys=given.ssh_keys,
        user_data=given.user_data,
        vendor_data=vendor_data,
        network_data=network_data,
        files=given.files,
    )


def _require_mapping(name: str, body: bytes) -> None:
    """Refuse what is no YAML mapping: cloud-init drops the whole medium for it."""
    try:
        document = yaml.safe_load(body)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise InstanceInvalid(name, f"it is not YAML: {error}") from error
    if name == "meta-data" and document is None:
        return  # may be empty (specification 4.2)
    if not isinstance(document, dict):
        raise InstanceInvalid(name, "it is no YAML mapping")


def _json(what: str, body: bytes) -> Any:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InstanceInvalid(what, f"it is not JSON, which the OpenStack layout has: {error}") from error
    if (problem := twice(body)) is not None:
        raise InstanceInvalid(what, problem)
    return found
