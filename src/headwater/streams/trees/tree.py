"""A tree: files below one root that readers fetch by path, and what is promised to those who write it.

A file is whole at every moment: readers see what was there before or what is there now. Of two writers who expected the
same file, one wins and the other is told. What a path may look like is said by ``format.json_objects.safe_path``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol

from headwater.errors import Conflict, HeadwaterError, NotFound, NotOffered, Unavailable

ABSENT: Final = ""  # in place of a tag: there is nothing
DOCUMENT_LIMIT: Final = 256 << 20  # bytes; the largest known feed has 42 MB
PIECE: Final = 1 << 20  # bytes

JSON: Final = "application/json"
# A service that keeps a tree is asked once more after a second, and a last time after two more. Libraries that count
# themselves are told how often, and how long to wait where they can be. Who goes on in the middle of a transfer counts
# above this. Source: Juju's client asks like that.
PAUSES_S: Final = (1.0, 2.0)
ATTEMPTS: Final = 1 + len(PAUSES_S)

HIDDEN: Final = ".headwater-"  # what the names begin with of what writers keep beside the files of a tree


@dataclass(frozen=True, slots=True)
class Entry:
    """One file in a list."""

    path: str
    size: int  # bytes
    modified: int | None  # microseconds since 1970; None: not told
    tag: str | None  # as ``Document.tag``; None: not told in lists


@dataclass(frozen=True, slots=True)
class Document:
    """A small file, whole."""

    body: bytes
    tag: str  # another one when the content is another
    media_type: str | None = None


class PathNotFound(NotFound):
    """There is no file of this path in the tree. ``status`` is that of HTTP, where there is one."""

    def __init__(self, place: str, path: str, status: int | None = None) -> None:
        super().__init__(f"{place}: there is no {path}")
        self.place, self.path, self.status = place, path, status


class TreeRefused(HeadwaterError):
    """What holds the tree does not let us: who asks, or what it was set up for, must change.

    ``status`` is that of HTTP, where there is one.
    """

    def __init__(self, place: str, reason: str, status: int | None = None) -> None:
        super().__init__(f"{place}: {reason}")
        self.place, self.reason, self.status = place, reason, status


class TreeUnavailable(Unavailable):
    """The tree cannot be reached, or broke off; the same may work later."""

    def __init__(self, place: str, reason: str, status: int | None = None) -> None:
        super().__init__(f"{place}: {reason}")
        self.place, self.reason, self.status = place, reason, status


class PathChanged(Conflict):
    """The file is another one than was expected: somebody else wrote it meanwhile."""

    def __init__(self, place: str, path: str) -> None:
        super().__init__(f"{place}: {path} was changed meanwhile by somebody else; look at it and try again")
        self.place, self.path = place, path


class TreeInUse(Conflict):
    """Somebody else writes the tree."""

    def __init__(self, place: str, holder: str) -> None:
        super().__init__(f"{place}: it is being written by {holder}; wait until that has ended")
        self.place, self.holder = place, holder


class TreeCannot(NotOffered):
    """A tree of this kind has no such thing: what is read over HTTP cannot be listed or written."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place}: a tree at a URL is read file by file; it cannot be {what}")
        self.place = place


class Opened(Protocol):
    """A file that is being read: pieces, in their order; to be closed."""

    @property
    def size(self) -> int | None:
        """How many bytes the whole file has; ``None``: not told."""

    @property
    def start(self) -> int:
        """Where the first piece begins: at 0 if what holds the tree cannot begin elsewhere."""

    @property
    def tag(self) -> str:
        """As ``Document.tag``."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces; raise ``TreeUnavailable`` when they end too early."""

    def __enter__(self) -> Opened: ...

    def __exit__(self, *_: object) -> None: ...


class Documents(Protocol):
    """What a feed is read from: a tree, or what a tree will be."""

    place: str  # as ``Tree.place``

    def read(self, path: str, limit: int = DOCUMENT_LIMIT) -> Document:
        """Return a small file, as ``Tree.read``."""

    def stat(self, path: str) -> Entry:
        """Return what is known of a file, as ``Tree.stat``."""


