"""Image files of the live feed over HTTP: below ``images/images/`` of the path where the server mounts the feed.

Readers ask for parts, and take up what was broken off. What lies behind a path never changes, so its entity tag is its
hash; but it may be taken away, so caches ask again.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headwater.http.answers import content_answer
from headwater.http.conditions import is_held
from headwater.http.context import context
from headwater.http.filesend import OCTETS
from headwater.http.routes import Face
from headwater.http.threads import InThread, Threads
from headwater.identity.caller import Caller
from headwater.images.data.downloads import Downloads
from headwater.images.data.transfer import Sending
from headwater.streams.http.answers import part_of
from headwater.streams.http.pages import let_pages_read, preflight
from headwater.streams.live.files.serving import ServedFile, ServedFiles
from headwater.streams.writing.image_files import DIRECTORY

METADATA_TYPE = "application/x-xz"
_READ_ONLY = Face(names=("path",), tells_methods=False)


def files_route(files: ServedFiles, downloads: Downloads, in_thread: InThread, threads: Threads, below: str) -> Route:
    """Return the route of the files.

    Args:
        in_thread: Runs what asks the catalogue.
        threads: Run what moves data.
        below: The path where the feed begins.
    """
    sending = Sending(downloads, threads)

    async def get(request: Request) -> Response:
        let_pages_read(request)
        file, headers = await found(request)
        if is_held(request.headers, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        wanted = part_of(request.headers, file.size, headers["ETag"])
        if file.content is not None:
            return content_answer(file.content, wanted, headers | {"Content-Type": METADATA_TYPE})
        download = await in_thread(lambda: files.download(_anybody(request), file))
        if downloads.may_redirect(asked=False):
            url = await threads.transfers.run(lambda: downloads.direct_url(download))
            if url is not None:
                return Response(status_code=307, headers={**headers, "Location": url, "Cache-Control": "no-store"})
        return await sending.answer(download, wanted, headers)

    async def head(request: Request) -> Response:
        """Answer with what GET would say of all, without asking a store for it."""
        let_pages_read(request)
        file, headers = await found(request)
        if is_held(request.headers, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        kind = OCTETS if file.content is None else METADATA_TYPE
        return Response(headers={**headers, "Content-Length": str(file.size)}, media_type=kind)

    async def found(request: Request) -> tuple[ServedFile, dict[str, str]]:
        path = f"{DIRECTORY}/{request.path_params['path']}"
        file = await in_thread(lambda: files.find(path))
        return file, {
            "ETag": f'"{file.sha256}"',
            "Accept-Ranges": "bytes",
            "Cache-Control": "no-cache",
            "X-Content-Type-Options": "nosniff",
        }

    return _READ_ONLY.route(f"{below}/images/{DIRECTORY}/{{path}}", GET=get, HEAD=head, OPTIONS=preflight)


def _anybody(request: Request) -> Caller:
    """Return the caller of whom nobody makes sure."""
    client = request.client
    return Caller(request_id=context(request.scope).request_id, address=client.host if client else None)
