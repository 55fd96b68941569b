"""The paths of the cache of this machine."""

from __future__ import annotations

from collections.abc import Iterator

from headwater.http.openapi.operations import (
    Json,
    Operation,
    Path,
    in_header,
    in_path,
    json_answer,
    no_content,
)

_IMAGE_ID = in_path("image_id", "Id of the image.", format="uuid")
_NUMBER: Json = {"type": "number"}
_WHOLE: Json = {"type": "integer", "minimum": 0}
_ENTRY: Json = {
    "type": "object",
    "required": ["id", "image_id", "last_accessed", "last_modified", "size", "hits", "checksum"],
    "properties": {
        "id": {"type": "string"},
        "image_id": {"type": "string", "format": "uuid"},
        "last_accessed": {**_NUMBER, "description": "Seconds since 1970."},
        "last_modified": {**_NUMBER, "description": "Seconds since 1970."},
        "size": _WHOLE,
        "hits": _WHOLE,
        "checksum": {"type": ["string", "null"], "description": "MD5."},
    },
}
_STATE: Json = {
    "type": "object",
    "required": ["cached_images", "queued_images"],
    "properties": {
        "cached_images": {"type": "array", "items": _ENTRY},
        "queued_images": {"type": "array", "items": {"type": "string", "format": "uuid"}},
    },
}
_PRUNED: Json = {
    "type": "object",
    "required": ["total_files_pruned", "total_bytes_pruned"],
    "properties": {"total_files_pruned": _WHOLE, "total_bytes_pruned": _WHOLE},
}
_NOTE = "For administrators. Each machine has a cache of its own: only that of the one that answers is meant."


def of_cache() -> Iterator[Path]:
    """Yield the paths of the cache; without a cache all of them are not found."""
    yield Path(
        "/v2/cache",
        {
            "GET": Operation(
                id="listCache",
                tag="cache",
                summary="List the images that are cached and those that are queued for it",
                description=_NOTE,
                answers={200: json_answer(_STATE, "What is there.")},
                fails=(404,),
            ),
            "DELETE": Operation(
                id="clearCache",
                tag="cache",
                summary="Empty the cache, its queue, or both",
                description=_NOTE,
                parameters=(
                    in_header("x-image-cache-clear-target", "Only this; both without it.", enum=["cache", "queue"]),
                ),
                answers={204: no_content("Nothing is left.")},
                fails=(404,),
            ),
        },
    )
    yield Path(
        "/v2/cache/{image_id}",
        {
            "PUT": Operation(
                id="queueCachedImage",
                tag="cache",
                summary="Queue an image for the cache, and begin to fetch it",
                description=_NOTE,
                answers={202: no_content("It is queued.")},
                fails=(404,),
            ),
            "DELETE": Operation(
                id="deleteCachedImage",
                tag="cache",
                summary="Take an image out of the cache and its queue",
                description=_NOTE,
                answers={204: no_content("It is in neither any more.")},
                fails=(404,),
            ),
        },
        (_IMAGE_ID,),
    )
    yield Path(
        "/v2/cache/nodes/{image_id}",
        {
            "GET": Operation(
                id="listCachedNodes",
                tag="cache",
                summary="Tell which nodes have cached an image: none does, as each knows of itself only",
                answers={},
                fails=(404, 409),
            )
        },
        (_IMAGE_ID,),
    )
    yield Path(
        "/v2/cache/clean",
        {
            "POST": Operation(
                id="cleanCache",
                tag="cache",
                summary="Remove what broken fetches left in the cache",
                description=_NOTE,
                answers={200: no_content("It is removed.")},
                fails=(404,),
            )
        },
    )
    yield Path(
        "/v2/cache/prune",
        {
            "POST": Operation(
                id="pruneCache",
                tag="cache",
                summary="Remove from the cache what is not needed or too much",
                description=_NOTE,
                answers={200: json_answer(_PRUNED, "What was removed.")},
                fails=(404,),
            )
        },
    )
