"""The paths of secret paths to what projects see."""

from __future__ import annotations

from collections.abc import Iterator

from headwater.http.openapi.operations import Json, Operation, Path, in_path, json_answer, no_content
from headwater.images.sharing.private_paths import LIFETIMES_S, NAME_LIMIT

_TEXT_OR_NONE: Json = {"type": ["string", "null"]}
_PATH: Json = {
    "type": "object",
    "required": ["id", "name", "project_id", "user_id", "community", "created_at", "expires_at"],
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "name": {**_TEXT_OR_NONE, "description": "What it is for."},
        "project_id": {"type": "string", "description": "Whose view it leads to."},
        "user_id": {**_TEXT_OR_NONE, "description": "Who made it."},
        "community": {"type": "boolean", "description": "Community images of other projects are in the view."},
        "created_at": {"type": "string", "format": "date-time"},
        "expires_at": {"type": ["string", "null"], "format": "date-time", "description": "null: until it is revoked."},
    },
}
_MADE: Json = {
    "allOf": [_PATH],
    "type": "object",
    "required": ["url"],
    "properties": {
        "url": {"type": "string", "format": "uri", "description": "The path with its secret, told this once only."}
    },
}
_NEW: Json = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "name": {**_TEXT_OR_NONE, "maxLength": NAME_LIMIT},
                    "project_id": {
                        "type": ["string", "null"],
                        "minLength": 1,
                        "maxLength": 255,
                        "description": "Another project than the caller's, for admins.",
                    },
                    "community": {"type": "boolean", "default": False},
                    "lifetime_s": {
                        "type": ["integer", "null"],
                        "minimum": LIFETIMES_S[0],
                        "maximum": LIFETIMES_S[-1],
                        "description": "Seconds until it ends by itself.",
                    },
                },
            }
        }
    },
}


def of_private_paths() -> Iterator[Path]:
    """Yield the paths of secret paths."""
    yield Path(
        "/v2/streams/paths",
        {
            "GET": Operation(
                id="listPrivatePaths",
                tag="streams",
                summary="List the private paths of the project",
                description="Their secrets are told to nobody. An admin sees those of all projects.",
                answers={
                    200: json_answer(
                        {
                            "type": "object",
                            "required": ["paths"],
                            "properties": {"paths": {"type": "array", "items": _PATH}},
                        },
                        "The paths, oldest first.",
                    )
                },
            ),
            "POST": Operation(
                id="createPrivatePath",
                tag="streams",
                summary="Make a private path",
                description="Whoever knows its URL reads the feeds and files of all images that the project sees.",
                body=_NEW,
                answers={201: json_answer(_MADE, "The path and its secret.")},
                fails=(413,),
            ),
        },
    )
    yield Path(
        "/v2/streams/paths/{path_id}",
        {
            "GET": Operation(
                id="showPrivatePath",
                tag="streams",
                summary="Show a private path",
                answers={200: json_answer(_PATH, "The path, without its secret.")},
                fails=(404,),
            ),
            "DELETE": Operation(
                id="revokePrivatePath",
                tag="streams",
                summary="Revoke a private path: from now on it is not there",
                answers={204: no_content("It is revoked.")},
                fails=(404,),
            ),
        },
        (in_path("path_id", "Id of the path.", format="uuid"),),
    )
