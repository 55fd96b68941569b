"""What is on the media of an instance, by layout: OpenStack's config drive, or cloud-init's NoCloud.

One rendering: the documents are those of the metadata port. The same instance, time and entropy give the same bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from headwater.instances.media.writing.file import Kind, write_files
from headwater.instances.model import Instance
from headwater.instances.trees import ec2, nocloud, openstack
from headwater.instances.trees.document import Document
from headwater.instances.vendor_data import documents

Layout = Literal["openstack", "nocloud"]
_NO_PARTS: Mapping[str, bytes] = MappingProxyType({})
LABELS: dict[Layout, str] = {"openstack": "config-2", "nocloud": "cidata"}
# Nova skips the older EC2 versions; nothing reads them from a drive.
EC2_VERSIONS = (ec2.VERSIONS[-1], ec2.LATEST)


def drive_files(
    instance: Instance,
    entropy: Callable[[int], bytes] = os.urandom,
    *,
    layout: Layout = "openstack",
    parts: Mapping[str, bytes] = _NO_PARTS,
) -> dict[str, bytes]:
    """Return every file of a config drive by its path, in the order in which they are written.

    Args:
        parts: What services say of the instance, by their names; each is JSON in ASCII.
    """
    if layout == "nocloud":
        return _nocloud_files(instance, entropy, parts)
    files: dict[str, bytes] = {}
    for version in EC2_VERSIONS:
        content = json.dumps(ec2.meta_data(instance, version)).encode("ascii")
        files[f"{ec2.ROOT}/{version}/meta-data.json"] = content
        if instance.user_data is not None:
            files[f"{ec2.ROOT}/{version}/user-data"] = instance.user_data
    for version, found in openstack.versions(instance, drive=True).items():
        for name, document in found.items():
            place = f"{openstack.ROOT}/{version}/{name}"
            files[place] = _completed(place, document, instance, parts).read(entropy)
    for path, data in openstack.content(instance).items():
        files[f"{openstack.ROOT}/{path}"] = data
    return files


def _completed(name: str, document: Document, instance: Instance, parts: Mapping[str, bytes]) -> Document:
    return (
        documents.completed(name, document, instance.vendor_data, parts) if documents.is_asked_for(name) else document
    )


def _nocloud_files(instance: Instance, entropy: Callable[[int], bytes], parts: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the four files, without the network configuration where there is none: a file with nothing in it
    is read as one that configures nothing.
    """
    files = {
        name: _completed(f"{nocloud.ROOT}/{name}", document, instance, parts).read(entropy)
        for name, document in nocloud.files(instance).items()
    }
    return {name: body for name, body in files.items() if body or name in ("meta-data", "user-data")}


def write_config_drive(
    instance: Instance,
    path: Path,
    at: int,
    *,
    layout: Layout = "openstack",
    kind: Kind = "iso9660",
    replace: bool = False,
    entropy: Callable[[int], bytes] = os.urandom,
) -> int:
    """Write the config drive of ``instance`` to ``path`` and return its size in bytes; see ``write_files``."""
    files = drive_files(instance, entropy, layout=layout)
    return write_files(files, LABELS[layout], path, at, kind=kind, replace=replace)
