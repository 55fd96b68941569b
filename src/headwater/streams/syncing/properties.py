"""What an image is called and what is said of it, by the item that it comes from.

Names and values of the properties are those of ``sstream-mirror-glance`` and its charm, whose images other programs
know.
"""

from __future__ import annotations

import json
from typing import Any, Final

from headwater.streams.query.flattening import ITEM_NAME, PRODUCT_NAME, VERSION_NAME, Row
from headwater.streams.syncing.items import Item
from headwater.streams.syncing.terms import SyncTerms, fields_of

ARCHITECTURES: Final = {
    "amd64": "x86_64",
    "i386": "i686",
    "ppc64el": "ppc64le",
    "powerpc": "ppc",
    "armhf": "armv7l",
    "arm64": "aarch64",
}
METADATA: Final = "simplestreams_metadata"
LATEST: Final = "latest"
# On an image from its creation until its data has been proved and it is what its users shall find.
UNFINISHED: Final = "headwater_sync_unfinished"
_LONGEST_NAME: Final = 255
_ELSEWHERE: Final = frozenset({PRODUCT_NAME, VERSION_NAME, ITEM_NAME, "path", "item_url"})


def name_of(item: Item, terms: SyncTerms) -> str:
    """Return the name of an item's image."""
    row = item.row
    if terms.name is not None:
        return filled(terms.name, values_of(item, terms))[:_LONGEST_NAME]
    name = row.get("pubname") or row.get("name") or f"{item.key.product}-{item.key.version}"
    ending = "" if name.endswith(item.key.item) else f"-{item.key.item}"
    return f"{terms.name_prefix}{name}{ending}"[:_LONGEST_NAME]


def properties_of(item: Item, terms: SyncTerms) -> dict[str, str]:
    """Return the properties of an item's image, but for those that change while it lives."""
    row = item.row
    found = {
        "content_id": terms.marked,
        "source_content_id": item.key.source_content_id,
        "product_name": item.key.product,
        "version_name": item.key.version,
        "item_name": item.key.item,
        METADATA: json.dumps({name: text for name, text in row.items() if name not in _ELSEWHERE}, sort_keys=True),
    }
    if "os" in row:
        found["os_distro"] = row["os"]
    if "version" in row:
        found["os_version"] = row["version"]
    if "arch" in row:
        found["architecture"] = ARCHITECTURES.get(row["arch"], row["arch"])
    if terms.hypervisor_mapping and (hypervisor := hypervisor_of(item)) is not None:
        found["hypervisor_type"] = hypervisor
    values = values_of(item, terms)
    # What the item has no value for is not said of its image.
    found |= {name: filled(text, values) for name, text in terms.properties.items() if fields_of(text) <= values.keys()}
    return found


def hypervisor_of(item: Item) -> str | None:
    """Return what runs an item. Source: ``sstream-mirror-glance --hypervisor-mapping``."""
    if item.is_container:
        return "lxc"
    return "qemu" if item.ftype in ("disk.img", "disk1.img") else None


def creation_of(item: Item, terms: SyncTerms) -> dict[str, Any]:
    """Return the image that is created for an item: all that makes it known, and nobody else sees it yet."""
    return {
        **properties_of(item, terms),
        UNFINISHED: "true",
        "name": name_of(item, terms),
        "visibility": "private",
        "os_hidden": True,
        "container_format": "bare",
        "disk_format": item.disk_format,
    }


def values_of(item: Item, terms: SyncTerms) -> Row:
    """Return what templates may hold."""
    return {**item.row, "region": terms.region, "prefix": terms.name_prefix}


def filled(template: str, values: Row) -> str:
    """Return a template with its values; what has none is empty."""
    return template.format_map({name: values.get(name, "") for name in fields_of(template)})
