"""Trees for tests of what writes feeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.tree import PathNotFound, Tree


class Killed(BaseException):
    """The process is gone at this point."""


class MortalTree(DirectoryTree):
    """A directory whose writer is killed before its write number ``dies_at``."""

    def __init__(self, root: Path, dies_at: int) -> None:
        super().__init__(root)
        self.writes, self._dies_at = 0, dies_at

    def write(self, path: str, body: bytes | BinaryIO, **more: Any) -> str:
        if self.writes == self._dies_at:
            raise Killed
        self.writes += 1
        return super().write(path, body, **more)


def fetch_from(tree: Tree) -> Any:
    """Return what answers a reader as a web server does that serves the tree."""

    def fetch(path: str) -> tuple[int, bytes]:
        try:
            return 200, tree.read(path).body
        except PathNotFound:
            return 404, b""

    return fetch
