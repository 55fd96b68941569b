"""Served trees over HTTP: ``/trees/NAME/PATH``, and Juju's agents at ``/tools/PATH``.

Everybody reads them, pages of other origins too. What is not there is a plain 404: Juju tries the next name after that
only. There are no lists.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route, Router

from headwater.caching.fills import Fill
from headwater.caching.pieces import PIECE, pieces_of
from headwater.errors import HeadwaterError, NotFound
from headwater.http.answers import part_headers
from headwater.http.conditions import is_held, takes_gzip
from headwater.http.filesend import FileFailed, SentFile, SentGrowing, in_turn
from headwater.http.routes import Below, Face
from headwater.streams.http.answers import part_of
from headwater.streams.http.pages import let_pages_read, preflight
from headwater.streams.trees.served.file import NotInTree, ServedFile, ServedTree, Source, TreeDown
from headwater.streams.trees.served.packing import LEAST, MOST, Packed
from headwater.threads import Pool

TREES: Final = "/trees"
TOOLS: Final = "/tools"
_TRIES: Final = 3  # of a fetch that other processes began and were killed in
_READ_ONLY: Final = Face(names=("path",), tells_methods=False)


class TreeNotFound(NotFound):
    """No tree of this name is served."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no tree {name[:80]!r} is served here; the settings name them in [streams.trees.NAME]")
        self.name = name


def routes(
    trees: Mapping[str, ServedTree],
    agents: ServedTree,
    near: Pool,
    far: Pool,
    clock: Callable[[], float] = time.time,
) -> list[Route | Mount]:
    """Return the routes of all served trees. They raise our errors; the server turns these into answers.

    Args:
        agents: The tree at ``/tools``.
        near: Threads for what lies on this machine.
        far: Threads that wait for servers, so that nobody else does when these are slow.
    """
    serving = _Serving(near, far, clock)

    async def of_tree(request: Request) -> Response:
        name = request.path_params["name"]
        tree = trees.get(name)
        if tree is None:
            raise TreeNotFound(name)
        return await serving.answer(tree, request.path_params["path"], request)

    async def of_agents(request: Request) -> Response:
        return await serving.answer(agents, request.path_params["path"], request)

    async def unknown(request: Request) -> Response:
        raise TreeNotFound(request.path_params.get("path", "").strip("/"))

    in_trees = [
        _READ_ONLY.route("/{name}/{path}", GET=of_tree, OPTIONS=preflight),
        _READ_ONLY.route("/{path:path}", GET=unknown),
    ]
    in_agents = [_READ_ONLY.route("/{path}", GET=of_agents, OPTIONS=preflight)]
    return [
        Below(TREES, Router(in_trees, redirect_slashes=False)),
        _READ_ONLY.route(TREES, GET=unknown),
        Below(TOOLS, Router([*in_agents, _READ_ONLY.route("/", GET=unknown)], redirect_slashes=False)),
        _READ_ONLY.route(TOOLS, GET=unknown),
    ]


