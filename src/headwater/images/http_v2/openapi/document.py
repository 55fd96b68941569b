"""The Image API v2 as one OpenAPI 3.1 document, for people, generators of clients, and fuzzers.

It is made by code from the same schemas that requests are checked against, and a test compares it with the
router both ways, so a route without a description does not pass. It holds nothing of images or callers
and depends on settings only, so everybody may read it, as everybody may read the versions.

An answer that makes something is linked with the operations that take its name: OpenAPI's ``links``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from headwater import __version__
from headwater.http.endpoint import Endpoint
from headwater.http.openapi.operations import Json, Path, failures
from headwater.http.routes import Handler
from headwater.images.http import versions
from headwater.images.http_v2.openapi.cache_paths import of_cache
from headwater.images.http_v2.openapi.metadef_paths import of_metadefs
from headwater.images.http_v2.openapi.paths import of_copies, of_images, of_members, of_the_service
from headwater.images.http_v2.openapi.private_path_paths import of_private_paths
from headwater.images.http_v2.openapi.schemas import components
from headwater.images.http_v2.openapi.source_paths import of_stream_sources
from headwater.images.http_v2.openapi.task_paths import of_imports, of_locations, of_tasks
from headwater.images.http_v2.openapi.upload_paths import of_tus, of_uploads
from headwater.images.schemas import ImageSchemas

Proof = Literal["none", "basic", "keystone"]

_ABOUT = """\
The OpenStack Image API v2 as Headwater serves it. `/v2.N/…` means `/v2/…` for every version that `/versions` lists.

Errors are JSON for those who ask for it with `Accept`, HTML for `*/*`, plain text otherwise. A path that is not here
answers 404 below `/v2/`, and 300 with the versions elsewhere; a method that is not here answers 405 with `Allow`."""

_TAGS = {
    "images": "What images there are, and what is known of them.",
    "data": "The bytes of an image.",
    "members": "The projects that an image is shared with.",
    "tasks": "How far work is that goes on after its answer.",
    "metadata definitions": "What may be said of images and other resources.",
    "schemas": "JSON Schemas of all that is answered.",
    "cache": "Copies of images on the machine that answers.",
    "streams": "Secret paths to the feeds of projects.",
    "sources": "Feeds that images are brought from, again and again.",
    "instances": "Machines, and what they are told of themselves.",
    "service": "What the service is.",
}

_SECURITY: dict[Proof, Json] = {
    "none": {},
    "basic": {"password": {"type": "http", "scheme": "basic"}},
    "keystone": {
        "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token", "description": "A token of Keystone."}
    },
}

# Which operations make something, and under which parameter others take the name of it.
_MAKES = {
    "createImage": {"image_id": "$response.body#/id"},
    "addMember": {"image_id": "$response.body#/image_id", "member": "$response.body#/member_id"},
    "createPrivatePath": {"path_id": "$response.body#/id"},
    "createTask": {"task_id": "$response.body#/id"},
    "createStreamSource": {"source": "$response.body#/name"},
    "createInstance": {"instance": "$response.body#/id"},
    "createNamespace": {"namespace": "$response.body#/namespace"},
    **{
        name: {"namespace": "$request.path.namespace", "name": "$response.body#/name"}
        for name in ("associate", "addMetadefProperty", "addMetadefObject", "addMetadefTag")
    },
}


def document(schemas: ImageSchemas, schema_paths: Iterable[str], proof: Proof, others: Iterable[Path] = ()) -> Json:
    """Return the document, but for the URL of the service.

    Args:
        schema_paths: What lies below ``/v2/schemas/``.
        proof: How callers prove who they are.
        others: Paths of other capabilities.
    """
    paths = [
        *of_images(),
        *of_copies(),
        *of_uploads(),
        *of_tus(),
        *of_locations(),
        *of_imports(),
        *of_members(),
        *of_tasks(),
        *of_metadefs(),
        *of_cache(),
        *of_private_paths(),
        *of_stream_sources(),
        *others,
        *of_the_service(schema_paths),
    ]
    written = {each.path: each.document() for each in paths}
    _link(paths, written)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Headwater: Image API v2",
            "version": versions.IDS[0],
            "summary": f"Headwater {__version__}",
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": name, "description": words} for name, words in _TAGS.items()],
        "security": [{name: []} for name in _SECURITY[proof]],
        "paths": written,
        "components": {
            "schemas": components(schemas),
            "responses": failures(),
            "parameters": {
                "RequestId": {
                    "name": "X-Openstack-Request-Id",
                    "in": "header",
                    "description": "The caller's own id for this request, for the logs of both.",
                    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,64}$"},
                }
            },
            "headers": {
                "RequestId": {
                    "description": "Names this request in the log.",
                    "schema": {"type": "string", "pattern": "^req-"},
                }
            },
            "securitySchemes": _SECURITY[proof],
        },
    }


def serve(
    schemas: ImageSchemas, schema_paths: Iterable[str], proof: Proof, endpoint: Endpoint, others: Iterable[Path] = ()
) -> Handler:
    """Return the handler of ``/openapi.json``; it adds the URL under which the client reaches the service."""
    whole = document(schemas, schema_paths, proof, others)
    encoded = {name: msgspec.Raw(msgspec.json.encode(part)) for name, part in whole.items()}

    async def answer(request: Request) -> Response:
        url = endpoint.of(request)
        body = msgspec.json.encode({"openapi": encoded["openapi"], "servers": [{"url": url}], **encoded})
        return Response(body, media_type="application/json")

    return answer


def _link(paths: Iterable[Path], written: Json) -> None:
    """Add to each answer that makes something the operations that take its name."""
    found = [
        (operation, {parameter["name"] for parameter in path.parameters}, path, method.lower())
        for path in paths
        for method, operation in path.operations.items()
    ]
    for maker, _, path, method in found:
        names = _MAKES.get(maker.id)
        if names is None:
            continue
        links = {
            operation.id: {"operationId": operation.id, "parameters": {each: names[each] for each in sorted(taken)}}
            for operation, taken, other, _ in found
            if taken and taken <= names.keys() and _belongs(maker.id, path, other)
        }
        responses = written[path.path][method]["responses"]
        made = next(status for status in responses if status in ("200", "201"))
        responses[made] = {**responses[made], "links": links}


def _belongs(maker: str, path: Path, other: Path) -> bool:
    """Tell the ``name`` of a property from that of a tag: it is taken below the path that made it."""
    if "name" not in _MAKES[maker] or "{name}" not in other.path:
        return True
    return other.path.removesuffix("/{name}") == path.path.removesuffix("/{name}")
