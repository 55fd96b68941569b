"""What is on the media of an instance, by layout: OpenStack's config drive, or cloud-init's NoCloud.

One rendering: the documents are those of the metadata port. The same instance, time and entropy give the same bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from headwater.instances.media.writing.file import Kind, write_files
from headwater.instances.model import Instance
from headwater.instances.trees import ec2, nocloud, openstack

Layout = Literal["openstack", "nocloud"]
LABELS: dict[Layout, str] = {"openstack": "config-2", "nocloud": "cidata"}
# Nova skips the older EC2 versions; nothing reads them from a drive.
EC2_VERSIONS = (ec2.VERSIONS[-1], ec2.LATEST)


def drive_files(
    instance: Instance, entropy: Callable[[int], bytes] = os.urandom, *, layout: Layout = "openstack"
) -> dict[str, bytes]:
    """Return every file of a config drive by its path, in the order in which they are written."""
    if layout == "nocloud":
        return _nocloud_files(instance, entropy)
    files: dict[str, bytes] = {}
    for version in EC2_VERSIONS:
        content = json.dumps(ec2.meta_data(instance, version)).encode("ascii")
        files[f"{ec2.ROOT}/{version}/meta-data.json"] = content
        if instance.user_data is not None:
            files[f"{ec2.ROOT}/{version}/user-data"] = instance.user_data
    for version, documents in openstack.versions(instance, drive=True).items():
        for name, document in documents.items():
            files[f"{openstack.ROOT}/{version}/{name}"] = document.read(entropy)
    for path, data in openstack.content(instance).items():
        files[f"{openstack.ROOT}/{path}"] = data
    return files


def _nocloud_files(instance: Instance, entropy: Callable[[int], bytes]) -> dict[str, bytes]:
    """Return the four files, without the network configuration where there is none: a file with nothing in it
    is read as one that configures nothing.
    """
    files = {name: document.read(entropy) for name, document in nocloud.files(instance).items()}
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
