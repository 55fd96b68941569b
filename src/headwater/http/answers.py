"""Answers that every face gives."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.responses import Response


def json_answer(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer of one JSON document."""
    return Response(msgspec.json.encode(document), status, headers, "application/json")


def part_headers(part: range, size: int) -> dict[str, str]:
    """Return what an answer of status 206 says of the part that it carries of something ``size`` bytes long."""
    return {"Content-Range": f"bytes {part.start}-{part.stop - 1}/{size}", "Content-Length": str(len(part))}


def content_answer(
    content: bytes, wanted: range | None, headers: Mapping[str, str], media_type: str | None = None
) -> Response:
    """Return bytes at hand, whole or the part that is wanted; ``headers`` say what they are."""
    if wanted is None:
        return Response(content, headers=headers, media_type=media_type)
    told = {**headers, **part_headers(wanted, len(content))}
    return Response(content[wanted.start : wanted.stop], 206, told, media_type)


def without_body(answer: Response) -> Response:
    """Return the answer to HEAD: what GET would answer, without its body, which is not even read."""
    return _Bodiless(answer)


class _Bodiless(Response):
    def __init__(self, answer: Response) -> None:
        self.status_code, self.raw_headers, self.background = answer.status_code, answer.raw_headers, None
        self.body = b""
