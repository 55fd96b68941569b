"""Errors in the form of the Compute API: ``{"itemNotFound": {"code": 404, "message": …}}``."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from starlette.responses import Response
from starlette.routing import Router
from starlette.types import Message, Receive, Scope, Send

from headwater.errors import HeadwaterError
from headwater.http.answers import json_answer, without_body
from headwater.http.context import context
from headwater.http.errors import Failure, failure

# Source: the names that Nova gives to faults.
NAMES: Mapping[int, str] = MappingProxyType(
    {
        400: "badRequest",
        401: "unauthorized",
        403: "forbidden",
        404: "itemNotFound",
        405: "badMethod",
        406: "notAcceptable",
        409: "conflictingRequest",
        413: "overLimit",
        415: "badMediaType",
        429: "overLimit",
        501: "notImplemented",
        503: "serviceUnavailable",
    }
)


class NotAcceptable(HeadwaterError):
    """A version is asked for that does not exist here."""


def fault(told: Failure, status: int) -> Response:
    """Return what a client is told of an error."""
    document: dict[str, Any] = {"code": status, "message": told.message}
    headers = dict(told.headers)
    if NAMES.get(status) == "overLimit":
        document["retryAfter"] = headers.setdefault("Retry-After", "0")
    return json_answer({NAMES.get(status, "computeFault"): document}, status, headers)


class FaultyRouter(Router):
    """A router whose refusals have the form of the Compute API.

    Failures of our own go on, to be logged and answered by who stands before all faces.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await super().__call__(scope, receive, noted)
        except HeadwaterError as error:
            told = failure(error, context(scope).request_id)
            status = HTTPStatus.NOT_ACCEPTABLE if isinstance(error, NotAcceptable) else told.status
            if begun or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            response = fault(told, status)
            await (without_body(response) if scope["method"] == "HEAD" else response)(scope, receive, send)
