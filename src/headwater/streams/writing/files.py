"""Files of this machine, brought into a tree under a name that says what they hold.

Readers keep an index for an hour and fetch what it named then, so what lies behind a path never changes: the path holds
the SHA-256 of the content. A file that is already there is not sent again.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from headwater.errors import Conflict, Invalid
from headwater.streams.trees.tree import PIECE, PathNotFound, Tree


class FileUnusable(Invalid):
    """A file that was given cannot be read, or is not what it has to be."""

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(f"{file}: {problem}")
        self.file, self.problem = file, problem


class FileChanged(Conflict):
    """A file that was given became another one while it was read."""

    def __init__(self, file: Path) -> None:
        super().__init__(f"{file}: it changed while it was read; wait until nobody writes it, and try again")
        self.file = file


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a file shall hold: that of a file of this machine, or bytes."""

    size: int
    sha256: str
    name: str  # what it is called, for its path
    beginning: bytes  # by which its kind is told
    file: Path | None = None
    body: bytes = field(default=b"", repr=False)
    seen: tuple[int, ...] = ()  # what the system said of the file when it was measured

    @classmethod
    def of_file(cls, file: Path) -> Content:
        """Read a file once, to its end.

        Raises:
            FileUnusable: It cannot be read, or is empty.
            FileChanged: It changed meanwhile.
        """
        digest = hashlib.sha256()
        try:
            with file.open("rb") as opened:
                seen = _seen(opened)
                beginning = opened.read(64)
                digest.update(beginning)
                while piece := opened.read(PIECE):
                    digest.update(piece)
                if _seen(opened) != seen:
                    raise FileChanged(file)
        except OSError as error:
            raise FileUnusable(file, f"it cannot be read: {error.strerror}") from error
        if not beginning:
            raise FileUnusable(file, "it is empty")
        return cls(size=seen[0], sha256=digest.hexdigest(), name=file.name, beginning=beginning, file=file, seen=seen)

    @classmethod
    def of_bytes(cls, name: str, body: bytes) -> Content:
        return cls(size=len(body), sha256=hashlib.sha256(body).hexdigest(), name=name, beginning=body[:64], body=body)

    def open(self) -> BinaryIO:
        """Return it from its beginning.

        Raises:
            FileUnusable: It cannot be read any more.
            FileChanged: It is another file than the one that was measured.
        """
        if self.file is None:
            return io.BytesIO(self.body)
        try:
            opened = self.file.open("rb")
        except OSError as error:
            raise FileUnusable(self.file, f"it cannot be read: {error.strerror}") from error
        if _seen(opened) != self.seen:
            opened.close()
            raise FileChanged(self.file)
        return opened

    def pieces(self) -> Iterator[bytes]:
        with self.open() as opened:
            while piece := opened.read(PIECE):
                yield piece


def stored(tree: Tree, content: Content, path: str) -> None:
    """Make ``content`` the file at ``path``, which nobody names yet or which names the same.

    Raises:
        FileChanged: It changed while it was sent; nothing is there then.
    """
    if _is_there(tree, content, path):
        return
    with content.open() as opened:
        tree.write(path, opened, size=content.size)
    if content.file is not None and _facts(content.file.stat()) != content.seen:
        tree.delete(path)
        raise FileChanged(content.file)


def path_by_content(directory: str, content: Content, name: str) -> str:
    """Return where a file lies that is called ``name``."""
    return f"{directory}/{content.sha256}/{name}"


def pieces_of(tree: Tree, path: str) -> Iterator[bytes]:
    with tree.open(path) as opened:
        yield from opened


def _is_there(tree: Tree, content: Content, path: str) -> bool:
    try:
        return content.sha256 in path and tree.stat(path).size == content.size
    except PathNotFound:
        return False


def _seen(opened: BinaryIO) -> tuple[int, ...]:
    return _facts(os.fstat(opened.fileno()))


def _facts(found: os.stat_result) -> tuple[int, ...]:
    return found.st_size, found.st_mtime_ns, found.st_ino
