"""Files that no item names any more: they go when no reader can ask for them any longer.

LXD and Incus keep an index for an hour, and then fetch what it named. So a file that loses its last item is noted, with
the time, in a small file of the tree, before the index is written that does not name it; a later change of the feed
removes it when its time has come, unless an item names it again. Who notes, stores files or removes them keeps
others out meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import Final, TypeVar

from headwater.clock import Clock, now
from headwater.errors import HeadwaterError
from headwater.streams.format.documents import INDEX_FORMAT
from headwater.streams.format.layout import DIRECTORY
from headwater.streams.signing.feeds.signers import Keyrings, SignsDocuments
from headwater.streams.trees.tree import PathNotFound, Tree
from headwater.streams.writing import feed as feeds
from headwater.streams.writing.feed import Feed, paths_of

T = TypeVar("T")

STATE: Final = "headwater-deletions.json"
GRACE_S: Final = 2 * 3600  # Source: LXD and Incus keep an index for an hour
_LIMIT = 64 << 20  # bytes


def edit(
    tree: Tree,
    change: Callable[[Feed], T],
    *,
    purpose: str,
    grace_s: int = GRACE_S,
    signer: SignsDocuments | None = None,
    also: Sequence[SignsDocuments] = (),
    keyrings: Keyrings | None = None,
    clock: Clock = now,
) -> tuple[T, list[str]]:
    """Change a feed whose items are files; return what ``change`` does, and the files that were removed.

    Args:
        purpose: What others are told who write the tree meanwhile.
        grace_s: How long a file stays that nothing names any more.
        signer, also, keyrings: As ``feed.edit`` takes them.

    Raises:
        TreeInUse: Somebody else writes the tree.
    """

    def noted(feed: Feed) -> T:
        result = change(feed)
        leaving = feed.paths_left()
        if leaving:
            _write(tree, {**dict.fromkeys(leaving, clock()), **_noted(tree)})
        return result

    tree.prepare()
    with tree.exclusive(purpose):
        result = feeds.edit(tree, noted, signer=signer, also=also, keyrings=keyrings, clock=clock)
        return result, _removed(tree, grace_s, clock)


def _removed(tree: Tree, grace_s: int, clock: Clock) -> list[str]:
    """Remove what was noted long enough ago and is still named by nobody."""
    waiting = _noted(tree)
    if not waiting:
        return []
    named = _named(feeds.read(tree))
    if named is None:
        return []
    at = clock()
    left = {path: since for path, since in waiting.items() if path not in named}
    due = sorted(path for path, since in left.items() if since + grace_s * 1_000_000 <= at)
    for path in due:
        tree.delete(path)
    left = {path: since for path, since in left.items() if path not in due}
    if left != waiting:
        _write(tree, left)
    return due


def _named(feed: Feed) -> Collection[str] | None:
    """Return all files that items name; ``None`` if a document cannot be read, which may name any."""
    named: set[str] = set()
    for content_id, entry in feed.index.index.items():
        if entry.format == INDEX_FORMAT:
            return None
        try:
            products = feed.products(content_id)
        except HeadwaterError:
            return None
        named |= paths_of(products)
    return named


def _noted(tree: Tree) -> dict[str, int]:
    """Return since when each file has been waiting; a state that cannot be read forgets, and nothing is removed."""
    try:
        found = json.loads(tree.read(STATE, _LIMIT).body)
    except (PathNotFound, ValueError):
        return {}
    waiting = found.get("unnamed") if isinstance(found, dict) else None
    if not isinstance(waiting, dict):
        return {}
    return {
        path: since
        for path, since in waiting.items()
        if isinstance(since, int) and not path.startswith(f"{DIRECTORY}/") and path != STATE
    }


def _write(tree: Tree, waiting: dict[str, int]) -> None:
    if waiting:
        tree.write(STATE, json.dumps({"unnamed": waiting}, indent=1, sort_keys=True).encode() + b"\n")
    else:
        tree.delete(STATE)
