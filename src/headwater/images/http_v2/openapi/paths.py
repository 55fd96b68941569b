"""The paths of images, their data, tags and members, and of what tells clients about the service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from headwater.http.openapi.operations import (
    Json,
    Operation,
    Path,
    in_header,
    in_path,
    in_query,
    json_answer,
    json_body,
    no_content,
    reference,
)
from headwater.http.values import LARGEST
from headwater.images import attributes
from headwater.images.catalogue.lists.query import SORT_KEYS
from headwater.images.http_v2.list_query import OF_LISTS_ONLY
from headwater.images.http_v2.openapi.upload_paths import upload
from headwater.images.model import Visibility

_OCTETS: Json = {"application/octet-stream": {}}
_IMAGE_ID = in_path("image_id", "Id of the image.", format="uuid")
_IN_IMAGE: Json = {"description": "The path of the image.", "schema": {"type": "string", "format": "uri"}}
_STORE_IDS: Json = {
    "description": "The stores that its data may be put into, where there are several.",
    "schema": {"type": "string"},
}
_METHODS: Json = {"description": "The import methods there are, if any.", "schema": {"type": "string"}}
_MD5: Json = {
    "description": "MD5 of the whole image, in hex.",
    "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
}
_ETAG: Json = {"description": "The multihash of the image.", "schema": {"type": "string", "pattern": '^".*"$'}}
_ELSEWHERE: Json = {
    "Location": {"description": "A secret address.", "schema": {"type": "string", "format": "uri"}},
    "Preference-Applied": {"description": "As the request asked.", "schema": {"const": "redirect"}},
}
_DIGEST: Json = {"description": "Digests of RFC 9530.", "schema": {"type": "string", "pattern": "^[a-z0-9-]+=:.*:$"}}
_RANGES: Json = {"description": "Parts can be asked for.", "schema": {"const": "bytes"}}
_OF_DATA = {"Content-MD5": _MD5, "ETag": _ETAG, "Accept-Ranges": _RANGES, "Repr-Digest": _DIGEST}
_OF_ALL_DATA = {**_OF_DATA, "Content-Digest": _DIGEST}
_CONDITIONS = (
    in_header("If-Match", "ETags of which the data must have one."),
    in_header("If-None-Match", "ETags that the caller has the data of."),
)
_WANTS = (
    in_header("Want-Repr-Digest", "By which algorithms the data should be digested.", examples=["sha-512=10"]),
    in_header("Want-Content-Digest", "The same of an answer that has all of the data.", examples=["sha-512=10"]),
)
_INTEGER = {"type": "integer", "minimum": 0, "maximum": LARGEST}


def of_images() -> Iterator[Path]:
    """Yield the paths of images."""
    yield Path(
        "/v2/images",
        {
            "GET": Operation(
                id="listImages",
                tag="images",
                summary="List images",
                description="Shows one page of what the caller sees. Follow `next` for more.",
                parameters=tuple(_list_parameters()),
                answers={200: json_answer(reference("Images"), "A page of images.")},
            ),
            "POST": Operation(
                id="createImage",
                tag="images",
                summary="Create an image, without data",
                description="With a key, a request that is sent again within 24 hours makes no other image: the answer "
                "has the first. The same key with another body is 422; 410 says that the image is deleted.",
                parameters=(
                    in_header("Idempotency-Key", "What names this creation.", examples=['"8e03978e-40d5-43dd"']),
                ),
                body=json_body("NewImage"),
                answers={
                    201: json_answer(
                        reference("Image"),
                        "The image, queued.",
                        {
                            "Location": _IN_IMAGE,
                            "OpenStack-image-import-methods": _METHODS,
                            "OpenStack-image-store-ids": _STORE_IDS,
                        },
                    )
                },
                fails=(409, 410, 413, 422),
            ),
        },
    )
    for path, name, what in (
        ("/v2/images/newest", "findNewestImage", "the newest image of those that are alike"),
        ("/v2/images/newest/file", "findNewestImageData", "the data of the newest image of those that are alike"),
    ):
        yield Path(path, {"GET": _newest(name, what)})
    yield Path(
        "/v2/images/{image_id}",
        {
            "GET": _on_image("showImage", "Show an image", {200: json_answer(reference("Image"), "The image.")}),
            "PATCH": _on_image(
                "updateImage",
                "Change an image",
                {200: json_answer(reference("Image"), "The image as it is now.")},
                (409, 413, 415),
                body={
                    "required": True,
                    "content": {
                        attributes.V21: {"schema": reference("ImageChanges")},
                        attributes.V20: {"schema": reference("ImageChangesV20")},
                    },
                },
            ),
            "DELETE": _on_image(
                "deleteImage", "Delete an image and its data", {204: no_content("It is gone.")}, (409,)
            ),
        },
        (_IMAGE_ID,),
    )
    yield Path("/v2/images/{image_id}/file", {"GET": _download(), "HEAD": _describe(), "PUT": upload()}, (_IMAGE_ID,))
    tag = in_path("tag", "The tag: 255 characters at most.", maxLength=255)
    yield Path(
        "/v2/images/{image_id}/tags/{tag}",
        {
            "PUT": _on_image("addTag", "Tag an image", {204: no_content("The image has the tag.")}, (409, 413)),
            "DELETE": _on_image(
                "removeTag", "Take a tag off an image", {204: no_content("It has it no more.")}, (409,)
            ),
        },
        (_IMAGE_ID, tag),
    )
    yield Path(
        "/v2/images/{image_id}/actions/{action}",
        {
            "POST": _on_image(
                "actOnImage",
                "Deactivate or reactivate an image",
                {204: no_content("Done, or it was so already.")},
                (409,),
                description="Nobody but an administrator downloads a deactivated image.",
            )
        },
        (_IMAGE_ID, in_path("action", "What to do.", enum=["deactivate", "reactivate"])),
    )


def of_copies() -> Iterator[Path]:
    """Yield the path of one copy of an image's data."""
    yield Path(
        "/v2/stores/{store}/{image_id}",
        {
            "DELETE": _on_image(
                "removeCopy",
                "Delete one of several copies of an image's data",
                {204: no_content("The store has it no more.")},
                (409,),
            )
        },
        (in_path("store", "Name of the store."), _IMAGE_ID),
    )


