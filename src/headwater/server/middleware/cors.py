"""Let pages of other origins call the image listener (CORS), such as a dashboard that uploads from the browser.

It stands before everything else, so that errors carry the headers too (a page may then read why it was
refused), and a preflight, which browsers send without credentials, never comes to ask who calls.
The names of the settings and most defaults are those of oslo.middleware's section ``[cors]`` in Glance 33.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from headwater.config import Section

_ORIGIN = re.compile(r"https?://[^\s/?#@,]+")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110: names of headers and methods


def _require_names(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a header or a method")
    return names


class CorsSettings(Section):
    """Section ``[cors]``."""

    allowed_origin: Annotated[
        tuple[str, ...],
        Field(
            description="Origins whose pages may call the image API, each as SCHEME://HOST or SCHEME://HOST:PORT; "
            '"*" is every origin. Default: none, CORS is off.'
        ),
    ] = ()
    allow_credentials: Annotated[
        bool, Field(description="Let pages send what the browser keeps for this site, such as a Basic password.")
    ] = True
    expose_headers: Annotated[
        tuple[str, ...], AfterValidator(_require_names), Field(description="Headers of answers that pages may read.")
    ] = (
        "X-Image-Meta-Checksum",
        "X-Auth-Token",
        "X-Subject-Token",
        "X-Service-Token",
        "X-OpenStack-Request-ID",
        "Accept-Patch",
        "Content-MD5",
        "Content-Range",
        "ETag",
        "Location",
        "OpenStack-image-import-methods",
        "OpenStack-image-store-ids",
        "Repr-Digest",
        "Retry-After",
        "Tus-Checksum-Algorithm",
        "Tus-Extension",
        "Tus-Max-Size",
        "Tus-Resumable",
        "Tus-Version",
        "Upload-Complete",
        "Upload-Defer-Length",
        "Upload-Expires",
        "Upload-Length",
        "Upload-Limit",
        "Upload-Offset",
    )
    max_age: Annotated[
        int, Field(description="How long a browser may remember a preflight, in seconds.", ge=0, le=86400)
    ] = 3600
    allow_methods: Annotated[
        tuple[str, ...], AfterValidator(_require_names), Field(description="Methods that pages may use.")
    ] = ("GET", "PUT", "POST", "DELETE", "PATCH")
    allow_headers: Annotated[
        tuple[str, ...],
        AfterValidator(_require_names),
        Field(
            description="Headers that pages may send, beside "
            "Accept, Accept-Language, Content-Language and Content-Type."
        ),
    ] = (
        "Content-MD5",
        "X-Image-Meta-Checksum",
        "X-Storage-Token",
        "Accept-Encoding",
        "X-Auth-Token",
        "X-Identity-Status",
        "X-Roles",
        "X-Service-Catalog",
        "X-User-Id",
        "X-Tenant-Id",
        "X-OpenStack-Request-ID",
        # Beside Glance's: what Horizon's upload from the browser, and a page of one's own, send.
        "Authorization",
        "Content-Digest",
        "Content-Type",
        "Idempotency-Key",
        "If-None-Match",
        "If-Range",
        "Range",
        "Repr-Digest",
        "Tus-Resumable",
        "Upload-Checksum",
        "Upload-Complete",
        "Upload-Defer-Length",
        "Upload-Draft-Interop-Version",
        "Upload-Length",
        "Upload-Metadata",
        "Upload-Offset",
        "Want-Repr-Digest",
        "X-HTTP-Method-Override",
        "X-Image-Meta-Store",
        "X-OpenStack-Append",
        "X-OpenStack-Image-Size",
    )

    @model_validator(mode="after")
    def _of_origins(self) -> CorsSettings:
        for origin in self.allowed_origin:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"section [cors], key 'allowed_origin': {origin!r} is not what browsers call an origin, such as "
                    "https://dashboard.example.org: scheme, host and port, with nothing after them"
                )
        if "*" in self.allowed_origin and self.allow_credentials:
            # A browser adds a remembered Basic password by itself: any page could then act as the user.
            raise ValueError(
                "section [cors], key 'allowed_origin' is \"*\" and key 'allow_credentials' is true: every page on "
                "the web could act as whoever looks at it. Name the origins, or set allow_credentials to false"
            )
        return self


def with_cors(app: ASGIApp, settings: CorsSettings, for_everybody: tuple[str, ...] = ()) -> ASGIApp:
    """Return ``app`` for the pages of other origins that ``settings`` let in; without any, ``app`` itself.

    Args:
        for_everybody: Beginnings of paths that pages of every origin read, as ``app`` itself tells them.
    """
    if not settings.allowed_origin:
        return app
    guarded = CORSMiddleware(
        app,
        allow_origins=[origin.lower() for origin in settings.allowed_origin],  # as browsers write them
        allow_credentials=settings.allow_credentials,
        expose_headers=settings.expose_headers,
        max_age=settings.max_age,
        allow_methods=settings.allow_methods,
        allow_headers=settings.allow_headers,
    )

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        is_open = scope["type"] == "http" and scope["path"].startswith(for_everybody)
        await (app if is_open else guarded)(scope, receive, send)

    return either
