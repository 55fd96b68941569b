"""The versions document: how clients find out what this service can do.

There is no header for a version; clients look for exact ids, each of which announces features. What is not listed
between two of them is not there.
"""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from headwater.http.endpoint import Endpoint

# Newest first. What each announces: docs/reference/image-api.md.
IDS = tuple(f"v2.{minor}" for minor in (17, 15, 13, 12, *range(10, -1, -1)))


# The cache, where this machine has one.
IDS_CACHE = ("v2.18", "v2.16", "v2.14")
# The API v1, where it is switched on.
IDS_V1 = ("v1.1", "v1.0")


def document(endpoint: str, *, with_v1: bool = False, with_cache: bool = False) -> bytes:
    """Return the document for clients that reach this service at ``endpoint``."""
    ids = sorted((*IDS, *IDS_CACHE), key=_minor, reverse=True) if with_cache else IDS
    listed = [(each, "CURRENT" if each == ids[0] else "SUPPORTED", "v2") for each in ids]
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


def _minor(version: str) -> int:
    return int(version.partition(".")[2])


class VersionHandlers:
    """Requests for what there is, answered."""

    def __init__(self, endpoint: Endpoint, *, with_v1: bool, with_cache: bool) -> None:
        self._endpoint = endpoint
        self._with_cache = with_cache
        self._with_v1 = with_v1

    async def choices(self, request: Request) -> Response:
        """Answer a path that names no known version: 300, as every client of Glance expects of ``/``."""
        return self._answer(request, 300)

    async def versions(self, request: Request) -> Response:
        """Answer ``/versions``."""
        return self._answer(request, 200)

    async def to_slash(self, request: Request) -> Response:
        """Answer ``/v2``."""
        return Response(status_code=302, headers={"Location": f"{self._endpoint.of(request)}/v2/"})

    def _answer(self, request: Request, status: int) -> Response:
        body = document(self._endpoint.of(request), with_v1=self._with_v1, with_cache=self._with_cache)
        return Response(body, status, media_type="application/json")
