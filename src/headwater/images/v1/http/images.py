"""Handlers for images of the API v1: a description in headers, data in the body, both at once."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from headwater.errors import Invalid, PreconditionFailed
from headwater.http import requests, structured
from headwater.http.answers import json_answer
from headwater.http.conditions import require_as_expected
from headwater.http.context import context
from headwater.http.endpoint import Endpoint
from headwater.http.filesend import OCTETS
from headwater.http.threads import Threads
from headwater.images.catalogue.upload_records import ImageGone
from headwater.images.data.downloads import Downloads
from headwater.images.data.session import Digests
from headwater.images.data.transfer import Body, Sending, receive
from headwater.images.http.sizes import announced_size
from headwater.images.model import Image, Status
from headwater.images.v1.attributes import Description
from headwater.images.v1.deleted import Shown
from headwater.images.v1.http import headers, lists
from headwater.images.v1.http.documents import brief_document, image_document
from headwater.images.v1.images import ImagesV1, NotActive
from headwater.threads import Pool


class NotOctets(Invalid):
    """Data comes as bytes and says so."""

    def __init__(self, given: str) -> None:
        shown = f"not {given[:80]!r}" if given else "and the request has none"
        super().__init__(f"Content-Type must be {OCTETS}, {shown}")


class DeletedMeanwhile(PreconditionFailed):
    """The image was deleted while its data was on the way."""

    def __init__(self, image_id: str) -> None:
        super().__init__(
            f"Image {image_id} could not be found after upload. The image may have been deleted during the upload."
        )
        self.image_id = image_id


class ImageHandlers:
    """Requests in, use cases called, answers out."""

    def __init__(self, images: ImagesV1, downloads: Downloads, threads: Threads, endpoint: Endpoint) -> None:
        self._images = images
        self._downloads = downloads
        self._threads = threads
        self._endpoint = endpoint
        self._sending = Sending(downloads, threads)

    # --- In --------------------------------------------------------------------------------------

    async def create(self, request: Request) -> Response:
        asked = _read(request)
        said = asked.said
        # Source: Nova registers a snapshot that is nothing but its properties with the size 0, and expects it active.
        brings = asked.brings or (said.size == 0 and said.location is None and said.copy_from is None)
        caller = requests.caller(request)
        image = await self._pool(said).run(
            lambda: self._images.create(caller, said, brings=brings, length=asked.length)
        )
        if brings:
            image = await self._received(request, image, asked)
        place = self._place(request, image)
        return _answer(image, 201, {"Location": place, **_etag(image)})

    async def update(self, request: Request) -> Response:
        asked = _read(request)
        said, brings = asked.said, asked.brings
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        await self._require_as_expected(request, brings=brings)
        purge = headers.purges(request) and not brings
        image = await self._pool(said).run(
            lambda: self._images.update(caller, image_id, said, brings=brings, purge=purge, length=asked.length)
        )
        if brings:
            image = await self._received(request, image, asked)
        return _answer(image, 200, _etag(image))

    def _pool(self, said: Description) -> Pool:
        threads = self._threads
        return threads.catalogue if said.location is None and said.copy_from is None else threads.web

    async def _received(self, request: Request, image: Image, asked: _Asked) -> Image:
        caller = requests.caller(request)
        foreseen = structured.algorithms_behind_body(request.headers)
        try:
            after = await receive(
                Body(request),
                lambda: self._images.begin(
                    caller, image, asked.said, asked.length, digests=asked.digests, foreseen=foreseen
                ),
                self._threads,
                lambda: structured.digests_of_body(context(request.scope).trailers),
            )
        except ImageGone as error:
            raise DeletedMeanwhile(image.id) from error
        return await self._threads.catalogue.run(lambda: self._images.shown(caller, after))

    async def delete(self, request: Request) -> Response:
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        await self._require_as_expected(request)
        await self._threads.catalogue.run(lambda: self._images.delete(caller, image_id))
        return Response(status_code=200)

    async def _require_as_expected(self, request: Request, *, brings: bool = False) -> None:
        """Raise ``NotAsExpected`` when a condition of the request does not hold.

        Args:
            brings: The request brings data, which an image that has some refuses whatever is expected.
        """
        given = request.headers
        if "if-match" not in given and "if-none-match" not in given:
            return
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        image = (await self._threads.catalogue.run(lambda: self._images.show(caller, image_id))).image
        if brings and image.status is not Status.QUEUED:
            return
        # The API writes its tag without quotes; who follows RFC 9110 puts them around it.
        bare = {given.get(name, "").strip() for name in ("if-match", "if-none-match")}
        tag = None if not image.checksum else image.checksum if image.checksum in bare else f'"{image.checksum}"'
        require_as_expected(given, tag)

    # --- Out -------------------------------------------------------------------------------------

    async def index(self, request: Request) -> Response:
        found = await self._page(request)
        return json_answer({"images": [brief_document(each) for each in found]})

    async def detail(self, request: Request) -> Response:
        found = await self._page(request)
        return json_answer({"images": [image_document(each) for each in found]})

    async def _page(self, request: Request) -> list[Shown]:
        wanted = lists.wanted(request.query_params.multi_items(), self._images.settings)
        caller = requests.caller(request)
        return await self._threads.catalogue.run(lambda: self._images.page(caller, wanted))

    async def head(self, request: Request) -> Response:
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        shown = await self._threads.catalogue.run(lambda: self._images.show(caller, image_id))
        image = shown.image
        # What GET would send. An image without data is shown too, though GET has nothing to send.
        size = image.size or 0 if image.status is Status.ACTIVE else 0
        headers = {**_etag(image), "Content-Length": str(size)}
        return self._with_headers(request, Response(headers=headers, media_type=OCTETS if size else None), shown)

    async def download(self, request: Request) -> Response:
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        found = await self._threads.catalogue.run(lambda: self._downloads.open(caller, image_id))
        if found is None:
            raise NotActive(image_id)
        answer = await self._sending.answer(found, None, _etag(found.image))
        shown = await self._threads.catalogue.run(lambda: self._images.shown(caller, found.image))
        self._with_headers(request, answer, Shown(shown))
        if not found.image.checksum:
            # python-glanceclient compares the data with whatever this header says, nothing included.
            answer.raw_headers.remove((b"x-image-meta-checksum", b""))
        return answer

    def _with_headers(self, request: Request, answer: Response, shown: Shown) -> Response:
        answer.raw_headers.append((b"location", self._place(request, shown.image).encode()))
        answer.raw_headers.extend(headers.shown(image_document(shown)))
        return answer

    def _place(self, request: Request, image: Image) -> str:
        return f"{self._endpoint.of(request)}/v1/images/{image.id}"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request says, of an image and of the data that it brings."""

    said: Description
    brings: bool = False
    length: int | None = None  # of the data; None: it is not known
    digests: Digests = ()


def _read(request: Request) -> _Asked:
    """Return what a request says.

    Raises:
        NotOctets: It brings something else.
        PartOfABody: It brings a part of the data.
        SizeMismatch: Two headers contradict each other.
        MalformedDigest: A digest of the data cannot be read.
    """
    said = headers.description(request)
    given = request.headers.get("content-length", "")
    if not (given.isdigit() and int(given)) and "transfer-encoding" not in request.headers:
        return _Asked(said)
    if requests.media_type(request) != OCTETS:
        raise NotOctets(requests.media_type(request))
    requests.require_whole(request.headers)
    digests = structured.digests_of_body(request.headers.raw)
    return _Asked(said, True, announced_size(request.headers), digests)


def _etag(image: Image) -> dict[str, str]:
    return {"ETag": image.checksum} if image.checksum else {}


def _answer(image: Image, status: int, more: dict[str, str]) -> Response:
    return json_answer({"image": image_document(Shown(image))}, status, more)
