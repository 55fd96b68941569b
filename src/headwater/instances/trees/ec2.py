"""The EC2 tree: every version to 2009-04-04, as Nova serves it (specification section 1).

A listing names its entries sorted, one a line, without a newline at the end; a directory has a
trailing slash. ``public-keys`` names its entries ``INDEX=NAME``. Nothing newer than 2009-04-04 is
claimed: guests would prefer it, and expect a network tree in it. Two newer keys that systemd-imdsd reads are in
``latest`` only, which cloud-init does not ask for, and so is ``dynamic`` (``identity_document.py``).

What a machine does not have is not listed and is 404, as in EC2; Nova says an empty value, which guests
take for an address.
"""

from __future__ import annotations

from typing import Any

from headwater.instances.addresses import is_ipv4
from headwater.instances.model import Instance
from headwater.instances.trees import identity_document
from headwater.instances.trees.document import Document, raw, text
from headwater.instances.trees.short_id import short_id

VERSIONS = (
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
)
LATEST = "latest"
ROOT = "ec2"
ROOT_LISTING = text("\n".join((*VERSIONS, LATEST)))  # the same for every instance

# The label of a directory in its parent's listing, where it differs from its name; not a path itself.
_LABEL = "_name"


def tree(instance: Instance, *, region: str | None = None) -> dict[str, Document]:
    """Return every path below the root, ``ec2`` first in each, with what it answers.

    Args:
        region: Where the instance runs; ``None``: that is not told.
    """
    documents = {ROOT: ROOT_LISTING} | identity_document.tree(instance, region=region)
    user_data = None if instance.user_data is None else raw(instance.user_data)
    known: dict[str, dict[str, Document]] = {}  # versions with equal keys share their documents
    for version in (*VERSIONS, LATEST):
        content = meta_data(instance, version)
        if version == LATEST:
            content |= _for_imdsd(instance, content, region)
        signature = "\n".join((*content, *content.get("placement", ())))
        if signature not in known:
            known[signature] = {}
            _walk("meta-data", content, known[signature])
        names = (
            *(["dynamic/"] if version == LATEST else []),
            "meta-data/",
            *([] if user_data is None else ["user-data"]),
        )
        below = {"": text("\n".join(names))}
        below |= {f"/{path}": document for path, document in known[signature].items()}
        if user_data is not None:
            below["/user-data"] = user_data
        documents |= {f"{ROOT}/{version}{path}": document for path, document in below.items()}
    return documents


def meta_data(instance: Instance, version: str) -> dict[str, Any]:
    """Return ``meta-data`` of one version with its types, in Nova's order; what a config drive holds as JSON."""

    def since(first: str) -> bool:
        return version == LATEST or version >= first

    content: dict[str, Any] = {
        "ami-id": short_id("ami", instance.image_id),
        "ami-launch-index": instance.launch_index,
        "ami-manifest-path": "FIXME",
        "instance-id": short_id("i", instance.id),
        "hostname": instance.hostname,
    }
    if instance.local_ipv4 is not None:
        content["local-ipv4"] = instance.local_ipv4
    content["reservation-id"] = instance.reservation_id or short_id("r", instance.id)
    if instance.security_groups:
        content["security-groups"] = list(instance.security_groups)
    ssh = [key for key in instance.keys if key.type == "ssh"]
    if ssh:
        content["public-keys"] = {
            str(index): {_LABEL: f"{index}={key.name}", "openssh-key": key.data} for index, key in enumerate(ssh)
        }
    if since("2007-01-19"):
        content["local-hostname"] = instance.hostname
        content["public-hostname"] = instance.hostname
        if instance.public_ipv4 is not None:
            content["public-ipv4"] = instance.public_ipv4
    if since("2007-08-29") and instance.instance_type is not None:
        content["instance-type"] = instance.instance_type
    if since("2007-12-15"):
        if instance.block_devices:
            content["block-device-mapping"] = dict(instance.block_devices)
        if instance.kernel_id is not None:
            content["kernel-id"] = short_id("aki", instance.kernel_id)
        if instance.ramdisk_id is not None:
            content["ramdisk-id"] = short_id("ari", instance.ramdisk_id)
    if since("2008-02-01") and instance.availability_zone is not None:
        content["placement"] = {"availability-zone": instance.availability_zone}
    if since("2008-09-01"):
        content["instance-action"] = "none"
    return content


def _for_imdsd(instance: Instance, content: dict[str, Any], region: str | None) -> dict[str, Any]:
    """Return what systemd-imdsd reads beside what all do. Source: systemd 261, hwdb.d/40-imds.hwdb."""
    more: dict[str, Any] = {}
    ipv6 = next((address for address in instance.plain_addresses if not is_ipv4(address)), None)
    if ipv6 is not None:
        more["ipv6"] = ipv6
    if region is not None:
        more["placement"] = {**content.get("placement", {}), "region": region}
    return more


def _walk(path: str, node: Any, into: dict[str, Document]) -> None:
    if isinstance(node, dict):
        names = sorted(name for name in node if name != _LABEL)
        into[path] = text("\n".join(_line(name, node[name]) for name in names))
        for name in names:
            _walk(f"{path}/{name}", node[name], into)
    elif isinstance(node, list):
        into[path] = text("\n".join(node))
    else:
        into[path] = text(str(node))


def _line(name: str, node: Any) -> str:
    if not isinstance(node, dict):
        return name
    label: str = node.get(_LABEL, f"{name}/")
    return label
