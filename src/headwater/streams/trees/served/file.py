"""What is served of a tree: one file, ready to be sent; and why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from headwater.caching.fills import Fill
from headwater.errors import NotFound, Unavailable
from headwater.fetching.url_filter import redacted

# Where a part of a file comes from: a file on this machine, one that grows, or pieces of that part.
Source = Path | Fill | Iterator[bytes]


class NotInTree(NotFound):
    """There is no such file in the tree."""

    def __init__(self, tree: str, path: str) -> None:
        super().__init__(f"there is no {path[:200]!r} in the tree {tree}")
        self.tree, self.path = tree, path


class TreeDown(Unavailable):
    """The tree cannot give a file at the moment; the reason is for the operator."""

    def __init__(self, tree: str, path: str, reason: str) -> None:
        super().__init__(f"the tree {tree} does not give {path[:200]!r} at the moment: {redacted_reason(reason)}")
        self.tree, self.path = tree, path

    @property
    def told(self) -> str:
        return f"The tree {self.tree} does not give this file at the moment. Try again later."


def redacted_reason(reason: str) -> str:
    """Return a reason on one line; URLs in it say no more than logs may."""
    return " ".join(redacted(word) if "://" in word else word for word in reason.split())[:500]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedFile:
    """One file as it is now; what is wanted of it is given by ``begin``."""

    path: str
    size: int  # bytes
    etag: str  # strong, with its quotes
    modified: float | None  # seconds since 1970; None: not told
    media_type: str
    begin: Callable[[range], Source]
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    gives_parts: bool = True  # if not, it is given whole, whatever part is wanted


class ServedTree(Protocol):
    """A tree that is served; used by several threads."""

    name: str
    is_far: bool  # a server has to be waited for, which may be slow

    def find(self, path: str) -> ServedFile:
        """Return a file.

        Raises:
            NotInTree, TreeDown: As they say.
        """

    def close(self) -> None:
        """Let go of everything."""
