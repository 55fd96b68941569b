"""Where the answers of services stand in what guests read: ``vendor_data2.json``, and NoCloud's ``vendor-data``.

``vendor_data.json`` holds the static part alone, as in Nova.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from headwater.instances.trees import nocloud, openstack
from headwater.instances.trees.document import JSON, Document, text

FOR_CLOUD_INIT = "cloud-init"  # the only key that it reads


def is_asked_for(name: str) -> bool:
    """Return whether a document, by its name in the trees, holds answers of services."""
    return _is_openstack(name) or is_nocloud(name)


def is_nocloud(name: str) -> bool:
    """Return whether it is the one of NoCloud, which holds what cloud-init reads and nothing else."""
    return name.startswith(f"{nocloud.ROOT}/") and name.endswith("/vendor-data")


def completed(name: str, static: Document, vendor_data: Any, parts: Mapping[str, bytes]) -> Document:
    """Return a document with the answers in it.

    Args:
        static: It without them.
        vendor_data: The static part, as the record has it.
        parts: The answers by the names of the services, each JSON in ASCII.
    """
    return _for_nocloud(static, vendor_data, parts) if is_nocloud(name) else _for_openstack(static, parts)


def _is_openstack(name: str) -> bool:
    return name.startswith(f"{openstack.ROOT}/") and name.endswith("/vendor_data2.json")


def _for_openstack(static: Document, parts: Mapping[str, bytes]) -> Document:
    body = static.body.removesuffix(b"}")
    for name, part in parts.items():
        body += b", " + json.dumps(name).encode("ascii") + b": " + part
    return Document(body=body + b"}", content_type=JSON)


def _for_nocloud(static: Document, vendor_data: Any, parts: Mapping[str, bytes]) -> Document:
    """Both stand in one file there, the file's first: as in OpenStack's, the services' come after it."""
    said = json.loads(parts.get(FOR_CLOUD_INIT, b"{}"))
    if not isinstance(said, str | list) or not said:  # cloud-init takes nothing else
        return static
    own = vendor_data.get(FOR_CLOUD_INIT) if isinstance(vendor_data, Mapping) else vendor_data
    if not own:
        return text(nocloud.vendor_data(said))
    return text(nocloud.vendor_data([*_pieces(own), *_pieces(said)]))


def _pieces(given: Any) -> list[Any]:
    return [given] if isinstance(given, str) else list(given)