def of_members() -> Iterator[Path]:
    """Yield the paths of those with whom an image is shared."""
    member = json_answer(reference("Member"), "The member.")
    yield Path(
        "/v2/images/{image_id}/members",
        {
            "GET": _on_member("listMembers", "List members", {200: json_answer(reference("Members"), "The members.")}),
            "POST": _on_member(
                "addMember", "Share an image with a project", {200: member}, (409, 413), body=json_body("NewMember")
            ),
        },
        (_IMAGE_ID,),
    )
    yield Path(
        "/v2/images/{image_id}/members/{member}",
        {
            "GET": _on_member("showMember", "Show a member", {200: member}),
            "PUT": _on_member(
                "answerMember",
                "Accept or reject an image, as the project that it is shared with",
                {200: member},
                (413,),
                body=json_body("MemberAnswer"),
            ),
            "DELETE": _on_member("removeMember", "Share an image no more", {204: no_content("It is shared no more.")}),
        },
        (_IMAGE_ID, in_path("member", "Id of the project.", maxLength=255)),
    )


def of_the_service(schemas: Iterable[str]) -> Iterator[Path]:
    """Yield the paths that tell what the service is.

    Args:
        schemas: Paths below ``/v2/schemas/``.
    """
    yield Path("/versions", {"GET": _open("listVersions", "List the versions of the API", _versions())})
    yield Path(
        "/v2",
        {
            "GET": Operation(
                id="findVersion2",
                tag="service",
                summary="Lead to `/v2/`",
                answers={302: {"description": "There.", "headers": {"Location": {"schema": {"type": "string"}}}}},
            )
        },
    )
    yield Path(
        "/openapi.json",
        {"GET": _open("describeApi", "This document", {200: json_answer({"type": "object"}, "This document.")})},
    )
    yield Path(
        "/v2/info/import",
        {
            "GET": Operation(
                id="showImportMethods",
                tag="service",
                summary="Tell which import methods there are",
                answers={200: json_answer(reference("ImportInformation"), "The methods.")},
            )
        },
    )
    for path, name, summary in (
        ("/v2/info/stores", "listStores", "List the stores, where there are several"),
        ("/v2/info/stores/detail", "listStoresInDetail", "Tell administrators how the stores are set up"),
    ):
        stores = json_answer(reference("Stores"), "The stores.")
        yield Path(
            path, {"GET": Operation(id=name, tag="service", summary=summary, answers={200: stores}, fails=(404,))}
        )
    yield Path(
        "/v2/info/usage",
        {
            "GET": Operation(
                id="showUsage",
                tag="service",
                summary="Tell what the caller's project uses, and what it may use",
                answers={200: json_answer(reference("Usage"), "By resource; sizes in MiB, a limit of -1 is none.")},
            )
        },
    )
    for each in schemas:
        words = "".join(word.title() for word in each.replace("/", "_").split("_"))
        yield Path(
            f"/v2/schemas/{each}",
            {
                "GET": Operation(
                    id=f"show{words}Schema",
                    tag="schemas",
                    summary=f"The JSON Schema of `{each.rpartition('/')[2]}`",
                    answers={200: json_answer(reference("JsonSchema"), "A JSON Schema, draft 4.")},
                )
            },
        )


def _versions() -> dict[int, Json]:
    return {200: json_answer(reference("Versions"), "The versions, newest first.")}


def _open(name: str, summary: str, answers: dict[int, Json]) -> Operation:
    return Operation(id=name, tag="service", summary=summary, answers=answers, open=True)


def _on_image(name: str, summary: str, answers: dict[int, Json], fails: tuple[int, ...] = (), **more: Any) -> Operation:
    return Operation(id=name, tag="images", summary=summary, answers=answers, fails=(404, *fails), **more)


def _on_member(
    name: str, summary: str, answers: dict[int, Json], fails: tuple[int, ...] = (), body: Json | None = None
) -> Operation:
    return Operation(id=name, tag="members", summary=summary, answers=answers, fails=(404, *fails), body=body)


