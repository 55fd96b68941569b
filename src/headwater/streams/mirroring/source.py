"""The documents of the feed that is copied: read once, verified, each in all the forms in which it lies there.

A document may lie three times: ``a.json``, clear-signed as ``a.sjson``, and with a signature beside it,
``a.json.gpg``. With keys, what nobody vouches for does not come along. The start says which form counts, as for every
reader (``signing.reading``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from headwater.streams.format.documents import (
    INDEX_FORMAT,
    PRODUCTS_FORMAT,
    Index,
    IndexEntry,
    Mirrors,
    signed_name,
)
from headwater.streams.format.json_objects import MalformedDocument, parse_json
from headwater.streams.format.layout import MIRRORS, SIGNED_INDEXES, UNSIGNED_INDEXES
from headwater.streams.mirroring.names import require_document, unsigned_name
from headwater.streams.query.reading import KeyringNeeded
from headwater.streams.signing.reading import (
    ANSWERS_ABSENT,
    FeedReader,
    Form,
    NotSigned,
    NotVerified,
    Read,
    no_start,
)
from headwater.streams.trees.tree import PathNotFound, Tree, TreeRefused

if TYPE_CHECKING:
    from pysequoia import Cert


class Kind(IntEnum):
    """In which order documents are written: what names others comes after them."""

    PRODUCTS = 0
    OTHER = 1  # of a format that nobody knows: copied, not followed
    MIRRORS = 2
    INDEX = 3


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """One document."""

    path: str  # of its unsigned form
    kind: Kind
    text: bytes = field(repr=False)  # what it says
    copies: Mapping[str, bytes] = field(repr=False)  # by path, as they lie there; that which names others last

    def named(self, error: MalformedDocument) -> MalformedDocument:
        """Return ``error`` with the name of the document."""
        return type(error)(f"{self.path}: {error.where}", error.problem)


@dataclass(frozen=True, slots=True)
class SourceFeed:
    """What was read."""

    place: str
    documents: Mapping[str, SourceDocument]  # by path; an index after all that it names
    starts: tuple[str, ...]  # the paths of the documents where readers begin
    warnings: tuple[str, ...]

    @property
    def is_signed(self) -> bool:
        """Whether there is a signature that a changed document would not have."""
        return any(set(each.copies) != {path} for path, each in self.documents.items())


def read_source(
    tree: Tree,
    trusted: Sequence[Cert] | None = None,
    *,
    verifies: bool = True,
    start: str | None = None,
    unsigned_only: bool = False,
) -> SourceFeed:
    """Read the documents of a feed.

    Args:
        trusted: Keys of which one has to have signed each document.
        verifies: Whether a feed that is signed is refused without keys.
        start: The only document to begin with. Default: all indexes of the feed.
        unsigned_only: Signatures are not wanted, as what is copied will be another text.

    Raises:
        NoStart: There is no feed.
        KeyringNeeded: The feed is signed, and nobody said whom to believe.
        NotSigned, NotVerified: A document has no signature that counts, or says something else than its signed twin.
        TooManyIndexes: Indexes name indexes without an end.
        MalformedDocument, UnsafePath: A document is none; the message names it.
        PathNotFound, TreeRefused, TreeUnavailable: As they say.
    """
    if trusted is None and verifies:
        _require_unsigned(tree, start)
    reading = _Reading(tree, trusted, takes_twins=not unsigned_only, looks_for_signed=not verifies)
    starts = [start] if start is not None else list(_starts(tree, trusted))
    for each in starts:
        reading.follow(each)
    if start is None and not unsigned_only:
        reading.mirrors(starts[0])
    documents = dict(sorted(reading.documents.items(), key=lambda pair: pair[1].kind))
    names = tuple(dict.fromkeys(unsigned_name(each) for each in starts))
    return SourceFeed(tree.place, documents, names, tuple(reading.warnings))


def _require_unsigned(tree: Tree, start: str | None) -> None:
    signed = (*SIGNED_INDEXES, *(f"{path}.gpg" for path in UNSIGNED_INDEXES))
    looked_for = signed if start is None else (start,) if start.endswith(".sjson") else (f"{start}.gpg",)
    for path in looked_for:
        if _is_there(tree, path):
            raise KeyringNeeded(tree.place, path)


def _starts(tree: Tree, trusted: Sequence[Cert] | None) -> Sequence[str]:
    for names in (UNSIGNED_INDEXES, SIGNED_INDEXES) if trusted is None else (SIGNED_INDEXES, UNSIGNED_INDEXES):
        found = [path for path in names if _is_there(tree, path)]
        if found:
            return found
    raise no_start(tree, (*UNSIGNED_INDEXES, *SIGNED_INDEXES))


class _Reading:
    def __init__(
        self, tree: Tree, trusted: Sequence[Cert] | None, *, takes_twins: bool, looks_for_signed: bool
    ) -> None:
        self.documents: dict[str, SourceDocument] = {}
        self.warnings: list[str] = []
        self._tree, self._trusted = tree, trusted
        self._takes_twins, self._looks_for_signed = takes_twins, looks_for_signed
        self._unknown: set[tuple[str, str]] = set()  # entries of formats that nobody knows

    def follow(self, start: str) -> None:
        """Read a start document and all that it leads to."""
        reader = FeedReader(self._tree, self._trusted, start)
        indexes = list(reader.indexes())
        for read, index in indexes:
            for content_id, entry in index.index.items():
                if entry.format == INDEX_FORMAT and entry.path in (read.path, start):
                    self.warnings.append(
                        f"{read.path}: the entry {content_id!r} leads back to {entry.path}: tools follow it until they "
                        "are stopped; its publisher has to take it out"
                    )
                self._warn_of_format(read.path, content_id, entry)
                if entry.format != INDEX_FORMAT and unsigned_name(entry.path) not in self.documents:
                    self._products(reader, entry.path, content_id, entry.format)
        # An index may name others, which then come before it.
        for read, _ in reversed(indexes):
            self._add(reader, read, Kind.INDEX)

    def _warn_of_format(self, index: str, content_id: str, entry: IndexEntry) -> None:
        """Say, once of each entry, what becomes of a document that cannot be followed."""
        if entry.format in (None, PRODUCTS_FORMAT, INDEX_FORMAT) or (content_id, entry.path) in self._unknown:
            return
        self._unknown.add((content_id, entry.path))
        becomes = (
            "its document is copied as it is, and no file that it names"
            if self._takes_twins
            else "it is left out, as nobody can choose from its document, or write what signs it anew"
        )
        self.warnings.append(
            f"{index}: the entry {content_id!r} is of the format {entry.format!r}, and {PRODUCTS_FORMAT} and "
            f"{INDEX_FORMAT} are known here: {becomes} ({entry.path})"
        )

    def mirrors(self, start: str) -> None:
        """Read the document of the mirrors, if there is one, and those that it leads to."""
        reader = FeedReader(self._tree, self._trusted, start)
        name = signed_name(MIRRORS) if reader.form is Form.INLINE else MIRRORS
        first = self._of_mirrors(reader, name)
        if first is None:
            return
        named = (each.path for group in first.mirrors.values() for each in group)
        for path in dict.fromkeys(path for path in named if path is not None):
            if unsigned_name(path) not in self.documents and unsigned_name(path) != MIRRORS:
                self._of_mirrors(reader, path)
        self.documents[MIRRORS] = self.documents.pop(MIRRORS)

    def _of_mirrors(self, reader: FeedReader, path: str) -> Mirrors | None:
        require_document(path)
        if not _is_there(self._tree, path):
            return None
        try:
            read = reader.read(path)
        except NotSigned as error:
            self.warnings.append(f"{error}; it is left out")
            return None
        try:
            found = Mirrors.from_bytes(read.text)
        except MalformedDocument as error:
            raise type(error)(f"{path}: {error.where}", error.problem) from error
        self._add(reader, read, Kind.MIRRORS)
        return found

    def _products(self, reader: FeedReader, path: str, content_id: str, kind: str | None) -> None:
        require_document(path)
        try:
            read = reader.read(path)
        except PathNotFound as error:
            raise PathNotFound(self._tree.place, f"{path}, which the index names for {content_id}") from error
        self._add(reader, read, Kind.PRODUCTS if kind in (None, PRODUCTS_FORMAT) else Kind.OTHER)

    def _add(self, reader: FeedReader, read: Read, kind: Kind) -> None:
        require_document(read.path)
        self.warnings += [f"{read.path}: {each}" for each in read.warnings]
        path = unsigned_name(read.path)
        if path not in self.documents:
            copies = self._copies(reader, read, kind) if self._takes_twins else {path: read.text}
            text, unsigned = read.text, copies.get(path, b"")
            # Large documents are in memory once where they say the same.
            text = unsigned if kind is not Kind.INDEX and unsigned.rstrip() == text.rstrip() else text
            self.documents[path] = SourceDocument(path, kind, text, copies)

    def _copies(self, reader: FeedReader, read: Read, kind: Kind) -> dict[str, bytes]:
        """Return all forms of a document that somebody vouches for, or all that are there if nobody is asked."""
        path = read.path
        if reader.form is Form.DETACHED and read.signature is not None:
            return {path: read.stored.body, f"{path}.gpg": read.signature.body}
        if reader.form is Form.NONE:
            beside = [f"{path}.gpg", signed_name(path)] if self._looks_for_signed and path.endswith(".json") else []
            return {path: read.stored.body} | {each: body for each in beside if (body := self._found(each)) is not None}
        plain = unsigned_name(path)
        unsigned = None if plain == path else self._found(plain)
        if unsigned is None:
            return {path: read.stored.body}
        signature = self._found(f"{plain}.gpg")
        if self._trusted is not None:
            self._require_twin(read, plain, unsigned, kind)
            if signature is not None and not self._is_good(plain, unsigned, signature):
                signature = None
        signatures = {} if signature is None else {f"{plain}.gpg": signature}
        return {plain: unsigned, **signatures, path: read.stored.body}

    def _require_twin(self, read: Read, path: str, body: bytes, kind: Kind) -> None:
        """Refuse an unsigned document that does not say what its signed twin says."""
        if body.rstrip() == read.text.rstrip():
            return
        try:
            is_same = _said(body, kind) == _said(read.text, kind)
        except MalformedDocument as error:
            raise type(error)(f"{path}: {error.where}", error.problem) from error
        if not is_same:
            problem = (
                f"it says something else than {read.path}, which is signed; wait if it is being published just now"
            )
            raise NotVerified(self._tree.place, path, problem)

    def _is_good(self, path: str, body: bytes, signature: bytes) -> bool:
        from headwater.streams.signing.verifying import (  # noqa: PLC0415 - OpenPGP is long to load
            BadSignature,
            verified_detached,
        )

        try:
            verified_detached(body, signature, self._trusted or (), datetime.now(UTC))
        except BadSignature as error:
            self.warnings.append(f"{path}.gpg: {error}; it is left out")
            return False
        return True

    def _found(self, path: str) -> bytes | None:
        try:
            return self._tree.read(path).body
        except PathNotFound:
            return None
        except TreeRefused as error:
            if error.status in ANSWERS_ABSENT:
                return None
            raise


def _is_there(tree: Tree, path: str) -> bool:
    """Return whether there is a file; asked as readers ask, since not every server knows HEAD."""
    try:
        with tree.open(path):
            return True
    except PathNotFound:
        return False
    except TreeRefused as error:
        if error.status in ANSWERS_ABSENT:
            return False
        if error.status is None:  # it is there, and reading it tells what is wrong
            return True
        raise


def _said(body: bytes, kind: Kind) -> Any:
    """Return what a document says, where the names of signed and unsigned documents count as the same."""
    if kind is Kind.INDEX:
        return Index.from_bytes(body).with_signed_paths().to_dict()
    if kind is Kind.MIRRORS:
        said = Mirrors.from_bytes(body).to_dict()
        for each in (each for group in said["mirrors"].values() for each in group if "path" in each):
            each["path"] = signed_name(each["path"])
        return said
    return parse_json(body)
