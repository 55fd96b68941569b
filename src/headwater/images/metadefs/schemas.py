"""The JSON Schemas of metadata definitions, and validation against them.

What is served is what clients were written for: python-glanceclient builds its models from these and
checks our answers by them. What is checked is a little stricter (see ``require`` and ``require_name``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema import Draft4Validator, FormatChecker

from headwater.images.metadefs.model import NAME_LIMIT, NamespaceVisibility
from headwater.images.names import is_reachable
from headwater.images.schemas import SchemaViolation, require_match

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_LINK: Schema = {"type": "string", "readOnly": True}
_NAME: Schema = {"type": "string", "maxLength": NAME_LIMIT}
_COUNT: Schema = {"$ref": "#/definitions/positiveInteger"}
_COUNT_0: Schema = {"$ref": "#/definitions/positiveIntegerDefault0"}
_TYPE: Schema = {"type": "string", "enum": ["array", "boolean", "integer", "number", "object", "string", None]}

# The keys of a property, in the order in which answers show them.
PROPERTY: Mapping[str, Schema] = {
    "name": _NAME,
    "title": _TEXT,
    "description": _TEXT,
    "operators": {"type": "array", "items": _TEXT},
    "type": _TYPE,
    "required": {"$ref": "#/definitions/stringArray"},
    "minimum": {"type": "number"},
    "maximum": {"type": "number"},
    "maxLength": _COUNT,
    "minLength": _COUNT_0,
    "pattern": {"type": "string", "format": "regex"},
    "enum": {"type": "array"},
    "readonly": {"type": "boolean"},
    "default": {},
    "items": {"type": "object", "properties": {"type": _TYPE, "enum": {"type": "array"}}},
    "maxItems": _COUNT,
    "minItems": _COUNT_0,
    "uniqueItems": {"type": "boolean", "default": False},
    "additionalItems": {"type": "boolean"},
}


def _definitions() -> Schema:
    return {
        "positiveInteger": {"type": "integer", "minimum": 0},
        "positiveIntegerDefault0": {"allOf": [{"$ref": "#/definitions/positiveInteger"}, {"default": 0}]},
        "stringArray": {"type": "array", "items": _TEXT, "uniqueItems": True},
        "property": {
            "type": "object",
            "additionalProperties": {"type": "object", "required": ["title", "type"], "properties": dict(PROPERTY)},
        },
    }


def _dates(of: str) -> Schema:
    return {
        "created_at": _date(f"When the {of} was made"),
        "updated_at": _date(f"When the {of} was last changed"),
    }


def _date(description: str) -> Schema:
    return {"type": "string", "readOnly": True, "format": "date-time", "description": description}


def _association() -> Schema:
    return {
        "name": {**_NAME, "description": "A kind of resource, by the name that Heat has for it"},
        "prefix": {
            **_NAME,
            "description": "What the names of properties begin with on this kind of resource, separator included",
        },
        "properties_target": {
            **_NAME,
            "description": "Which properties are meant, where the resource has several sets of them",
        },
        **_dates("association"),
    }


def _object() -> Schema:
    return {
        "name": _NAME,
        "description": _TEXT,
        "required": {"$ref": "#/definitions/stringArray"},
        "properties": {"$ref": "#/definitions/property"},
        "schema": _LINK,
        "self": _LINK,
        **_dates("object"),
    }


def _tag() -> Schema:
    return {"name": _NAME, **_dates("tag")}


def _items(properties: Schema) -> Schema:
    return {"type": "array", "items": {"type": "object", "properties": properties}}


def _namespace() -> Schema:
    return {
        "namespace": {**_NAME, "description": "Name of the namespace, unique"},
        "display_name": {**_NAME, "description": "Name of the namespace for people"},
        "description": {"type": "string", "maxLength": 500, "description": "What the namespace is about"},
        "visibility": {
            "type": "string",
            "enum": [each.value for each in NamespaceVisibility],
            "description": "Who sees the namespace",
        },
        "protected": {"type": "boolean", "description": "If true, the namespace is not deleted"},
        "owner": {"type": "string", "maxLength": 255, "description": "Project that owns the namespace"},
        **_dates("namespace"),
        "schema": _LINK,
        "self": _LINK,
        "resource_type_associations": _items({"name": _TEXT, "prefix": _TEXT, "properties_target": _TEXT}),
        "properties": {"$ref": "#/definitions/property"},
        "objects": _items(
            {
                "name": _TEXT,
                "description": _TEXT,
                "required": {"$ref": "#/definitions/stringArray"},
                "properties": {"$ref": "#/definitions/property"},
            }
        ),
        "tags": _items({"name": _TEXT}),
    }


def _closed(name: str, properties: Schema, required: list[str], definitions: Schema | None = None) -> Schema:
    schema: Schema = {"name": name, "properties": properties, "additionalProperties": False}
    if definitions:
        schema["definitions"] = definitions
    schema["required"] = required
    return schema


def _collection(name: str, item: Schema, *, by_name: bool = False) -> Schema:
    definitions = item.get("definitions")
    item = {key: value for key, value in item.items() if key != "definitions"}
    members: Schema = {"type": "object", "additionalProperties": item} if by_name else {"type": "array", "items": item}
    schema: Schema = {
        "name": name,
        "properties": {name: members, "first": _TEXT, "next": _TEXT, "schema": _TEXT},
        "links": [
            {"rel": "first", "href": "{first}"},
            {"rel": "next", "href": "{next}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    }
    if definitions:
        schema["definitions"] = definitions
    return schema


@cache
def schemas() -> Mapping[str, Schema]:
    """Return every schema by the last part of its path below ``/v2/schemas/metadefs/``."""
    counts = {key: value for key, value in _definitions().items() if key != "property"}
    namespace = _closed("namespace", _namespace(), ["namespace"], _definitions())
    association = _closed("resource_type_association", _association(), ["name"])
    one_property = _closed("property", dict(PROPERTY), ["type", "title", "name"], counts)
    group = _closed("object", _object(), ["name"], _definitions())
    tag = _closed("tag", _tag(), ["name"])
    # A property among others has its name as its key.
    nameless = {**one_property, "required": ["type", "title"]}
    return {
        "namespace": namespace,
        "namespaces": _collection("namespaces", namespace),
        "resource_type": association,
        "resource_types": _collection("resource_type_associations", association),
        "property": one_property,
        "properties": _collection("properties", nameless, by_name=True),
        "object": group,
        "objects": _collection("objects", group),
        "tag": tag,
        "tags": _collection("tags", tag),
    }


# --- What is checked ------------------------------------------------------------------------------

_NAMED: Schema = {"required": ["name"]}
_NO_NUL: Schema = {"pattern": r"^[^\x00]*\Z"}  # PostgreSQL cannot hold NUL in text
_FORMATS = FormatChecker(())


@_FORMATS.checks("regex", raises=(re.error, RecursionError, OverflowError))
def _is_regex(value: object) -> bool:
    """Say whether Python can read it; very deep and very long ones fail in ways of their own."""
    return not isinstance(value, str) or bool(re.compile(value))


@cache
def _validator(name: str) -> Draft4Validator:
    schema = _stricter_namespace() if name in ("namespace", "definitions") else schemas()[name]
    if name == "definitions":
        # Source: Glance loads files past its API, and some of them describe themselves at greater length.
        schema = {**schema, "properties": {**schema["properties"], "description": _TEXT}}
    if name == "tags":
        items = {"type": "array", "items": {"type": "object", "properties": {"name": _NAME}, **_NAMED}}
        schema = {"properties": {"tags": items}, "required": ["tags"], "additionalProperties": False}
    return Draft4Validator(schema, format_checker=_FORMATS)


def _stricter_namespace() -> Schema:
    """The nested parts must be what they would have to be if they were sent alone."""
    properties = _namespace()
    for key, item in (("resource_type_associations", _association()), ("objects", _object()), ("tags", _tag())):
        properties[key] = {"type": "array", "items": {"type": "object", "properties": item, **_NAMED}}
    for key in ("display_name", "description", "owner"):
        properties[key] = {**properties[key], **_NO_NUL}
    return _closed("namespace", properties, ["namespace"], _definitions())


def require(name: str, document: Mapping[str, Any]) -> None:
    """Return when ``document`` may be sent as ``name``: namespace, property, object, tag, tags, resource_type.

    ``definitions`` is a whole namespace as a file holds it.

    Raises:
        SchemaViolation: Says where it is wrong, and what it should be there.
    """
    require_match(name, _validator(name), document)


def require_name(schema: str, place: str, name: str) -> str:
    """Return ``name`` when it can be found again under it.

    Raises:
        SchemaViolation: It is empty, dots, or too long, or holds NUL or a slash, which no path could name.
    """
    if not is_reachable(name) or len(name) > NAME_LIMIT or "\x00" in name or "/" in name:
        allowed = f"1 to {NAME_LIMIT} characters without NUL and '/', and not just dots"
        raise SchemaViolation(schema, place, f"{name[:NAME_LIMIT]!r} is not a name of {allowed}")
    return name
