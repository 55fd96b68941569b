"""Handlers for an image's data: what is asked for and what is announced. ``http/transfer.py`` moves the bytes."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from headwater.errors import Invalid, RangeNotSatisfiable, UnsupportedMedia
from headwater.images.downloads import Download, Downloads
from headwater.images.http.threads import Threads
from headwater.images.http.transfer import OCTETS, Body, Sending, receive
from headwater.images.http_v2 import requests
from headwater.images.uploads import SizeMismatch, Uploads


class NotOctets(UnsupportedMedia):
    """Data comes as bytes and says so."""

    def __init__(self, given: str) -> None:
        shown = f"not {given[:80]!r}" if given else "and the request has none"
        super().__init__(f"Unsupported Content-Type: image data is sent as {OCTETS}, {shown}")


class BadSizeHeader(Invalid):
    """A size that is not a size."""

    def __init__(self, given: str) -> None:
        super().__init__(f"The header X-OpenStack-Image-Size must be a whole number of bytes, not {given[:40]!r}")


class SeveralRanges(Invalid):
    """More than one range in one request."""

    def __init__(self) -> None:
        super().__init__("Multiple ranges are not supported: ask for one range in each request")


class DataHandlers:
    """Requests in, use cases called, bytes moved."""

    def __init__(self, uploads: Uploads, downloads: Downloads, threads: Threads) -> None:
        self._uploads = uploads
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

    # --- Out -------------------------------------------------------------------------------------

    async def download(self, request: Request) -> Response:
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        found = await self._threads.catalogue.run(lambda: self._downloads.open(caller, image_id))
        if found is None:
            return Response(status_code=204)
        size = found.image.size or 0
        headers = _data_headers(found)
        if _unchanged(request, headers.get("ETag")):
            return Response(status_code=304, headers=headers)
        wanted = _range(request, size, headers.get("ETag"))
        if wanted is None:
            return await self._sending.whole(found, headers, 200)
        headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{size}"
        if len(wanted) == size:
            return await self._sending.whole(found, headers, 206)
        headers["Content-Length"] = str(len(wanted))
        return await self._sending.streamed(found, wanted, headers, 206)


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
    if not re.fullmatch(r"[0-9]{1,18}", header):
        raise BadSizeHeader(header)
    if size is not None and size != int(header):
        raise SizeMismatch(int(header), size)
    return int(header)


def _data_headers(found: Download) -> dict[str, str]:
    headers = {"Accept-Ranges": "bytes"}
    if found.image.checksum:
        headers["Content-MD5"] = found.image.checksum  # hex, not base64: what every client of Glance compares
    if found.image.os_hash_value:
        headers["ETag"] = f'"{found.image.os_hash_value}"'
    return headers


def _unchanged(request: Request, etag: str | None) -> bool:
    given = request.headers.get("if-none-match")
    if given is None or etag is None:
        return False
    return given.strip() == "*" or etag in [each.strip().removeprefix("W/") for each in given.split(",")]


def _range(request: Request, size: int, etag: str | None) -> range | None:
    """Return the bytes asked for; ``None`` when all are.

    Raises:
        SeveralRanges: There is more than one range.
        RangeNotSatisfiable: It is malformed, or begins after the end.
    """
    header = request.headers.get("range")
    if header is None:
        # Source: clients of the v2.0 API ask with a Content-Range header in the request.
        legacy = request.headers.get("content-range")
        if legacy is None:
            return None
        match = re.fullmatch(r"bytes ([0-9]+)-([0-9]+)/(?:\*|[0-9]+)", legacy.strip())
        header = f"bytes={match[1]}-{match[2]}" if match else legacy
    condition = request.headers.get("if-range")
    if condition is not None and condition.strip() != etag:
        return None
    if "," in header:
        raise SeveralRanges
    match = re.fullmatch(r"bytes=\s*([0-9]{0,18})-([0-9]{0,18})\s*", header)
    if match is None or not (match[1] or match[2]):
        raise RangeNotSatisfiable(f"The range {header[:80]!r} is not of the form bytes=FIRST-LAST", size)
    if match[1]:
        start, stop = int(match[1]), min(int(match[2] or size - 1) + 1, size)
    else:
        start, stop = max(0, size - int(match[2])), size
    if start >= stop:
        raise RangeNotSatisfiable(f"The range {header[:80]!r} is outside the {size} bytes of the image", size)
    return range(start, stop)
