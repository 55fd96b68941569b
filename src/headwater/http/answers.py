"""Answers that every face gives."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.responses import Response


def json_answer(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer of one JSON document."""
    return Response(msgspec.json.encode(document), status, headers, "application/json")


def without_body(answer: Response) -> Response:
    """Return the answer to HEAD: what GET would answer, without its body, which is not even read."""
    return _Bodiless(answer)


class _Bodiless(Response):
    def __init__(self, answer: Response) -> None:
        self.status_code, self.raw_headers, self.background = answer.status_code, answer.raw_headers, None
        self.body = b""