class _Serving:
    def __init__(self, near: Pool, far: Pool, clock: Callable[[], float]) -> None:
        self._near, self._far, self._clock, self._packed = near, far, clock, Packed()

    async def answer(self, tree: ServedTree, path: str, request: Request) -> Response:
        """Return the answer to GET; HEAD is GET, of which nothing is read."""
        let_pages_read(request)
        pool = self._far if tree.is_far else self._near
        found = await pool.run(lambda: tree.find(path))
        given, is_head = request.headers, request.method == "HEAD"
        is_document = found.media_type.startswith(("application/json", "text/plain"))
        may_pack = is_document and LEAST <= found.size <= MOST
        packs = may_pack and "range" not in given and takes_gzip(given)
        etag = f'{found.etag[:-1]}-gzip"' if packs else found.etag
        headers = {"ETag": etag, **found.headers}
        if found.modified is not None:
            # What was made in the second that still runs may change in it once more.
            headers["Last-Modified"] = formatdate(max(0, min(int(found.modified), int(self._clock()) - 1)), usegmt=True)
        if may_pack:
            headers["Vary"] = "Accept-Encoding"
        if is_document or path.endswith(".gpg"):
            headers["Cache-Control"] = "no-cache"
        if is_held(given, etag, None if found.modified is None else int(found.modified)):
            return Response(status_code=304, headers=headers)
        headers["X-Content-Type-Options"] = "nosniff"
        if packs:
            key, read = (tree.name, path, found.etag), partial(_whole, tree.name, found)
            body = await pool.run(lambda: self._packed.of(key, read))
            return Response(body, headers=headers | {"Content-Encoding": "gzip"}, media_type=found.media_type)
        if found.gives_parts:
            headers["Accept-Ranges"] = "bytes"
        part = part_of(given, found.size, found.etag) if found.gives_parts and not is_head else None
        wanted, status = (range(found.size), 200) if part is None else (part, 206)
        headers |= {"Content-Length": str(len(wanted))} if part is None else part_headers(part, found.size)
        if is_head or not wanted:
            return Response(None, status, headers, found.media_type)
        return await self._sent(tree, found, wanted, status, headers)

    async def _sent(
        self, tree: ServedTree, found: ServedFile, wanted: range, status: int, headers: dict[str, str]
    ) -> Response:
        pool = self._far if tree.is_far else self._near
        source = await self._begun(tree.name, pool, found, wanted)
        if isinstance(source, Path):
            file = source

            async def pieces(failed: FileFailed | None) -> AsyncIterator[bytes]:
                if failed is not None:
                    raise TreeDown(tree.name, found.path, str(failed))
                # `found` keeps the file open as long as this is kept.
                return in_turn(_exactly(tree.name, found, _read(file, wanted), len(wanted)), self._near)

            return SentFile(file, wanted, pieces, status=status, headers=headers, media_type=found.media_type)
        if isinstance(source, Fill):
            rest = partial(self._rest, tree.name, pool, found, source)
            return SentGrowing(
                source, wanted, self._near, rest, status=status, headers=headers, media_type=found.media_type
            )
        pieces_now = in_turn(_exactly(tree.name, found, source, len(wanted)), pool)
        return StreamingResponse(pieces_now, status, headers, found.media_type)

    async def _begun(self, tree: str, pool: Pool, found: ServedFile, wanted: range) -> Source:
        """Return where a part comes from, once it comes.

        Who gets the end of what is being fetched gets it only if all is right. A part without the end would be complete
        before that is known, so it waits for the whole.
        """
        for _ in range(_TRIES):
            source = await pool.run(lambda: found.begin(wanted))
            if not isinstance(source, Fill):
                return source
            if await source.beyond(wanted.start if wanted.stop == found.size else found.size - 1):
                return source
            if source.error is not None:
                raise _told(tree, found, source.error)
            # Another process fetched it and was killed: this one, or a third, goes on.
        raise TreeDown(tree, found.path, "who fetches it was killed again and again")

    async def _rest(self, tree: str, pool: Pool, found: ServedFile, growing: Fill, left: range) -> AsyncIterator[bytes]:
        """Yield what is left of what somebody else fetched until he was killed; else break off.

        What was given before has to be the beginning of what is fetched now, or the whole would be right for nobody.
        """
        if growing.error is not None:
            raise _told(tree, found, growing.error)
        source = await self._begun(tree, pool, found, left)
        if not isinstance(source, Path | Fill):
            raise TreeDown(tree, found.path, "there is no room any more to fetch it into")
        if not await self._near.run(partial(_begins_alike, growing, source, left.start)):
            raise TreeDown(tree, found.path, "it began otherwise when it was fetched before")
        if isinstance(source, Path):
            async for piece in in_turn(_exactly(tree, found, _read(source, left), len(left)), self._near):
                yield piece
            return
        at = left.start
        while at < left.stop and await source.beyond(at):
            count = min(source.arrived - at, left.stop - at, PIECE)
            piece = await self._near.run(partial(source.read, at, count))
            at += len(piece)
            yield piece
        if at < left.stop:
            raise _told(tree, found, source.error)


def _told(tree: str, found: ServedFile, error: HeadwaterError | None) -> HeadwaterError:
    """Return what readers are told of a fetch that failed; ``None``: who fetched was killed."""
    if isinstance(error, NotFound):
        return NotInTree(tree, found.path)
    return TreeDown(tree, found.path, "who fetched it was killed" if error is None else str(error))


def _read(file: Path, wanted: range) -> Iterator[bytes]:
    return pieces_of(file, wanted, follows=True)


def _begins_alike(given: Fill, source: Path | Fill, count: int) -> bool:
    """Return whether the first bytes of what was given are those of what comes now."""
    now = source.path if isinstance(source, Fill) else source
    alike = 0
    for before, after in zip(_read(given.path, range(count)), _read(now, range(count)), strict=False):
        if before != after:
            return False
        alike += len(before)
    return alike == count


def _exactly(tree: str, found: ServedFile, pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
    """Yield the pieces; raise where they end early, so that nobody takes them for all."""
    left = count
    for piece in pieces:
        left -= len(piece)
        yield piece
    if left:
        raise TreeDown(tree, found.path, f"it ends {left} bytes too early")


def _whole(tree: str, found: ServedFile) -> bytes:
    wanted = range(found.size)
    source = found.begin(wanted)
    pieces = _read(source, wanted) if isinstance(source, Path) else source
    assert not isinstance(pieces, Fill)  # documents do not grow
    return b"".join(_exactly(tree, found, pieces, found.size))
