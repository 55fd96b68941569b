"""The products documents of a feed, found from where it begins, and verified.

A start that is signed (``.sjson``) makes every document signed that it leads to; with keys, an unsigned one is refused.
Indexes that indexes name are followed. Each document is read once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from headwater.errors import Invalid, WrongContent
from headwater.streams.format.documents import INDEX_FORMAT, PRODUCTS_FORMAT, Index, IndexEntry
from headwater.streams.format.json_objects import MalformedDocument, as_object, parse_json
from headwater.streams.format.layout import DIRECTORY, SIGNED_INDEXES, UNSIGNED_INDEXES
from headwater.streams.signing.reading import ANSWERS_ABSENT, FeedReader, Form, NoStart
from headwater.streams.trees.tree import PathNotFound, Tree, TreeRefused

if TYPE_CHECKING:
    from pysequoia import Cert

# As the simplestreams tools ask, whose answers ours are compared with.
_SIGNED, _UNSIGNED = SIGNED_INDEXES[::-1], UNSIGNED_INDEXES[::-1]
_MOST_INDEXES: Final = 100
_DEEPEST: Final = 10


class KeyringNeeded(Invalid):
    """The feed is signed, and nobody said whom to believe."""

    def __init__(self, place: str, path: str) -> None:
        super().__init__(
            f"{place}: the feed is signed ({path}); name the keys of its publisher with --keyring FILE, or read it "
            "with --no-verify"
        )
        self.place, self.path = place, path


class IndexLoop(WrongContent):
    """An index leads back to itself, or on and on."""

    def __init__(self, place: str, path: str, problem: str) -> None:
        super().__init__(f"{place}: {path}: {problem}; its publisher has to take that entry out")
        self.place, self.path, self.problem = place, path, problem


def split_name(name: str) -> tuple[str, str | None]:
    """Return the tree and the path of the start document that a name holds; ``None``: it names a tree alone.

    ``https://host/a/streams/v1/index.json`` is that path in the tree ``https://host/a``; a document elsewhere lies
    in the root of its tree.
    """
    if not name.endswith((".json", ".sjson")):
        return name, None
    root, directory, rest = name.rpartition(f"{DIRECTORY}/")
    if not directory or (root and not root.endswith("/")):
        root, directory, rest = name[: name.rfind("/") + 1], "", name[name.rfind("/") + 1 :]
    above = root.removesuffix("/")
    return (root if above.endswith("/") or not above else above), directory + rest


class DocumentMissing(PathNotFound):
    """An index names a document that is not there."""

    def __init__(self, place: str, path: str, index: str, status: int | None = None) -> None:
        super().__init__(place, path, status)
        self.args = (f"{place}: there is no {path}, which {index} names; publish it, or take the entry out",)
        self.index = index


class FeedDocuments:
    """The documents of one feed."""

    def __init__(
        self,
        tree: Tree,
        *,
        start: str | None = None,
        trusted: Sequence[Cert] | None = None,
        verifies: bool = True,
        wants: Callable[[IndexEntry], bool] = lambda _: True,
    ) -> None:
        """Say what is read and whom to believe; nothing is read yet.

        Args:
            start: The path of an index or products document. Default: the first index that is there.
            trusted: Keys of which one has to have signed each document.
            verifies: Whether signatures are looked at.
            wants: Says whether what an entry of an index names is read.
        """
        self._tree, self._trusted, self._verifies, self._wants = tree, trusted, verifies, wants
        self._start = start
        self._read_before: set[str] = set()
        self._indexes = 0

    def products(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each products document with its path.

        Raises:
            NoStart, KeyringNeeded, NotSigned, NotVerified, IndexLoop: As they say.
            MalformedDocument: A document is none; the message names the file and the place in it.
            PathNotFound, TreeRefused, TreeUnavailable: A document cannot be read.
        """
        reader, text = self._begun()
        yield from self._below(reader, reader.start, text, ())

    def _begun(self) -> tuple[FeedReader, bytes]:
        """Return what reads the feed, and its start document; some servers tell only so whether one is there."""
        starts = (*_SIGNED, *_UNSIGNED) if self._verifies else (*_UNSIGNED, *_SIGNED)
        refused: TreeRefused | None = None
        for start in starts if self._start is None else (self._start,):
            reader = FeedReader(self._tree, self._trusted if self._verifies else None, start)
            try:
                text = reader.read(start).text
            except PathNotFound:
                if self._start is not None:
                    raise
            except TreeRefused as error:
                if self._start is not None or error.status not in ANSWERS_ABSENT:
                    raise
                refused = refused or error
            else:
                if reader.form is Form.INLINE and self._verifies and self._trusted is None:
                    raise KeyringNeeded(self._tree.place, start)
                return reader, text
        raise refused or NoStart(self._tree.place, starts)

    def _below(
        self, reader: FeedReader, path: str, text: bytes, above: tuple[str, ...]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        self._read_before.add(path)
        try:
            document = as_object(parse_json(text), "top")
            index = Index.from_dict(document) if _kind(document) == INDEX_FORMAT else None
        except MalformedDocument as error:
            raise type(error)(f"{path}: {error.where}", error.problem) from error
        if index is None:
            yield path, document
            return
        self._indexes += 1
        if self._indexes > _MOST_INDEXES or len(above) >= _DEEPEST:
            problem = f"the feed has more than {_MOST_INDEXES} indexes, or one below {_DEEPEST} others"
            raise IndexLoop(self._tree.place, path, problem)
        for content_id, entry in index.index.items():
            if not self._wants(entry):
                continue
            if entry.path in (*above, path):
                raise IndexLoop(self._tree.place, path, f"the entry {content_id!r} leads back to {entry.path}")
            if entry.format in (None, INDEX_FORMAT, PRODUCTS_FORMAT) and entry.path not in self._read_before:
                yield from self._below(reader, entry.path, self._named(reader, entry.path, path), (*above, path))

    def _named(self, reader: FeedReader, path: str, index: str) -> bytes:
        try:
            return reader.read(path).text
        except PathNotFound as error:
            raise DocumentMissing(error.place, path, index, error.status) from error


def _kind(document: dict[str, Any]) -> str:
    said = document.get("format")
    if said in (INDEX_FORMAT, PRODUCTS_FORMAT):
        return str(said)
    if said is None and ("products" in document or "index" in document):
        return PRODUCTS_FORMAT if "products" in document else INDEX_FORMAT
    raise MalformedDocument("top.format", f"it is {said!r}, expected {INDEX_FORMAT!r} or {PRODUCTS_FORMAT!r}")
