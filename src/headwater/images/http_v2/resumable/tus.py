"""Handlers for the same uploads by tus 1.0, which browsers' libraries speak.

Source: https://tus.io/protocols/resumable-upload, version 1.0.0. An upload is complete there when its last byte has
come, and nobody says so: the part that reaches the length is the last one. Where that could not be known before, or
the request broke off between the last byte and its answer, all that is left is done by whoever asks next.

Of ``Upload-Metadata`` the name of the file is kept, as that of an image which has none; the rest would say again what
images say themselves.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from email.utils import formatdate

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from headwater.errors import Invalid, PreconditionFailed, UnsupportedMedia
from headwater.http import requests, structured
from headwater.http.context import context
from headwater.http.endpoint import Endpoint
from headwater.http.routes import Handler, MethodNotAllowed
from headwater.http.threads import Threads
from headwater.http.values import whole
from headwater.images.catalogue.resumed.resumable_uploads import ResumableUpload
from headwater.images.data.resumable.checked import PartMismatch
from headwater.images.data.resumable.parts import LastPart, Part, Progress
from headwater.images.data.resumable.receiving import receive_first_part, receive_part
from headwater.images.data.resumable.uploads import ResumableUploading
from headwater.images.data.session import Digests
from headwater.images.data.transfer import Body
from headwater.images.http_v2.data import DataHandlers
from headwater.images.http_v2.resumable.parts import FieldMissing, Parts, ends_at, has_body, named

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,creation-defer-length,expiration,termination,checksum"
PART = "application/offset+octet-stream"
ALGORITHMS = ("sha1", "sha256", "sha512", "md5")  # hashlib calls them so too; the protocol wants the first
_CHECKSUM_MISMATCH = 460
_LONGEST_NAME = 255  # of an image


class OtherVersion(PreconditionFailed):
    """The client speaks another version of tus, or none."""

    def __init__(self, given: str) -> None:
        super().__init__(f"The header Tus-Resumable must be {VERSION}, not {given[:40]!r}")
        self.headers = {"Tus-Version": VERSION}


class NotATusPart(UnsupportedMedia):
    """A part of an upload says that it is one."""

    def __init__(self, given: str) -> None:
        super().__init__(f"Unsupported Content-Type {given[:80]!r}: a part of an upload by tus is sent as {PART}")


class MalformedChecksum(Invalid):
    """A checksum of a part that no part could have."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The header Upload-Checksum {reason}: send one of {', '.join(ALGORITHMS)}, a space, "
            "and the digest in base64"
        )


class MalformedMetadata(Invalid):
    """What a client says of a file cannot be read."""

    def __init__(self) -> None:
        super().__init__(
            "The header Upload-Metadata cannot be read: its pairs are divided by commas, each a key, and a space and "
            "UTF-8 in base64 where it has a value; a file name has 255 characters at most"
        )


class TusHandlers:
    """Requests in, use cases called, answers out."""

    def __init__(self, uploading: ResumableUploading, data: DataHandlers, threads: Threads, endpoint: Endpoint) -> None:
        self._uploading = uploading
        self._threads = threads
        self._endpoint = endpoint
        self._parts = Parts(uploading, data, threads)

    def offered(self) -> Mapping[str, str]:
        """Return what OPTIONS tells a client that wants to know what can be done."""
        if not self._uploading.is_offered:
            return {}
        return {
            "Tus-Resumable": VERSION,
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
            "Tus-Max-Size": str(self._uploading.settings.size_cap),
        }

    async def create(self, request: Request) -> Response:
        """Begin an upload; its first part may be there already."""
        _require_version(request)
        length = _bytes(request, "Upload-Length")
        if (length is None) != (request.headers.get("upload-defer-length") == "1"):
            raise FieldMissing("Upload-Length", "a number of bytes, and Upload-Defer-Length is not 1 instead")
        name = _file_name(request)
        if has_body(request):
            _require_part(request)
        digests = structured.digests(request.headers.raw, structured.REPR_DIGEST)
        upload = await self._parts.begun(request, length, digests, self._url, name=name)
        progress = Progress(upload, 0, length, is_complete=False)
        if has_body(request):
            try:
                progress = await self._first_part(request, upload, length)
            except PartMismatch as mismatch:
                return _refused(mismatch)
        progress = await self._completed(request, upload.id, progress)
        url = self._url(request, upload.image_id, upload.id)
        return Response(status_code=201, headers={"Location": url, **_told(progress)})

    async def _first_part(self, request: Request, upload: ResumableUpload, length: int | None) -> Progress:
        caller, checks = requests.caller(request), _checksum(request)

        def part() -> Part | LastPart:
            end = ends_at(request, 0)
            return self._uploading.part(
                caller, upload.image_id, upload.id, offset=0, length=length, is_last=None, end=end, checks=checks
            )

        cancel = self._parts.cancelling(caller, upload)
        return await receive_first_part(Body(request), part, cancel, self._threads)

    async def show(self, request: Request) -> Response:
        _require_version(request)
        caller, image_id, upload_id = named(request)
        progress = await self._threads.transfers.run(lambda: self._uploading.progress(caller, image_id, upload_id))
        progress = await self._completed(request, upload_id, progress)
        return Response(status_code=204, headers=_told(progress))

    async def append(self, request: Request) -> Response:
        _require_version(request)
        _require_part(request)
        offset = _bytes(request, "Upload-Offset")
        if offset is None:
            raise FieldMissing("Upload-Offset", "a number of bytes")
        length, end, checks = _bytes(request, "Upload-Length"), ends_at(request, offset), _checksum(request)
        caller, image_id, upload_id = named(request)

        def part() -> Part | LastPart:
            return self._uploading.part(
                caller, image_id, upload_id, offset=offset, length=length, is_last=None, end=end, checks=checks
            )

        try:
            progress = await receive_part(Body(request), part, self._threads)
        except PartMismatch as mismatch:
            return _refused(mismatch)
        progress = await self._completed(request, upload_id, progress)
        return Response(status_code=204, headers=_told(progress))

    async def cancel(self, request: Request) -> Response:
        _require_version(request)
        caller, image_id, upload_id = named(request)
        await self._threads.transfers.run(lambda: self._uploading.cancel(caller, image_id, upload_id))
        return Response(status_code=204)

    async def override(self, request: Request) -> Response:
        """Do what the method does that the client means: some browsers and proxies know neither PATCH nor DELETE."""
        by_method: dict[str, Handler] = {"PATCH": self.append, "DELETE": self.cancel, "HEAD": self.show}
        meant = request.headers.get("x-http-method-override", "")
        if meant not in by_method:
            raise MethodNotAllowed(meant or request.method, request.url.path, sorted(by_method))
        return await by_method[meant](request)

    async def _completed(self, request: Request, upload_id: str, progress: Progress) -> Progress:
        """Return the progress once the image has the data, if all of it is there."""
        if progress.is_complete or progress.offset != progress.length:
            return progress
        caller, image_id, offset = requests.caller(request), progress.upload.image_id, progress.offset
        return await self._threads.transfers.run(lambda: self._uploading.complete(caller, image_id, upload_id, offset))

    def _url(self, request: Request, image_id: str, upload_id: str) -> str:
        return f"{self._endpoint.of(request)}/v2/images/{image_id}/file/tus/{upload_id}"


