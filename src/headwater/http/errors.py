"""Errors become answers, in one place: kinds of failure to statuses, messages to formats.

A face may have a form of its own for a ``Failure``. In that of images and streams the format follows ``Accept``: JSON
for those that ask for it, HTML for browsers and for ``*/*``, plain text for all others; what has a problem type is JSON
for all that do not rule it out. Source: Glance 33;
python-glanceclient sends ``*/*`` and shows what is left of the HTML without its tags, openstacksdk and gophercloud ask
for JSON.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from headwater import errors
from headwater.http.routes import MethodNotAllowed, UnknownVerb

STATUS: dict[type[errors.HeadwaterError], HTTPStatus] = {
    errors.Invalid: HTTPStatus.BAD_REQUEST,
    errors.WrongContent: HTTPStatus.BAD_REQUEST,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.Gone: HTTPStatus.GONE,
    errors.PreconditionFailed: HTTPStatus.PRECONDITION_FAILED,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.Unprocessable: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.UnsupportedMedia: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.RangeNotSatisfiable: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.NotOffered: HTTPStatus.NOT_IMPLEMENTED,
    # Not 404, which clients take for an image that is not there, nor 503, after which they try again.
    errors.Lost: HTTPStatus.GONE,
    MethodNotAllowed: HTTPStatus.METHOD_NOT_ALLOWED,
    UnknownVerb: HTTPStatus.NOT_IMPLEMENTED,
}

UNEXPECTED = "The server has either erred or is incapable of performing the requested operation."


def status_of(error: BaseException) -> HTTPStatus:
    """Return the status that tells a client of ``error``."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return HTTPStatus.INTERNAL_SERVER_ERROR


@dataclass(frozen=True, slots=True)
class Failure:
    """What a client is told of an error, before a face puts it into a form."""

    status: HTTPStatus
    message: str
    headers: Mapping[str, str]
    problem_type: errors.ProblemType | None = None

    @property
    def line(self) -> str:
        """The status as people read it."""
        return f"{self.status.value} {self.status.phrase}"


def failure(error: BaseException, request_id: str | None) -> Failure:
    """Return what a client is told of ``error``.

    What was not raised on purpose is told without its message, which may hold anything.
    """
    status = status_of(error)
    if isinstance(error, errors.HeadwaterError):
        message = error.told
    else:
        message = f"{UNEXPECTED} The log has more under {request_id}."
    headers = dict(getattr(error, "headers", {}))
    if isinstance(error, errors.RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{error.size}"
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers.setdefault("Retry-After", "5")
    return Failure(status, message, headers, getattr(error, "problem_type", None))


def answer(error: BaseException, accept: str, request_id: str) -> Response:
    """Return the answer that tells a client of ``error`` in the format that ``accept`` asks for."""
    told = failure(error, request_id)
    status, message, headers, line = told.status, told.message, told.headers, told.line
    if told.problem_type is not None and ("json" in accept or "*/*" in accept or not accept):
        return _problem_answer(told, told.problem_type)
    if "application/json" in accept:
        body = msgspec.json.encode({"message": message, "code": line, "title": status.phrase})
        return Response(body, status, headers, "application/json")
    if "*/*" in accept or "text/html" in accept:
        page = (
            f"<html>\n <head>\n  <title>{line}</title>\n </head>\n <body>\n  <h1>{line}</h1>\n"
            f"  {html.escape(message)}<br /><br />\n </body>\n</html>"
        )
        return Response(page, status, headers, "text/html")
    return Response(f"{line}\n\n{message}\n\n", status, headers, "text/plain")


def _problem_answer(told: Failure, problem: errors.ProblemType) -> Response:
    """Return it in the form of RFC 9457, with the two members that clients of the Image API look for."""
    document = {
        "type": problem.type,
        "title": problem.title,
        "status": told.status.value,
        "detail": told.message,
        "message": told.message,
        "code": told.line,
        **problem.members,
    }
    return Response(msgspec.json.encode(document), told.status, told.headers, "application/problem+json")
