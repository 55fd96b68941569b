"""What a mirror is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from headwater.streams.query.filters import Filter

GRACE_S: Final = 2 * 3600  # Source: LXD and Incus keep an index for an hour


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is copied, and how."""

    filters: Sequence[Filter] = ()
    most_versions: int | None = None  # of each product: the newest
    metadata_only: bool = False  # documents without the files that they name
    unhashed: bool = False  # also files of which the feed tells no hash
    keep: int | None = None  # see ``rewriting.products``
    grace_s: float = GRACE_S
    hashes_all: bool = False  # read what is there to its end; else size and document tell
    replace: bool = False  # write over a feed that is no mirror of this source
    allow_older: bool = False
    public: bool = False
    parallel: int = 8
    bytes_per_s: int | None = None
    dry_run: bool = False
    start: str | None = None  # the only document to begin with

    @property
    def chooses(self) -> bool:
        """Whether some of the feed is left out."""
        return bool(self.filters) or self.most_versions is not None
