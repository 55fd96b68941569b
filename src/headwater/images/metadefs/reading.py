"""Documents in, definitions out: what callers send and files hold becomes parts of a namespace.

Keys that nobody knows within a property or a nested part are dropped, as Glance does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from headwater.errors import TooLarge
from headwater.images.attributes import ReadOnlyAttribute
from headwater.images.metadefs.model import (
    Association,
    MetadefObject,
    Namespace,
    NamespaceVisibility,
    Property,
    Tag,
)
from headwater.images.metadefs.schemas import PROPERTY, require, require_name

Document = Mapping[str, Any]

TAGS_LIMIT = 10_000  # of one request


class TooManyTags(TooLarge):
    """More tags at once than anybody could choose from."""

    def __init__(self, number: int) -> None:
        super().__init__(f"{number} tags in one request: {TAGS_LIMIT} is the most")
        self.number = number


def require_writable(document: Document, *read_only: str) -> None:
    """Raise ``ReadOnlyAttribute`` when the document sets one of these."""
    for name in read_only:
        if name in document:
            raise ReadOnlyAttribute(name)


def namespace(document: Document, new_id: str, at: int, *, owner: str | None, schema: str = "namespace") -> Namespace:
    """Return the namespace that ``document`` describes, with all that it holds, made at ``at``.

    Args:
        owner: Of a namespace that names none.
        schema: ``definitions`` for what a file holds.

    Raises:
        SchemaViolation, DefinitionExists: Something cannot be, or is there twice.
    """
    require(schema, document)
    made = Namespace(
        id=new_id,
        namespace=require_name(schema, "namespace", document["namespace"]),
        created_at=at,
        updated_at=at,
        display_name=document.get("display_name"),
        description=document.get("description"),
        visibility=NamespaceVisibility(document.get("visibility", NamespaceVisibility.PRIVATE)),
        protected=document.get("protected", False),
        owner=document.get("owner", owner),
    )
    return replace(
        made,
        associations=made.added(
            (), [_association(each, at) for each in document.get("resource_type_associations", ())]
        ),
        properties=tuple(
            Property(name=require_name(schema, "properties", name), definition=_definition(each))
            for name, each in document.get("properties", {}).items()
        ),
        objects=made.added((), [_object(each, at) for each in document.get("objects", ())]),
        tags=made.added((), [_tag(each["name"], at) for each in document.get("tags", ())]),
    )


def association(document: Document, at: int) -> Association:
    """Return the association that ``document`` describes."""
    require("resource_type", document)
    return _association(document, at)


def one_property(document: Document) -> Property:
    """Return the property that ``document`` describes."""
    require("property", document)
    return Property(name=require_name("property", "name", document["name"]), definition=_definition(document))


def group(document: Document, at: int) -> MetadefObject:
    """Return the object that ``document`` describes."""
    require("object", document)
    return _object(document, at)


def tag(document: Document, at: int) -> Tag:
    """Return the tag that ``document`` describes."""
    require("tag", document)
    return _tag(document["name"], at)


def tags(document: Document, at: int) -> list[Tag]:
    """Return the tags that ``document`` lists."""
    listed = document.get("tags")
    if isinstance(listed, list) and len(listed) > TAGS_LIMIT:
        raise TooManyTags(len(listed))
    require("tags", document)
    return [_tag(each["name"], at) for each in document["tags"]]


def _association(document: Document, at: int) -> Association:
    return Association(
        name=require_name("resource_type_association", "name", document["name"]),
        prefix=document.get("prefix"),
        properties_target=document.get("properties_target"),
        created_at=at,
        updated_at=at,
    )


def _object(document: Document, at: int) -> MetadefObject:
    return MetadefObject(
        name=require_name("object", "name", document["name"]),
        description=document.get("description"),
        required=tuple(document["required"]) if "required" in document else None,
        properties={
            require_name("object", "properties", name): _definition(each)
            for name, each in document.get("properties", {}).items()
        },
        created_at=at,
        updated_at=at,
    )


def _tag(name: str, at: int) -> Tag:
    return Tag(name=require_name("tag", "name", name), created_at=at, updated_at=at)


def _definition(document: Document) -> dict[str, Any]:
    return {key: document[key] for key in PROPERTY if key in document and key != "name"}
