"""The four files of cloud-init's NoCloud, from the same record as the other trees.

All four are always there, if empty: cloud-init asks eleven times for one that is 404, a second apart each time
(specification 4.2). What is JSON here is YAML too. Below ``v1`` the network configuration is the older one.
"""

from __future__ import annotations

from typing import Any

from headwater.instances.model import Instance
from headwater.instances.network import config
from headwater.instances.trees.document import Document, raw, text, text_of_json

ROOT = "nocloud"
OLDER = "v1"


def tree(instance: Instance) -> dict[str, Document]:
    """Return every path below the root, ``nocloud`` first in each, with what it answers."""
    newer, older = files(instance), files(instance, version=1)
    listing = "\n".join(newer)
    return {
        ROOT: text(f"{listing}\n{OLDER}/"),
        **{f"{ROOT}/{name}": document for name, document in newer.items()},
        f"{ROOT}/{OLDER}": text(listing),
        **{f"{ROOT}/{OLDER}/{name}": document for name, document in older.items()},
    }


def files(instance: Instance, *, version: int = 2) -> dict[str, Document]:
    """Return the files by name, in the order in which cloud-init asks for them.

    Args:
        version: Of the network configuration, 1 or 2.
    """
    return {
        "network-config": _network_config(instance, version),
        "meta-data": text_of_json(meta_data(instance)),
        "user-data": raw(instance.user_data or b""),
        "vendor-data": text(vendor_data(instance.vendor_data)),
    }


def meta_data(instance: Instance) -> dict[str, Any]:
    """Return the facts; ``instance-id`` is the UUID, which cloud-init compares with the one in the machine's SMBIOS."""
    found: dict[str, Any] = {"instance-id": instance.id, "local-hostname": instance.hostname}
    keys = [key.data for key in instance.keys if key.type == "ssh"]
    if keys:
        found["public-keys"] = keys
    if instance.availability_zone is not None:
        found["availability-zone"] = instance.availability_zone
    if instance.instance_type is not None:
        found["instance-type"] = instance.instance_type
    if instance.project_id is not None:
        found["project-id"] = instance.project_id
    if instance.meta:
        found["meta"] = dict(instance.meta)
    return found


def vendor_data(given: Any) -> str:
    """Return vendor data as a file: the part of it that cloud-init reads in OpenStack's document."""
    if isinstance(given, dict):
        given = given.get("cloud-init")
    if given is None:
        return ""
    if isinstance(given, str):
        return given
    return f"#cloud-config-archive\n{text_of_json(list(given)).body.decode()}"


def _network_config(instance: Instance, version: int) -> Document:
    network = instance.network_data
    if network is None or not network["links"]:
        return text("")  # DHCP on the first interface
    return text_of_json(config.version_2(network) if version != 1 else config.version_1(network))
