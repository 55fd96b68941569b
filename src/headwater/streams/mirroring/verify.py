"""A mirror held against its own documents: nothing is asked of its source, and nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from headwater.streams.format.layout import UNSIGNED_INDEXES
from headwater.streams.mirroring.files.fetching import Bad
from headwater.streams.mirroring.files.hashing import wrong_files
from headwater.streams.mirroring.held import held_in
from headwater.streams.mirroring.transfer import MIB, Shown
from headwater.streams.signing.reading import NoStart
from headwater.streams.trees.tree import Tree


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found in a tree."""

    place: str
    documents: int
    files: int
    broken: dict[str, str]  # documents that cannot be read, and why
    bad: list[Bad]

    @property
    def is_good(self) -> bool:
        """Whether everything is there and right."""
        return not self.broken and not self.bad

    def to_dict(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "target": self.place,
            "good": self.is_good,
            "documents": self.documents,
            "files": self.files,
            "bad": [{"path": path, "problem": problem} for path, problem in self.problems()],
        }

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield what is wrong, by its path."""
        yield from self.broken.items()
        yield from ((each.file.path, each.problem) for each in self.bad)


def verify(tree: Tree, parallel: int = 8, shown: Shown = lambda _what, _total: nullcontext(lambda _: None)) -> Verified:
    """Read every file that the documents of a tree name, and return what is wrong.

    Raises:
        NoStart: There is no feed.
        TreeRefused, TreeUnavailable: It cannot be read.
    """
    held = held_in(tree, reads_all=True)
    if not held.tags and not held.broken:
        raise NoStart(tree.place, UNSIGNED_INDEXES)
    files = list(held.files.values())
    done, total = 0, sum(file.size or 0 for file in files)
    with shown(f"verifying {len(files)} files, {total / MIB:.1f} MiB", total) as show:

        def told(size: int) -> None:
            nonlocal done
            done += size
            show(done)

        bad = wrong_files(tree, files, parallel, told)
    return Verified(tree.place, len(held.tags), len(files), held.broken, bad)
