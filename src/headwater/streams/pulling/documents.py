"""The documents of a feed that is pulled: found, verified, kept, and found again when they have become old.

A document that is asked for is given as it is kept while it is younger than ``max_age_s``. Then its server is asked
whether it has changed, by one of all workers; the others give what they have, and so does that one when the server
takes its time. A server that does not answer, or gives
something that is not good (a signature, an older state, a login page), changes nothing: what is kept is given, and
said to be old. What an index names is asked for again when the index has changed, so that both fit.

With keys everything that is given was verified. Where only the clear-signed form of a document is signed, the plain one
is made of its text, since most readers read that.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol, cast

from headwater.caching.directory import CacheUnavailable
from headwater.errors import HeadwaterError, Unavailable
from headwater.streams.format.documents import INDEX_FORMAT, PRODUCTS_FORMAT, Index
from headwater.streams.format.json_objects import MalformedDocument, as_object, parse_json
from headwater.streams.format.layout import INDEX, INDEX2
from headwater.streams.pulling.records import Record, Records
from headwater.streams.pulling.remote import Asked, RemoteFeed
from headwater.streams.signing.reading import ANSWERS_ABSENT, FeedReader, Form, NotSigned, Read
from headwater.streams.signing.replay import require_not_older
from headwater.streams.trees.tree import Document, PathNotFound, Tree, TreeRefused, TreeUnavailable
from headwater.threads import Pool

if TYPE_CHECKING:
    from pysequoia import Cert

_log = logging.getLogger(__name__)

STARTS: Final = (INDEX2, INDEX)
_MOST_INDEXES: Final = 100
_LEAST_PAUSE_S: Final = 10  # after a question in vain, unless documents are younger than that anyway
PATIENCE_S: Final = 3.0  # for how long a reader waits who could be given what is kept
_ASKING: Final = 8  # threads
_SIGNATURE: Final = 1 << 20  # bytes


class Tally(Protocol):
    """Counts what becomes of documents, for the operator."""

    def pulled(self, tree: str, what: str) -> None:
        """Note that a document was ``stale``, or its server gave none (``failed``) or no good one (``refused``)."""


@dataclass(frozen=True, slots=True)
class Found:
    """A document as it is given, and how old it is."""

    record: Record
    age_s: float
    is_stale: bool  # older than it should be
    failed: bool = False  # since its server did not give a good one


class Documents:
    """The documents of one feed; safe to use from several threads."""

    def __init__(
        self,
        name: str,
        remote: RemoteFeed,
        records: Records,
        *,
        trusted: Sequence[Cert] | None,
        max_age_s: float,
        clock: Callable[[], float],
        tally: Tally,
    ) -> None:
        """Take where documents come from and where they are kept.

        Args:
            trusted: Keys, one of which has to have signed each document; ``None``: they are believed.
        """
        self.name, self.records = name, records
        self._remote, self._trusted, self._clock, self._tally = remote, trusted, clock, tally
        self._max_age_s, self._pause_s = max_age_s, min(max_age_s, _LEAST_PAUSE_S)
        self._asking = Pool("feeds", _ASKING)
        self._named: dict[str, tuple[tuple[str, str], ...]] = {}  # of indexes, by the hash of their text

    def find(self, path: str, *, allow_older: bool = False, at_once: bool = False) -> Found:
        """Return a document that the feed has, or that it has none of this path (``Record.is_absent``).

        Args:
            path: Of a plain (``.json``) or a clear-signed document (``.sjson``).
            allow_older: Take one that was updated before the one that is kept.
            at_once: Ask its server, however young it is.

        Raises:
            HeadwaterError: It is not known, and its server does not give it.
        """
        began = self._clock()
        kept = self.records.get(path)
        if kept is not None and not at_once and self._is_young(kept, began):
            return Found(kept, began - kept.asked, is_stale=False)
        if 0 <= began - self.records.failed_at(path) < self._pause_s and not at_once:
            return self._after_failure(path, kept)
        if kept is not None and not at_once:
            return self._asked_soon(path, kept, began)
        with self.records.asking(path, waits=True):
            return self._asked_alone(path, began, allow_older=allow_older, at_once=at_once)

    def indexes(self) -> Iterator[tuple[Record, tuple[tuple[str, str], ...]]]:
        """Yield each index of the feed, and what it names: paths of plain documents, with their data types."""
        waiting, known = list(STARTS), set(STARTS)
        failed: HeadwaterError | None = None
        is_there = False
        while waiting and len(known) <= _MOST_INDEXES:
            path = waiting.pop(0)
            try:
                record = self.plain(path)
            except HeadwaterError as error:
                failed = error  # another index may be known
                continue
            if record is None:
                continue
            is_there = True
            entries = self._entries(record)
            yield record, tuple((each, kind) for each, kind in entries if kind != INDEX_FORMAT)
            below = [each for each, kind in entries if kind == INDEX_FORMAT and each not in known]
            waiting += below
            known.update(below)
        if failed is not None and not is_there:
            raise failed

    def plain(self, path: str) -> Record | None:
        """Return a plain document, or the clear-signed one where the feed has only that; ``None``: it has neither."""
        for each in (path, f"{path.removesuffix('.json')}.sjson"):
            found = self.find(each).record
            if not found.is_absent:
                return found
        return None

    def names(self) -> set[str]:
        """Return the paths of all plain documents that the feed has or names."""
        found = set(STARTS)
        for record, named in self.indexes():
            found.add(plain_path(record.path))
            found.update(path for path, _ in named)
        return found

    def kept_paths(self) -> list[str]:
        """Return the paths of all documents that were ever asked for, indexes first."""
        found = {record.path for record in self.records.known()} | set(STARTS)
        return sorted(found, key=lambda path: (plain_path(path) not in STARTS, path))

    def text(self, record: Record) -> bytes:
        """Return what a document says: JSON.

        Raises:
            PathNotFound: It was replaced at this moment.
        """
        text = self.records.text(record)
        if text is None:
            raise PathNotFound(self._remote.place, record.path)
        return self._said(record.path, text)

    def replaced_at(self, record: Record, within_s: float) -> float | None:
        """Return when what a document said before was replaced; ``None``: longer ago than that, or never."""
        at = self.records.replaced_at(record.path)
        return at if at is not None and 0 <= self._clock() - at < within_s else None

    def text_before(self, record: Record) -> bytes:
        """Return what a document said before: JSON."""
        return self._said(record.path, self.records.before(record.path))

    def _said(self, path: str, text: bytes) -> bytes:
        if not path.endswith(".sjson"):
            return text
        return FeedReader(cast(Tree, _Kept(self._remote.place, text)), None, path).read(path).text

    def expire(self, path: str) -> None:
        """Ask for a document again when it is wanted next: what it says was found wrong."""
        record = self.records.get(path)
        if record is not None:
            self.records.touch(record, 0)

    def close(self) -> None:
        """Ask no server any more."""
        self._asking.close()

    def _asked_soon(self, path: str, kept: Record, began: float) -> Found:
        """Return what the server says within a moment, else what is kept; who reads next has what it says later."""
        held = contextlib.ExitStack()
        if not held.enter_context(self.records.asking(path, waits=False)):
            held.close()
            return self._stale(kept, failed=False)
        found: list[Found] = []
        said = threading.Event()

        def ask() -> None:
            try:
                with held:
                    found.append(self._asked_alone(path, began))
            except HeadwaterError as error:  # of our own disk; what the server does is told already
                _log.warning("a document is not kept", extra={"tree": self.name, "path": path, "error": str(error)})
            finally:
                said.set()

        self._asking.start(ask)
        said.wait(PATIENCE_S)
        return found[0] if found else self._stale(kept, failed=False)

    def _asked_alone(self, path: str, began: float, *, allow_older: bool = False, at_once: bool = False) -> Found:
        """Ask the server, as nobody else does now, unless somebody did since ``began``."""
        kept = self.records.get(path)
        if kept is not None and (kept.asked >= began or (not at_once and self._is_young(kept, began))):
            return Found(kept, max(0.0, self._clock() - kept.asked), is_stale=False)
        if self.records.failed_at(path) >= began and not at_once:
            return self._after_failure(path, kept)
        return self._asked(path, kept, allow_older=allow_older, raises=at_once)

    def _is_young(self, record: Record, now: float) -> bool:
        if not 0 <= now - record.asked < self._max_age_s:
            return False
        if plain_path(record.path) in STARTS:
            return True
        # What an index names may have changed with it.
        changed = max((each.changed for each in map(self.records.get, STARTS) if each is not None), default=0)
        return record.asked >= changed

    def _after_failure(self, path: str, kept: Record | None) -> Found:
        if kept is None:
            raise TreeUnavailable(self._remote.place, f"{path}: its server was asked in vain a moment ago")
        return self._stale(kept, failed=True)

    def _stale(self, record: Record, *, failed: bool) -> Found:
        age_s = max(0.0, self._clock() - record.asked)
        is_stale = failed or age_s >= self._max_age_s
        if is_stale:
            self._tally.pulled(self.name, "stale")
        return Found(record, age_s, is_stale=is_stale, failed=failed)

    def _asked(self, path: str, kept: Record | None, *, allow_older: bool, raises: bool) -> Found:
        now = self._clock()
        try:
            record, text = self._fetched(path, kept, now, allow_older=allow_older)
            if text is None:
                self.records.touch(record, now)
            else:
                self.records.put(record, text)
        except HeadwaterError as error:
            with contextlib.suppress(CacheUnavailable):
                self.records.failed(path, self._clock())
            self._tally.pulled(self.name, "failed" if _is_silent(error) else "refused")
            _log.warning(
                "a document of a feed is not pulled", extra={"tree": self.name, "path": path, "error": str(error)}
            )
            if kept is None or raises:
                raise
            return self._stale(kept, failed=True)
        self.records.failed(path, 0)
        return Found(replace(record, asked=now), 0, is_stale=False)

    def _fetched(self, path: str, kept: Record | None, now: float, *, allow_older: bool) -> tuple[Record, bytes | None]:
        """Return a document as its server has it now, and its text; ``None``: it is as it was kept."""
        asked = Asked(self._remote)
        tags = kept.tags if kept is not None else {}
        # The signature beside it is asked for too: it may have been made anew.
        if kept is not None and tags and all(tag and asked.is_unchanged(each, tag) for each, tag in tags.items()):
            return kept, None
        try:
            read, text, form = self._read(asked, path, kept)
        except (PathNotFound, TreeRefused) as error:
            was_there = kept is not None and not kept.is_absent
            if isinstance(error, TreeRefused) and (error.status not in ANSWERS_ABSENT or was_there):
                raise
            # It may come back, and then not as it was before it went.
            updated = kept.updated if kept is not None else None
            absent = Record(path=path, sha256="", tags={}, updated=updated, changed=now, asked=now)
            return (kept, None) if kept is not None and kept.is_absent else (absent, b"")
        updated = _judged(path, read.text)
        if not allow_older and kept is not None:
            require_not_older(self._remote.place, path, updated, kept.updated)
        record = Record(
            path=path,
            sha256=hashlib.sha256(text).hexdigest(),
            size=len(text),
            form=form,
            tags=asked.tags,
            updated=updated,
            changed=now,
            signature=None if read.signature is None else read.signature.body,
            asked=now,
        )
        if kept is not None and kept.sha256 == record.sha256:
            record = replace(record, changed=kept.changed)
        return record, text

    def _read(self, asked: Asked, path: str, kept: Record | None) -> tuple[Read, bytes, Form]:
        """Return a document, the text to keep of it, and how it is signed."""
        tree = cast(Tree, asked)  # a reader with a start reads, and does nothing else
        if path.endswith(".sjson"):
            read = FeedReader(tree, self._trusted, path).read(path)
            return read, read.stored.body, Form.INLINE
        signed_path = f"{path.removesuffix('.json')}.sjson"
        first = Form.NONE if self._trusted is None else Form.DETACHED
        forms = (Form.INLINE, first) if kept is not None and kept.form == Form.INLINE else (first,)
        unsigned: NotSigned | None = None
        for form in dict.fromkeys((*forms, Form.INLINE)):
            try:
                if form is not Form.INLINE:
                    read = FeedReader(tree, self._trusted, path).read(path)
                    if form is Form.NONE:
                        read = self._with_signature(asked, read)
                    return read, read.stored.body, form
                read = FeedReader(tree, self._trusted, signed_path).read(signed_path)
            except NotSigned as error:
                unsigned = error
            except PathNotFound as error:
                absent = error
            else:
                asked.tags = {signed_path: asked.tags[signed_path]}
                return read, _with_plain_paths(path, read.text), form
        raise unsigned or absent

    def _with_signature(self, asked: Asked, read: Read) -> Read:
        """Return a document with the signature beside it, where there is one: readers of ours may have the keys."""
        beside = f"{read.path}.gpg"
        try:
            return replace(read, signature=asked.read(beside, _SIGNATURE))
        except PathNotFound:
            return read
        except TreeRefused as error:
            if error.status not in ANSWERS_ABSENT:
                raise
            return read

    def _entries(self, record: Record) -> tuple[tuple[str, str], ...]:
        if record.sha256 not in self._named:
            index = Index.from_bytes(self.text(record))
            named = tuple((plain_path(each.path), _kind(each.format, each.datatype)) for each in index.index.values())
            if len(self._named) > _MOST_INDEXES:
                self._named.clear()
            self._named[record.sha256] = named
        return self._named[record.sha256]


class _Kept:
    """A tree of one document that is kept."""

    def __init__(self, place: str, text: bytes) -> None:
        self.place, self._text = place, text

    def read(self, _path: str) -> Document:
        return Document(self._text, "")


def plain_path(path: str) -> str:
    """Return the path of the plain form of a document."""
    return f"{path.removesuffix('.sjson')}.json" if path.endswith(".sjson") else path


def _kind(said: str | None, datatype: str | None) -> str:
    return INDEX_FORMAT if said == INDEX_FORMAT else datatype or ""


def _judged(path: str, text: bytes) -> str | None:
    """Return when a document was updated; raise ``MalformedDocument`` for what is none, such as a login page."""
    try:
        document = as_object(parse_json(text), "top")
        if plain_path(path) in STARTS or document.get("format") == INDEX_FORMAT:
            return Index.from_dict(document).updated
        if "format" not in document or document["format"] == PRODUCTS_FORMAT:
            as_object(document.get("products"), "top.products")
    except MalformedDocument as error:
        raise type(error)(f"{path}: {error.where}", error.problem) from error
    updated = document.get("updated")
    return updated if isinstance(updated, str) else None


def _with_plain_paths(path: str, text: bytes) -> bytes:
    """Return the text of a clear-signed document as the plain one says it: it names plain documents."""
    document = as_object(parse_json(text), path)
    if "index" not in document:
        return text
    index = Index.from_dict(document)
    plain = {name: replace(entry, path=plain_path(entry.path)) for name, entry in index.index.items()}
    return text if plain == index.index else replace(index, index=plain).to_bytes()


def _is_silent(error: HeadwaterError) -> bool:
    return isinstance(error, Unavailable | TreeRefused)
