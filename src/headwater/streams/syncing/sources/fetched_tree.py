"""The tree of a source: files below a URL that a caller of the API named, fetched as every such URL is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import quote

from headwater.errors import HeadwaterError
from headwater.fetching.fetcher import Fetched, Fetcher, RemoteChanged, RemoteFailed, RemoteTooLarge
from headwater.fetching.url_filter import UrlRefused
from headwater.streams.format.json_objects import safe_path
from headwater.streams.trees.only_read import OnlyRead
from headwater.streams.trees.tree import (
    DOCUMENT_LIMIT,
    Document,
    Entry,
    PathChanged,
    PathNotFound,
    TreeRefused,
    TreeUnavailable,
)


class FetchedTree(OnlyRead):
    """Files below ``url``, to be read; safe to use from several threads."""

    def __init__(self, url: str, fetcher: Fetcher, look: Callable[[], None] = lambda: None) -> None:
        """Prepare; nothing is asked yet.

        Args:
            look: Called about once a second while the server is waited for; what it raises ends the fetching.
        """
        self.place = url.rstrip("/")
        self._fetcher, self._look = fetcher, look

    def read(self, path: str, limit: int = DOCUMENT_LIMIT) -> Document:
        with self.open(path) as opened:
            body = bytearray()
            for piece in opened:
                body += piece
                if len(body) > limit:
                    raise TreeRefused(self.place, f"{path} has more than the {limit} bytes that are read")
            return Document(bytes(body), opened.tag)

    def open(self, path: str, start: int = 0, *, tag: str | None = None) -> OpenedUrl:
        url = f"{self.place}/{quote(safe_path(path), safe='/:')}"
        try:
            fetched = self._fetcher.open(url, start, if_range=tag or None if start else None, look=self._look)
        except (RemoteFailed, RemoteTooLarge, UrlRefused) as error:
            raise self.translated(error, path) from error
        return OpenedUrl(self, path, fetched, start)

    def translated(self, error: HeadwaterError, path: str) -> HeadwaterError:
        """Return what a tree says of a failure."""
        if isinstance(error, RemoteChanged):
            return PathChanged(self.place, path)
        if not isinstance(error, RemoteFailed):
            return TreeRefused(self.place, f"{path}: {error}")
        if error.status in (404, 410):
            return PathNotFound(self.place, path, error.status)
        kind = TreeUnavailable if error.may_pass else TreeRefused
        return kind(self.place, f"{path}: {error}", error.status)

    def stat(self, path: str) -> Entry:
        with self.open(path) as opened:
            if opened.size is None:
                raise TreeRefused(self.place, f"{path}: the server does not say how large it is")
            return Entry(path, opened.size, None, opened.tag)

    def close(self) -> None:
        """Do nothing: each file has a connection of its own."""


class OpenedUrl:
    """A file that is being fetched."""

    def __init__(self, tree: FetchedTree, path: str, fetched: Fetched, start: int) -> None:
        self._tree, self._path, self._fetched = tree, path, fetched
        self.size, self.start, self.tag = fetched.size, start, fetched.validator or ""

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._fetched
        except (RemoteFailed, RemoteTooLarge, UrlRefused) as error:
            raise self._tree.translated(error, self._path) from error

    def __enter__(self) -> OpenedUrl:
        return self

    def __exit__(self, *_: object) -> None:
        self._fetched.close()
