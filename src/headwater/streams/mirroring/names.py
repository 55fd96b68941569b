"""Which paths are for what in a tree that is mirrored: no feed may bring a file where something else stands."""

from __future__ import annotations

import posixpath
from typing import Final

from headwater.streams.format.json_objects import UnsafePath, safe_path
from headwater.streams.format.layout import DIRECTORY
from headwater.streams.trees import lease
from headwater.streams.trees.tree import HIDDEN
from headwater.streams.writing import deletions

STATE: Final = "headwater-mirror.json"
_OURS: Final = (STATE, lease.NAME, deletions.STATE)
_ABOVE: Final = ("streams", DIRECTORY)
_DOCUMENTS: Final = ("streams/", (".json", ".sjson", ".gpg"))


def unsigned_name(name: str) -> str:
    """Return the name of the unsigned twin: ``a.sjson`` gives ``a.json``; other names stay."""
    return f"{name.removesuffix('.sjson')}.json" if name.endswith(".sjson") else name


def require_document(path: str) -> None:
    """Refuse a path that no document may have.

    Raises:
        UnsafePath: It leads out of the tree, or to what is kept there beside the feed.
    """
    normal = posixpath.normpath(safe_path(path))
    if normal in _OURS or any(part.startswith(HIDDEN) for part in normal.split("/")):
        raise UnsafePath("path", f"the path {path!r} is that of a file that Headwater keeps for itself")


def require_file(path: str, where: str) -> None:
    """Refuse a path that no file of an item may have.

    Raises:
        UnsafePath: A document may stand there, or what is kept beside the feed.
    """
    require_document(path)
    normal = posixpath.normpath(path)
    beginning, endings = _DOCUMENTS
    if normal in _ABOVE or (normal.startswith(beginning) and normal.endswith(endings)):
        raise UnsafePath(where, f"the path {path!r} of a file is one where documents of the feed stand")
