"""The paths of the API of instances, in OpenAPI's words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headwater.http.openapi.operations import (
    Json,
    Operation,
    Path,
    in_header,
    in_path,
    in_query,
    json_answer,
    no_content,
)
from headwater.instances.api.guest_routes import BOOT_LOG, PASSWORD
from headwater.instances.api.routes import INSTANCES, MERGE_PATCH
from headwater.instances.bulk.found import OPENSTACK, REGISTRY
from headwater.instances.files.limits import LONGEST_PATH, MOST_BYTES, MOST_FILES
from headwater.instances.keys import MOST_KEYS
from headwater.instances.lists.rows import PAGE, PAGE_OF_HEADS
from headwater.instances.password.posting import LIMIT
from headwater.instances.service import MOST_ADDRESSES

_TAG = "instances"
_TEXT: Json = {"type": "string", "minLength": 1, "maxLength": 255}
_TEXT_OR_NULL: Json = {"type": ["string", "null"], "minLength": 1, "maxLength": 255}
_UUID: Json = {"type": "string", "format": "uuid"}
_TIME: Json = {"type": "string", "format": "date-time"}
_ADDRESSES: Json = {
    "type": "array",
    "items": {"type": "string"},
    "maxItems": MOST_ADDRESSES,
    "description": "What it sends from, IPv4 and IPv6; by them its requests for metadata are known.",
}

_PATH_OF_FILE: Json = {"type": "string", "minLength": 2, "maxLength": LONGEST_PATH, "pattern": "^/"}
_FILES: Json = {
    "type": "array",
    "maxItems": MOST_FILES,
    "items": {
        "type": "object",
        "required": ["path", "content_base64"],
        "properties": {"path": _PATH_OF_FILE, "content_base64": {"type": "string"}},
    },
    "description": f"Files that its config drive brings, {MOST_BYTES} bytes each at most; "
    "no answer over HTTP has them.",
}
_NEW_FILES: Json = {
    **_FILES,
    "items": {
        "type": "object",
        "required": ["path"],
        "properties": {
            "path": _PATH_OF_FILE,
            "content": {"type": "string", "description": "What is in it, where that is text."},
            "content_base64": {"type": "string", "description": "In place of it: any bytes, as base64."},
        },
        "additionalProperties": False,
    },
}

_SAID: dict[str, Json] = {
    "name": {**_TEXT, "description": "What people call it; unique, and never the form of a UUID."},
    "hostname": {"type": "string", "maxLength": 253, "description": "Made from the name if it is not given."},
    "project_id": {**_TEXT_OR_NULL, "description": "Whose it is: the caller's, unless an admin names another."},
    "addresses": _ADDRESSES,
    "ssh_keys": {
        "type": "array",
        "items": {"type": "string"},
        "description": f"As in authorized_keys, {MOST_KEYS} at most.",
    },
    "user_data_base64": {"type": ["string", "null"], "description": "User data, as base64."},
    "vendor_data": {"description": "What the operator tells it: an object, a list or a text."},
    "network_data": {"type": ["object", "null"], "description": "Its links, networks and services; DHCP if null."},
    "meta": {"type": "object", "additionalProperties": {"type": "string"}},
    "image": {"type": ["string", "null"], "description": "Id of the image that it starts from; set by its name too."},
    "instance_type": _TEXT_OR_NULL,
    "availability_zone": _TEXT_OR_NULL,
    "serial": {
        "type": ["string", "null"],
        "maxLength": 64,
        "description": "What its hardware says of itself; it is known by it on networks that the settings trust.",
    },
    "public_ipv4": {
        "type": ["string", "null"],
        "format": "ipv4",
        "description": "By which others reach it where that is not its own address; it is not known by it.",
    },
    "tokens": {"enum": ["optional", "required"], "description": "Whether it has to show a session token (IMDSv2)."},
    "hop_limit": {"type": ["integer", "null"], "minimum": 1, "maximum": 64},
    "files": _FILES,
}
_USER_DATA: Json = {"user_data": {"type": ["string", "null"], "description": "User data that is text."}}
_FACTS: dict[str, Json] = {
    "image_name": {"type": ["string", "null"]},
    "revision": {"type": "integer", "minimum": 0, "description": "Grows by one with each change."},
    "created_at": _TIME,
    "updated_at": _TIME,
    "source": {
        "enum": [REGISTRY, OPENSTACK],
        "description": "Who says all of this: who registered it, or the cloud whose it is and where it is changed.",
    },
    "told_at": {
        "type": ["string", "null"],
        "format": "date-time",
        "description": "When the cloud said so last; null of what is registered.",
    },
}
_OF_HEAD = ("name", "hostname", "project_id", "addresses", "image")
_HEAD: Json = {
    "type": "object",
    "required": ["id", *_OF_HEAD, *_FACTS],
    "properties": {"id": _UUID, **{name: _SAID[name] for name in _OF_HEAD}, **_FACTS},
}
_SHOWN: Json = {
    "type": "object",
    "required": ["id", *_SAID, *_FACTS],
    "properties": {"id": _UUID, **_SAID, **_FACTS},
}
_NEW: Json = {
    "type": "object",
    "required": ["name"],
    "properties": {"id": {**_UUID, "description": "The SMBIOS system UUID is best; a new one if not given."}}
    | _SAID
    | _USER_DATA
    | {"files": _NEW_FILES},
    "additionalProperties": False,
}
_PATCH: Json = {
    "type": "object",
    "description": "A merge patch (RFC 7396): null takes a value away. `revision` must be the one that is there.",
    "properties": {name: {} for name in ("id", *_SAID, *_USER_DATA, *_FACTS)},
    "additionalProperties": False,
}
_PASSWORD: Json = {
    "type": "object",
    "required": ["password"],
    "properties": {
        "password": {
            "type": "string",
            "maxLength": LIMIT,
            "description": "Base64 of what the first public key has encrypted; empty: it has posted none.",
        }
    },
}
_REPORT: Json = {
    "type": ["object", "null"],
    "description": "What its cloud-init says of itself.",
    "properties": {
        **{name: {"type": "string"} for name in ("name", "description", "event")},
        "result": {"type": ["string", "null"]},
    },
}
_ENTRY: Json = {
    "type": "object",
    "required": ["at", "method", "document", "status", "ms", "sent", "complete", "token", "agent", "report"],
    "properties": {
        "at": _TIME,
        **{name: {"type": "string"} for name in ("method", "document", "agent")},
        **{name: {"type": "integer"} for name in ("status", "sent")},
        "ms": {"type": "number"},
        **{name: {"type": "boolean"} for name in ("complete", "token")},
        "report": _REPORT,
    },
}
_BOOT_LOG: Json = {
    "type": "object",
    "required": ["id", "name", "verdict", "entries"],
    "properties": {
        "id": _UUID,
        "name": {"type": "string"},
        "verdict": {
            "type": "object",
            "required": ["complete", "program", "source", "requests", "sentences"],
            "properties": {
                "complete": {"type": "boolean", "description": "It got all that it needs, as far as can be told."},
                "program": {"type": ["string", "null"]},
                "source": {"type": ["string", "null"]},
                "requests": {"type": "integer"},
                "sentences": {"type": "array", "items": {"type": "string"}},
            },
        },
        "entries": {"type": "array", "items": _ENTRY},
    },
}
_ETAG: Json = {"ETag": {"description": "Names this state of the instance.", "schema": {"type": "string"}}}
_IF_MATCH = in_header("If-Match", "Only if this is its state.")
_IF_NONE_MATCH = in_header("If-None-Match", "Only if this is not its state.")


def _body(media_type: str, schema: Json) -> Json:
    return {"required": True, "content": {media_type: {"schema": schema}}}


def _answer(description: str, **more: Any) -> Json:
    return json_answer(_SHOWN, description, {**_ETAG, **more})


def of_instances() -> Iterator[Path]:
    """Yield the paths of instances."""
    yield Path(
        INSTANCES,
        {
            "GET": Operation(
                id="listInstances",
                tag=_TAG,
                summary="List instances by name",
                description="Those of the caller's project; for an admin, all. Machines of the cloud are listed by id, "
                "as it last said what they are: for an admin all, for others those of a name.",
                parameters=(
                    in_query("name", "The one of this name."),
                    in_query("project_id", "Those of this project."),
                    in_query("image", "Those that start from the image of this id."),
                    in_query("address", "The one that sends from this address."),
                    in_query("marker", "Those behind this name; of machines of the cloud, behind this id."),
                    {
                        **in_query(
                            "source", "Registered instances, or machines of the cloud that have asked for metadata."
                        ),
                        "schema": {"enum": [REGISTRY, OPENSTACK], "default": REGISTRY},
                    },
                    {
                        **in_query("limit", f"How many at most: {PAGE}, or up to {PAGE_OF_HEADS}."),
                        "schema": {"type": "integer", "minimum": 0, "default": PAGE},
                    },
                ),
                answers={
                    200: json_answer(
                        {
                            "type": "object",
                            "required": ["instances"],
                            "properties": {
                                "instances": {"type": "array", "items": _HEAD},
                                "next": {"type": "string", "description": "Where the list goes on, if it does."},
                            },
                        },
                        "A page of them, without what only their guests need.",
                    )
                },
            ),
            "POST": Operation(
                id="createInstance",
                tag=_TAG,
                summary="Register an instance",
                description="By default only an admin may say which addresses it has.",
                body=_body("application/json", _NEW),
                answers={
                    201: _answer(
                        "It is registered.",
                        Location={"description": "Where the instance is.", "schema": {"type": "string"}},
                    )
                },
                fails=(409, 413),
            ),
        },
    )
    yield Path(
        f"{INSTANCES}/{{instance}}",
        {
            "GET": Operation(
                id="showInstance",
                tag=_TAG,
                summary="Show an instance with its user data",
                description="Also one of the cloud that has asked for metadata; for an admin, any that the cloud has.",
                parameters=(_IF_MATCH, _IF_NONE_MATCH),
                answers={200: _answer("The instance."), 304: {"description": "It is as the client has it."}},
                fails=(404, 409, 412),
            ),
            "PATCH": Operation(
                id="updateInstance",
                tag=_TAG,
                summary="Change an instance; its guest is answered by the change at once",
                description="One of the cloud is changed there: 403.",
                parameters=(_IF_MATCH, _IF_NONE_MATCH),
                body=_body(MERGE_PATCH, _PATCH),
                answers={200: _answer("The instance as it is now.")},
                fails=(404, 409, 412, 413, 415),
            ),
            "DELETE": Operation(
                id="deleteInstance",
                tag=_TAG,
                summary="Forget an instance: from now on its guest gets 404",
                description="One of the cloud is deleted there: 403.",
                parameters=(_IF_MATCH, _IF_NONE_MATCH),
                answers={204: no_content("It is gone.")},
                fails=(404, 409, 412),
            ),
        },
        (in_path("instance", "Id or name."),),
    )
    yield Path(
        PASSWORD,
        {
            "GET": Operation(
                id="showInstancePassword",
                tag=_TAG,
                summary="Show the password that a guest has posted",
                description="Also of an instance of the cloud that has asked for metadata.",
                answers={200: json_answer(_PASSWORD, "What it has posted.")},
                fails=(404, 409),
            ),
            "DELETE": Operation(
                id="deleteInstancePassword",
                tag=_TAG,
                summary="Forget the password, so that the guest may post another",
                answers={204: no_content("There is none.")},
                fails=(404, 409),
            ),
        },
        (in_path("instance", "Id or name."),),
    )
    yield Path(
        BOOT_LOG,
        {
            "GET": Operation(
                id="showInstanceBootLog",
                tag=_TAG,
                summary="Show what a guest fetched when it booted, and what that means",
                description="Also of an instance of the cloud that has asked for metadata.",
                parameters=(
                    {
                        **in_query("all", "Whether to show all boots that are kept; else the last."),
                        "schema": {"type": "boolean"},
                    },
                ),
                answers={200: json_answer(_BOOT_LOG, "Its entries, the oldest first.")},
                fails=(404, 409),
            ),
        },
        (in_path("instance", "Id or name."),),
    )
