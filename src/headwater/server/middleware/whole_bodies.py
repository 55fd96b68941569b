"""Before every handler: a body is the thing itself, and all of it.

``Content-Encoding`` says that a body is coded, ``Content-Range`` that it is a part of something larger, and so does
``Upload-Offset`` in a PUT, which goes on with no upload, or ``Upload-Incomplete: ?1``, by which drafts of resumable
uploads that are not spoken here announced a first part. Nobody here undoes the one or puts the other together, so a
body of either kind is refused, on every route and before anything of it is read: what would be stored is not what the
client meant. In a GET they mean nothing (RFC 9110), but for the Content-Range in which clients of the Image API v2.0
ask for a part.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from headwater.errors import UnsupportedMedia
from headwater.http.requests import PartOfABody

_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})


class CodedBody(UnsupportedMedia):
    """A body in a coding that nobody here undoes."""

    headers = {"Accept-Encoding": "identity"}  # noqa: RUF012 - read only. Source: RFC 9110, 15.5.16

    def __init__(self) -> None:
        super().__init__("A body is taken without Content-Encoding: send the data itself")


class WholeBodies:
    """An application that gets bodies as they are meant."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in _WITHOUT_BODY:
            for name, value in scope["headers"]:
                if name == b"content-encoding" and any(_is_coding(each) for each in value.split(b",")):
                    raise CodedBody
                if name == b"content-range" or (
                    name == b"upload-offset" and scope["method"] == "PUT" and value != b"0"
                ):
                    raise PartOfABody
                if name == b"upload-incomplete" and value.strip().startswith(b"?1"):
                    raise PartOfABody("Upload-Incomplete, or say Upload-Complete: ?0 to PUT /v2/images/{image_id}/file")
        await self._app(scope, receive, send)


def _is_coding(word: bytes) -> bool:
    return word.strip().lower() not in (b"", b"identity")