class Tree(Protocol):
    """The contract; safe to use from several threads. ``contracts/streams/test_trees.py`` holds every kind to it."""

    place: str  # as it is shown to people: an absolute path or a URL, without secrets

    def read(self, path: str, limit: int = DOCUMENT_LIMIT) -> Document:
        """Return a small file.

        Raises:
            PathNotFound, TreeRefused, TreeUnavailable: As they say; ``TreeRefused`` if it is larger than ``limit``.
        """

    def open(self, path: str, start: int = 0, *, tag: str | None = None) -> Opened:
        """Return a file to be read from ``start`` on.

        Args:
            tag: Of the file whose beginning was read before.

        Raises:
            PathChanged: It is another file than that of ``tag``.
            PathNotFound, TreeRefused, TreeUnavailable: As they say.
        """

    def stat(self, path: str) -> Entry:
        """Return what is known of a file without reading it.

        Raises:
            PathNotFound, TreeRefused, TreeUnavailable: As they say.
        """

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Yield the files whose path begins with ``prefix``, in the order of their bytes.

        Raises:
            TreeCannot: It cannot be listed.
        """

    def write(
        self,
        path: str,
        body: bytes | BinaryIO,
        *,
        size: int | None = None,
        media_type: str | None = None,
        expect: str | None = None,
        max_age_s: int | None = None,
        mark: str | None = None,
    ) -> str:
        """Make ``body`` the file, and return its tag; durable and whole, or as if nothing had been done.

        Args:
            size: Of a ``body`` that is a file, in bytes, if that is known.
            media_type: What HTTP shall say of it, where the tree keeps that; else it follows from the name.
            expect: The tag of the file that is replaced, or ``ABSENT``; ``None``: whatever is there.
            max_age_s: For how long readers may keep it, where the tree keeps that.
            mark: Hexadecimal digits that name these bytes and no others: what came of them may be kept when ``body``
                breaks off, or the process is killed.

        Raises:
            PathChanged: Something else is there than was expected.
            TreeCannot, TreeRefused, TreeUnavailable: As they say.
        """

    def begun(self, path: str, mark: str) -> Opened | None:
        """Return what came of a file before a write with this mark broke off, as far as it was kept.

        Raises:
            TreeRefused, TreeUnavailable: As they say.
        """

    def delete(self, path: str) -> None:
        """Remove a file; one that is not there is fine.

        Raises:
            TreeCannot, TreeRefused, TreeUnavailable: As they say.
        """

    def prepare(self, *, public: bool = False) -> None:
        """Make the root if there is none: a directory, bucket or container.

        Args:
            public: Let everybody read it without proof, where that is for the tree to say.

        Raises:
            TreeCannot, TreeRefused, TreeUnavailable: As they say.
        """

    def exclusive(self, purpose: str) -> AbstractContextManager[None]:
        """Keep other writers who ask for the same out.

        Args:
            purpose: What the others are told, such as ``headwater streams mirror``.

        Raises:
            TreeInUse: Somebody is there.
            TreeCannot, TreeRefused, TreeUnavailable: As they say.
        """

    def public_url(self) -> str | None:
        """Return where everybody reads it by HTTP, without a slash at the end; ``None``: that is not known."""

    def close(self) -> None:
        """Let go of connections."""


def cache_control(max_age_s: int) -> str:
    """Return the header by which a file may be kept for so long, in seconds; 0: it is asked for each time."""
    return f"max-age={max_age_s}" if max_age_s else "no-cache"


def media_type_of(path: str) -> str:
    """Return the media type of a file of a feed.

    Source: Juju 4 takes agents as ``application/gzip`` only; what is not known is bytes.
    """
    name = path.rsplit("/", 1)[-1]
    return next((kind for ending, kind in _MEDIA_TYPES.items() if name.endswith(ending)), "application/octet-stream")


_MEDIA_TYPES = {
    ".json": JSON,
    ".sjson": "text/plain; charset=us-ascii",
    ".gpg": "application/pgp-signature",
    ".tgz": "application/gzip",
    ".tar.gz": "application/gzip",
    ".gz": "application/gzip",
    ".xz": "application/x-xz",
    "SHA256SUMS": "text/plain; charset=utf-8",
}
