"""Web pages of every origin read what is for everybody. Source: Fetch, by which browsers ask before they let them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from headwater.http.context import context

FOR_EVERYBODY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "Accept-Ranges, Age, Content-Encoding, Content-Length, Content-Range, ETag, "
        "Last-Modified, Repr-Digest, Warning, X-OpenStack-Request-ID",
    }
)
_PREFLIGHT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Allow": "GET, HEAD, OPTIONS",
        "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
        "Access-Control-Allow-Headers": "Accept, Accept-Encoding, Authorization, If-Match, If-Modified-Since, "
        "If-None-Match, If-Range, If-Unmodified-Since, Range, Want-Repr-Digest, X-OpenStack-Request-ID",
        "Access-Control-Max-Age": "86400",
    }
)


def let_pages_read(request: Request) -> None:
    """Let pages of every origin read whatever the answer will be."""
    context(request.scope).told.update(FOR_EVERYBODY)


async def preflight(request: Request) -> Response:
    """Answer what browsers ask before they let a page send headers of its own."""
    let_pages_read(request)
    return Response(status_code=204, headers=_PREFLIGHT)
