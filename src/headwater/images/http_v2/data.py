"""Handlers for an image's data: what is asked for and what is announced. ``data/transfer.py`` moves the bytes."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from headwater.errors import Invalid, UnsupportedMedia
from headwater.http import requests, structured
from headwater.http.conditions import is_held, require_as_expected, wanted_range
from headwater.http.context import context
from headwater.http.filesend import OCTETS
from headwater.http.paging import once
from headwater.http.threads import Threads
from headwater.http.values import whole
from headwater.images.data.downloads import Downloads
from headwater.images.data.session import Terms
from headwater.images.data.transfer import Body, Sending, receive
from headwater.images.data.uploads import Uploads
from headwater.images.http import sizes
from headwater.images.imports.staging import Staging
from headwater.images.locations.known_stores import KnownStores
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

    def __init__(
        self, uploads: Uploads, staging: Staging, downloads: Downloads, known: KnownStores, threads: Threads
    ) -> None:
        self._known = known
        self._uploads = uploads
        self._staging = staging
        self._downloads = downloads
        self._threads = threads
        self._sending = Sending(downloads, threads)

    # --- In --------------------------------------------------------------------------------------

    async def upload(self, request: Request) -> Response:
        return await self._taken(request, self._uploads, self.wanted_store(request))

    async def stage(self, request: Request) -> Response:
        return await self._taken(request, self._staging, None)

    async def _taken(self, request: Request, uploads: Uploads, store: str | None) -> Response:
        if requests.media_type(request) != OCTETS:
            raise NotOctets(requests.media_type(request))
        requests.require_whole(request.headers)
        size = announced_size(request)
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        terms = Terms(
            store=store,
            digests=structured.digests_of_body(request.headers.raw),
            foreseen=structured.algorithms_behind_body(request.headers),
            may_come=lambda: require_as_expected(request.headers, None, is_there=False),
        )
        await receive(
            Body(request),
            lambda: uploads.begin(caller, image_id, size, terms),
            self._threads,
            lambda: structured.digests_of_body(context(request.scope).trailers),
        )
        return Response(status_code=204)

    def wanted_store(self, request: Request) -> str | None:
        """Return the store that an upload names; ``None``: the usual one."""
        return self._known.wanted(request.headers.get("x-image-meta-store"))

    # --- Out -------------------------------------------------------------------------------------

    async def download(self, request: Request) -> Response:
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        prefer = self._known.preferred(once(request.query_params.multi_items(), ("prefer",)).get("prefer"))
        found = await self._threads.catalogue.run(lambda: self._downloads.open(caller, image_id, prefer))
        if found is None:
            return Response(status_code=204)
        size = found.image.size or 0
        headers = _data_headers(found.image, request)
        if is_held(request.headers, headers.get("ETag")):
            return Response(status_code=304, headers=headers)
        wanted = wanted_range(request.headers, size, headers.get("ETag"))
        asked = _prefers_redirect(request)
        if self._downloads.may_redirect(asked=asked):
            url = await self._threads.transfers.run(lambda: self._downloads.direct_url(found))
            if url is not None:
                return _elsewhere(url, headers, asked=asked)
        if wanted is None or not found.gives_parts:
            headers.update(_content_digest(found.image, request))
        return await self._sending.answer(found, wanted, headers)

    async def describe(self, request: Request) -> Response:
        """Answer HEAD with what GET would say of all the data, without asking a store for it."""
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        image = await self._threads.catalogue.run(lambda: self._downloads.describe(caller, image_id))
        if image is None:
            return Response(status_code=204)
        headers = _data_headers(image, request)
        if is_held(request.headers, headers.get("ETag")):
            return Response(status_code=304, headers=headers)
        headers.update(_content_digest(image, request))
        return Response(headers={**headers, "Content-Length": str(image.size or 0)}, media_type=OCTETS)


def announced_size(request: Request) -> int | None:
    """Return how many bytes will come, if the client said so.

    Raises:
        BadSizeHeader: The header is not a number.
        SizeMismatch: Two headers contradict each other.
    """
    others = [_size(header) for header in request.headers.getlist("x-openstack-image-size")]
    return sizes.announced_size(request.headers, *others)


def _size(header: str) -> int:
    size = whole(header)
    if size is None or header.startswith("-"):
        raise BadSizeHeader(header)
    return size


def _prefers_redirect(request: Request) -> bool:
    """Return whether the client says that it follows. Source: RFC 7240."""
    given = ",".join(request.headers.getlist("prefer")).split(",")
    return any(each.partition(";")[0].strip().lower() == "redirect" for each in given)


def _elsewhere(url: str, headers: dict[str, str], *, asked: bool) -> Response:
    """Return the answer that sends a client to a store, with what it needs to check what it gets there."""
    applied = {"Preference-Applied": "redirect"} if asked else {}
    # The address is a secret.
    more = {"Location": url, "Cache-Control": "no-store", "Vary": "Prefer", **applied}
    return Response(status_code=307, headers={**headers, **more})


def _data_headers(image: Image, request: Request) -> dict[str, str]:
    headers = {"Accept-Ranges": "bytes"}
    if image.checksum:
        headers["Content-MD5"] = image.checksum  # hex, not base64: what every client of Glance compares
    if image.os_hash_value:
        headers["ETag"] = f'"{image.os_hash_value}"'
    headers.update(repr_digest(image, request))
    return headers


def repr_digest(image: Image, request: Request) -> dict[str, str]:
    """Return the header that tells the digest of an image's data, the one that the client wants if it says so."""
    wanted = structured.wanted_digests(request.headers, structured.REPR_DIGEST)
    told = structured.digest_field(_hashed(image), wanted)
    return {} if told is None else {structured.REPR_DIGEST: told}


def _content_digest(image: Image, request: Request) -> dict[str, str]:
    """Return the digest of an answer that carries all of the data, for a client that wants it."""
    wanted = structured.wanted_digests(request.headers, structured.CONTENT_DIGEST)
    told = structured.digest_field(_hashed(image), wanted) if wanted is not None else None
    return {structured.CONTENT_DIGEST: told} if told is not None else {}


def _hashed(image: Image) -> dict[str, str]:
    """Return what is known of the data's hashes, by hashlib's names of the algorithms."""
    known = {"md5": image.checksum, image.os_hash_algo or "": image.os_hash_value}
    return {name: value for name, value in known.items() if value}
