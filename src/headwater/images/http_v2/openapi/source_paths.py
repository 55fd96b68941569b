"""The paths of the sources of images: feeds that the service brings images from, again and again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headwater.http.openapi.operations import Json, Operation, Path, in_path, json_answer, no_content

_TEXT: Json = {"type": "string"}
_TEXT_OR_NULL: Json = {"type": ["string", "null"]}
_TIME: Json = {"type": ["string", "null"], "format": "date-time"}
_NAME: Json = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"}
_NOTE = "For administrators."


def _whole(low: int, high: int, **more: Any) -> Json:
    return {"type": "integer", "minimum": low, "maximum": high, **more}


_TERMS: dict[str, Json] = {
    "filters": {
        "type": "array",
        "items": {"type": "string", "maxLength": 1000},
        "maxItems": 50,
        "description": "Which items of the feed: KEY=TEXT, KEY!=TEXT, KEY~REGEX, KEY!~REGEX and comparisons.",
    },
    "max_versions": _whole(1, 1000, description="The newest versions of each product that come."),
    "keep": {
        "anyOf": [_whole(1, 1000), {"type": "null"}],
        "description": "The newest versions of each product that stay; null: as max_versions.",
    },
    "old": {
        "enum": ["delete", "delete-always", "hide", "deactivate", "keep"],
        "description": "What becomes of images beyond those; delete hides images that are used.",
    },
    "used_days": _whole(0, 3650, description="An image that was used in so many days is used."),
    "content_id": {"type": "string", "minLength": 1, "maxLength": 255, "description": "Marks the images."},
    "region": {"type": "string", "minLength": 1, "maxLength": 255},
    "name_prefix": {"type": "string", "maxLength": 100},
    "name": {"type": ["string", "null"], "maxLength": 500, "description": "Template of the names of images."},
    "visibility": {"enum": ["public", "community", "shared", "private"]},
    "properties": {
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": 1000},
        "maxProperties": 50,
        "description": "More properties of images, as templates.",
    },
    "hypervisor_mapping": {"type": "boolean"},
    "latest_property": {"type": "boolean"},
    "disk_format": {**_TEXT_OR_NULL, "description": "What the service converts images to."},
    "via": {"enum": ["upload", "web-download"]},
}
_SETTINGS: dict[str, Json] = {
    "name": _NAME,
    "url": {"type": "string", "maxLength": 2000, "description": "Of the feed, http or https."},
    "keyring": {
        "type": ["string", "null"],
        "maxLength": 1 << 20,
        "description": "OpenPGP keys of which one has to have signed each document: armored, or base64.",
    },
    "verify": {"type": "boolean"},
    "enabled": {"type": "boolean", "description": "Whether it runs by itself."},
    "interval_s": _whole(60, 366 * 86400, description="Seconds between two runs."),
    "jitter_s": _whole(0, 366 * 86400, description="Up to so many seconds are added, by chance, before each run."),
    "terms": {"type": "object", "properties": _TERMS, "additionalProperties": False},
}
_STATE: dict[str, Json] = {
    "outcome": {"enum": ["running", "done", "failed", "cancelled", None]},
    "began_at": _TIME,
    "ended_at": _TIME,
    "succeeded_at": _TIME,
    "next_run_at": {**_TIME, "description": "null: not by itself."},
    "job_id": {"type": ["string", "null"], "description": "Of the run that was entered last."},
    "error": _TEXT_OR_NULL,
    "report": {
        "type": ["object", "null"],
        "properties": {
            "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
            "failures": {"type": "array", "items": _TEXT},
        },
    },
}
_SHOWN: Json = {
    "type": "object",
    "required": ["id", *_SETTINGS, "project_id", "created_at", "updated_at", "state"],
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        **_SETTINGS,
        "project_id": {**_TEXT_OR_NULL, "description": "Whose the images are."},
        "created_at": {"type": "string", "format": "date-time"},
        "updated_at": {"type": "string", "format": "date-time"},
        "state": {"type": "object", "required": list(_STATE), "properties": _STATE},
    },
}
_NEW: Json = {"type": "object", "required": ["name", "url"], "properties": _SETTINGS, "additionalProperties": False}
_PATCH: Json = {
    "type": "object",
    "description": "A merge patch (RFC 7396): null is as if nobody had said it.",
    "properties": {name: {} for name in _SETTINGS},
    "additionalProperties": False,
}


def _body(media_type: str, schema: Json) -> Json:
    return {"required": True, "content": {media_type: {"schema": schema}}}


def of_stream_sources() -> Iterator[Path]:
    """Yield the paths of sources."""
    source = in_path("source", "Name of the source.", pattern=_NAME["pattern"])
    yield Path(
        "/v2/streams/sources",
        {
            "GET": Operation(
                id="listStreamSources",
                tag="sources",
                summary="List the feeds that images are brought from, with the state of each",
                description=_NOTE,
                answers={
                    200: json_answer(
                        {
                            "type": "object",
                            "required": ["sources"],
                            "properties": {"sources": {"type": "array", "items": _SHOWN}},
                        },
                        "All of them.",
                    )
                },
            ),
            "POST": Operation(
                id="createStreamSource",
                tag="sources",
                summary="Add a feed that images are brought from; it runs at once, unless it is not enabled",
                description=f"{_NOTE} The images are those of the caller's project.",
                body=_body("application/json", _NEW),
                answers={
                    201: json_answer(
                        _SHOWN,
                        "It is there.",
                        {"Location": {"description": "Where the source is.", "schema": {"type": "string"}}},
                    )
                },
                fails=(409, 413),
            ),
        },
    )
    yield Path(
        "/v2/streams/sources/{source}",
        {
            "GET": Operation(
                id="showStreamSource",
                tag="sources",
                summary="Show a source",
                description=_NOTE,
                answers={200: json_answer(_SHOWN, "The source and its state.")},
                fails=(404,),
            ),
            "PATCH": Operation(
                id="updateStreamSource",
                tag="sources",
                summary="Change a source",
                description=_NOTE,
                body=_body("application/merge-patch+json", _PATCH),
                answers={200: json_answer(_SHOWN, "The source as it is now.")},
                fails=(404, 409, 413, 415),
            ),
            "DELETE": Operation(
                id="deleteStreamSource",
                tag="sources",
                summary="Forget a source, and end its run; its images stay",
                description=_NOTE,
                answers={204: no_content("It is gone.")},
                fails=(404,),
            ),
        },
        (source,),
    )
    yield Path(
        "/v2/streams/sources/{source}/actions/{action}",
        {
            "POST": Operation(
                id="actOnStreamSource",
                tag="sources",
                summary="Let a source run at once, or end its run",
                description=_NOTE,
                answers={202: json_answer(_SHOWN, "It will be done.")},
                fails=(404, 409),
            )
        },
        (source, in_path("action", "run or cancel.", enum=["run", "cancel"])),
    )
