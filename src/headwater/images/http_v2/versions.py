"""The versions document: how clients find out what this service can do.

There is no header for a version; clients look for exact ids, each of which announces features. What is not listed
between two of them is not there: stores, the cache.
"""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

# Where a request carries the configured endpoint, if there is one.
PUBLIC_ENDPOINT = "headwater.public_endpoint"

# Newest first. What each announces: docs/reference/image-api.md.
IDS = ("v2.17", "v2.13", "v2.12", "v2.9", "v2.7", "v2.6", "v2.5", "v2.4", "v2.3", "v2.2", "v2.1", "v2.0")


# The API v1, where it is switched on, and where a request says that it is.
IDS_V1 = ("v1.1", "v1.0")
WITH_V1 = "headwater.api_v1"


def document(endpoint: str, *, with_v1: bool = False) -> bytes:
    """Return the document for clients that reach this service at ``endpoint``."""
    listed = [(each, "CURRENT" if each == IDS[0] else "SUPPORTED", "v2") for each in IDS]
    if with_v1:
        listed += [(each, "DEPRECATED", "v1") for each in IDS_V1]
    return msgspec.json.encode(
        {
            "versions": [
                {"id": each, "status": status, "links": [{"rel": "self", "href": f"{endpoint}/{path}/"}]}
                for each, status, path in listed
            ]
        }
    )


def endpoint(request: Request) -> str:
    """Return the URL, without a slash at its end, under which the client reaches this service."""
    public: str | None = request.scope.get(PUBLIC_ENDPOINT)
    return (public or str(request.base_url)).rstrip("/")


def _answer(request: Request, status: int) -> Response:
    body = document(endpoint(request), with_v1=request.scope.get(WITH_V1, False))
    return Response(body, status, media_type="application/json")


async def choices(request: Request) -> Response:
    """Answer a path that names no known version: 300, as every client of Glance expects of ``/``."""
    return _answer(request, 300)


async def versions(request: Request) -> Response:
    """Answer ``/versions``."""
    return _answer(request, 200)


async def to_slash(request: Request) -> Response:
    """Answer ``/v2``."""
    return Response(status_code=302, headers={"Location": f"{endpoint(request)}/v2/"})
