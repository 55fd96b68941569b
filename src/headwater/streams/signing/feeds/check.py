"""Verify a feed in a tree as its readers would, and say of every document who signed it or what is wrong with it.

One bad document does not hide the others: all of them are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from pysequoia import Cert

from headwater.errors import HeadwaterError
from headwater.streams.format.documents import INDEX_FORMAT, Index, signed_name
from headwater.streams.format.json_objects import parse_json
from headwater.streams.format.layout import MIRRORS, SIGNED_INDEXES, UNSIGNED_INDEXES
from headwater.streams.signing.reading import FeedReader, NotSigned, is_there
from headwater.streams.signing.replay import Seen, moment
from headwater.streams.signing.verifying import SignedBy
from headwater.streams.trees.tree import Tree, TreeUnavailable

_MOST_DOCUMENTS: Final = 10_000
_ROOT: Final = "/streams/v1/"
_Named = tuple[str, str | None]  # a path, and when that was updated as the index says


@dataclass(frozen=True, slots=True)
class Checked:
    """One document, and what was found."""

    path: str
    signed_by: tuple[SignedBy, ...] = ()
    warnings: tuple[str, ...] = ()
    problem: str | None = None  # None: the signature is good


@dataclass(slots=True)
class _Run:
    seen: Seen
    allow_older: bool
    told: Callable[[int], None]
    checked: dict[str, Checked] = field(default_factory=dict)


def place_and_path(name: str) -> tuple[str, str | None]:
    """Return the tree in what somebody named, and the document in it, if a document was named.

    ``https://host/feed/streams/v1/index.sjson`` is ``streams/v1/index.sjson`` of ``https://host/feed``; a document that
    lies elsewhere is the only one of its directory that is looked at. A detached signature stands for its document.
    """
    path = urlsplit(name).path if "://" in name else name
    if not path.endswith((".json", ".sjson", ".gpg")):
        return name, None
    name = name.removesuffix(".gpg")
    before, root, after = name.rpartition(_ROOT)
    if root:
        return before or "/", f"{root[1:]}{after}"
    if name.startswith(_ROOT[1:]):
        return ".", name
    directory, _, document = name.rpartition("/")
    return directory or ("/" if name.startswith("/") else "."), document


def check_feed(
    tree: Tree,
    trusted: Sequence[Cert],
    start: str | None = None,
    *,
    seen: Seen | None = None,
    allow_older: bool = False,
    told: Callable[[int], None] = lambda _: None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[Checked]:
    """Verify what ``start`` leads to, and return what was found of each document.

    Args:
        start: A document. Default: every signed index of the tree, clear-signed or with a signature beside it.
        seen: What was seen of the feed before; what is seen now is noted in it.
        allow_older: Do not mind what is older than that.
        told: Is told how many documents were looked at.

    Raises:
        NotSigned: The feed is not signed at all.
        NoStart: There is none.
        TreeUnavailable: The tree cannot be reached.
    """
    run = _Run(seen or Seen(), allow_older, told)
    starts = [start] if start is not None else list(_starts(tree))
    if not starts:
        index = FeedReader(tree, None).start
        raise NotSigned(tree.place, index, "the feed is not signed: there is no signed index, and no signature beside")
    for each in starts:
        _follow(FeedReader(tree, trusted, each, clock), each, run)
    if any(each.endswith(".sjson") for each in starts) and start is None and is_there(tree, signed_name(MIRRORS)):
        _check(FeedReader(tree, trusted, starts[0], clock), signed_name(MIRRORS), run)
    return list(run.checked.values())


def _starts(tree: Tree) -> Iterator[str]:
    yield from (path for path in SIGNED_INDEXES if is_there(tree, path))
    yield from (path for path in UNSIGNED_INDEXES if is_there(tree, f"{path}.gpg"))


def _follow(reader: FeedReader, path: str, run: _Run) -> None:
    waiting: list[_Named] = [(path, None)]
    known = {path}
    while waiting:
        path, promised = waiting.pop(0)
        if path in run.checked:
            continue
        named = _check(reader, path, run, promised)
        waiting += [(each, updated) for each, updated in named if each not in known]
        known.update(each for each, _ in named)
        if len(known) > _MOST_DOCUMENTS:
            problem = f"the indexes name more than {_MOST_DOCUMENTS} documents; no more were looked at"
            run.checked[path] = Checked(path, problem=problem)
            return


def _check(reader: FeedReader, path: str, run: _Run, promised: str | None = None) -> list[_Named]:
    """Look at one document, note what was found, and return what it names if it is good."""
    place = reader.tree.place
    try:
        read = reader.read(path)
        document = parse_json(read.text)
        updated = _updated(document)
        if not run.allow_older:
            run.seen.see(place, path, updated)
        named = list(_named(path, document))
    except TreeUnavailable:
        raise
    except HeadwaterError as error:
        run.checked[path] = Checked(path, problem=_without(path, str(error).removeprefix(f"{place}: ")))
        return []
    run.checked[path] = Checked(path, read.signed_by, read.warnings + _late(updated, promised))
    run.told(len(run.checked))
    return named


def _without(path: str, problem: str) -> str:
    """Return a problem without the path that the reader of it has just read."""
    return problem.removeprefix(f"{path}: ").removeprefix(f"{path} ")


def _late(updated: str | None, promised: str | None) -> tuple[str, ...]:
    """Warn of a document that is older than its index says: a replay, or a feed that was half published."""
    told, due = moment(updated), moment(promised)
    if told is None or due is None or told >= due:
        return ()
    return (f"it was updated {updated}, and the index says {promised}: it is an old one, or half published",)


def _updated(document: object) -> str | None:
    updated = document.get("updated") if isinstance(document, dict) else None
    return updated if isinstance(updated, str) else None


def _named(path: str, document: object) -> Iterator[_Named]:
    """Yield what an index names; one that lies outside of ``streams/v1`` does not say what its paths begin at."""
    if isinstance(document, dict) and document.get("format") == INDEX_FORMAT and path.startswith(_ROOT[1:]):
        for entry in Index.from_dict(document).index.values():
            yield entry.path, entry.updated
