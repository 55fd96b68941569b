"""Large files in parts, where what holds a tree keeps no file that is not whole.

    .headwater-begun/FILE          what is on its way: there from before the first part until the file is whole
    .headwater-parts/FILE/00000000   the parts of it, which a list of the tree does not show

FILE names the bytes by their mark, where they will be, and the try. Who goes on reads the parts as the beginning of the
file; a part that is as it was is not sent again. What was begun a day ago, and not finished, is removed by a later
``exclusive``.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import secrets
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from typing import BinaryIO, Final, Protocol

from headwater.clock import Clock, now
from headwater.errors import Conflict, HeadwaterError
from headwater.stores.parts import even, growing
from headwater.streams.trees.arriving import Arriving
from headwater.streams.trees.tree import HIDDEN, Entry, Tree

LARGE: Final = 64 << 20  # bytes; what is larger comes in parts
PART: Final = 16 << 20  # bytes of a part of most files; each file on its way has one in memory

_BEGUN, _PARTS = f"{HIDDEN}begun/", f"{HIDDEN}parts/"
_MOST = 900  # parts of one file; Swift takes 1000
_UNFINISHED_S = 24 * 3600
_PATH_LIMIT = 16 << 10  # bytes


# Makes parts, in their order, the file at a path, of which the last says something; returns its tag.
Join = Callable[[str, Sequence[Entry], Mapping[str, str]], str]


class Holder(Tree, Protocol):
    """A tree whose large files come in parts."""

    def every(self, prefix: str) -> Iterator[Entry]:
        """Yield what ``list`` yields, with what it hides."""

    def is_made_of(self, path: str, parts: Sequence[str]) -> bool:
        """Return whether readers of a file read some of these parts."""


class Parts:
    """The files of one tree that come in parts; safe to use from several threads, one for each path."""

    def __init__(self, tree: Holder, join: Join, *, parts_stay: bool, clock: Clock = now) -> None:
        """Take the tree; nothing is asked yet.

        Args:
            parts_stay: Files go on to be made of their parts.
        """
        self._tree, self._join, self._parts_stay, self._clock = tree, join, parts_stay, clock

    def begun(self, path: str, mark: str) -> Arriving | None:
        """Return the beginning of a file that an earlier try left, as ``Tree.begun``."""
        name = self._left(path, mark)
        parts = self._whole_parts(name) if name else []
        if not parts:
            return None
        pieces = self._pieces(parts)
        size = sum(part.size for part in parts)
        return Arriving(self._tree, path, pieces, tag=name, size=size, start=0, close=pieces.close)

    def put(
        self,
        path: str,
        body: BinaryIO,
        said: Mapping[str, str],
        *,
        size: int | None,
        mark: str | None,
    ) -> str:
        """Send a file in parts, let them be joined, and return its tag.

        Args:
            said: What is said of the file, as the tree says it.
        """
        name = self._left(path, mark) if mark else ""
        name = name or f"{_beginning(path, mark)}{secrets.token_hex(8)}"
        there = {part.path: part for part in self._whole_parts(name)}
        self._tree.write(f"{_BEGUN}{name}", path.encode())
        try:
            sent = [
                self._sent(f"{_PARTS}{name}/{number:08}", piece, there) for number, piece in enumerate(_cut(body, size))
            ]
            tag = self._join(path, sent, said)
        except BaseException as error:
            if mark is None or isinstance(error, Conflict):
                with contextlib.suppress(HeadwaterError):
                    self._forget(path, name)
            raise
        self._remove(name, {part.path for part in sent} if self._parts_stay else set())
        return tag

    def tidy(self) -> list[str]:
        """Remove what was begun long ago and has not become a file; return the paths of those files."""
        before = self._clock() - _UNFINISHED_S * 1_000_000
        old = [entry for entry in self._tree.every(_BEGUN) if (entry.modified or 0) < before]
        paths = []
        for entry in old:
            path = self._tree.read(entry.path, _PATH_LIMIT).body.decode("utf-8", "replace")
            self._forget(path, entry.path.removeprefix(_BEGUN))
            paths.append(path)
        return paths

    def _left(self, path: str, mark: str) -> str:
        """Return what an earlier try left of these bytes; nothing: there is none."""
        beginning = f"{_BEGUN}{_beginning(path, mark)}"
        return next((entry.path.removeprefix(_BEGUN) for entry in self._tree.every(beginning)), "")

    def _whole_parts(self, name: str) -> list[Entry]:
        """Return the parts that follow each other from the first one on."""
        found = self._tree.every(f"{_PARTS}{name}/")
        return [part for number, part in enumerate(found) if part.path == f"{_PARTS}{name}/{number:08}"]

    def _pieces(self, parts: Sequence[Entry]) -> Generator[bytes]:
        for part in parts:
            with self._tree.open(part.path, tag=part.tag) as opened:
                yield from opened

    def _sent(self, path: str, piece: bytes, there: Mapping[str, Entry]) -> Entry:
        tag = hashlib.md5(piece, usedforsecurity=False).hexdigest()
        part = there.get(path)
        if part is None or (part.size, (part.tag or "").strip('"')) != (len(piece), tag):
            part = Entry(path, len(piece), None, self._tree.write(path, piece))
        return part

    def _forget(self, path: str, name: str) -> None:
        parts = [entry.path for entry in self._tree.every(f"{_PARTS}{name}/")]
        self._remove(name, set(parts) if self._tree.is_made_of(path, parts) else set())

    def _remove(self, name: str, but: Collection[str]) -> None:
        """Remove the parts first: what says that they are there is found again if this breaks off."""
        for entry in list(self._tree.every(f"{_PARTS}{name}/")):
            if entry.path not in but:
                self._tree.delete(entry.path)
        self._tree.delete(f"{_BEGUN}{name}")


def comes_in_parts(size: int) -> bool:
    """Return whether a file is so large that what came of it is worth keeping."""
    return size > LARGE


def _beginning(path: str, mark: str | None) -> str:
    """Return how what is on its way is called, without what tells two tries apart."""
    return f"{mark or 'unmarked'}-{hashlib.sha256(path.encode()).hexdigest()[:16]}-"


def _cut(body: BinaryIO, size: int | None) -> Iterator[bytes]:
    """Yield a file in parts as large as they have to be, so that there are not too many of them."""
    for number in itertools.count(1):
        left = growing(number, PART, _MOST) if size is None else even(size, PART, _MOST)
        pieces = []
        while left and (piece := body.read(left)):
            pieces.append(piece)
            left -= len(piece)
        if pieces:
            yield b"".join(pieces)
        if left:
            return
