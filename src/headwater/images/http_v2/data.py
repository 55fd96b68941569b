"""Handlers for an image's data: what is asked for and what is announced. ``data/transfer.py`` moves the bytes."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from headwater.errors import Invalid, UnsupportedMedia
from headwater.http import requests
from headwater.http.conditions import is_held, wanted_range
from headwater.http.numbers import whole
from headwater.http.threads import Threads
from headwater.images.data.downloads import Downloads
from headwater.images.data.session import SizeMismatch
from headwater.images.data.transfer import OCTETS, Body, Sending, receive
from headwater.images.data.uploads import Uploads
from headwater.images.imports.staging import Staging
from headwater.images.model import Image


class NotOctets(UnsupportedMedia):
    """Data comes as bytes and says so."""

    def __init__(self, given: str) -> None:
        shown = f"not {given[:80]!r}" if given else "and the request has none"
        super().__init__(f"Unsupported Content-Type: image data is sent as {OCTETS}, {shown}")


class BadSizeHeader(Invalid):
    """A size that is not a size."""

    def __init__(self, given: str) -> None:
        super().__init__(f"The header X-OpenStack-Image-Size must be a whole number of bytes, not {given[:40]!r}")


class DataHandlers:
    """Requests in, use cases called, bytes moved."""

    def __init__(self, uploads: Uploads, staging: Staging, downloads: Downloads, threads: Threads) -> None:
        self._uploads = uploads
        self._staging = staging
        self._downloads = downloads
        self._threads = threads
        self._sending = Sending(downloads, threads)

    # --- In --------------------------------------------------------------------------------------

    async def upload(self, request: Request) -> Response:
        if requests.media_type(request) != OCTETS:
            raise NotOctets(requests.media_type(request))
        size = _announced_size(request)
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        await receive(Body(request), lambda: self._uploads.begin(caller, image_id, size), self._threads)
        return Response(status_code=204)

    async def stage(self, request: Request) -> Response:
        if requests.media_type(request) != OCTETS:
            raise NotOctets(requests.media_type(request))
        size = _announced_size(request)
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        await receive(Body(request), lambda: self._staging.begin(caller, image_id, size), self._threads)
        return Response(status_code=204)

    # --- Out -------------------------------------------------------------------------------------

    async def download(self, request: Request) -> Response:
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        found = await self._threads.catalogue.run(lambda: self._downloads.open(caller, image_id))
        if found is None:
            return Response(status_code=204)
        size = found.image.size or 0
        headers = _data_headers(found.image)
        if is_held(request.headers, headers.get("ETag")):
            return Response(status_code=304, headers=headers)
        wanted = wanted_range(request.headers, size, headers.get("ETag"))
        if wanted is None:
            return await self._sending.whole(found, headers, 200)
        headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{size}"
        if len(wanted) == size:
            return await self._sending.whole(found, headers, 206)
        headers["Content-Length"] = str(len(wanted))
        return await self._sending.streamed(found, wanted, headers, 206)

    async def describe(self, request: Request) -> Response:
        """Answer HEAD with what GET would say of all the data, without asking a store for it."""
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        image = await self._threads.catalogue.run(lambda: self._downloads.describe(caller, image_id))
        if image is None:
            return Response(status_code=204)
        headers = _data_headers(image)
        if is_held(request.headers, headers.get("ETag")):
            return Response(status_code=304, headers=headers)
        return Response(headers={**headers, "Content-Length": str(image.size or 0)}, media_type=OCTETS)


def _announced_size(request: Request) -> int | None:
    """Return how many bytes will come, if the client said so.

    Raises:
        BadSizeHeader: The header is not a number.
        SizeMismatch: It contradicts Content-Length.
    """
    length = request.headers.get("content-length")
    size = int(length) if length is not None and length.isdigit() else None
    header = request.headers.get("x-openstack-image-size")
    if header is None:
        return size
    announced = whole(header)
    if announced is None or header.startswith("-"):
        raise BadSizeHeader(header)
    if size is not None and size != announced:
        raise SizeMismatch(announced, size)
    return announced


def _data_headers(image: Image) -> dict[str, str]:
    headers = {"Accept-Ranges": "bytes"}
    if image.checksum:
        headers["Content-MD5"] = image.checksum  # hex, not base64: what every client of Glance compares
    if image.os_hash_value:
        headers["ETag"] = f'"{image.os_hash_value}"'
    return headers
