"""Handlers for uploads that can be resumed.

Source: draft-ietf-httpbis-resumable-upload-11, whose interop version is 8. Any upload that says ``Upload-Complete: ?0``
becomes one. One that says ``?1``, that all of its data comes at once, does where its client can be told the URL of it
in an interim answer (104): that speaks this version, through no server that has none. All others are plain uploads,
and leave nothing behind when they break off.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from headwater.clock import now
from headwater.errors import UnsupportedMedia
from headwater.http import requests, structured
from headwater.http.context import Inform, context
from headwater.http.endpoint import Endpoint
from headwater.http.filesend import OCTETS
from headwater.http.threads import Threads
from headwater.images.catalogue.resumed.resumable_uploads import ResumableUpload
from headwater.images.data.resumable.errors import InconsistentLength
from headwater.images.data.resumable.parts import LastPart, Part, Progress
from headwater.images.data.resumable.receiving import receive_first_part, receive_part
from headwater.images.data.resumable.uploads import ResumableUploading
from headwater.images.data.session import Digests
from headwater.images.data.transfer import Body
from headwater.images.http_v2.data import DataHandlers, NotOctets, announced_size, repr_digest
from headwater.images.http_v2.resumable.parts import FieldMissing, Parts, ends_at, has_body, named

PARTIAL = "application/partial-upload"
INTEROP_VERSION = 8
_INTEROP = "Upload-Draft-Interop-Version"
_UPLOAD_RESUMPTION_SUPPORTED = 104


class NotPartial(UnsupportedMedia):
    """A part of an upload says that it is one."""

    def __init__(self, given: str) -> None:
        super().__init__(f"Unsupported Content-Type {given[:80]!r}: a part of an upload is sent as {PARTIAL}")
        self.headers = {"Accept-Patch": PARTIAL}


class ResumableHandlers:
    """Requests in, use cases called, answers out."""

    def __init__(self, uploading: ResumableUploading, data: DataHandlers, threads: Threads, endpoint: Endpoint) -> None:
        """Take the use cases, and what answers an upload that comes in one request."""
        self._uploading = uploading
        self._data = data
        self._threads = threads
        self._endpoint = endpoint
        self._parts = Parts(uploading, data, threads)

    def offered(self) -> Mapping[str, str]:
        """Return what OPTIONS tells a client that wants to know whether uploads can be resumed."""
        if not self._uploading.is_offered:
            return {}
        return {"Accept-Patch": PARTIAL, "Upload-Limit": self._limit()}

    async def upload(self, request: Request) -> Response:
        """Begin an upload that can be resumed, or take one that comes in this request alone."""
        is_whole = structured.lenient_item(request.headers, "Upload-Complete", bool)
        if is_whole is None:
            return await self._data.upload(request)
        self._tell_limits(request)
        length = _length(request, 0) if is_whole else requests.said_length(request.headers)
        if is_whole and not self._resumes(request):
            return await self._data.upload(request)
        if requests.media_type(request) != OCTETS:
            raise NotOctets(requests.media_type(request))
        if is_whole:
            size = announced_size(request)
            length = size if length is None else length
            digests: Digests = structured.digests_of_body(request.headers.raw)
        else:
            digests = structured.digests(request.headers.raw, structured.REPR_DIGEST)
        upload = await self._parts.begun(request, length, digests, self._url)
        url = self._url(request, upload.image_id, upload.id)
        progress = Progress(upload, 0, length, is_complete=False)
        if is_whole or has_body(request):
            progress = await self._first_part(request, upload, url, length, is_whole=is_whole)
        location = {} if is_whole else {"Location": url}
        return Response(status_code=204 if is_whole else 201, headers={**location, **self._told(request, progress)})

    async def _first_part(
        self, request: Request, upload: ResumableUpload, url: str, length: int | None, *, is_whole: bool
    ) -> Progress:
        caller, body = requests.caller(request), Body(request)
        checks, foreseen = ((), ()) if is_whole else _of_part(request)

        def part() -> Part | LastPart:
            return self._uploading.part(
                caller,
                upload.image_id,
                upload.id,
                offset=0,
                length=length,
                is_last=is_whole,
                checks=checks,
                foreseen=foreseen,
            )

        inform, behind = _listens(request), partial(_behind_part, request)
        if inform is None:
            cancel = self._parts.cancelling(caller, upload)
            return await receive_first_part(body, part, cancel, self._threads, behind)
        limit = self._limit(self._uploading.settings.resumable_upload_ttl_h * 3600)
        told = {"Location": url, "Upload-Limit": limit, _INTEROP: str(INTEROP_VERSION)}
        tell = partial(inform, _UPLOAD_RESUMPTION_SUPPORTED, told)
        return await receive_part(body, part, self._threads, tell, behind)

    def _resumes(self, request: Request) -> bool:
        """Return whether an upload whose data comes at once can be resumed, and its client be told."""
        return (
            _listens(request) is not None
            # A digest behind the data would have to be foreseen by whoever goes on.
            and not structured.algorithms_behind_body(request.headers)
            and self._uploading.resumes(self._data.wanted_store(request))
        )

    async def show(self, request: Request) -> Response:
        self._tell_limits(request)
        caller, image_id, upload_id = named(request)
        progress = await self._threads.transfers.run(lambda: self._uploading.progress(caller, image_id, upload_id))
        return Response(status_code=204, headers=self._told(request, progress))

    async def append(self, request: Request) -> Response:
        self._tell_limits(request)
        if requests.media_type(request) != PARTIAL:
            raise NotPartial(requests.media_type(request))
        offset = structured.lenient_item(request.headers, "Upload-Offset", int)
        if offset is None or offset < 0:
            raise FieldMissing("Upload-Offset", "a number of bytes")
        is_last = structured.lenient_item(request.headers, "Upload-Complete", bool)
        if is_last is None:
            raise FieldMissing("Upload-Complete", "?0 or ?1")
        length = _length(request, offset) if is_last else requests.said_length(request.headers)
        digests = structured.digests(request.headers.raw, structured.REPR_DIGEST)
        checks, foreseen = _of_part(request)
        caller, image_id, upload_id = named(request)
        progress = await receive_part(
            Body(request),
            lambda: self._uploading.part(
                caller,
                image_id,
                upload_id,
                offset=offset,
                length=length,
                is_last=is_last,
                end=ends_at(request, offset),
                digests=digests,
                checks=checks,
                foreseen=foreseen,
            ),
            self._threads,
            behind=partial(_behind_part, request),
        )
        return Response(status_code=204, headers=self._told(request, progress))

    async def cancel(self, request: Request) -> Response:
        caller, image_id, upload_id = named(request)
        await self._threads.transfers.run(lambda: self._uploading.cancel(caller, image_id, upload_id))
        return Response(status_code=204)

    def _url(self, request: Request, image_id: str, upload_id: str) -> str:
        return f"{self._endpoint.of(request)}/v2/images/{image_id}/file/uploads/{upload_id}"

    def _limit(self, left_s: int | None = None) -> str:
        limit = f"max-size={self._uploading.settings.size_cap}"
        return limit if left_s is None else f"{limit}, max-age={left_s}"

    def _tell_limits(self, request: Request) -> None:
        """Say the limits in whatever is answered: 413 has to."""
        context(request.scope).told["Upload-Limit"] = self._limit()

    def _told(self, request: Request, progress: Progress) -> Mapping[str, str]:
        left_s = max(0, (progress.upload.expires_at - now()) // 1_000_000)
        told = {
            "Upload-Complete": f"?{progress.is_complete:d}",
            "Upload-Offset": str(progress.offset),
            "Upload-Limit": self._limit(left_s),
            _INTEROP: str(INTEROP_VERSION),
            "Cache-Control": "no-store",
        }
        if progress.length is not None:
            told["Upload-Length"] = str(progress.length)
        return told if progress.image is None else {**told, **repr_digest(progress.image, request)}


def _listens(request: Request) -> Inform | None:
    """Return what tells the client of its upload; ``None``: it knows no interim answer of this version of the draft."""
    speaks = structured.lenient_item(request.headers, _INTEROP, int) == INTEROP_VERSION
    return context(request.scope).inform if speaks else None


def _length(request: Request, offset: int) -> int | None:
    """Return how long all the data is whose last part this is, as far as the request says so.

    Raises:
        InconsistentLength: It says so twice, and not the same.
    """
    said = requests.said_length(request.headers)
    content = request.headers.get("content-length", "")
    if not content.isdigit():
        return said
    if said is not None and said != offset + int(content):
        raise InconsistentLength(said, offset + int(content))
    return offset + int(content)


def _of_part(request: Request) -> tuple[Digests, Collection[str]]:
    """Return what a part must hash to, and by which algorithms a digest of it may follow it."""
    digests = structured.digests(request.headers.raw, structured.CONTENT_DIGEST)
    return digests, structured.algorithms_behind_body(request.headers, structured.CONTENT_DIGEST)


def _behind_part(request: Request) -> Digests:
    return structured.digests(context(request.scope).trailers, structured.CONTENT_DIGEST)
