"""One operation of the API in OpenAPI's words: what it takes, what it answers, how it fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

Json = dict[str, Any]

# What every operation below /v2 may answer besides what it says itself.
ALWAYS = (HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE)
WITH_CALLER = (*ALWAYS, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

# Each failure that an operation may name, and what it means here.
FAILURES: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "Something in the request cannot be: its body, a parameter, or a header.",
    HTTPStatus.UNAUTHORIZED: "The request does not say who calls, or it cannot be believed.",
    HTTPStatus.FORBIDDEN: "The caller may not do this, or nobody may.",
    HTTPStatus.NOT_FOUND: "There is no such thing, or it is not the caller's to see.",
    HTTPStatus.METHOD_NOT_ALLOWED: "The method is not for this path.",
    HTTPStatus.CONFLICT: "The thing is there already, or is in a state in which this cannot be done.",
    HTTPStatus.GONE: "The image was deleted meanwhile.",
    HTTPStatus.PRECONDITION_FAILED: "It is not, or no longer, what the request says that it is about.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "More than a quota, or than one request may bring.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not of a type that is taken here, or not what it says it is.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "It contradicts a request that was made before.",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "The range is malformed or outside the image.",
    HTTPStatus.NOT_IMPLEMENTED: "It is known, and not done here.",
    HTTPStatus.SERVICE_UNAVAILABLE: "A part that is needed does not answer now. Try again later.",
}

_CHALLENGE: Json = {"WWW-Authenticate": {"description": "How to prove who calls.", "schema": {"type": "string"}}}
_LATER: Json = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string", "pattern": "^[0-9]+$"}}}
_SIZE: Json = {
    "Content-Range": {
        "description": "The size of the image.",
        "schema": {"type": "string", "pattern": r"^bytes \*/[0-9]+$"},
    }
}
# Of these some have a type by which programs tell them (RFC 9457).
_TYPED = (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT)
_OF_FAILURE: Mapping[HTTPStatus, Json] = {
    HTTPStatus.UNAUTHORIZED: _CHALLENGE,
    HTTPStatus.SERVICE_UNAVAILABLE: _LATER,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: _SIZE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path."""

    id: str
    tag: str
    summary: str
    description: str = ""
    parameters: tuple[Json, ...] = ()  # in query and header; those of the path are written by ``path``
    body: Json | None = None
    answers: Mapping[int, Json]
    fails: tuple[int, ...] = ()  # beside ``WITH_CALLER``
    open: bool = False  # no caller is needed

    def document(self) -> Json:
        """Return the Operation Object."""
        kinds = {*(ALWAYS if self.open else WITH_CALLER), *map(HTTPStatus, self.fails)}
        written: Json = {"operationId": self.id, "tags": [self.tag], "summary": self.summary}
        if self.description:
            written["description"] = self.description
        written["parameters"] = [*self.parameters, {"$ref": "#/components/parameters/RequestId"}]
        if self.body is not None:
            written["requestBody"] = self.body
        written["responses"] = {
            **{str(status): _with_request_id(answer) for status, answer in self.answers.items()},
            **{str(kind.value): {"$ref": f"#/components/responses/{failure_name(kind)}"} for kind in sorted(kinds)},
        }
        if self.open:
            written["security"] = []
        return written

    def bodiless(self) -> Json:
        """Return the Operation Object of HEAD: that of this GET, with answers of which only the headers come."""
        written = replace(self, id=f"head{self.id[0].upper()}{self.id[1:]}", summary=f"{self.summary}: headers only")
        document = written.document()
        answers = {str(status): _with_request_id(answer) for status, answer in self.answers.items()}
        for status in document["responses"]:
            answer = answers.get(status) or _failure(HTTPStatus(int(status)))
            document["responses"][status] = {name: part for name, part in answer.items() if name != "content"}
        return document


@dataclass(frozen=True, slots=True)
class Path:
    """One path, the parameters in it, and its operations by method."""

    path: str
    operations: Mapping[str, Operation]
    parameters: tuple[Json, ...] = field(default=())

    def document(self) -> Json:
        """Return the Path Item Object."""
        written: Json = {method.lower(): each.document() for method, each in self.operations.items()}
        if "GET" in self.operations:
            written.setdefault("head", self.operations["GET"].bodiless())
        return {"parameters": list(self.parameters), **written} if self.parameters else written


def failure_name(kind: HTTPStatus) -> str:
    """Return the name of a failure among the components."""
    return kind.phrase.title().replace(" ", "").replace("-", "")


def failures() -> Json:
    """Return the answers that tell of failures, by name, in the three forms that ``Accept`` chooses from."""
    return {failure_name(kind): _failure(kind) for kind in FAILURES}


def _failure(kind: HTTPStatus) -> Json:
    forms: Json = {
        "application/json": {"schema": reference("Error")},
        "text/html": {"schema": {"type": "string"}},
        "text/plain": {"schema": {"type": "string"}},
    }
    if kind in _TYPED:
        forms["application/problem+json"] = {"schema": reference("Problem")}
    return _with_request_id({"description": FAILURES[kind], "content": forms, "headers": _OF_FAILURE.get(kind, {})})


def reference(schema: str) -> Json:
    """Return what stands for a schema among the components."""
    return {"$ref": f"#/components/schemas/{schema}"}


def json_body(schema: str, description: str = "") -> Json:
    """Return a body that must be JSON of this schema; its Content-Type is not looked at."""
    written: Json = {"required": True, "content": {"application/json": {"schema": reference(schema)}}}
    return {"description": description, **written} if description else written


def json_answer(schema: Json, description: str, headers: Json | None = None) -> Json:
    """Return an answer of JSON."""
    written: Json = {"description": description, "content": {"application/json": {"schema": schema}}}
    return {**written, "headers": headers} if headers else written


def no_content(description: str) -> Json:
    """Return an answer without a body."""
    return {"description": description}


def in_path(name: str, description: str, **schema: Any) -> Json:
    """Return a parameter that is a part of the path."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string", "minLength": 1, **schema},
    }


def in_query(name: str, description: str, **schema: Any) -> Json:
    """Return a query parameter; ``explode`` is OpenAPI's default, so a list repeats the name."""
    return {"name": name, "in": "query", "description": description, "schema": {"type": "string", **schema}}


AFTER = in_query("after", "Where the marker was in the order, in case that it is gone: part of `next`.")


def in_header(name: str, description: str, **schema: Any) -> Json:
    """Return a header of a request."""
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string", **schema}}


def _with_request_id(answer: Json) -> Json:
    headers = {**answer.get("headers", {}), "X-Openstack-Request-Id": {"$ref": "#/components/headers/RequestId"}}
    return {**answer, "headers": headers}
