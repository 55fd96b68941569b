"""Copy a feed to where its readers fetch it, so that it is whole for them at every moment."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from headwater.errors import Conflict, HeadwaterError
from headwater.streams.format.layout import SIGNED_INDEXES
from headwater.streams.publishing.contents import Kind, Part, contents
from headwater.streams.publishing.done import Done
from headwater.streams.trees.tree import ABSENT, Opened, PathNotFound, Tree
from headwater.streams.writing.feed import FeedSigned


@dataclass(frozen=True, slots=True)
class Step:
    """One file, and what was done with it."""

    path: str
    done: Done
    size: int  # bytes


class NotAsNamed(Conflict):
    """A file is not what the feed says of it; readers would refuse it."""

    def __init__(self, place: str, path: str, problem: str) -> None:
        super().__init__(f"{place}: {path} {problem}; mend the feed before it is published")
        self.place, self.path = place, path


def publish(
    source: Tree,
    target: Tree,
    *,
    public: bool = False,
    dry_run: bool = False,
    remove: bool = False,
    told: Callable[[Step], None] = lambda _: None,
) -> list[Step]:
    """Make the feed in ``target`` that of ``source``, and return what was done with each file.

    Files come first and indexes last, each index under the condition that it is still the one that was there at the
    beginning. A file of the same size is taken for the same where the feed in ``target`` says the same SHA-256 of it,
    or nobody says any; one that only lies there is read. Documents are compared.

    Args:
        public: Let everybody read ``target``.
        dry_run: Only say what would be done.
        remove: Remove what is in ``target`` and not of the feed, in the end. Readers that know the index of before
            may still ask for it.
        told: Is told of each step as it is done.

    Raises:
        FeedSigned: Readers prefer a signed index in ``target`` that this feed has not, and it is not to be removed.
        NotAsNamed: A file is missing, or has another size or hash than the feed says.
        PathChanged: Somebody else wrote the index meanwhile.
        TreeInUse: Somebody else publishes there.
    """
    parts = contents(source)
    if not remove:
        _require_no_older_signatures(target, parts)
    if dry_run:
        return list(_steps(source, target, parts, dry_run=True, remove=remove))
    target.prepare(public=public)
    done: list[Step] = []
    with target.exclusive("headwater streams publish"):
        for step in _steps(source, target, parts, dry_run=False, remove=remove):
            done.append(step)
            told(step)
    return done


def _steps(source: Tree, target: Tree, parts: list[Part], *, dry_run: bool, remove: bool) -> Iterator[Step]:
    before = _held(target) if any(part.kind is Kind.FILE for part in parts) else _Held()
    there = {
        part.path: before.tags.get(part.path) or _tag(target, part.path) for part in parts if part.kind is Kind.INDEX
    }
    for part in parts:
        step = _step(source, target, part, before)
        if step.done is not Done.SAME and not dry_run:
            if part.kind is Kind.FILE:
                with source.open(part.path) as opened:
                    body = cast("BinaryIO", _Checked(source, part, opened))
                    target.write(part.path, body, size=opened.size)
            else:
                target.write(part.path, _body(source, part), expect=there.get(part.path))
        yield step
    if remove:
        named = {part.path for part in parts}
        for entry in list(target.list()):
            if entry.path not in named:
                if not dry_run:
                    target.delete(entry.path)
                yield Step(entry.path, Done.REMOVED, entry.size)


def _require_no_older_signatures(target: Tree, parts: list[Part]) -> None:
    for path in set(SIGNED_INDEXES) - {part.path for part in parts}:
        if _tag(target, path) != ABSENT:
            raise FeedSigned(target.place, path)


@dataclass(frozen=True, slots=True)
class _Held:
    """What is known of the feed that is there, by path; large documents are not in memory for it."""

    hashes: Mapping[str, str | None] = field(default_factory=dict)  # SHA-256 of files, as it says
    tags: Mapping[str, str] = field(default_factory=dict)  # of documents that were read
    digests: Mapping[str, str] = field(default_factory=dict)  # SHA-256 of these


def _held(target: Tree) -> _Held:
    try:
        parts = contents(target)
    except HeadwaterError:  # there is none, or none that is right: what lies there is looked at
        return _Held()
    read = {part.path: part.stored for part in parts if part.stored is not None}
    return _Held(
        {part.path: part.sha256 for part in parts if part.kind is Kind.FILE},
        {path: stored.tag for path, stored in read.items()},
        {path: hashlib.sha256(stored.body).hexdigest() for path, stored in read.items()},
    )


def _body(tree: Tree, part: Part) -> bytes:
    return tree.read(part.path).body if part.stored is None else part.stored.body


def _step(source: Tree, target: Tree, part: Part, before: _Held) -> Step:
    if part.stored is not None and part.path in before.digests:
        is_same = before.digests[part.path] == hashlib.sha256(part.stored.body).hexdigest()
        return Step(part.path, Done.SAME if is_same else Done.CHANGED, len(part.stored.body))
    try:
        size = source.stat(part.path).size if part.stored is None else len(part.stored.body)
    except PathNotFound as error:
        raise NotAsNamed(source.place, part.path, "is named by the feed and is not there") from error
    if part.size is not None and part.size != size:
        raise NotAsNamed(source.place, part.path, f"has {size} bytes, and the feed says {part.size}")
    try:
        found = target.stat(part.path)
    except PathNotFound:
        return Step(part.path, Done.ADDED, size)
    is_same = found.size == size and (
        _is_same_file(target, part, before.hashes)
        if part.kind is Kind.FILE
        else target.read(part.path).body == _body(source, part)
    )
    return Step(part.path, Done.SAME if is_same else Done.CHANGED, size)


def _is_same_file(target: Tree, part: Part, before: Mapping[str, str | None]) -> bool:
    if part.sha256 is None:
        return True
    if part.path in before:
        return before[part.path] == part.sha256
    found = hashlib.sha256()
    with target.open(part.path) as opened:
        for piece in opened:
            found.update(piece)
    return found.hexdigest() == part.sha256


def _tag(target: Tree, path: str) -> str:
    try:
        return target.read(path).tag
    except PathNotFound:
        return ABSENT


class _Checked(io.RawIOBase):
    """A file on its way, which turns out to be what the feed says of it or does not come to its end."""

    def __init__(self, source: Tree, part: Part, opened: Opened) -> None:
        super().__init__()
        self._source, self._part = source, part
        self._pieces, self._left = iter(opened), b""
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                self._judge()
                return b""
            self._hash.update(piece)
            self._left = piece
        cut = len(self._left) if size < 0 else size
        given, self._left = self._left[:cut], self._left[cut:]
        return given

    def _judge(self) -> None:
        if self._part.sha256 not in (None, self._hash.hexdigest()):
            raise NotAsNamed(self._source.place, self._part.path, "has another SHA-256 than the feed says")