def _download() -> Operation:
    part = {
        "description": "Which part, and the size of the whole.",
        "schema": {"type": "string", "pattern": "^bytes [0-9]+-[0-9]+/[0-9]+$"},
    }
    return Operation(
        id="downloadImageData",
        tag="data",
        summary="Download the data of an image, or one range of it",
        parameters=(
            in_query("prefer", "Comma list of stores to read from, where there are several.", examples=["fast,near"]),
            in_header("Range", "One range of bytes: bytes=FIRST-LAST.", examples=["bytes=0-1023"]),
            in_header(
                "Prefer", "`redirect`: the caller follows to where the store gives the data.", examples=["redirect"]
            ),
            in_header("If-Range", "The ETag that the range is a part of."),
            *_CONDITIONS,
            *_WANTS,
        ),
        answers={
            200: {"description": "The data.", "content": _OCTETS, "headers": _OF_ALL_DATA},
            204: no_content("The image has no data yet."),
            206: {
                "description": "A part of the data.",
                "content": _OCTETS,
                "headers": {**_OF_DATA, "Content-Range": part},
            },
            304: {"description": "The caller has it.", "headers": _OF_DATA},
            307: {"description": "The store gives it there, for a short time.", "headers": {**_OF_DATA, **_ELSEWHERE}},
        },
        fails=(404, 410, 412, 416),
    )


def _describe() -> Operation:
    return Operation(
        id="describeImageData",
        tag="data",
        summary="Tell the size and the checksum of an image's data",
        description="That is no download: nobody is told of it.",
        parameters=(*_CONDITIONS, *_WANTS),
        answers={
            200: {"description": "There is data.", "headers": _OF_ALL_DATA},
            204: no_content("The image has no data yet."),
            304: {"description": "The caller has it.", "headers": _OF_DATA},
        },
        fails=(404, 410, 412),
    )


def _newest(name: str, what: str) -> Operation:
    there = {"Location": _IN_IMAGE, "Cache-Control": {"description": "Ask again.", "schema": {"const": "no-store"}}}
    return Operation(
        id=name,
        tag="images",
        summary=f"Lead to {what}",
        description="Takes the filters of a list, one at least, and looks at active images that are not hidden. `name` "
        "is that of an image without the date at its end.",
        parameters=tuple(each for each in _list_parameters() if each["name"] not in OF_LISTS_ONLY),
        answers={307: {"description": "It is there now.", "headers": there}},
        fails=(404,),
    )


def _list_parameters() -> Iterator[Json]:
    yield in_query("limit", "How many images at most; the service has a limit of its own.", **_INTEGER)
    yield in_query("marker", "Id of the image that the page begins after.", format="uuid")
    yield in_query(
        "sort", "Comma list of KEY or KEY:DIRECTION. Not beside `sort_key` and `sort_dir`.", examples=["name:asc,size"]
    )
    yield {
        **in_query("sort_key", "What to sort by; may be repeated."),
        "schema": {"type": "array", "items": {"type": "string", "enum": list(SORT_KEYS)}},
    }
    yield {
        **in_query("sort_dir", "One direction for all keys, or one for each."),
        "schema": {"type": "array", "items": {"type": "string", "enum": ["asc", "desc"]}},
    }
    yield in_query(
        "visibility",
        "Without it, all but the community images of others.",
        enum=["all", *(each.value for each in Visibility)],
    )
    yield in_query(
        "member_status",
        "Which images that others share count; `accepted` without it.",
        enum=["accepted", "pending", "rejected", "all"],
    )
    yield in_query("os_hidden", "Hidden images are listed with `true` only, and then alone.", enum=["true", "false"])
    yield in_query("protected", "Only those that are, or are not, protected.", enum=["true", "false"])
    yield {**in_query("tag", "May be repeated; all must be there."), "schema": {"type": "array", "items": _TAG}}
    for name in ("name", "id", "status", "container_format", "disk_format"):
        yield in_query(name, 'Equal; or one of several: `in:a,"b,c"`.')
    for name in ("owner", "checksum", "os_hash_algo", "os_hash_value"):
        yield in_query(name, "Equal.")
    for name in ("size", "virtual_size", "min_ram", "min_disk"):
        yield in_query(name, "Equal.", **_INTEGER)
        yield in_query(f"{name}_min", "At least.", **_INTEGER)
        yield in_query(f"{name}_max", "At most.", **_INTEGER)
    for name in ("created_at", "updated_at"):
        yield in_query(
            name,
            "A time in ISO 8601; `gt:`, `gte:`, `lt:`, `lte:`, `eq:` or `neq:` may stand before it.",
            examples=["gte:2026-11-20T09:53:25Z"],
        )
    yield {
        "name": "properties",
        "in": "query",
        "description": "Any other name is a property of the user's own, which must have this value.",
        "style": "form",
        "explode": True,
        "schema": {"type": "object", "additionalProperties": {"type": "string"}},
    }


_TAG: Json = {"type": "string", "maxLength": 255}
