"""What a mirror remembers between its runs: one small file in the target, which every machine that writes it sees.

    {"source": "https://…", "seen": {"streams/v1/index.json": "Thu, 01 Jan 2026 00:00:00 +0000"},
     "unnamed": {"images/old.img": 1767225600000000}}

``seen`` says how new each document was, so that nobody replays an older one. ``unnamed`` says since when (microseconds
since 1970) a file is named by nobody: readers keep an index for an hour and ask for what it named, so it stays for a
while. What is about to be fetched is written there before, so that what a killed run leaves is found again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from headwater.clock import Clock
from headwater.streams.mirroring.names import STATE
from headwater.streams.trees.tree import JSON, PathNotFound, Tree

_LIMIT = 256 << 20  # bytes
_SECRET_PATH = re.compile(r"/streams/private/[^/]+")


@dataclass(slots=True)
class State:
    """What is remembered."""

    source: str | None = None  # the place of the tree that was copied last
    seen: dict[str, str] = field(default_factory=dict)
    unnamed: dict[str, int] = field(default_factory=dict)
    _stored: bytes = b""

    @classmethod
    def load(cls, tree: Tree) -> State | None:
        """Return what is remembered; ``None``: the tree is no mirror. What cannot be read is forgotten."""
        try:
            body = tree.read(STATE, _LIMIT).body
        except PathNotFound:
            return None
        try:
            found = json.loads(body)
        except ValueError:
            return cls()
        if not isinstance(found, dict):
            return cls()
        source = found.get("source")
        return cls(
            source if isinstance(source, str) else None,
            _of(found.get("seen"), str),
            _of(found.get("unnamed"), int),
            body,
        )

    def save(self, tree: Tree) -> None:
        """Write it, if it is not what is there."""
        said = {"source": self.source, "seen": self.seen, "unnamed": self.unnamed}
        body = json.dumps(said, indent=1, sort_keys=True).encode() + b"\n"
        if body != self._stored:
            tree.write(STATE, body, media_type=JSON, max_age_s=0)
            self._stored = body

    def note(self, paths: Iterable[str], clock: Clock) -> None:
        """Take note that nobody names these now; of what was noted before the time stays."""
        at = clock()
        for path in paths:
            self.unnamed.setdefault(path, at)

    def due(self, grace_s: float, clock: Clock) -> list[str]:
        """Return what nobody has named for so long that no reader asks for it any more."""
        before = clock() - grace_s * 1_000_000  # may be endless
        return sorted(path for path, since in self.unnamed.items() if since <= before)


def remembered(place: str) -> str:
    """Return a source as it is remembered: readers of the target see that, so a secret in a path is a digest."""

    def hidden(found: re.Match[str]) -> str:
        return f"/streams/private/{hashlib.sha256(found[0].encode()).hexdigest()[:16]}"

    return _SECRET_PATH.sub(hidden, place)


def _of(values: Any, kind: type) -> dict[str, Any]:
    pairs = values.items() if isinstance(values, dict) else ()
    return {name: value for name, value in pairs if isinstance(value, kind) and not isinstance(value, bool)}
