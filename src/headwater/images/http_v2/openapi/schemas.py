"""The schemas that the API has always promised (``/v2/schemas``), as components of an OpenAPI document.

Those are JSON Schema draft 4 with keys of the OpenStack world (``name``, ``links``, ``definitions``);
OpenAPI 3.1 speaks draft 2020-12. What differs is written here: who may send which attribute, and which
are always there in an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from headwater.fetching.url_filter import MAX_URL
from headwater.http.openapi.operations import Json, reference
from headwater.images.attributes import WRITABLE
from headwater.images.imports import rules
from headwater.images.imports import schemas as task_schemas
from headwater.images.imports.location_wanted import ALGORITHMS
from headwater.images.metadefs.model import NAME_LIMIT
from headwater.images.metadefs.schemas import schemas as metadef_schemas
from headwater.images.schemas import ImageSchemas
from headwater.images.sharing import schemas as member_schemas

TEXT_OR_NONE = "^[^\\x00]*$"
_TEXT: Json = {"type": "string"}

# Attributes that an image has only where they are switched on, or once it has data.
_SOMETIMES = frozenset({"locations", "direct_url", "stores"})


def components(images: ImageSchemas) -> Json:
    """Return every schema by its name."""
    return {
        **_common(),
        **_of_images(images.image),
        **_of_locations(images.image),
        **_of_members(),
        **_of_tasks(),
        **_of_metadefs(metadef_schemas()),
    }


def _common() -> Json:
    return {
        "Error": _object(
            {
                "message": {"type": "string", "description": "What is wrong, with what, and what would do."},
                "code": {"type": "string", "pattern": "^[0-9]{3} ", "examples": ["404 Not Found"]},
                "title": {"type": "string", "examples": ["Not Found"]},
            }
        ),
        "Problem": _object(
            {
                "type": {
                    "type": "string",
                    "examples": ["https://iana.org/assignments/http-problem-types#mismatching-upload-offset"],
                },
                "title": {"type": "string", "description": "The same for all of the type."},
                "status": {"type": "integer"},
                "detail": {"type": "string", "description": "What is wrong, with what, and what would do."},
                "message": {"type": "string", "description": "The same, for clients of the Image API."},
                "code": {"type": "string", "pattern": "^[0-9]{3} "},
            }
        ),
        "Versions": _object(
            {
                "versions": {
                    "type": "array",
                    "items": _object(
                        {
                            "id": {"type": "string", "pattern": r"^v2\.[0-9]+$"},
                            "status": {"type": "string", "enum": ["CURRENT", "SUPPORTED"]},
                            "links": {"type": "array", "items": _object({"rel": _TEXT, "href": _TEXT})},
                        }
                    ),
                }
            }
        ),
        "JsonSchema": {"type": "object", "required": ["name", "properties"]},
        "Usage": _object(
            {
                "usage": {
                    "type": "object",
                    "additionalProperties": _object({"usage": {"type": "integer"}, "limit": {"type": "integer"}}),
                }
            }
        ),
        "Stores": _object({"stores": {"type": "array", "items": reference("Store")}}),
        "Store": _object(
            {
                "id": _TEXT,
                "description": _TEXT,
                "default": {"const": "true"},
                "read-only": {"const": "true"},
                "type": _TEXT,
                "weight": {"type": "integer"},
                "properties": {"type": "object"},
                "status": {"enum": ["up", "read-only", "down"]},
                "fault": _TEXT,
            },
            optional=("description", "default", "read-only", "type", "weight", "properties", "status", "fault"),
        ),
        "ImportInformation": _object(
            {
                "import-methods": _object(
                    {"description": _TEXT, "type": {"const": "array"}, "value": {"type": "array", "items": _TEXT}}
                )
            }
        ),
    }


def _of_images(image: Json) -> Json:
    properties: Json = {**image["properties"]}
    properties["locations"] = {**properties["locations"], "items": reference("Location")}
    text = {"type": "string", "pattern": TEXT_OR_NONE}
    sent = {name: properties[name] for name in ("id", *WRITABLE)}
    custom = {"minLength": 1, "maxLength": 255, "pattern": TEXT_OR_NONE}
    pointer = {"type": "string", "pattern": "^/", "description": "A JSON pointer to one attribute: /name"}
    change = {"type": "object", "required": ["op", "path"]}
    with_value = {**change, "required": ["op", "path", "value"]}
    return {
        "Image": {
            "type": "object",
            "description": "An image: its attributes, and the user's own properties beside them, each a text.",
            "properties": properties,
            "required": [name for name in properties if name not in _SOMETIMES],
            "additionalProperties": _TEXT,
        },
        "NewImage": {
            "type": "object",
            "description": "What a caller may say of a new image. Every other key is a property of the caller's own.",
            "properties": sent,
            "additionalProperties": text,
            "propertyNames": custom,
        },
        "Images": _object(
            {
                "images": {"type": "array", "items": reference("Image")},
                "first": {**_TEXT, "description": "Path of the first page."},
                "next": {**_TEXT, "description": "Path of the next page, where more may follow."},
                "schema": _TEXT,
            },
            optional=("next",),
        ),
        "ImageChanges": {
            "type": "array",
            "description": "What to change, in order; all of it or nothing.",
            "items": {
                "oneOf": [
                    {**with_value, "properties": {"op": {"enum": ["add", "replace"]}, "path": pointer, "value": {}}},
                    {**change, "properties": {"op": {"const": "remove"}, "path": pointer}},
                ]
            },
        },
        "ImageChangesV20": {
            "type": "array",
            "description": "The same in the older form: the key is what to do, its value is where.",
            "items": {
                "oneOf": [
                    {"type": "object", "properties": {"add": pointer, "value": {}}, "required": ["add", "value"]},
                    {
                        "type": "object",
                        "properties": {"replace": pointer, "value": {}},
                        "required": ["replace", "value"],
                    },
                    {"type": "object", "properties": {"remove": pointer}, "required": ["remove"]},
                ]
            },
        },
    }


def _of_members() -> Json:
    return {
        "Member": _object(member_schemas.MEMBER["properties"]),
        "Members": _object({"members": {"type": "array", "items": reference("Member")}, "schema": _TEXT}),
        "NewMember": _object(
            {
                "member": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 255,
                    "pattern": TEXT_OR_NONE,
                    "description": "Id of the project to share the image with.",
                }
            }
        ),
        "MemberAnswer": _object({"status": member_schemas.MEMBER["properties"]["status"]}),
    }


def _of_locations(image: Json) -> Json:
    location = image["properties"]["locations"]["items"]["properties"]
    hashes = {
        "os_hash_algo": {**_TEXT, "enum": list(ALGORITHMS)},
        "os_hash_value": {**_TEXT, "pattern": "^[0-9a-fA-F]+$", "description": "Hexdigest of the data."},
    }
    return {
        # URLs that come by the locations API or by the API v1 may be longer than those of a patch.
        "Location": _object({**location, "url": _without(location["url"], "maxLength")}, optional=("validation_data",)),
        "NewLocation": _object(
            {
                "url": {**_TEXT, "pattern": "^https?://", "maxLength": MAX_URL, "description": "Where the data is."},
                "validation_data": {
                    "description": "What the hash of the data is, which is then looked at; or nothing.",
                    "anyOf": [
                        {"type": "object", "maxProperties": 0},
                        {**_object(hashes), "additionalProperties": False},
                    ],
                },
            },
            optional=("validation_data",),
        ),
    }


def _of_tasks() -> Json:
    task = {**task_schemas.TASK["properties"], **_NOT_ALWAYS}
    listed = {name: task[name] for name in task_schemas.TASKS["properties"]["tasks"]["items"]["properties"]}
    # The tasks of an image are rows of the catalogue, with everything that those have. Source: Glance.
    row = {name: schema for name, schema in task.items() if name not in ("self", "schema")}
    counted = {"type": ["null", "integer"]}
    row["progress"] = {
        "description": "How many bytes have come, of how many; null where nobody counts.",
        "oneOf": [{"type": "null"}, _object({"bytes": {"type": "integer"}, "of": counted})],
    }
    row |= {"image_id": _TEXT, "deleted": {"const": False}, "deleted_at": {"type": "null"}}
    sometimes = ("image_id", "expires_at")
    source: Json = _object(
        {
            "import_from": {
                "type": "string",
                "pattern": "^https?://",
                "maxLength": MAX_URL,
                "description": "URL of the data.",
            },
            "import_from_format": {"type": "string", "description": "The disk_format of the image."},
            "image_properties": {"description": "What else there is to say of it.", **reference("NewImage")},
        }
    )
    return {
        "Task": _object(task, optional=sometimes),
        "Tasks": _object(
            {
                "tasks": {"type": "array", "items": _object(listed, optional=sometimes)},
                "first": {**_TEXT, "description": "Path of the first page."},
                "next": {**_TEXT, "description": "Path of the next page, where more may follow."},
                "schema": _TEXT,
            },
            optional=("next",),
        ),
        "ImageTasks": _object({"tasks": {"type": "array", "items": _object(row)}}),
        "NewTask": _object({"type": {"const": "import"}, "input": source}),
        "NewImport": _new_import(),
    }


def _new_import() -> Json:
    name = {"type": "string", "minLength": 1, "maxLength": 255}
    method = _object(
        {
            "name": {"enum": [rules.DIRECT, rules.WEB, rules.COPY, rules.REGION]},
            "uri": {"type": "string", "maxLength": MAX_URL, "description": "Where `web-download` gets the data."},
            "os_hash_algo": {"enum": list(rules.ALGORITHMS), "description": "Of `os_hash_value`."},
            "os_hash_value": {
                "type": "string",
                "pattern": "^[0-9a-fA-F]+$",
                "description": "What the hash of the data must be, or `web-download` fails.",
            },
            "glance_region": {**name, "description": "Where `glance-download` gets the image."},
            "glance_image_id": {"type": "string", "format": "uuid", "description": "The id of the image there."},
            "glance_service_interface": {**name, "description": "Which endpoint of the catalogue is asked: `public`."},
        },
        optional=(
            "uri",
            "os_hash_algo",
            "os_hash_value",
            "glance_region",
            "glance_image_id",
            "glance_service_interface",
        ),
    )
    return _object(
        {
            "method": method,
            "stores": {"type": "array", "items": _TEXT, "description": "Without them, the default store."},
            "all_stores": {"type": "boolean", "description": "Every store that takes data."},
            "all_stores_must_succeed": {
                "type": "boolean",
                "description": "Where it is false, one store is enough.",
            },
        },
        optional=("stores", "all_stores", "all_stores_must_succeed"),
    )


# A caller may be of no project, as where nobody has to say who calls.
_NOT_ALWAYS: Json = {
    name: {**task_schemas.TASK["properties"][name], "type": ["null", "string"]}
    for name in ("owner", "user_id", "request_id")
}


# What the API calls a definition in a schema, and what a component is called.
_DEFINITIONS = {
    "positiveInteger": "MetadefCount",
    "positiveIntegerDefault0": "MetadefCountOrZero",
    "stringArray": "MetadefTexts",
    "property": "MetadefPropertiesByName",
}
_READ_ONLY = ("created_at", "updated_at", "schema", "self")


def _of_metadefs(promised: Mapping[str, Json]) -> Json:
    def answered(name: str) -> Json:
        schema: Json = _in_components({"type": "object", **_without(promised[name], "name", "links", "definitions")})
        return schema

    def sent(name: str) -> Json:
        schema = answered(name)
        return {**schema, "properties": _without(schema["properties"], *_READ_ONLY)}

    name = {"type": "string", "minLength": 1, "maxLength": NAME_LIMIT, "pattern": "^[^\\x00/]*$"}
    definitions = promised["namespace"]["definitions"]
    resource_type = answered("resource_type")
    parts: Json = {
        **{new: _in_components(definitions[old]) for old, new in _DEFINITIONS.items()},
        "MetadefNamespace": answered("namespace"),
        "MetadefResourceType": resource_type,
        "MetadefProperty": answered("property"),
        "MetadefObject": answered("object"),
        "MetadefTag": answered("tag"),
        "NewMetadefNamespace": sent("namespace"),
        "NewMetadefResourceType": sent("resource_type"),
        "NewMetadefProperty": sent("property"),
        "NewMetadefObject": sent("object"),
        "NewMetadefTag": sent("tag"),
        "NewMetadefTags": _object({"tags": {"type": "array", "items": _object({"name": _TEXT})}}),
        "MetadefNamespaces": _object(
            {
                "namespaces": {"type": "array", "items": reference("MetadefNamespace")},
                "first": _TEXT,
                "next": _TEXT,
                "schema": _TEXT,
            },
            optional=("next",),
        ),
        "MetadefResourceTypes": _object(
            {"resource_types": {"type": "array", "items": reference("MetadefResourceType")}}
        ),
        "MetadefAssociations": _object(
            {"resource_type_associations": {"type": "array", "items": reference("MetadefResourceType")}}
        ),
        "MetadefProperties": _object({"properties": reference("MetadefPropertiesByName")}),
        "MetadefObjects": _object({"objects": {"type": "array", "items": reference("MetadefObject")}, "schema": _TEXT}),
        "MetadefTags": _object({"tags": {"type": "array", "items": reference("MetadefTag")}}),
    }
    for new, key in (("NewMetadefNamespace", "namespace"), ("NewMetadefProperty", "name"), ("NewMetadefTag", "name")):
        parts[new]["properties"] = {**parts[new]["properties"], key: name}
    return parts


def _object(properties: Mapping[str, Any], optional: Iterable[str] = ()) -> Json:
    """Return the schema of an object that has all of these keys, but for the optional ones."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
    }


def _without(mapping: Mapping[str, Any], *names: str) -> Json:
    return {name: value for name, value in mapping.items() if name not in names}


def _in_components(schema: Any) -> Any:
    """Return ``schema`` with what its definitions are called among the components."""
    if isinstance(schema, list):
        return [_in_components(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    place = schema.get("$ref")
    if isinstance(place, str):
        return reference(_DEFINITIONS[place.rpartition("/")[2]])
    return {key: _in_components(value) for key, value in schema.items()}