def _told(progress: Progress) -> Mapping[str, str]:
    length = {"Upload-Defer-Length": "1"} if progress.length is None else {"Upload-Length": str(progress.length)}
    return {
        "Upload-Offset": str(progress.offset),
        "Upload-Expires": formatdate(progress.upload.expires_at / 1_000_000, usegmt=True),
        "Cache-Control": "no-store",
        **length,
    }


def _bytes(request: Request, name: str) -> int | None:
    """Return the number that a header has: tus bounds its digits no more than HTTP does."""
    number = whole(request.headers.get(name, ""))
    return number if number is not None and number >= 0 else None


def _require_version(request: Request) -> None:
    context(request.scope).told["Tus-Resumable"] = VERSION
    given = request.headers.get("tus-resumable", "")
    if given != VERSION:
        raise OtherVersion(given)


def _require_part(request: Request) -> None:
    if requests.media_type(request) != PART:
        raise NotATusPart(requests.media_type(request))
    _checksum(request)


def _checksum(request: Request) -> Digests:
    """Return what the part in a request must hash to.

    Raises:
        MalformedChecksum: No part could.
    """
    given = request.headers.get("upload-checksum")
    if given is None:
        return ()
    algorithm, _, encoded = given.strip().partition(" ")
    if algorithm not in ALGORITHMS:
        raise MalformedChecksum(f"names no algorithm that is known here, but {algorithm[:40]!r}")
    try:
        digest = base64.b64decode(encoded.strip(), validate=True)
    except ValueError as error:
        raise MalformedChecksum("has no base64") from error
    length = hashlib.new(algorithm, usedforsecurity=False).digest_size
    if len(digest) != length:
        raise MalformedChecksum(f"has {len(digest)} bytes, and a digest by {algorithm} has {length}")
    return ((algorithm, digest),)


def _file_name(request: Request) -> str | None:
    """Return the name that a client has for the file; ``None``: it says none.

    Raises:
        MalformedMetadata: It says what is nothing.
    """
    found: dict[str, str] = {}
    for pair in request.headers.get("upload-metadata", "").split(","):
        key, _, encoded = pair.strip().partition(" ")
        try:
            if key in found:
                raise MalformedMetadata
            found[key] = base64.b64decode(encoded.strip(), validate=True).decode()
        except ValueError as error:
            raise MalformedMetadata from error
    name = found.get("filename") or found.get("name") or None  # Source: tus-js-client and Uppy have one of these
    if name is not None and (len(name) > _LONGEST_NAME or any(ord(each) < ord(" ") for each in name)):
        raise MalformedMetadata
    return name


def _refused(mismatch: PartMismatch) -> Response:
    """Return an answer whose status only tus knows, and so no table of ours: nothing of the part is kept."""
    headers = {"Upload-Offset": str(mismatch.offset), "Cache-Control": "no-store"}
    return PlainTextResponse(mismatch.told, _CHECKSUM_MISMATCH, headers)
