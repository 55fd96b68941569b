"""What a run did, or would do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from headwater.streams.mirroring.documents.choosing import Version
from headwater.streams.mirroring.files.fetching import Bad
from headwater.streams.publishing.done import Done


@dataclass(slots=True)
class Report:
    """A run of the mirror."""

    source: str
    target: str
    dry_run: bool = False
    documents: dict[str, Done] = field(default_factory=dict)  # by path
    fetched: list[str] = field(default_factory=list)  # files
    fetched_bytes: int = 0
    repaired: list[str] = field(default_factory=list)  # of the fetched ones: those that were there and wrong
    same: int = 0  # files that were there and right
    not_fetched: int = 0  # files that are named and were not wanted
    bad: list[Bad] = field(default_factory=list)
    left_out: list[Version] = field(default_factory=list)  # versions that are not named, for their files are bad
    removed: list[str] = field(default_factory=list)  # files that nobody named for long enough
    waiting: int = 0  # files that nobody names, and which are removed later
    warnings: list[str] = field(default_factory=list)
    published: bool = True  # whether readers see what was read from the source

    @property
    def is_good(self) -> bool:
        """Whether the target has all that was asked for."""
        return self.published and not self.bad

    def to_dict(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "source": self.source,
            "target": self.target,
            "dry_run": self.dry_run,
            "good": self.is_good,
            "published": self.published,
            "documents": [{"path": path, "done": str(done)} for path, done in self.documents.items()],
            "files": {
                "fetched": len(self.fetched),
                "bytes": self.fetched_bytes,
                "same": self.same,
                "repaired": len(self.repaired),
                "not_fetched": self.not_fetched,
                "bad": len(self.bad),
                "removed": len(self.removed),
                "waiting": self.waiting,
            },
            "fetched": sorted(self.fetched),
            "repaired": sorted(self.repaired),
            "bad": [{"path": each.file.path, "problem": each.problem} for each in self.bad],
            "left_out": [{"product": product, "version": version} for product, version in self.left_out],
            "removed": self.removed,
            "warnings": self.warnings,
        }
