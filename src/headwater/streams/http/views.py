"""Views over HTTP: below ``/streams``, what a project shows to everybody, and what it sees.

=================================  ==================================================
``/streams/public/PROJECT``        what the project has made public, for everybody
``/streams/project``               what the caller's project sees
``/streams/project-and-community`` the same with the community images of other projects
``/streams/private/SECRET``        what a project sees, for who knows the secret
=================================  ==================================================

Below each are a feed (``streams/v1/index.json``), the files that it names, those for LXD and Incus below ``images``,
and lists of their checksums (``SHA256SUMS``), which are also there for each family of images
(``families/NAME/SHA256SUMS``).

What is not there is a plain 404 that repeats nothing of the path, in which a secret may stand; and a secret that leads
nowhere is answered as a file that is not there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headwater.http.context import context
from headwater.http.requests import caller
from headwater.http.routes import Face
from headwater.http.threads import InThread
from headwater.images.sharing.private_paths import BELOW as PRIVATE
from headwater.streams.format.layout import DIRECTORY
from headwater.streams.http.answers import answer
from headwater.streams.http.files import Files
from headwater.streams.http.pages import let_pages_read, preflight
from headwater.streams.live.document import StreamNotFound
from headwater.streams.views.checksums import LISTS
from headwater.streams.views.views import View, ViewNotFound, Views
from headwater.streams.writing.image_files import DIRECTORY as ROOTS

PUBLIC: Final = "/streams/public"
OWN: Final = "/streams/project"
WITH_COMMUNITY: Final = "/streams/project-and-community"
_LISTS: Final = frozenset(name for each in LISTS for name in (each, f"{each}.gpg"))
_READ_ONLY = Face(tells_methods=False)

Chosen = Callable[[Request], View]


def routes(views: Views, files: Files, in_thread: InThread, clock: Callable[[], float] = time.time) -> list[Route]:
    """Return the routes of all views. The server makes sure of callers before those that are a caller's own."""

    async def private(_request: Request) -> Response:
        raise ViewNotFound

    found: list[Route] = []
    for root, view in (
        (f"{PUBLIC}/{{project_id}}", lambda request: views.public(request.path_params["project_id"])),
        (OWN, lambda request: views.own(caller(request), with_community=False)),
        (WITH_COMMUNITY, lambda request: views.own(caller(request), with_community=True)),
        (f"{PRIVATE}/{{secret}}", lambda request: _secret(views, request)),
    ):
        handlers = _Handlers(views, files, in_thread, clock, view)
        for path, handler in (
            (f"{root}/{DIRECTORY}/{{name}}", handlers.stream),
            (f"{root}/families/{{family}}/{{name}}", handlers.of_family),
            (f"{root}/{ROOTS}/{{image_id}}/{{digest}}/{{name}}", handlers.root),
            (f"{root}/{{name}}", handlers.file),
        ):
            is_public = root.startswith(PUBLIC)
            found.append(
                _READ_ONLY.route(path, GET=handler, OPTIONS=preflight)
                if is_public
                else _READ_ONLY.route(path, GET=handler)
            )
    return [*found, _READ_ONLY.route(f"{PRIVATE}/{{path:path}}", GET=private)]


class _Handlers:
    """What answers below one root."""

    def __init__(
        self, views: Views, files: Files, in_thread: InThread, clock: Callable[[], float], view: Chosen
    ) -> None:
        self._views, self._files, self._in_thread, self._clock, self._view = views, files, in_thread, clock, view

    async def stream(self, request: Request) -> Response:
        return await self._document(request, f"{DIRECTORY}/{request.path_params['name']}")

    async def of_family(self, request: Request) -> Response:
        family, name = request.path_params["family"], request.path_params["name"]
        if name in _LISTS:
            return await self._document(request, f"families/{family}/{name}")
        return await self._file(request, name, family)

    async def root(self, request: Request) -> Response:
        said = request.path_params
        view = await self._in_thread(lambda: self._view(request))
        _tell(view, request)
        return await self._files.root(request, view, f"{ROOTS}/{said['image_id']}/{said['digest']}/{said['name']}")

    async def file(self, request: Request) -> Response:
        name = request.path_params["name"]
        return await (self._document(request, name) if name in _LISTS else self._file(request, name, None))

    async def _document(self, request: Request, name: str) -> Response:
        view = await self._in_thread(lambda: self._view(request))
        _tell(view, request)
        try:
            found = await self._in_thread(lambda: self._views.document(view, name))
        except StreamNotFound as error:
            raise ViewNotFound from error
        return await answer(found, request, int(self._clock()), self._in_thread, is_private=view.public_of is None)

    async def _file(self, request: Request, name: str, family: str | None) -> Response:
        view = await self._in_thread(lambda: self._view(request))
        _tell(view, request)
        return await self._files.answer(request, view, name, family)


def _tell(view: View, request: Request) -> None:
    """Let pages of every origin read what is for everybody, and who follows a link from a secret path not tell it."""
    if view.public_of is not None:
        let_pages_read(request)
    else:
        context(request.scope).told["Referrer-Policy"] = "no-referrer"


def _secret(views: Views, request: Request) -> View:
    view = views.secret(request.path_params["secret"])
    context(request.scope).caller = view.caller  # for the log: which path, and not its secret
    return view
