"""What is found in feeds: rules as data, and findings, which are a rule broken at a place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

from headwater import findings
from headwater.findings import Level

Key = str | int
Place = tuple[Key, ...]  # in a document: the keys from its top


class Reach(IntEnum):
    """How much a consumer loses by it; what takes everything is told first."""

    IMAGE = 1
    PRODUCTS = 2  # all that one document holds
    FEED = 3

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(findings.Rule):
    """One thing that a consumer of feeds requires."""

    reach: Reach = Reach.IMAGE


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that is broken at a place."""

    rule: Rule
    level: Level
    file: str  # path in the tree
    place: Place
    sentence: str
    fix: str
    reach: Reach = field(compare=False)  # of the same thing, one consumer may lose more than another

    @property
    def at(self) -> str:
        """The place as it is written in JavaScript, ``products["a:b"].versions["1"]``; the top is empty."""
        return written(self.place)

    def to_dict(self) -> dict[str, Any]:
        return {
            "rule": self.rule.id,
            "level": str(self.level),
            "reach": str(self.reach),
            "file": self.file,
            "path": self.at,
            "message": self.sentence,
            "fix": self.fix,
            "source": self.rule.source,
        }


def written(place: Sequence[Key]) -> str:
    """Return a place in a document as the errors of ``format`` write it."""
    parts = []
    for key in place:
        if isinstance(key, int):
            parts.append(f"[{key}]")
        elif key in _PLAIN:
            parts.append(f".{key}" if parts else key)
        else:
            parts.append(f"[{json.dumps(key)}]" if parts else key)
    return "".join(parts)


# The format's own keys; what stands between these are names.
_PLAIN: Final = frozenset(
    (
        *("index", "products", "versions", "items", "mirrors", "clouds", "datatype", "format", "path", "updated"),
        *("size", "sha256", "sha512", "md5", "ftype", "arch", "region", "endpoint", "version", "release", "aliases"),
        *("requirements", "lxd_requirements", "supported", "id", "virt", "root_store", "label", "os", "content_id"),
        *("release_title", "subarch", "subarches", "arches", "delta_base", "_aliases"),
    )
)


def broken(
    rule: Rule, file: str, place: Place, level: Level | None = None, reach: Reach | None = None, **facts: Any
) -> Finding:
    """Return the finding, its sentences filled with ``facts``."""
    return Finding(
        rule, level or rule.level, file, place, rule.says.format(**facts), rule.fix.format(**facts), reach or rule.reach
    )
