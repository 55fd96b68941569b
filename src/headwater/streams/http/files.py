"""The files of images under the names that feeds give them, by the same way as downloads of the Image API."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from headwater.http import structured
from headwater.http.answers import content_answer
from headwater.http.conditions import is_held
from headwater.http.context import context
from headwater.http.threads import Threads
from headwater.identity.caller import Caller
from headwater.images.catalogue.deletions.pending_deletes import PendingDelete
from headwater.images.data.downloads import Download, Downloads
from headwater.images.data.transfer import Sending
from headwater.images.model import Image
from headwater.streams.http.answers import part_of
from headwater.streams.trees.tree import media_type_of
from headwater.streams.views.views import View, ViewNotFound, Views


class Files:
    """Requests for files of views, answered."""

    def __init__(self, views: Views, downloads: Downloads, threads: Threads) -> None:
        self._views, self._downloads, self._threads = views, downloads, threads
        self._sending = Sending(downloads, threads)

    async def answer(self, request: Request, view: View, name: str, family: str | None) -> Response:
        """Return the answer to a GET or a HEAD.

        Raises:
            ViewNotFound: The view has no such file.
            RangeNotSatisfiable, NotAsExpected: As their names say.
            HeadwaterError: As ``Downloads.open`` says.
        """
        found = await self._threads.catalogue.run(lambda: self._views.file(view, name, family))
        return await self._data(request, view, name, found)

    async def root(self, request: Request, view: View, path: str) -> Response:
        """Return the answer to a GET or a HEAD of what LXD and Incus read, which lies at a path below the view.

        Raises:
            HeadwaterError: As ``answer`` says.
        """
        found = await self._threads.catalogue.run(lambda: self._views.root(view, path))
        name = path.rpartition("/")[2]
        if found.content is None:
            return await self._data(request, view, name, found.kept or found.image)
        headers = {**_told(view, name), "ETag": f'"{found.sha256}"'}
        if is_held(request.headers, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        return content_answer(found.content, part_of(request.headers, found.size, headers["ETag"]), headers)

    async def _data(self, request: Request, view: View, name: str, image: Image | PendingDelete) -> Response:
        reader = _reader(view, request)
        if isinstance(image, PendingDelete):
            return await self._kept(request, view, name, reader, image)
        if request.method == "HEAD":
            described = await self._threads.catalogue.run(lambda: self._downloads.describe(reader, image.id))
            return self._described(request, view, name, described)
        found = await self._threads.catalogue.run(lambda: self._downloads.open(reader, image.id))
        if found is None:
            raise ViewNotFound
        self._views.require_shown(view, found.image)
        return await self._sent(request, view, name, found)

    async def _kept(self, request: Request, view: View, name: str, reader: Caller, kept: PendingDelete) -> Response:
        """Return the answer of the data of an image that is deleted."""
        run, opened = self._threads.catalogue.run, partial(self._downloads.open_kept, reader, kept, by_policy=True)
        if request.method == "HEAD":
            await run(lambda: self._downloads.require_kept(reader, kept))
            return self._described(request, view, name, kept.image)
        return await self._sent(request, view, name, await run(opened))

    async def _sent(self, request: Request, view: View, name: str, found: Download) -> Response:
        headers, size = _headers(view, name, found.image), found.image.size or 0
        if is_held(request.headers, headers.get("ETag")):
            return Response(status_code=304, headers=headers)
        wanted = part_of(request.headers, size, headers.get("ETag"))
        return await self._sending.answer(found, wanted, headers)

    def _described(self, request: Request, view: View, name: str, image: Image | None) -> Response:
        if image is None:
            raise ViewNotFound
        self._views.require_shown(view, image)
        headers = _headers(view, name, image)
        if is_held(request.headers, headers.get("ETag")):
            return Response(status_code=304, headers=headers)
        return Response(headers={**headers, "Content-Length": str(image.size or 0)})


def _reader(view: View, request: Request) -> Caller:
    """Return in whose name the data is read, as the audit trail has it."""
    client, known = request.scope.get("client"), context(request.scope)
    return replace(view.caller, request_id=known.request_id, address=client[0] if client else None)


def _headers(view: View, name: str, image: Image) -> dict[str, str]:
    headers = _told(view, name)
    if image.os_hash_value:
        headers["ETag"] = f'"{image.os_hash_value}"'
        told = structured.digest_field({image.os_hash_algo or "": image.os_hash_value}, None)
        headers |= {} if told is None else {structured.REPR_DIGEST: told}
    return headers


def _told(view: View, name: str) -> dict[str, str]:
    return {
        "Accept-Ranges": "bytes",
        "Content-Type": media_type_of(name),
        # No character of a name means anything here: see ``views/names.py``.
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-cache" if view.public_of is not None else "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
