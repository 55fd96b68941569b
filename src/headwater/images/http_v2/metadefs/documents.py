"""Metadata definitions as the JSON objects of the Image API v2; keys that are not set are absent.

Source of the shapes: Glance 33. The objects list names its schema without a slash at its beginning,
and clients have seen it so for ten years.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from headwater.clock import timestamp
from headwater.images.metadefs import documents
from headwater.images.metadefs.model import Association, MetadefObject, Namespace, Property, ResourceType, Tag

Document = dict[str, Any]

NAMESPACES = "/v2/metadefs/namespaces"


def namespace_path(name: str) -> str:
    """Return the path of a namespace."""
    return f"{NAMESPACES}/{quote(name, safe=':')}"


def namespace_document(namespace: Namespace) -> Document:
    """Return a namespace as lists show it: itself, and what it is for."""
    document = documents.head(namespace)
    if namespace.associations:
        document["resource_type_associations"] = [association_document(each) for each in namespace.associations]
    return {
        **document,
        **_times(namespace),
        "self": namespace_path(namespace.namespace),
        "schema": "/v2/schemas/metadefs/namespace",
    }


def whole_namespace_document(namespace: Namespace) -> Document:
    """Return a namespace with all that it holds."""
    document = namespace_document(namespace)
    if namespace.properties:
        document["properties"] = documents.properties(namespace)
    if namespace.objects:
        document["objects"] = [object_document(namespace.namespace, each) for each in namespace.objects]
    if namespace.tags:
        document["tags"] = [{"name": tag.name} for tag in namespace.tags]
    return document


def association_document(association: Association) -> Document:
    return {**documents.association(association), **_times(association)}


def resource_types_document(found: Iterable[ResourceType]) -> Document:
    return {"resource_types": [{"name": each.name, **_times(each)} for each in found]}


def associations_document(found: Iterable[Association]) -> Document:
    return {"resource_type_associations": [association_document(each) for each in found]}


def property_document(found: Property) -> Document:
    return {"name": found.name, **found.definition}


def properties_document(found: Iterable[Property]) -> Document:
    """Return the properties of a namespace: an object, by name."""
    by_name: Mapping[str, Any] = {each.name: each.definition for each in found}
    return {"properties": by_name}


def object_document(namespace: str, found: MetadefObject, *, created: bool = False) -> Document:
    """Return an object; ``required`` is there but in the answer that tells of its creation."""
    document = documents.group(found)
    if not created:
        document.setdefault("required", [])
    return {
        **document,
        **_times(found),
        "self": f"{namespace_path(namespace)}/objects/{quote(found.name, safe=':')}",
        "schema": "/v2/schemas/metadefs/object",
    }


def objects_document(namespace: str, found: Iterable[MetadefObject]) -> Document:
    return {
        "objects": [object_document(namespace, each) for each in found],
        "schema": "v2/schemas/metadefs/objects",
    }


def tag_document(tag: Tag) -> Document:
    return {"name": tag.name, **_times(tag)}


def tags_document(found: Iterable[Tag]) -> Document:
    return {"tags": [{"name": each.name} for each in found]}


def _times(of: Namespace | Association | ResourceType | MetadefObject | Tag) -> Document:
    return {"created_at": timestamp(of.created_at), "updated_at": timestamp(of.updated_at)}
