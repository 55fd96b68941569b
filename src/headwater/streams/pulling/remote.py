"""The server of a feed that is pulled, asked through the filter for addresses."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import quote

from headwater.errors import HeadwaterError, TooLarge, Unavailable
from headwater.fetching.fetcher import Fetcher, RemoteFailed
from headwater.fetching.url_filter import UrlRefused
from headwater.streams.format.json_objects import safe_path
from headwater.streams.trees.tree import DOCUMENT_LIMIT, Document, PathNotFound, TreeRefused, TreeUnavailable

_log = logging.getLogger(__name__)

_GONE: Final = frozenset({404, 410})
_NOT_MODIFIED: Final = 304
_PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0)  # before a broken transfer goes on
_PROGRESS: Final = 1 << 20  # bytes after which a transfer may break as often again; a drip is no progress


class RemoteFeed:
    """Files below a URL; safe to use from several threads."""

    def __init__(
        self,
        url: str,
        fetcher: Fetcher,
        *,
        authorization: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the URL of the root; nothing is asked yet.

        Args:
            authorization: What proves who asks.
        """
        self.place = url
        self._fetcher, self._sleep = fetcher, sleep
        self._is_closed = False
        self._proof = {} if authorization is None else {"Authorization": authorization}

    def document(self, path: str, tag: str = "", limit: int = DOCUMENT_LIMIT) -> Document | None:
        """Return a document whose tag is what tells its content from others; ``None``: it is still that of ``tag``.

        Raises:
            PathNotFound, TreeRefused, TreeUnavailable: As they say.
        """
        condition = {} if not tag else {"If-None-Match" if tag.startswith('"') else "If-Modified-Since": tag}
        body = bytearray()
        try:
            with self._fetcher.open(self.url(path), headers={**self._proof, **condition}, look=self.look) as answer:
                for piece in answer:
                    body += piece
                    if len(body) > limit:
                        raise TreeRefused(self.place, f"{path} has more than the {limit} bytes that are read")
                return Document(bytes(body), answer.validator or "")
        except RemoteFailed as error:
            if tag and error.status == _NOT_MODIFIED:
                return None
            raise self._as_tree(path, error) from error
        except (UrlRefused, TooLarge) as error:
            raise self._as_tree(path, error) from error

    def pieces(self, path: str, start: int) -> Iterator[bytes]:
        """Yield the bytes of a file from ``start`` on; a connection that breaks off is made anew where it broke.

        Raises:
            PathNotFound, TreeRefused, TreeUnavailable: As they say.
        """
        at, tries, counts_from = start, 0, start
        while True:
            try:
                # Nothing is said of what the first part was of: all of it is hashed in the end.
                with self._fetcher.open(self.url(path), at, look=self.look, headers=self._proof) as answer:
                    for piece in answer:
                        at += len(piece)
                        yield piece
                return
            except RemoteFailed as error:
                if at - counts_from >= _PROGRESS:
                    tries, counts_from = 0, at
                if not error.may_pass or tries == len(_PAUSES_S):
                    raise self._as_tree(path, error) from error
                _log.info("a transfer goes on after a pause", extra={"path": path, "at": at, "error": str(error)})
            except (UrlRefused, TooLarge) as error:
                raise self._as_tree(path, error) from error
            self.look()
            self._sleep(_PAUSES_S[tries])
            tries += 1

    def look(self) -> None:
        """Raise ``Unavailable`` once this is closed: whoever waits for the server ends then."""
        if self._is_closed:
            raise Unavailable("this process stops")

    def close(self) -> None:
        """Wait for the server no more."""
        self._is_closed = True

    def url(self, path: str) -> str:
        """Return the URL of a file, which lies below that of the feed."""
        return f"{self.place}/{quote(safe_path(path), safe='/:@+~')}"

    def _as_tree(self, path: str, error: HeadwaterError) -> HeadwaterError:
        if not isinstance(error, RemoteFailed):
            return TreeRefused(self.place, str(error))
        if error.status in _GONE:
            return PathNotFound(self.place, path, error.status)
        kind = TreeUnavailable if error.may_pass else TreeRefused
        return kind(self.place, f"{path}: {error.reason}", error.status)


class Asked:
    """One look at a feed, as ``FeedReader`` reads trees; it notes the tag of each document that it gives."""

    def __init__(self, remote: RemoteFeed) -> None:
        self.place = remote.place
        self.tags: dict[str, str] = {}
        self._remote = remote
        self._at_hand: dict[str, Document] = {}

    def is_unchanged(self, path: str, tag: str) -> bool:
        """Return whether a document is that of ``tag``; another one is at hand for the next ``read``."""
        try:
            found = self._remote.document(path, tag)
        except PathNotFound:
            return False
        if found is not None:
            self._at_hand[path] = found
        return found is None

    def read(self, path: str, limit: int = DOCUMENT_LIMIT) -> Document:
        """As ``Tree.read``."""
        found = self._at_hand.pop(path, None) or self._remote.document(path, limit=limit)
        assert found is not None  # nothing was said of what is known
        self.tags[path] = found.tag
        return found
