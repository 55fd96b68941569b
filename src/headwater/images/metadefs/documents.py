"""Definitions as JSON objects, in the shapes that files hold and the API shows; what is not set is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headwater.images.metadefs.model import Association, MetadefObject, Namespace

Document = dict[str, Any]


def head(namespace: Namespace) -> Document:
    """Return what the namespace is itself, without what it holds."""
    return given(
        {
            "namespace": namespace.namespace,
            "display_name": namespace.display_name,
            "description": namespace.description,
            "visibility": namespace.visibility.value,
            "protected": namespace.protected,
            "owner": namespace.owner,
        }
    )


def as_file(namespace: Namespace) -> Document:
    """Return the whole namespace as a file holds it: without times and links, which are those of one catalogue."""
    document = head(namespace)
    if namespace.associations:
        document["resource_type_associations"] = [association(each) for each in namespace.associations]
    if namespace.properties:
        document["properties"] = properties(namespace)
    if namespace.objects:
        document["objects"] = [group(each) for each in namespace.objects]
    if namespace.tags:
        document["tags"] = [{"name": tag.name} for tag in namespace.tags]
    return document


def association(each: Association) -> Document:
    """Return an association without its times."""
    return given({"name": each.name, "prefix": each.prefix, "properties_target": each.properties_target})


def properties(namespace: Namespace) -> dict[str, Mapping[str, Any]]:
    """Return the properties by name."""
    return {each.name: each.definition for each in namespace.properties}


def group(each: MetadefObject) -> Document:
    """Return an object without its times."""
    return given(
        {
            "name": each.name,
            "description": each.description,
            "required": each.required,
            "properties": each.properties,
        }
    )


def given(document: Document) -> Document:
    """Return the document without the keys that are not set."""
    return {key: value for key, value in document.items() if value is not None}
