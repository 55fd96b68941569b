"""Handlers for uploads that can be resumed.

Source: draft-ietf-httpbis-resumable-upload-11, whose interop version is 8. Any upload that says ``Upload-Complete: ?0``
becomes one. Interim answers (104) are not sent, so a client that wants to resume says so and has the URL of its upload
before it sends much.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from headwater.clock import now
from headwater.errors import Invalid, UnsupportedMedia
from headwater.http import requests, structured
from headwater.http.endpoint import Endpoint
from headwater.http.threads import Threads
from headwater.identity.caller import Caller
from headwater.images.data.resumable.parts import Progress
from headwater.images.data.resumable.receiving import receive_first_part, receive_part
from headwater.images.data.resumable.uploads import InconsistentLength, ResumableUploading
from headwater.images.data.transfer import OCTETS, Body
from headwater.images.http_v2.data import DataHandlers, NotOctets

PARTIAL = "application/partial-upload"
INTEROP_VERSION = "8"


class NotPartial(UnsupportedMedia):
    """A part of an upload says that it is one."""

    def __init__(self, given: str) -> None:
        super().__init__(f"Unsupported Content-Type {given[:80]!r}: a part of an upload is sent as {PARTIAL}")
        self.headers = {"Accept-Patch": PARTIAL}


class FieldMissing(Invalid):
    """A part of an upload says where it begins and whether it is the last."""

    def __init__(self, name: str, form: str) -> None:
        super().__init__(f"The header {name} is missing, or is not {form}")
        self.name = name


class ContentDigestOfPart(Invalid):
    """A digest that would not be checked."""

    def __init__(self) -> None:
        super().__init__(
            "Content-Digest of a part of an upload is not checked here: "
            "send Repr-Digest, of all the data, when the upload is begun"
        )


class ResumableHandlers:
    """Requests in, use cases called, answers out."""

    def __init__(self, uploading: ResumableUploading, data: DataHandlers, threads: Threads, endpoint: Endpoint) -> None:
        """Take the use cases, and what answers an upload that comes in one request."""
        self._uploading = uploading
        self._data = data
        self._threads = threads
        self._endpoint = endpoint

    def offered(self) -> Mapping[str, str]:
        """Return what OPTIONS tells a client that wants to know whether uploads can be resumed."""
        if not self._uploading.is_offered:
            return {}
        return {"Accept-Patch": PARTIAL, "Upload-Limit": f"max-size={self._uploading.settings.size_cap}"}

    async def upload(self, request: Request) -> Response:
        """Begin an upload that can be resumed, or take one that is complete."""
        if structured.lenient_item(request.headers, "Upload-Complete", bool) is not False:
            return await self._data.upload(request)
        if requests.media_type(request) != OCTETS:
            raise NotOctets(requests.media_type(request))
        _require_no_content_digest(request)
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        length = _upload_length(request)
        digests = structured.digests(request.headers.raw, structured.REPR_DIGEST)
        store = self._data.wanted_store(request)
        upload = await self._threads.catalogue.run(
            lambda: self._uploading.begin(caller, image_id, length=length, digests=digests, store=store)
        )
        progress = Progress(upload, 0, length, is_complete=False)
        if _has_body(request):
            progress = await receive_first_part(
                Body(request),
                lambda: self._uploading.part(caller, image_id, upload.id, offset=0, length=length, is_last=False),
                lambda: self._uploading.cancel(caller, image_id, upload.id),
                self._threads,
            )
        url = f"{self._endpoint.of(request)}/v2/images/{upload.image_id}/file/uploads/{upload.id}"
        return Response(status_code=201, headers={"Location": url, **self._told(progress)})

    async def show(self, request: Request) -> Response:
        caller, image_id, upload_id = _named(request)
        progress = await self._threads.transfers.run(lambda: self._uploading.progress(caller, image_id, upload_id))
        return Response(status_code=204, headers=self._told(progress))

    async def append(self, request: Request) -> Response:
        if requests.media_type(request) != PARTIAL:
            raise NotPartial(requests.media_type(request))
        _require_no_content_digest(request)
        offset = structured.lenient_item(request.headers, "Upload-Offset", int)
        if offset is None or offset < 0:
            raise FieldMissing("Upload-Offset", "a number of bytes")
        is_last = structured.lenient_item(request.headers, "Upload-Complete", bool)
        if is_last is None:
            raise FieldMissing("Upload-Complete", "?0 or ?1")
        length = _length(request, offset) if is_last else _upload_length(request)
        caller, image_id, upload_id = _named(request)
        progress = await receive_part(
            Body(request),
            lambda: self._uploading.part(caller, image_id, upload_id, offset=offset, length=length, is_last=is_last),
            self._threads,
        )
        return Response(status_code=204, headers=self._told(progress))

    async def cancel(self, request: Request) -> Response:
        caller, image_id, upload_id = _named(request)
        await self._threads.transfers.run(lambda: self._uploading.cancel(caller, image_id, upload_id))
        return Response(status_code=204)

    def _told(self, progress: Progress) -> Mapping[str, str]:
        left_s = max(0, (progress.upload.expires_at - now()) // 1_000_000)
        told = {
            "Upload-Complete": "?1" if progress.is_complete else "?0",
            "Upload-Offset": str(progress.offset),
            "Upload-Limit": f"max-size={self._uploading.settings.size_cap}, max-age={left_s}",
            "Upload-Draft-Interop-Version": INTEROP_VERSION,
            "Cache-Control": "no-store",
        }
        return told if progress.length is None else {**told, "Upload-Length": str(progress.length)}


def _named(request: Request) -> tuple[Caller, str, str]:
    return requests.caller(request), request.path_params["image_id"], request.path_params["upload_id"]


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


def _upload_length(request: Request) -> int | None:
    length = structured.lenient_item(request.headers, "Upload-Length", int)
    return length if length is not None and length >= 0 else None


def _length(request: Request, offset: int) -> int | None:
    """Return how long all the data is whose last part this is, as far as the request says so.

    Raises:
        InconsistentLength: It says so twice, and not the same.
    """
    said = _upload_length(request)
    content = request.headers.get("content-length", "")
    if not content.isdigit():
        return said
    if said is not None and said != offset + int(content):
        raise InconsistentLength(said, offset + int(content))
    return offset + int(content)


def _require_no_content_digest(request: Request) -> None:
    if structured.CONTENT_DIGEST.lower() in request.headers:
        raise ContentDigestOfPart
