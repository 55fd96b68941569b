"""The OpenStack tree: every date, as Nova serves it where that is right (specification section 2).

Where it is not: ``network_data.json`` is JSON, is there from its own version on and only when there
are links, because an empty network document takes the guest's network away while a missing one
gives it DHCP. A listing names what is there, and nothing else; neither does ``meta_data.json`` hold
``null``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from headwater.instances.devices import Nic
from headwater.instances.model import Instance
from headwater.instances.trees.document import Document, json_document, raw, seeded_json_document, text

VERSIONS = (
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
    "2020-10-14",
    "2025-04-04",
)
LATEST = "latest"
ROOT = "openstack"

FOLSOM, GRIZZLY, HAVANA, LIBERTY, NEWTON, NEWTON_2, OCATA, ROCKY, VICTORIA, EPOXY = VERSIONS


def tree(instance: Instance) -> dict[str, Document]:
    """Return every path below the root, ``openstack`` first in each, with what it answers."""
    documents = {ROOT: text("\n".join((*VERSIONS, LATEST)))}
    for version, files in versions(instance).items():
        documents[f"{ROOT}/{version}"] = text("\n".join(files))
        documents |= {f"{ROOT}/{version}/{name}": document for name, document in files.items()}
    return documents


def versions(instance: Instance, *, drive: bool = False) -> dict[str, dict[str, Document]]:
    """Return for each version its files by name, in the order of Nova's listing.

    Args:
        drive: For a config drive: with injected files, and without the password, which is a service.
    """
    user_data = None if instance.user_data is None else raw(instance.user_data)
    static = {} if instance.vendor_data is None else instance.vendor_data
    vendor_data, vendor_data2 = json_document(static), json_document({"static": static})
    network = instance.network_data
    network_data = json_document(network) if network is not None and network["links"] else None
    password = text("")

    found: dict[str, dict[str, Document]] = {}
    for version in VERSIONS:
        files = {"meta_data.json": _meta_data_json(instance, version, drive)}
        if user_data is not None:
            files["user_data"] = user_data
        if version >= GRIZZLY and not drive:
            files["password"] = password
        if version >= HAVANA:
            files["vendor_data.json"] = vendor_data
        if version >= LIBERTY and network_data is not None:
            files["network_data.json"] = network_data
        if version >= NEWTON_2:
            files["vendor_data2.json"] = vendor_data2
        found[version] = files
    found[LATEST] = found[VERSIONS[-1]]
    return found


def is_password(name: str) -> bool:
    """Return whether a document, one of ``tree``, is the password, which is not part of the instance's record."""
    return name.startswith(f"{ROOT}/") and name.endswith("/password")


def content(instance: Instance) -> dict[str, bytes]:
    """Return the injected files by their path below the root, as ``files`` in meta_data.json names them."""
    return {f"content/{number:04}": file.data for number, file in enumerate(instance.files)}


def meta_data(instance: Instance, version: str, *, drive: bool = False) -> dict[str, Any]:
    """Return meta_data.json of one version, in Nova's order, without ``random_seed``."""
    document: dict[str, Any] = {"uuid": instance.id}
    if instance.meta:
        document["meta"] = dict(instance.meta)
    if drive and instance.files:
        document["files"] = [
            {"path": file.path, "content_path": f"/{path}"}
            for file, path in zip(instance.files, content(instance), strict=True)
        ]
    if instance.keys:
        # A certificate would end up as a broken line in the guest's authorized_keys.
        ssh = {key.name: key.data for key in instance.keys if key.type == "ssh"}
        if ssh:
            document["public_keys"] = ssh
        document["keys"] = [{"name": key.name, "type": key.type, "data": key.data} for key in instance.keys]
    document["hostname"] = instance.hostname
    document["name"] = instance.name
    document["launch_index"] = instance.launch_index
    if instance.availability_zone is not None:
        document["availability_zone"] = instance.availability_zone
    if version >= LIBERTY and instance.project_id is not None:
        document["project_id"] = instance.project_id
    if version >= NEWTON:
        document["devices"] = _devices(instance, version)
    if version >= VICTORIA:
        document["dedicated_cpus"] = sorted(instance.dedicated_cpus)
    return document


def _meta_data_json(instance: Instance, version: str, drive: bool) -> Document:
    document = meta_data(instance, version, drive=drive)
    # Nova's order puts the seed after the zone; guests do not mind, comparisons with Nova do.
    if version < GRIZZLY:
        return json_document(document)
    zone = "availability_zone"
    return seeded_json_document(document, after=zone if zone in document else "launch_index")


def _devices(instance: Instance, version: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for device in instance.devices:
        place: dict[str, Any] = {"bus": device.bus, "address": device.address}
        if device.tags:
            place["tags"] = list(device.tags)
        if isinstance(device, Nic):
            entry: dict[str, Any] = {}
            if device.vlan is not None and version >= OCATA:
                entry["vlan"] = device.vlan
            if version >= ROCKY:
                entry["vf_trusted"] = device.vf_trusted
            if not entry and not device.tags:
                continue  # says nothing that the guest does not see itself
            found.append({**entry, "type": "nic", "mac": device.mac, **place})
            continue
        entry = {name: value for name, value in msgspec.to_builtins(device).items() if value is not None}
        if entry["type"] == "share" and version < EPOXY:
            continue
        found.append(
            {**{name: value for name, value in entry.items() if name not in place and name != "tags"}, **place}
        )
    return found
