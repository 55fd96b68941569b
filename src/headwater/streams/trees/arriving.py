"""A file that is being read, wherever it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from headwater.streams.trees.tree import Document, Tree, TreeRefused, TreeUnavailable


class Arriving:
    """Pieces of one file, in their order, which end where they should or raise ``TreeUnavailable``."""

    def __init__(
        self,
        tree: Tree,
        path: str,
        pieces: Iterator[bytes],
        *,
        tag: str,
        size: int | None,
        start: int,
        close: Callable[[], object],
        media_type: str | None = None,
    ) -> None:
        """Take what comes.

        Args:
            pieces: Those from ``start`` on.
            size: Of the whole file, in bytes; ``None``: not told.
            close: Ends the reading; is called once.
        """
        self.tag, self.size, self.start, self.media_type = tag, size, start, media_type
        self._tree, self._path, self._pieces = tree, path, pieces
        self._close: Callable[[], object] | None = close

    def __iter__(self) -> Iterator[bytes]:
        left = None if self.size is None else self.size - self.start
        for piece in self._pieces:
            if left is not None:
                left -= len(piece)
            yield piece
        if left:
            raise TreeUnavailable(self._tree.place, f"{self._path}: the data ended {left} bytes too early")

    def __enter__(self) -> Arriving:
        return self

    def __exit__(self, *_: object) -> None:
        if self._close is not None:
            close, self._close = self._close, None
            close()

    def whole(self, limit: int) -> Document:
        """Return all of it, as a document; raise ``TreeRefused`` when it is larger than ``limit``."""
        if self.size is not None and self.size > limit:
            reason = f"{self._path} has {self.size} bytes, more than the {limit} that are read"
            raise TreeRefused(self._tree.place, reason)
        return Document(b"".join(self), self.tag, self.media_type)
