"""Trees of our own, served: a directory, an S3 bucket, a Swift container.

Of a directory nothing is given that does not lie in it: what was opened is looked at, and not what a path seemed to
lead to before, so a link that leads out gives nothing, whoever changes it when.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import stat as modes
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from headwater.errors import HeadwaterError
from headwater.streams.format.json_objects import UnsafePath, safe_path
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.lease import NAME as LEASE
from headwater.streams.trees.served.file import NotInTree, ServedFile, TreeDown
from headwater.streams.trees.tree import PathNotFound, Tree, TreeRefused, media_type_of

_log = logging.getLogger(__name__)

_LONGEST: Final = 1024  # bytes; no object of S3 or Swift has a longer name
_TAG: Final = re.compile(r"[!#-~]{1,200}")
# What writers of ours keep beside the feed; some of it names machines.
_NOT_SERVED: Final = re.compile(
    rf"(?:.*/)?\.headwater-[^/]*(?:/.*)?|{re.escape(LEASE)}|headwater-(?:deletions|mirror)\.json"
)


def readable_path(tree: str, path: str) -> str:
    """Return a path that may be looked for; raise ``NotInTree`` for every other."""
    try:
        safe_path(path)
    except UnsafePath:
        raise NotInTree(tree, path) from None
    if path.endswith("/") or "//" in path or len(path.encode()) > _LONGEST or _NOT_SERVED.fullmatch(path):
        raise NotInTree(tree, path)
    return path


class ServedDirectory:
    """The files below a directory, which need not be there yet."""

    is_far = False

    def __init__(self, name: str, root: Path) -> None:
        self.name, self._root = name, root

    def find(self, path: str) -> ServedFile:
        root = os.path.realpath(self._root)
        try:
            # A named pipe would not return from being opened.
            opened = os.open(f"{root}/{readable_path(self.name, path)}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except PermissionError as error:
            _log.warning("a file of a served tree cannot be read", extra={"tree": self.name, "path": path})
            raise TreeDown(self.name, path, "this user may not read it") from error
        except OSError:
            raise NotInTree(self.name, path) from None
        file = _OpenFile(opened)
        if not modes.S_ISREG(file.about.st_mode) or not file.place.startswith(f"{root.rstrip('/')}/"):
            raise NotInTree(self.name, path)
        about = file.about
        return ServedFile(
            path=path,
            size=about.st_size,
            etag=f'"{about.st_ino:x}-{about.st_size:x}-{about.st_mtime_ns:x}"',
            modified=about.st_mtime,
            media_type=media_type_of(path),
            begin=file.begin,
        )

    def close(self) -> None:
        """Nothing is held."""


class _OpenFile:
    """A file that stays open as long as anybody has this."""

    def __init__(self, opened: int) -> None:
        weakref.finalize(self, os.close, opened)
        self.about = os.fstat(opened)
        self._path = Path(f"/dev/fd/{opened}")
        self.place = os.path.realpath(self._path)

    def begin(self, _wanted: range) -> Path:
        return self._path


class StoredTree:
    """The files of a tree that another service holds."""

    is_far = True

    def __init__(self, name: str, tree: Tree) -> None:
        self.name, self._tree = name, tree

    def find(self, path: str) -> ServedFile:
        readable_path(self.name, path)
        try:
            about = self._tree.stat(path)
        except PathNotFound:
            raise NotInTree(self.name, path) from None
        except HeadwaterError as error:
            raise self._down(path, error) from error
        tag = about.tag or ""

        def begin(wanted: range) -> Iterator[bytes]:
            return self._pieces(path, wanted, tag)

        return ServedFile(
            path=path,
            size=about.size,
            etag=_etag(tag or f"{about.size}-{about.modified}"),
            modified=None if about.modified is None else about.modified / 1e6,
            media_type=media_type_of(path),
            begin=begin,
        )

    def _pieces(self, path: str, wanted: range, tag: str) -> Iterator[bytes]:
        left, skip = len(wanted), 0
        try:
            with self._tree.open(path, wanted.start, tag=tag or None) as file:
                skip = wanted.start - file.start
                for each in file:
                    piece = each[min(skip, len(each)) :][:left]
                    skip -= min(skip, len(each))
                    left -= len(piece)
                    if piece:
                        yield piece
                    if not left:
                        return
        except HeadwaterError as error:
            raise self._down(path, error) from error

    def _down(self, path: str, error: HeadwaterError) -> TreeDown:
        kind = "refuses a file" if isinstance(error, TreeRefused) else "does not give a file"
        _log.warning(f"a served tree {kind}", extra={"tree": self.name, "path": path, "error": str(error)})
        return TreeDown(self.name, path, str(error))

    def close(self) -> None:
        self._tree.close()


def _etag(tag: str) -> str:
    bare = tag.removeprefix("W/").strip('"')
    return f'"{bare}"' if _TAG.fullmatch(bare) else f'"{hashlib.sha256(tag.encode()).hexdigest()[:32]}"'


def served(name: str, tree: Tree) -> ServedDirectory | StoredTree:
    """Return a tree as it is served."""
    return ServedDirectory(name, tree.root) if isinstance(tree, DirectoryTree) else StoredTree(name, tree)
