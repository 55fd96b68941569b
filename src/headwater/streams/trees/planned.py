"""A tree as it will be: what is to be written is held back, read like all else, and written in one go.

So what fails on the way, such as a key that does not sign, fails before the first file is replaced.
"""

from __future__ import annotations

from dataclasses import dataclass

from headwater.streams.format.layout import SIGNED_INDEXES, UNSIGNED_INDEXES
from headwater.streams.trees.tree import DOCUMENT_LIMIT, Document, Entry, Tree

_SIGNATURES = tuple(f"{path}.gpg" for path in UNSIGNED_INDEXES)
# What readers begin with is replaced after what it leads to, and what is signed after what is not.
_LAST = (*UNSIGNED_INDEXES, *_SIGNATURES, *SIGNED_INDEXES)


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    expect: str | None  # as ``Tree.write`` takes it


class PlannedTree:
    """The documents of ``tree`` after all that is planned."""

    def __init__(self, tree: Tree) -> None:
        self.place = tree.place
        self._tree = tree
        self._planned: dict[str, _File] = {}

    def read(self, path: str, limit: int = DOCUMENT_LIMIT) -> Document:
        """Return a file as it will be; one that is planned has no tag yet."""
        planned = self._planned.get(path)
        return self._tree.read(path, limit) if planned is None else Document(planned.body, "")

    def stat(self, path: str) -> Entry:
        """Return what is known of a file as it will be."""
        planned = self._planned.get(path)
        return self._tree.stat(path) if planned is None else Entry(path, len(planned.body), None, None)

    def write(self, path: str, body: bytes, *, expect: str | None = None) -> None:
        """Plan a file."""
        self._planned[path] = _File(body, expect)

    def carry_out(self) -> None:
        """Write what is planned: in the order of the plan, but indexes last.

        Raises:
            PathChanged: Something else is there than was expected; what comes after is not written.
            TreeCannot, TreeRefused, TreeUnavailable: As they say.
        """
        for path in sorted(self._planned, key=lambda path: _LAST.index(path) if path in _LAST else -1):
            planned = self._planned[path]
            self._tree.write(path, planned.body, expect=planned.expect)
